//! The core's records as entries of the store, and back.

use std::vec;

use longshore_core::{ItemKey, JobId, OutcomeRecord, Record};
use longshore_store::{Batch, Entry, Reader};

use super::{
    keys::{EPOCH, FORMAT, FORMAT_KEY, LoadError, decode, encode, item_key, job_key, worker_key},
    outcomes,
};

/// Entries read at a time.
const PAGE: usize = 1_000;

/// Kinds of entries that are loaded, jobs before what belongs to them.
const KINDS: [u8; 6] = *b"joftsw";

/// Records on their way into one batch.
#[derive(Default)]
pub struct Writer {
    batch: Batch,
    successes: Vec<OutcomeRecord>,
    bytes: usize,
}

impl Writer {
    /// Adds an outbox's records.
    pub fn add(&mut self, records: Vec<Record>) {
        for record in records {
            let from = self.batch.ops.len();
            match record {
                Record::Outcome(outcome) if outcome.success => {
                    self.bytes += outcome.detail.len() + 16;
                    self.successes.push(outcome);
                }
                other => put(&mut self.batch, &other),
            }
            self.bytes += self.batch.ops[from..].iter().map(longshore_store::Op::size_bytes).sum::<usize>();
        }
    }

    /// Bytes so far, roughly.
    pub fn size_bytes(&self) -> usize {
        self.bytes
    }

    /// The batch.
    pub fn finish(mut self) -> Batch {
        outcomes::put(&mut self.batch, self.successes);
        self.batch
    }
}

/// Adds any record but a success to a batch.
fn put(batch: &mut Batch, record: &Record) {
    match record {
        Record::Job(job) => batch.put(job_key(job.id), encode(job)),
        Record::Outcome(outcome) => batch.put(item_key(b'f', &outcome.item), encode(outcome)),
        Record::OutcomeGone(item) => batch.delete(item_key(b'f', item)),
        Record::Trouble(trouble) => batch.put(item_key(b't', &trouble.item), encode(trouble)),
        Record::TroubleGone(item) => batch.delete(item_key(b't', item)),
        Record::Service(service) => batch.put([b"s", service.name.as_bytes()].concat(), encode(service)),
        Record::Worker(worker) => batch.put(worker_key(worker.id), encode(worker)),
        Record::WorkerGone(worker) => batch.delete(worker_key(*worker)),
    }
}

/// Checks that the store is this format's, or new.
///
/// # Errors
/// When it is another's.
pub fn check_format(reader: &dyn Reader) -> Result<(), LoadError> {
    let kept = reader.get(FORMAT_KEY)?.and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
    let found = match kept {
        Some(found) => found,
        None if reader.get(EPOCH)?.is_none() => return Ok(()),
        None => 1,
    };
    if found == FORMAT { Ok(()) } else { Err(LoadError::Format { found }) }
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
        for entry in &page {
            if let Err(error) = self.understand(entry, &mut records) {
                return Some(Err(error));
            }
        }
        self.page = records.into_iter();
        self.page.next().map(Ok)
    }
}

impl Pages<'_> {
    fn understand(&self, (key, value): &Entry, records: &mut Vec<Record>) -> Result<(), LoadError> {
        records.push(match self.kind {
            b'j' => Record::Job(decode(key, value)?),
            b'o' => return outcomes::unpack(key, value, false, |outcome| records.push(Record::Outcome(outcome))),
            b'f' => Record::Outcome(decode(key, value)?),
            b't' => Record::Trouble(decode(key, value)?),
            b's' => Record::Service(decode(key, value)?),
            _ => Record::Worker(decode(key, value)?),
        });
        Ok(())
    }
}

/// A job's record, if there is such a job.
pub fn job(reader: &dyn Reader, id: JobId) -> Result<Option<longshore_core::JobRecord>, LoadError> {
    let key = job_key(id);
    reader.get(&key)?.map(|value| decode(&key, &value)).transpose()
}

/// The last trouble of an item, if it is in any.
pub fn trouble(reader: &dyn Reader, item: &ItemKey) -> Result<Option<longshore_core::TroubleRecord>, LoadError> {
    let key = item_key(b't', item);
    reader.get(&key)?.map(|value| decode(&key, &value)).transpose()
}

#[cfg(test)]
mod tests {
    use longshore_core::{JobRecord, JobSpec, JobState, Ledger, StageSpec};
    use longshore_store::{MemoryDisk, Store};

    use super::*;

    fn commit(store: &mut impl Store, records: &[Record]) {
        let mut writer = Writer::default();
        writer.add(records.to_vec());
        store.commit(&writer.finish()).unwrap();
    }

    fn job() -> Record {
        let stage = StageSpec { gather: false, attempts: 1, backoff_ms: 1, max_backoff_ms: 1, max_parallel: 0 };
        Record::Job(JobRecord {
            id: JobId([1; 16]),
            key: String::new(),
            spec: JobSpec { stages: vec![stage.clone(), stage], priority: 0 },
            inputs: 1_000,
            detail: [0; 32],
            state: JobState::Running,
            reason: String::new(),
            submitted_ms: 1,
            ended_ms: 0,
        })
    }

    fn outcome(index: u64, success: bool) -> Record {
        let item = ItemKey { job: JobId([1; 16]), stage: 0, index };
        let (outputs, first_child) = if success { (1, index * 2) } else { (0, 0) };
        Record::Outcome(OutcomeRecord { item, success, outputs, first_child, detail: b"words".to_vec() })
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
    fn another_format_is_named() {
        let mut store = MemoryDisk::new().open();
        assert!(check_format(&*store.reader()).is_ok());
        let mut batch = Batch::new();
        batch.put(EPOCH, 1_u64.to_be_bytes());
        store.commit(&batch).unwrap();
        assert!(matches!(check_format(&*store.reader()), Err(LoadError::Format { found: 1 })));
        batch.put(FORMAT_KEY, (FORMAT + 1).to_be_bytes());
        store.commit(&batch).unwrap();
        assert!(matches!(check_format(&*store.reader()), Err(LoadError::Format { .. })));
        batch.put(FORMAT_KEY, FORMAT.to_be_bytes());
        store.commit(&batch).unwrap();
        assert!(check_format(&*store.reader()).is_ok());
    }
}
