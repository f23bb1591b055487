//! The core's records as entries of the store, and back.

use std::vec;

use bytes::Bytes;
use longshore_core::{
    Digest, ImageRecord, ItemKey, ItemsGone, JobId, JobRecord, JobSpec, Namespace, Now, OutcomeRecord, Record,
    TroubleRecord,
};
use longshore_drive::Page;
use longshore_store::{Batch, Entry, Op, Reader};
use prost::Message;

use super::{
    control,
    convert::{self, decode},
    error::LoadError,
    flow,
    keys::{
        BUNDLE, DRAIN, FAILURE, FLOW, IMAGE, JOB, MEMBER, SECRET, SERVICE, TOKEN, TOMBSTONE, TROUBLE, WORKER,
        drain_key, item_key, item_of, job_key, job_of, member_key, service_key, service_of, stage_of, stage_prefix,
        token_key, token_of, tombstone_key, worker_key, worker_of,
    },
    members, outcomes, secrets, v1,
};

/// Entries read at a time.
const PAGE: usize = 1_000;

/// Kinds of entries that are loaded, jobs before what belongs to them.
const KINDS: [u8; 13] =
    [JOB, FLOW, BUNDLE, FAILURE, TROUBLE, IMAGE, SERVICE, WORKER, TOKEN, MEMBER, SECRET, TOMBSTONE, DRAIN];

/// Bytes of records in one batch, beside one outbox more: well below what a store takes.
const BATCH_BYTES: usize = 16 << 20;

/// Records on their way into one batch.
#[derive(Debug, Clone, Default)]
pub struct Writer {
    batch: Batch,
    successes: Vec<OutcomeRecord>,
    bytes: usize,
}

impl Page for Writer {
    type Batch = Batch;

    fn add(&mut self, records: Vec<Record>) {
        for record in records {
            let from = self.batch.ops.len();
            match record {
                // Put at once, so that it is before its own removal, and may come again behind that.
                Record::Outcome(outcome) if outcome.success && outcome.revocable => {
                    outcomes::put(&mut self.batch, vec![outcome]);
                }
                Record::Outcome(outcome) if outcome.success => {
                    self.bytes += outcome.detail.len() + 16;
                    self.successes.push(outcome);
                }
                other => {
                    // Successes are put last: none of these may come behind its own removal.
                    if let Record::ItemsGone(gone) = &other {
                        self.successes.retain(|outcome| !is_gone(&outcome.item, gone));
                    }
                    put(&mut self.batch, other);
                }
            }
            self.bytes += self.batch.ops[from..].iter().map(Op::size_bytes).sum::<usize>();
        }
    }

    fn is_full(&self) -> bool {
        self.bytes >= BATCH_BYTES
    }

    fn finish(mut self) -> Batch {
        outcomes::put(&mut self.batch, self.successes);
        self.batch
    }
}

/// Whether the item is one of those.
fn is_gone(item: &ItemKey, gone: &ItemsGone) -> bool {
    (item.job, item.stage) == (gone.job, gone.stage) && (gone.from..gone.to).contains(&item.index)
}

