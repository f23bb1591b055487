//! What the records mean: specifications, inputs and outputs, read from the store and the blobs when they are needed.
//!
//! Everything here may wait for disks: it is for threads that may.

use std::sync::Arc;

use longshore_core::{ItemKey, JobId, Namespace, Source};
use longshore_proto::v1::{BlobListRef, NamedBlob, Outcome};
use longshore_store::Reader;

use super::{
    blocks::Blocks,
    error::CatalogError,
    inputs::Inputs,
    lists::Lists,
    messages::Messages,
    outcomes, outputs, records,
    rooms::Rooms,
    submission::{Submission, Submissions},
};
use crate::limits;

/// Reads what records and blobs say.
pub struct Catalog {
    reader: Arc<dyn Reader>,
    rooms: Rooms,
    /// Whose jobs these are, of those that were asked for last.
    owners: quick_cache::sync::Cache<JobId, Namespace>,
    submissions: Submissions,
    lists: Lists,
    blocks: Blocks,
}

impl Catalog {
    pub fn new(reader: Arc<dyn Reader>, rooms: Rooms) -> Self {
        Self {
            submissions: Submissions::new(Arc::clone(&reader), rooms.clone()),
            owners: quick_cache::sync::Cache::new(limits::KNOWN_JOBS),
            lists: Lists::default(),
            blocks: Blocks::new(Arc::clone(&reader)),
            reader,
            rooms,
        }
    }

    /// The entries.
    #[cfg(test)]
    pub fn reader(&self) -> &dyn Reader {
        &*self.reader
    }

    /// The blobs of all namespaces.
    pub fn rooms(&self) -> &Rooms {
        &self.rooms
    }

    /// The blobs of a namespace.
    pub fn room(&self, namespace: &Namespace) -> Messages {
        Messages::new(namespace.clone(), self.rooms.of(namespace))
    }

    /// The blobs of the namespace that a job is of. Whoever asks for many items of a job asks once.
    pub fn room_of(&self, job: JobId) -> Result<Messages, CatalogError> {
        let owner = self.owners.get_or_insert_with(&job, || {
            let record = records::job(&*self.reader, job)?.ok_or(CatalogError::NoJob { job })?;
            Ok::<_, CatalogError>(record.namespace)
        });
        Ok(self.room(&owner?))
    }

    /// The job's submission.
    pub fn submission(&self, job: JobId) -> Result<Arc<Submission>, CatalogError> {
        self.submissions.get(job)
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

    /// The outputs of an outcome of a job whose blobs are here.
    pub fn outputs(&self, room: &Messages, outcome: Outcome) -> Result<Vec<NamedBlob>, CatalogError> {
        outputs::of(room, outcome)
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
                let outputs = self.outputs(&self.room_of(item.job)?, outcome)?;
                usize::try_from(ordinal).ok().and_then(|at| outputs.get(at)).cloned().ok_or_else(nowhere)
            }
            Source::Everything => Err(nowhere()),
        }
    }

    /// All outputs of a stage in the order of its items, as lists kept as blobs.
    pub fn everything(&self, job: JobId, stage: u16) -> Result<Vec<BlobListRef>, CatalogError> {
        outputs::of_stage(&*self.reader, &self.room_of(job)?, job, stage)
    }
}

#[cfg(test)]
mod tests {
    use longshore_core::{JobRecord, JobSpec, JobState, OutcomeRecord, Record, TroubleRecord};
    use longshore_drive::Page;
    use longshore_proto::{
        Digest,
        v1::{BlobList, Failure},
    };
    use longshore_store::{MemoryDisk, Store};
    use prost::Message;

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

    fn job() -> JobRecord {
        let kind = longshore_core::StageKind::Map;
        let stage = longshore_core::StageSpec { kind, attempts: 1, backoff_ms: 1, max_backoff_ms: 1, max_parallel: 0 };
        JobRecord {
            id: JOB,
            namespace: Namespace::default(),
            key: String::new(),
            spec: JobSpec { stages: vec![stage], priority: 0 },
            inputs: 1,
            detail: [1; 32],
            state: JobState::Running,
            reason: String::new(),
            submitted_ms: 1,
            ended_ms: 0,
        }
    }

    /// A catalog over these records, and a job.
    fn catalog(records: Vec<Record>) -> (tempfile::TempDir, Catalog) {
        let (dir, messages) = messages();
        let mut store = MemoryDisk::new().open();
        let mut writer = records::Writer::default();
        writer.add(vec![Record::Job(job())]);
        writer.add(records);
        store.commit(longshore_store::Epoch::default(), &writer.finish()).unwrap();
        (dir, Catalog::new(store.reader(), Rooms::of_default(Arc::clone(messages.blobs()))))
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
    fn a_room_is_that_of_the_jobs_namespace() {
        let others = JobRecord { id: JobId([5; 16]), namespace: Namespace::named("vision"), ..job() };
        let (_dir, catalog) = catalog(vec![Record::Job(others)]);
        let whose = |job| catalog.room_of(job).map(|room| room.namespace().clone());
        assert_eq!(whose(JOB).unwrap(), Namespace::default());
        assert_eq!(whose(JobId([5; 16])).unwrap(), Namespace::named("vision"));
        assert!(matches!(whose(JobId([6; 16])), Err(CatalogError::NoJob { .. })));
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
}
