//! What the records mean: specifications, inputs and outputs, read from the store and the blobs when they are needed.
//!
//! Everything here may wait for disks: it is for threads that may.

use std::sync::Arc;

use longshore_core::{ItemKey, JobId, Namespace, Source, StageSpec};
use longshore_proto::{
    ImageDigest,
    v1::{BlobList, BlobListRef, Missing, NamedBlob, Outcome},
};
use longshore_store::Reader;

use super::{
    blocks::Blocks,
    error::CatalogError,
    grouped::{self, GroupsError},
    groups::Groups,
    inputs::Inputs,
    lineage::{self, Descendants},
    lists::Lists,
    losses,
    messages::Messages,
    outcomes, outputs,
    parts::Parts,
    records,
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
    groups: Groups,
}

impl Catalog {
    pub fn new(reader: Arc<dyn Reader>, rooms: Rooms) -> Self {
        Self {
            submissions: Submissions::new(Arc::clone(&reader), rooms.clone()),
            owners: quick_cache::sync::Cache::new(limits::KNOWN_JOBS),
            lists: Lists::default(),
            blocks: Blocks::new(Arc::clone(&reader)),
            groups: Groups::default(),
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
        let Some(failure) = outcomes::failure(&*self.reader, item)? else {
            return Ok(None);
        };
        let mut outcome = outputs::outcome(failure.detail.into())?;
        losses::tell(&mut outcome, failure.given_up.as_deref());
        if let Some(said) = outcome.failure.as_mut().filter(|_| failure.spared) {
            said.message.push_str("; not tried again: its stage says so of such a failure");
            said.not_retried = true;
        }
        Ok(Some((false, outcome)))
    }

    /// How items of a job failed, so many of them at most.
    pub fn failures(&self, job: JobId, most: usize) -> Result<Vec<(ItemKey, Outcome)>, CatalogError> {
        let read = |failure: longshore_core::OutcomeRecord| {
            let mut outcome = outputs::outcome(failure.detail.into())?;
            losses::tell(&mut outcome, failure.given_up.as_deref());
            Ok((failure.item, outcome))
        };
        outcomes::failures(&*self.reader, job, most)?.into_iter().map(read).collect()
    }

    /// How often an item that has not ended was tried, and what last went wrong with it.
    pub fn trouble(&self, item: &ItemKey) -> Result<Option<(u32, Outcome)>, CatalogError> {
        records::trouble(&*self.reader, item)?
            .map(|record| {
                let tries = record.failures + record.losses.count() + record.mishaps + record.earlier;
                Ok((tries, outputs::outcome(record.detail.into())?))
            })
            .transpose()
    }

    /// Which image a stage's runs are of, if that was agreed on.
    pub fn image(&self, job: JobId, stage: u16) -> Result<Option<ImageDigest>, CatalogError> {
        Ok(records::image(&*self.reader, job, stage)?.map(|image| ImageDigest(image.digest)))
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
            Source::Everything | Source::Group => Err(nowhere()),
        }
    }

    /// The outputs that an item gathers, in order of lineage, as lists kept as blobs, and what did not come through.
    pub fn parts(&self, item: &ItemKey, source: Source) -> Result<(Vec<BlobListRef>, Missing), CatalogError> {
        self.parts_of(item.job)?.of(item, source)
    }

    /// The groups that an item finds which gathers by keys of outputs.
    pub fn groups_of_outputs(&self, item: &ItemKey) -> Result<BlobList, GroupsError> {
        grouped::find(&mut self.parts_of(item.job)?, item)
    }

    /// What an item that gathers a group is called: the group's key, where that may be a path.
    pub fn group_path(&self, item: &ItemKey) -> Result<String, CatalogError> {
        self.parts_of(item.job)?.group_path(item)
    }

    fn parts_of(&self, job: JobId) -> Result<Parts<'_>, CatalogError> {
        let record = records::job(&*self.reader, job)?.ok_or(CatalogError::NoJob { job })?;
        let (reader, submission) = (Arc::clone(&self.reader), self.submission(job)?);
        let inputs = (Inputs::new(Arc::clone(&submission)), record.inputs);
        let stages = record.spec.stages;
        Ok(Parts { reader, submission, inputs, lists: &self.lists, groups: &self.groups, stages })
    }

    /// The items of a stage in order of lineage, whatever became of them. Of a root stage each number there is.
    pub fn descendants(&self, job: JobId, stage: u16) -> Result<Descendants, CatalogError> {
        Ok(lineage::items(Arc::clone(&self.reader), (job, &self.stages(job)?), stage, vec![lineage::ALL]))
    }

    /// Whether items of a stage are numbered in order of lineage.
    pub fn is_root(&self, job: JobId, stage: u16) -> Result<bool, CatalogError> {
        Ok(lineage::root_stage(&self.stages(job)?, stage) == stage)
    }

    /// The job's stages as the core sees them.
    fn stages(&self, job: JobId) -> Result<Vec<StageSpec>, CatalogError> {
        Ok(records::job(&*self.reader, job)?.ok_or(CatalogError::NoJob { job })?.spec.stages)
    }
}

#[cfg(test)]
mod tests {
    use longshore_core::{JobRecord, JobSpec, Losses, Now, OutcomeRecord, Record, TroubleRecord};
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
        NamedBlob {
            path: name.to_owned(),
            digest,
            size: content.len() as u64,
            executable: false,
            inline: None,
            origin: String::new(),
        }
    }

    fn outcome(item: ItemKey, success: bool, said: &Outcome) -> Record {
        let detail = said.encode_to_vec();
        Record::Outcome(OutcomeRecord { outputs: 2, ..OutcomeRecord::ended(item, success, detail) })
    }

    fn two_outputs() -> Outcome {
        let blobs = vec![blob("a", b"first"), blob("b", b"second")];
        Outcome { outputs: Some(BlobList { blobs }), ..Outcome::default() }
    }

    fn failure() -> Outcome {
        Outcome { failure: Some(Failure { code: 7, ..Failure::default() }), attempt: 3, ..Outcome::default() }
    }

    fn job() -> JobRecord {
        let stage = longshore_core::StageSpec::default();
        JobRecord::submitted(
            Now::default(),
            (JOB, Namespace::default(), String::new()),
            JobSpec { stages: vec![stage], ..JobSpec::default() },
            1,
            [1; 32],
        )
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
        let trouble = TroubleRecord {
            item: item(0, 5),
            failures: 1,
            losses: Losses { others: 2, ..Losses::default() },
            mishaps: 4,
            earlier: 3,
            growths: 0,
            detail,
        };
        let (_dir, catalog) = catalog(vec![Record::Trouble(trouble)]);
        assert_eq!(catalog.trouble(&item(0, 5)).unwrap(), Some((10, failure())));
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
