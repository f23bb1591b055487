//! The core's records as entries of the store, and back.
//!
//! | key | value |
//! |---|---|
//! | `e` | the epoch |
//! | `j` job | `JobRecord` |
//! | `o` job stage index | `OutcomeRecord` |
//! | `s` name | `ServiceRecord` |
//! | `t` job stage index | `TroubleRecord` |
//! | `w` worker | `WorkerRecord` |
//!
//! Numbers in keys are big-endian, so that entries of one job and stage stand together, in order.

use longshore_core::{ItemKey, JobId, OutcomeRecord, Record, WorkerId};
use longshore_store::{Batch, ReadError, Reader};
use serde::{Serialize, de::DeserializeOwned};

/// Key of the epoch.
pub const EPOCH: &[u8] = b"e";

/// Entries read at a time.
const PAGE: usize = 10_000;

/// A kept record that this program does not understand.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The store cannot be read.
    #[error("cannot read the store")]
    Read(#[from] ReadError),
    /// An entry is not of this version's shape.
    #[error("the entry {key:?} is not understood: it may be a newer version's")]
    Malformed {
        /// Its key, escaped.
        key: String,
        /// Why.
        source: postcard::Error,
    },
}

/// The key of an item's entry.
fn item_key(kind: u8, item: &ItemKey) -> Vec<u8> {
    let mut key = stage_prefix(kind, item.job, item.stage);
    key.extend_from_slice(&item.index.to_be_bytes());
    key
}

fn stage_prefix(kind: u8, job: JobId, stage: u16) -> Vec<u8> {
    let mut key = Vec::with_capacity(27);
    key.push(kind);
    key.extend_from_slice(&job.0);
    key.extend_from_slice(&stage.to_be_bytes());
    key
}

fn job_key(id: JobId) -> Vec<u8> {
    [b"j", id.0.as_slice()].concat()
}

fn worker_key(id: WorkerId) -> Vec<u8> {
    [b"w", id.0.as_slice()].concat()
}

/// Adds a record to a batch.
pub fn put(batch: &mut Batch, record: &Record) {
    match record {
        Record::Job(job) => batch.put(job_key(job.id), encode(job)),
        Record::Outcome(outcome) => batch.put(item_key(b'o', &outcome.item), encode(outcome)),
        Record::OutcomeGone(item) => batch.delete(item_key(b'o', item)),
        Record::Trouble(trouble) => batch.put(item_key(b't', &trouble.item), encode(trouble)),
        Record::TroubleGone(item) => batch.delete(item_key(b't', item)),
        Record::Service(service) => batch.put([b"s", service.name.as_bytes()].concat(), encode(service)),
        Record::Worker(worker) => batch.put(worker_key(worker.id), encode(worker)),
        Record::WorkerGone(worker) => batch.delete(worker_key(*worker)),
    }
}

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("records hold nothing that postcard cannot write")
}

fn decode<T: DeserializeOwned>(key: &[u8], value: &[u8]) -> Result<T, LoadError> {
    postcard::from_bytes(value).map_err(|source| LoadError::Malformed { key: key.escape_ascii().to_string(), source })
}

/// Every record, jobs before what belongs to them.
pub fn load(reader: &dyn Reader) -> Result<Vec<Record>, LoadError> {
    let mut records = Vec::new();
    for kind in *b"jotsw" {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = reader.scan(&[kind], after.as_deref(), PAGE)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (key, value) in &page {
                records.push(match kind {
                    b'j' => Record::Job(decode(key, value)?),
                    b'o' => Record::Outcome(decode(key, value)?),
                    b't' => Record::Trouble(decode(key, value)?),
                    b's' => Record::Service(decode(key, value)?),
                    _ => Record::Worker(decode(key, value)?),
                });
            }
        }
    }
    Ok(records)
}

/// A job's record, if there is such a job.
pub fn job(reader: &dyn Reader, id: JobId) -> Result<Option<longshore_core::JobRecord>, LoadError> {
    let key = job_key(id);
    reader.get(&key)?.map(|value| decode(&key, &value)).transpose()
}

/// The outcome of an item, if it has one.
pub fn outcome(reader: &dyn Reader, item: &ItemKey) -> Result<Option<OutcomeRecord>, LoadError> {
    let key = item_key(b'o', item);
    reader.get(&key)?.map(|value| decode(&key, &value)).transpose()
}

/// The last trouble of an item, if it is in any.
pub fn trouble(reader: &dyn Reader, item: &ItemKey) -> Result<Option<longshore_core::TroubleRecord>, LoadError> {
    let key = item_key(b't', item);
    reader.get(&key)?.map(|value| decode(&key, &value)).transpose()
}

/// Up to `limit` outcomes of a stage with an index above `after`, in order.
pub fn outcomes(
    reader: &dyn Reader,
    job: JobId,
    stage: u16,
    after: Option<u64>,
    limit: usize,
) -> Result<Vec<OutcomeRecord>, LoadError> {
    let after = after.map(|index| item_key(b'o', &ItemKey { job, stage, index }));
    let page = reader.scan(&stage_prefix(b'o', job, stage), after.as_deref(), limit)?;
    page.iter().map(|(key, value)| decode(key, value)).collect()
}