/// Adds any record but a success to a batch.
fn put(batch: &mut Batch, record: Record) {
    match record {
        Record::Job(job) => batch.put(job_key(job.id), convert::job_to_kept(job).encode_to_vec()),
        Record::Outcome(outcome) => {
            batch.put(item_key(FAILURE, &outcome.item), convert::outcome_to_kept(outcome, 0).encode_to_vec());
        }
        Record::Withdrawn(withdrawn) => {
            let item = withdrawn.item;
            batch.delete(item_key(BUNDLE, &item));
            if withdrawn.outputs > 0 {
                let hole = ItemKey { stage: item.stage + 1, index: withdrawn.first_child, ..item };
                batch.put(item_key(FLOW, &hole), flow::withdrawn_to_kept(&withdrawn).encode_to_vec());
            }
        }
        Record::Groups(groups) => {
            let key = ItemKey { job: groups.job, stage: groups.stage, index: groups.number };
            batch.put(item_key(FLOW, &key), flow::groups_to_kept(groups).encode_to_vec());
        }
        Record::OutcomeGone(item) => batch.delete(item_key(FAILURE, &item)),
        Record::Trouble(trouble) => {
            batch.put(item_key(TROUBLE, &trouble.item), convert::trouble_to_kept(trouble).encode_to_vec());
        }
        Record::TroubleGone(item) => batch.delete(item_key(TROUBLE, &item)),
        Record::Image(image) => {
            let key = stage_prefix(IMAGE, image.job, image.stage);
            batch.put(key, convert::image_to_kept(image).encode_to_vec());
        }
        Record::ItemsGone(ItemsGone { job, stage, from, to }) => {
            for index in from..to {
                let item = ItemKey { job, stage, index };
                for kind in [BUNDLE, FAILURE, TROUBLE, FLOW] {
                    batch.delete(item_key(kind, &item));
                }
            }
        }
        Record::JobGone { job, stages } => {
            (0..stages).for_each(|stage| batch.delete(stage_prefix(IMAGE, job, stage)));
            batch.delete(job_key(job));
        }
        Record::Tombstone(tombstone) => {
            let key = tombstone_key(tombstone.job);
            batch.put(key, control::tombstone_to_kept(tombstone).encode_to_vec());
        }
        Record::TombstoneGone(job) => batch.delete(tombstone_key(job)),
        Record::Drain(drain) => batch.put(drain_key(drain.worker), control::drain_to_kept(drain).encode_to_vec()),
        Record::DrainGone(worker) => batch.delete(drain_key(worker)),
        Record::Service(service) => {
            batch.put(service_key(&service.name), convert::service_to_kept(service).encode_to_vec());
        }
        Record::Worker(worker) => batch.put(worker_key(worker.id), convert::worker_to_kept(worker).encode_to_vec()),
        Record::WorkerGone(worker) => batch.delete(worker_key(worker)),
        Record::Token(token) => batch.put(token_key(token.id), members::token_to_kept(token).encode_to_vec()),
        Record::TokenGone(token) => batch.delete(token_key(token)),
        Record::Member(member) => batch.put(member_key(member.id), members::member_to_kept(member).encode_to_vec()),
        Record::MemberGone(worker) => batch.delete(member_key(worker)),
        Record::Secret(secret) => secrets::put(batch, secret),
    }
}

/// Bytes that what the core needs of a job's stages takes in its entry.
pub fn spec_bytes(spec: JobSpec) -> usize {
    let spec = JobSpec { name: String::new(), ..spec };
    let nothing = (JobId([0; 16]), Namespace::default(), String::new());
    let job = JobRecord::submitted(Now::default(), nothing, spec, 0, Digest::default());
    convert::job_to_kept(job).encoded_len()
}

/// Every record, jobs before what belongs to them; successes without their details, which the core never reads. Ends after
/// the first error.
pub fn load(reader: &dyn Reader) -> impl Iterator<Item = Result<Record, LoadError>> {
    KINDS.into_iter().flat_map(move |kind| Pages { reader, kind, after: None, page: Vec::new().into_iter() })
}

/// The records of one kind, read page by page.
struct Pages<'a> {
    reader: &'a dyn Reader,
    kind: u8,
    after: Option<Vec<u8>>,
    page: vec::IntoIter<Record>,
}

impl Iterator for Pages<'_> {
    type Item = Result<Record, LoadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(record) = self.page.next() {
            return Some(Ok(record));
        }
        let page = match self.reader.scan(&[self.kind], self.after.as_deref(), PAGE) {
            Ok(page) => page,
            Err(error) => return Some(Err(error.into())),
        };
        self.after = Some(page.last()?.0.clone());
        let mut records = Vec::with_capacity(page.len());
        for entry in page {
            if let Err(error) = understand(self.reader, self.kind, entry, &mut records) {
                return Some(Err(error));
            }
        }
        self.page = records.into_iter();
        self.page.next().map(Ok)
    }
}

