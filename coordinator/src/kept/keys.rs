//! The keys under which everything is kept, how values are written, and what can be wrong with an entry.
//!
//! | key | value |
//! |---|---|
//! | `e` | the epoch |
//! | `f` job stage index | `OutcomeRecord` of an item that failed |
//! | `j` job | `JobRecord` |
//! | `o` job stage index | successes, see [`crate::kept::outcomes`] |
//! | `s` name | `ServiceRecord` |
//! | `t` job stage index | `TroubleRecord` |
//! | `v` | the format of all this |
//! | `w` worker | `WorkerRecord` |
//!
//! Numbers in keys are big-endian, so that entries of one job and stage stand together, in order.

use longshore_core::{ItemKey, JobId, WorkerId};
use longshore_store::ReadError;
use serde::{Serialize, de::DeserializeOwned};

/// Key of the epoch.
pub const EPOCH: &[u8] = b"e";

/// Key of the format.
pub const FORMAT_KEY: &[u8] = b"v";

/// What the table above says; another number means another table.
pub const FORMAT: u32 = 2;

/// A kept record that this program does not understand.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The store cannot be read.
    #[error("cannot read the store")]
    Read(#[from] ReadError),
    /// Another version wrote it.
    #[error("its records are of format {found}, not {FORMAT}: another version of longshore wrote them")]
    Format {
        /// The format it has; 1 is that of stores that do not say.
        found: u32,
    },
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
pub fn item_key(kind: u8, item: &ItemKey) -> Vec<u8> {
    let mut key = stage_prefix(kind, item.job, item.stage);
    key.extend_from_slice(&item.index.to_be_bytes());
    key
}

pub fn stage_prefix(kind: u8, job: JobId, stage: u16) -> Vec<u8> {
    let mut key = Vec::with_capacity(27);
    key.push(kind);
    key.extend_from_slice(&job.0);
    key.extend_from_slice(&stage.to_be_bytes());
    key
}

pub fn job_key(id: JobId) -> Vec<u8> {
    [b"j", id.0.as_slice()].concat()
}

pub fn worker_key(id: WorkerId) -> Vec<u8> {
    [b"w", id.0.as_slice()].concat()
}

pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("records hold nothing that postcard cannot write")
}

/// Adds a value to what is there.
pub fn encode_onto<T: Serialize>(bytes: Vec<u8>, value: &T) -> Vec<u8> {
    postcard::to_extend(value, bytes).expect("records hold nothing that postcard cannot write")
}

pub fn decode<T: DeserializeOwned>(key: &[u8], value: &[u8]) -> Result<T, LoadError> {
    postcard::from_bytes(value).map_err(|source| malformed(key, source))
}

pub fn malformed(key: &[u8], source: postcard::Error) -> LoadError {
    LoadError::Malformed { key: key.escape_ascii().to_string(), source }
}
