//! What a replica's containers are, and one of them once it is started.

use std::{path::PathBuf, sync::Arc};

use longshore_proto::v1::{BlobListRef, Container, DesiredReplica};

use super::error::ReplicaError;
use crate::{
    bounds::Policy,
    contract::{
        placeholders::{Fixed, Item},
        watch::Temporary,
    },
    runtime::{Control, Image, Paths, Sandbox, Shim, StartError, users::Users},
    secrets::{Secrets, has_files},
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
    /// With what it is granted.
    pub container: Container,
    pub secrets: Secrets,
    /// The list of the shard's files.
    pub data: Option<BlobListRef>,
}

impl ReplicaSpec {
    /// Reads what the coordinator wants.
    ///
    /// # Errors
    /// When that makes no sense, its container asks for more than the operator allows, or names a secret for its registry that
    /// is not there.
    pub(super) fn of(desired: &DesiredReplica, secrets: &Secrets, bounds: &Policy) -> Result<Self, ReplicaError> {
        let id = desired.id.clone().ok_or(ReplicaError::Missing("name"))?;
        let container = desired.container.clone().ok_or(ReplicaError::Missing("container"))?;
        let granted = bounds.container(&container).map_err(|exceeds| StartError::Refused(exceeds.to_string()))?;
        let container = granted.written_into(container);
        secrets.has_pull_secret(&container)?;
        Ok(Self {
            namespace: namespace(&id.namespace).ok_or(ReplicaError::Missing("namespace"))?,
            service: id.service,
            merge: id.merge,
            shard: id.shard,
            shards: desired.shards,
            concurrency: desired.concurrency,
            data: desired.data.clone(),
            container,
            secrets: secrets.clone(),
        })
    }

    /// What everything in its containers is told.
    pub(super) fn fixed<'a>(&'a self, paths: &'a Paths) -> Fixed<'a> {
        Fixed {
            job: &self.service,
            shard: (!self.merge).then_some(self.shard),
            shards: Some(self.shards),
            data: paths.inside_data.as_deref(),
            files: paths.inside_files.as_deref(),
            secrets: has_files(&self.container).then_some(&paths.inside_secrets[..]),
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
    pub temporary: Temporary,
    pub control: Box<dyn Control>,
    pub image: Image,
    pub dir: PathBuf,
    pub users: Arc<Users>,
}

impl Started {
    /// A sandbox of this image, whose files are in `dir`, with so much temporary space.
    pub(super) fn new(sandbox: Sandbox, tmp_bytes: u64, image: Image, dir: PathBuf) -> Self {
        let Sandbox { shim, paths, temporary, first_process, control, users } = sandbox;
        let temporary = Temporary::new(temporary, tmp_bytes, first_process);
        Self { shim: Arc::from(shim), paths, temporary, control, image, dir, users }
    }
}

#[cfg(test)]
mod tests {
    use longshore_proto::v1::{ReplicaId, SecretValue};

    use super::*;
    use crate::bounds::{Ceilings, Machine};

    #[test]
    fn a_secret_for_its_registry_that_is_gone_ends_a_replica() {
        let desired = DesiredReplica {
            id: Some(ReplicaId { service: "s".into(), ..ReplicaId::default() }),
            container: Some(Container { pull_secret: "pull".into(), ..Container::default() }),
            ..DesiredReplica::default()
        };
        let bounds = Policy::new(Machine::look(), 1, Ceilings::default());
        let of = |told| ReplicaSpec::of(&desired, &Secrets::new(told), &bounds);
        let gone = of(Vec::new()).err().unwrap().to_string();
        assert!(gone.contains("secret pull: it is not there"), "{gone}");
        let there = of(vec![SecretValue { name: "pull".into(), version: 1, value: "ann:x".into() }]).unwrap();
        assert_eq!(&*there.secrets.pull_secret(&there.container).unwrap().value, b"ann:x");
    }
}
