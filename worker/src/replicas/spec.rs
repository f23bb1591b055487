//! What a replica's containers are, and one of them once it is started.

use std::{path::PathBuf, sync::Arc};

use longshore_proto::v1::{BlobListRef, Container, DesiredReplica};

use super::error::ReplicaError;
use crate::{
    contract::placeholders::{Fixed, Item},
    runtime::{Control, Image, Paths, Sandbox, Shim},
    work::namespace,
};

/// Name of the file an answer is expected in.
pub(super) const ANSWER: &str = "answer";

/// What a replica shall be.
pub(super) struct ReplicaSpec {
    /// Whose service it is; empty for the namespace that nobody names.
    pub namespace: Arc<str>,
    pub service: String,
    pub merge: bool,
    pub shard: u32,
    pub shards: u32,
    /// Calls it works on at once; 0 when its service does not say.
    pub concurrency: u32,
    pub container: Container,
    /// The list of the shard's files.
    pub data: Option<BlobListRef>,
}

impl ReplicaSpec {
    /// Reads what the coordinator wants.
    pub(super) fn of(desired: &DesiredReplica) -> Result<Self, ReplicaError> {
        let id = desired.id.clone().ok_or(ReplicaError::Missing("name"))?;
        Ok(Self {
            namespace: namespace(&id.namespace).ok_or(ReplicaError::Missing("namespace"))?,
            service: id.service,
            merge: id.merge,
            shard: id.shard,
            shards: desired.shards,
            concurrency: desired.concurrency,
            container: desired.container.clone().ok_or(ReplicaError::Missing("container"))?,
            data: desired.data.clone(),
        })
    }

    /// What everything in its containers is told.
    pub(super) fn fixed<'a>(&'a self, paths: &'a Paths) -> Fixed<'a> {
        Fixed {
            job: &self.service,
            shard: (!self.merge).then_some(self.shard),
            shards: Some(self.shards),
            data: paths.inside_data.as_deref(),
        }
    }

    /// What every call is about.
    pub(super) fn item(&self) -> Item<'static> {
        Item { name: ANSWER, index: self.shard.into(), attempt: 1 }
    }
}

/// A started sandbox, with what has to be cleared away after it.
pub(super) struct Started {
    pub shim: Arc<dyn Shim>,
    pub paths: Paths,
    pub control: Box<dyn Control>,
    pub image: Image,
    pub dir: PathBuf,
}

impl Started {
    /// A sandbox of this image, whose files are in `dir`.
    pub(super) fn new(sandbox: Sandbox, image: Image, dir: PathBuf) -> Self {
        let Sandbox { shim, paths, control } = sandbox;
        Self { shim: Arc::from(shim), paths, control, image, dir }
    }
}
