//! What the records mean: specifications, inputs and outputs, read from the store and the blobs when they are needed.
//!
//! Everything here may wait for disks: it is for threads that may.

use std::sync::Arc;

use longshore_blobs::{Blobs, PutError};
use longshore_core::{ItemKey, JobId, Source};
use longshore_proto::{
    Digest, SMALL_BLOB_BYTES,
    v1::{BlobList, BlobListRef, NamedBlob, Outcome, ServiceSpec},
};
use longshore_store::Reader;
use prost::Message;

use super::{
    blocks::Blocks,
    error::{self, CatalogError},
    inputs::Inputs,
    lists::{LIST, Lists},
    messages::Messages,
    outcomes, outputs, records,
    submission::{Submission, Submissions},
};

/// Reads what records and blobs say.
pub struct Catalog {
    reader: Arc<dyn Reader>,
    messages: Arc<Messages>,
    submissions: Submissions,
    lists: Lists,
    blocks: Blocks,
}

impl Catalog {
    pub fn new(reader: Arc<dyn Reader>, blobs: Arc<Blobs>) -> Self {
        let messages = Arc::new(Messages::new(blobs));
        Self {
            submissions: Submissions::new(Arc::clone(&reader), Arc::clone(&messages)),
            lists: Lists::new(Arc::clone(&messages)),
            blocks: Blocks::new(Arc::clone(&reader)),
            reader,
            messages,
        }
    }

    pub fn blobs(&self) -> &Arc<Blobs> {
        self.messages.blobs()
    }

    /// The job's submission.
    pub fn submission(&self, job: JobId) -> Result<Arc<Submission>, CatalogError> {
        self.submissions.get(job)
    }

    /// How large a blob is, if it is here.
    pub fn size(&self, digest: Digest) -> Option<u64> {
        self.blobs().size(&digest.into())
    }

    /// A service's specification.
    pub fn service_spec(&self, digest: Digest) -> Result<ServiceSpec, CatalogError> {
        self.messages.get(digest, "the service's specification")
    }

    /// A list kept as a blob.
    pub fn list(&self, digest: Digest) -> Result<BlobList, CatalogError> {
        self.messages.get(digest, LIST)
    }

    /// The entries of a list that something kept names.
    pub fn listed(&self, list: &BlobListRef) -> Result<Vec<NamedBlob>, CatalogError> {
        Ok(self.list(error::digest(&list.digest, LIST)?)?.blobs)
    }

    /// Stores a message as a blob; durable with the next commit.
    pub fn put<T: Message>(&self, message: &T) -> Result<Digest, PutError> {
        self.messages.put(message)
    }

    /// Stores bytes as a blob; durable with the next commit.
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<Digest, PutError> {
        self.messages.put_bytes(bytes)
    }

    /// The job's inputs.
    pub fn inputs(&self, job: JobId) -> Result<Inputs, CatalogError> {
        self.submission(job).map(Inputs::new)
    }

    /// The lists that inputs are in.
    pub fn lists(&self) -> &Lists {
        &self.lists
    }

    /// How an item ended, if it has, and whether it succeeded.
    pub fn outcome(&self, item: &ItemKey) -> Result<Option<(bool, Outcome)>, CatalogError> {
        if let Some(detail) = self.blocks.success(item)? {
            return Ok(Some((true, outputs::outcome(detail)?)));
        }
        let failure = outcomes::failure(&*self.reader, item)?;
        failure.map(|detail| Ok((false, outputs::outcome(detail)?))).transpose()
    }

    /// How often an item that has not ended was tried, and what last went wrong with it.
    pub fn trouble(&self, item: &ItemKey) -> Result<Option<(u32, Outcome)>, CatalogError> {
        records::trouble(&*self.reader, item)?
            .map(|record| {
                let tries = record.failures + record.crashes + record.mishaps;
                Ok((tries, outputs::outcome(record.detail.into())?))
            })
            .transpose()
    }

    /// The outputs of an outcome.
    pub fn outputs(&self, outcome: Outcome) -> Result<Vec<NamedBlob>, CatalogError> {
        outputs::of(&self.messages, outcome)
    }

    /// What an item of a map stage takes in.
    pub fn source(&self, item: &ItemKey, source: Source) -> Result<NamedBlob, CatalogError> {
        let nowhere = || CatalogError::NoInput { stage: item.stage, index: item.index };
        match source {
            Source::Input => self.inputs(item.job)?.get(&self.lists, item.index),
            Source::Output { parent, ordinal } => {
                let stage = item.stage.checked_sub(1).ok_or_else(nowhere)?;
                let parent = ItemKey { job: item.job, stage, index: parent };
                let (_, outcome) = self.outcome(&parent)?.ok_or_else(nowhere)?;
                let outputs = self.outputs(outcome)?;
                usize::try_from(ordinal).ok().and_then(|at| outputs.get(at)).cloned().ok_or_else(nowhere)
            }
            Source::Everything => Err(nowhere()),
        }
    }

    /// All outputs of a stage in the order of its items, as lists kept as blobs.
    pub fn everything(&self, job: JobId, stage: u16) -> Result<Vec<BlobListRef>, CatalogError> {
        outputs::of_stage(&*self.reader, &self.messages, job, stage)
    }

    /// Adds the bytes of a small blob to its name.
    pub fn inline(&self, blob: &mut NamedBlob) -> Result<(), CatalogError> {
        const INPUT: &str = "the item's input";
        if blob.size <= SMALL_BLOB_BYTES as u64 {
            blob.inline = Some(self.messages.bytes(error::digest(&blob.digest, INPUT)?, INPUT)?);
        }
        Ok(())
    }
}