fn understand(reader: &dyn Reader, kind: u8, (key, value): Entry, records: &mut Vec<Record>) -> Result<(), LoadError> {
    records.push(match kind {
        BUNDLE => {
            records.extend(outcomes::unpack(&key, value)?.into_iter().map(|(item, outcome)| {
                let brief = v1::Outcome { detail: Bytes::new(), ..outcome };
                Record::Outcome(convert::outcome_from_kept(item, true, brief))
            }));
            return Ok(());
        }
        JOB => Record::Job(read_job(&key, value)?),
        FLOW => flow::from_kept(item_of(&key)?, decode(&key, value)?).map_err(|why| LoadError::malformed(&key, why))?,
        FAILURE => Record::Outcome(convert::outcome_from_kept(item_of(&key)?, false, decode(&key, value)?)),
        TROUBLE => Record::Trouble(read_trouble(&key, value)?),
        IMAGE => Record::Image(read_image(&key, value)?),
        SERVICE => {
            let service = convert::service_from_kept(service_of(&key)?, decode(&key, value)?);
            Record::Service(service.map_err(|why| LoadError::malformed(&key, why))?)
        }
        TOKEN => {
            let token = members::token_from_kept(token_of(&key)?, decode(&key, value)?);
            Record::Token(token.map_err(|why| LoadError::malformed(&key, why))?)
        }
        MEMBER => {
            let member = members::member_from_kept(worker_of(&key)?, decode(&key, value)?);
            Record::Member(member.map_err(|why| LoadError::malformed(&key, why))?)
        }
        TOMBSTONE => {
            let tombstone = control::tombstone_from_kept(job_of(&key)?, decode(&key, value)?);
            Record::Tombstone(tombstone.map_err(|why| LoadError::malformed(&key, why))?)
        }
        DRAIN => Record::Drain(control::drain_from_kept(worker_of(&key)?, decode(&key, value)?)),
        SECRET => Record::Secret(secrets::read(reader, &key, value)?),
        _ => Record::Worker(convert::worker_from_kept(worker_of(&key)?, decode(&key, value)?)),
    });
    Ok(())
}

fn read_job(key: &[u8], value: Vec<u8>) -> Result<JobRecord, LoadError> {
    let job = convert::job_from_kept(job_of(key)?, decode(key, value)?);
    job.map_err(|why| LoadError::malformed(key, why))
}

fn read_image(key: &[u8], value: Vec<u8>) -> Result<ImageRecord, LoadError> {
    let image = convert::image_from_kept(stage_of(key)?, decode(key, value)?);
    image.map_err(|why| LoadError::malformed(key, why))
}

fn read_trouble(key: &[u8], value: Vec<u8>) -> Result<TroubleRecord, LoadError> {
    Ok(convert::trouble_from_kept(item_of(key)?, decode(key, value)?))
}

/// A job's record, if there is such a job.
pub fn job(reader: &dyn Reader, id: JobId) -> Result<Option<JobRecord>, LoadError> {
    let key = job_key(id);
    reader.get(&key)?.map(|value| read_job(&key, value)).transpose()
}

/// Which image a stage's runs are of, if that was agreed on.
pub fn image(reader: &dyn Reader, job: JobId, stage: u16) -> Result<Option<ImageRecord>, LoadError> {
    let key = stage_prefix(IMAGE, job, stage);
    reader.get(&key)?.map(|value| read_image(&key, value)).transpose()
}

