//! What the records mean: specifications, inputs and outputs, read from the store and the blobs when they are needed.
//!
//! Everything here may wait for disks: it is for threads that may.

use std::sync::Arc;

use longshore_blobs::{BlobStore, PutError};
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
    messages::{INPUT, Messages},
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
    pub fn new(reader: Arc<dyn Reader>, blobs: Arc<dyn BlobStore>) -> Self {
        let messages = Arc::new(Messages::new(blobs));
        Self {
            submissions: Submissions::new(Arc::clone(&reader), Arc::clone(&messages)),
            lists: Lists::new(Arc::clone(&messages)),
            blocks: Blocks::new(Arc::clone(&reader)),
            reader,
            messages,
        }
    }

    /// The entries.
    #[cfg(test)]
    pub fn reader(&self) -> &dyn Reader {
        &*self.reader
    }

    pub fn blobs(&self) -> &Arc<dyn BlobStore> {
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

    /// Adds the bytes of a small blob to its name. A large one is here, as far as is known.
    pub fn inline(&self, blob: &mut NamedBlob) -> Result<(), CatalogError> {
        if blob.size > SMALL_BLOB_BYTES as u64 {
            return self.messages.ensure_held(blob);
        }
        blob.inline = Some(self.messages.bytes(error::digest(&blob.digest, INPUT)?, INPUT)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use longshore_core::{OutcomeRecord, Record, TroubleRecord};
    use longshore_drive::Page;
    use longshore_proto::v1::Failure;
    use longshore_store::{MemoryDisk, Store};

    use super::{super::messages::tests::messages, *};

    const JOB: JobId = JobId([4; 16]);

    fn item(stage: u16, index: u64) -> ItemKey {
        ItemKey { job: JOB, stage, index }
    }

    fn blob(name: &str, content: &[u8]) -> NamedBlob {
        let digest = Digest::of(content).to_wire();
        NamedBlob { path: name.to_owned(), digest, size: content.len() as u64, inline: None }
    }

    fn outcome(item: ItemKey, success: bool, said: &Outcome) -> Record {
        let detail = said.encode_to_vec();
        Record::Outcome(OutcomeRecord { item, success, outputs: 2, first_child: 0, detail })
    }

    fn two_outputs() -> Outcome {
        let blobs = vec![blob("a", b"first"), blob("b", b"second")];
        Outcome { outputs: Some(BlobList { blobs }), ..Outcome::default() }
    }

    fn failure() -> Outcome {
        Outcome { failure: Some(Failure { code: 7, ..Failure::default() }), attempt: 3, ..Outcome::default() }
    }

    /// A catalog over these records.
    fn catalog(records: Vec<Record>) -> (tempfile::TempDir, Catalog) {
        let (dir, messages) = messages();
        let mut store = MemoryDisk::new().open();
        let mut writer = records::Writer::default();
        writer.add(records);
        store.commit(longshore_store::Epoch::default(), &writer.finish()).unwrap();
        (dir, Catalog::new(store.reader(), Arc::clone(messages.blobs())))
    }

    #[test]
    fn how_items_ended_is_found_whichever_way() {
        let ended = vec![outcome(item(0, 1), true, &two_outputs()), outcome(item(0, 2), false, &failure())];
        let (_dir, catalog) = catalog(ended);
        assert_eq!(catalog.outcome(&item(0, 1)).unwrap(), Some((true, two_outputs())));
        assert_eq!(catalog.outcome(&item(0, 2)).unwrap(), Some((false, failure())));
        assert_eq!(catalog.outcome(&item(0, 3)).unwrap(), None);
    }

    #[test]
    fn troubles_are_counted_together() {
        let detail = failure().encode_to_vec();
        let trouble = TroubleRecord { item: item(0, 5), failures: 1, crashes: 2, mishaps: 4, detail };
        let (_dir, catalog) = catalog(vec![Record::Trouble(trouble)]);
        assert_eq!(catalog.trouble(&item(0, 5)).unwrap(), Some((7, failure())));
        assert_eq!(catalog.trouble(&item(0, 6)).unwrap(), None);
    }

    #[test]
    fn an_item_of_a_later_stage_takes_in_the_output_it_was_made_of() {
        let (_dir, catalog) = catalog(vec![outcome(item(0, 1), true, &two_outputs())]);
        let source = |parent, ordinal| catalog.source(&item(1, 9), Source::Output { parent, ordinal });
        assert_eq!(source(1, 1).unwrap(), blob("b", b"second"));
        for (parent, ordinal) in [(1, 2), (2, 0)] {
            assert!(matches!(source(parent, ordinal), Err(CatalogError::NoInput { stage: 1, index: 9 })));
        }
        assert!(catalog.source(&item(0, 9), Source::Output { parent: 1, ordinal: 0 }).is_err());
    }

    #[test]
    fn small_blobs_bring_their_bytes_and_large_ones_do_not() {
        let (_dir, catalog) = catalog(Vec::new());
        for (bytes, inline) in [(0, true), (SMALL_BLOB_BYTES, true), (SMALL_BLOB_BYTES + 1, false)] {
            let content = vec![7; bytes];
            assert!(catalog.inline(&mut blob("input", &content)).unwrap_err().is_loss(), "not here yet");
            catalog.put_bytes(&content).unwrap();
            assert_eq!(catalog.size(Digest::of(&content)), Some(bytes as u64));
            let mut named = blob("input", &content);
            catalog.inline(&mut named).unwrap();
            assert_eq!(named.inline.is_some_and(|bytes| bytes == content), inline, "{bytes}");
        }
        assert!(catalog.inline(&mut blob("input", b"never put")).is_err());
    }
}
