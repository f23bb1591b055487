//! How far an upload is.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// How far an upload is. Counts never fall, except that a batch begun anew after a lost connection counts its bytes again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UploadProgress {
    /// Inputs in all.
    pub inputs: u64,
    /// Inputs read and hashed.
    pub hashed: u64,
    /// Bytes of those.
    pub hashed_bytes: u64,
    /// Bytes handed to the connection. What the coordinator held already is never sent.
    pub sent_bytes: u64,
}

/// Called with the state of an upload from any thread, often; it must be quick.
pub type ProgressFn = Arc<dyn Fn(UploadProgress) + Send + Sync>;

/// Counts for a [`ProgressFn`].
pub(crate) struct Tracker {
    inputs: u64,
    hashed: AtomicU64,
    hashed_bytes: AtomicU64,
    sent_bytes: AtomicU64,
    report: ProgressFn,
}

impl Tracker {
    pub(crate) fn new(inputs: u64, report: ProgressFn) -> Tracker {
        Tracker {
            inputs,
            hashed: AtomicU64::new(0),
            hashed_bytes: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            report,
        }
    }

    pub(crate) fn hashed(&self, inputs: u64, bytes: u64) {
        self.hashed.fetch_add(inputs, Ordering::Relaxed);
        self.hashed_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.report();
    }

    pub(crate) fn sent(&self, bytes: u64) {
        self.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.report();
    }

    fn report(&self) {
        (self.report)(UploadProgress {
            inputs: self.inputs,
            hashed: self.hashed.load(Ordering::Relaxed),
            hashed_bytes: self.hashed_bytes.load(Ordering::Relaxed),
            sent_bytes: self.sent_bytes.load(Ordering::Relaxed),
        });
    }
}