/// The last trouble of an item, if it is in any.
pub fn trouble(reader: &dyn Reader, item: &ItemKey) -> Result<Option<TroubleRecord>, LoadError> {
    let key = item_key(TROUBLE, item);
    reader.get(&key)?.map(|value| read_trouble(&key, value)).transpose()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use longshore_core::{Ledger, Losses, StageSpec};
    use longshore_store::{Epoch, MemoryDisk, Store};
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn commit(store: &mut impl Store, records: &[Record]) {
        let mut writer = Writer::default();
        writer.add(records.to_vec());
        store.commit(Epoch::default(), &writer.finish()).unwrap();
    }

    fn job() -> Record {
        let stage = StageSpec::default();
        Record::Job(JobRecord::submitted(
            Now::default(),
            (JobId([1; 16]), longshore_core::Namespace::default(), String::new()),
            JobSpec { stages: vec![stage.clone(), stage], ..JobSpec::default() },
            1_000,
            [0; 32],
        ))
    }

    fn outcome(index: u64, success: bool) -> Record {
        let item = ItemKey { job: JobId([1; 16]), stage: 0, index };
        let (outputs, first_child) = if success { (1, index * 2) } else { (0, 0) };
        Record::Outcome(OutcomeRecord {
            outputs,
            first_child,
            ..OutcomeRecord::ended(item, success, b"words".to_vec())
        })
    }

    #[test]
    fn what_was_written_in_batches_is_loaded_as_one_ledger() {
        let mut store = MemoryDisk::new().open();
        let gone = |index| Record::OutcomeGone(ItemKey { job: JobId([1; 16]), stage: 0, index });
        let first = [vec![job()], (0..900).map(|index| outcome(index, index % 7 != 0)).collect()].concat();
        let second = [vec![gone(7), gone(14)], (900..1_000).map(|index| outcome(index, true)).collect()].concat();
        let third = vec![outcome(7, true), outcome(14, false)];
        let mut lived = Ledger::default();
        for batch in [&first, &second, &third] {
            commit(&mut store, batch);
            batch.iter().for_each(|record| lived.apply(record));
        }
        let mut loaded = Ledger::default();
        load(&*store.reader()).for_each(|record| loaded.apply(&record.unwrap()));
        assert_eq!(loaded, lived);
    }

    #[test]
    fn a_job_and_a_trouble_are_found_by_their_names() {
        let mut store = MemoryDisk::new().open();
        let item = ItemKey { job: JobId([1; 16]), stage: 0, index: 9 };
        let trouble = TroubleRecord {
            item,
            failures: 1,
            losses: Losses { others: 2, ..Losses::default() },
            mishaps: 3,
            earlier: 0,
            growths: 0,
            detail: b"words".to_vec(),
        };
        commit(&mut store, &[job(), Record::Trouble(trouble.clone())]);
        let reader = store.reader();
        assert_eq!(super::job(&*reader, item.job).unwrap().map(Record::Job), Some(job()));
        assert_eq!(super::trouble(&*reader, &item).unwrap(), Some(trouble));
        let other = ItemKey { job: JobId([2; 16]), ..item };
        assert!(
            super::job(&*reader, other.job).unwrap().is_none() && super::trouble(&*reader, &other).unwrap().is_none()
        );
        commit(&mut store, &[Record::TroubleGone(item)]);
        assert!(super::trouble(&*reader, &item).unwrap().is_none());
    }

    #[test]
    fn loading_ends_at_an_entry_that_is_not_understood_and_names_it() {
        let mut store = MemoryDisk::new().open();
        let mut batch = Batch::new();
        batch.put(
            service_key(&longshore_core::ServiceName::in_default("search")),
            v1::Service::default().encode_to_vec(),
        );
        store.commit(Epoch::default(), &batch).unwrap();
        commit(&mut store, &[job()]);
        let loaded: Vec<_> = load(&*store.reader()).take(2).collect();
        let [Ok(_), Err(error)] = &loaded[..] else { panic!("{loaded:?}") };
        assert!(error.to_string().contains("ssearch"), "{error}");
    }

    /// Whose record it is, and a record without what is not loaded.
    fn entity(record: Record) -> (Vec<u8>, Record) {
        let mut batch = Batch::new();
        match record {
            Record::Outcome(outcome) if outcome.success => {
                (item_key(BUNDLE, &outcome.item), Record::Outcome(OutcomeRecord { detail: Vec::new(), ..outcome }))
            }
            other => {
                put(&mut batch, other.clone());
                (batch.ops[0].key().to_vec(), other)
            }
        }
    }

    proptest! {
        #[test]
        fn every_record_that_was_kept_is_loaded(records in vec(convert::tests::records(), 0..60)) {
            let records: BTreeMap<_, _> = records.into_iter().map(|record| (entity(record.clone()).0, record)).collect();
            let mut store = MemoryDisk::new().open();
            for batch in records.values().cloned().collect::<Vec<_>>().chunks(20) {
                commit(&mut store, batch);
            }
            let loaded: BTreeMap<_, _> = load(&*store.reader()).map(|record| entity(record.unwrap())).collect();
            let wanted: BTreeMap<_, _> = records.into_values().map(entity).collect();
            prop_assert_eq!(loaded, wanted);
        }
    }
}
