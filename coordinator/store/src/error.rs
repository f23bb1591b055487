//! What can go wrong when opening, committing and reading, one enum each.

use std::{io, path::PathBuf, time::Duration};

use thiserror::Error;

use crate::{Epoch, Refusal};

/// A backend's own error.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a batch was not acknowledged.
#[derive(Debug, Error)]
pub enum CommitError {
    /// The batch is out of bounds. Nothing was written; the store goes on.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Too little free space to be sure of the batch. Nothing was written; the store goes on and takes batches again when
    /// there is room.
    #[error("too little room at {}: {free} bytes are free, {needed} are needed; nothing was written", dir.display())]
    LowSpace {
        /// The store's directory.
        dir: PathBuf,
        /// Free bytes on its file system.
        free: u64,
        /// Bytes that must be free.
        needed: u64,
    },
    /// Another owner has begun an epoch of its own. Nothing was written, and nothing of this owner's ever will be: fatal
    /// for it.
    #[error(
        "epoch {epoch} is over: another coordinator has begun epoch {current} on the same store; nothing was written"
    )]
    Fenced {
        /// The epoch the commit was made under.
        epoch: Epoch,
        /// The epoch that holds.
        current: Epoch,
    },
    /// The disk ran full while writing. Fatal.
    #[error(
        "the disk of {} is full{}; free some space, then start again",
        dir.display(),
        if *ballast_released { " (the ballast file was given up so that the store can be opened)" } else { "" }
    )]
    Full {
        /// The store's directory.
        dir: PathBuf,
        /// Whether the ballast file was there to be removed.
        ballast_released: bool,
        /// What failed.
        source: Cause,
    },
    /// The store failed; whether the batch is kept is unknown until the store is opened again. Fatal.
    #[error("{store} failed to {doing}")]
    Broken {
        /// Which store.
        store: String,
        /// What was being done.
        doing: &'static str,
        /// What failed.
        source: Cause,
    },
}

impl CommitError {
    /// Whether the process has to end: the store takes no more commits, or none of this owner.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Fenced { .. } | Self::Full { .. } | Self::Broken { .. })
    }
}

/// Why an entry could not be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The entry's bytes are not the ones that were committed.
    #[error("the entry {key:?} is damaged")]
    Damaged {
        /// The key, escaped.
        key: String,
    },
    /// The entry was written by a newer version of this program.
    #[error("the entry {key:?} has schema {found}; this program knows schemas up to {known}")]
    NewerSchema {
        /// The key, escaped.
        key: String,
        /// The entry's schema.
        found: u8,
        /// The newest schema this program reads.
        known: u8,
    },
    /// The backend failed.
    #[error("{store} failed to read")]
    Broken {
        /// Which store.
        store: String,
        /// What failed.
        source: Cause,
    },
}

/// Why a store could not be opened. None of these loses anything that is still there.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Somebody else has it open.
    #[error(
        "{} is in use by {}; only one process can use a store at a time",
        dir.display(),
        pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    InUse {
        /// The store's directory.
        dir: PathBuf,
        /// The process that holds it, when it has said so.
        pid: Option<u32>,
    },
    /// A file of the store could not be made, read, locked or synced.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// Too little free space to open it safely (opening writes).
    #[error("too little room to open {}: {free} bytes are free, {needed} are needed; free some space", dir.display())]
    NoSpace {
        /// The store's directory.
        dir: PathBuf,
        /// Free bytes on its file system.
        free: u64,
        /// Bytes that must be free.
        needed: u64,
    },
    /// It is damaged.
    #[error(
        "the store in {} is damaged ({detail}); keep a copy of the directory, then restore a backup, or move the \
         directory away to start empty",
        dir.display()
    )]
    Corrupt {
        /// The store's directory.
        dir: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The process that tries the store first did not answer in time.
    #[error("trying to open {} took longer than {} s; keep a copy of the directory and restore a backup", dir.display(), after.as_secs())]
    ProbeTimedOut {
        /// The store's directory.
        dir: PathBuf,
        /// How long was waited.
        after: Duration,
    },
    /// The process that tries the store first could not be run, or did not speak the probe's language (does the program
    /// call [`crate::probe_main_if_asked`]?).
    #[error("cannot run the process that tries {} first", dir.display())]
    Probe {
        /// The store's directory.
        dir: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// It is older than what was acknowledged before.
    #[error(
        "the store in {} ends at commit {seq} but commit {high_water} was acknowledged: it was rolled back, or its \
         newest part is lost; restore a newer backup, or accept the loss explicitly",
        dir.display()
    )]
    RolledBack {
        /// The store's directory.
        dir: PathBuf,
        /// The newest commit it holds.
        seq: u64,
        /// The newest commit known to have been acknowledged.
        high_water: u64,
    },
    /// It holds another history than the one that was acknowledged.
    #[error(
        "the store in {} holds another history than was acknowledged up to commit {seq}: its files come from another \
         store; put the right ones back, or accept the loss explicitly",
        dir.display()
    )]
    Diverged {
        /// The store's directory.
        dir: PathBuf,
        /// The commit at which both are.
        seq: u64,
    },
    /// The high-water mark is gone or unreadable, so nothing proves that the store is complete.
    #[error(
        "the high-water mark {} is missing or damaged, so whether the store is complete cannot be told; restore it, or \
         accept a possible loss explicitly",
        path.display()
    )]
    NoHighWater {
        /// The mark's file.
        path: PathBuf,
    },
    /// A newer version of this program wrote it.
    #[error("the store in {} has schema {found}; this program knows schemas up to {known}; use a newer version", dir.display())]
    NewerSchema {
        /// The store's directory.
        dir: PathBuf,
        /// Its schema.
        found: u8,
        /// The newest schema this program reads.
        known: u8,
    },
}

impl OpenError {
    /// The file or directory it is about.
    pub(crate) fn path_mut(&mut self) -> &mut PathBuf {
        match self {
            Self::InUse { dir, .. }
            | Self::NoSpace { dir, .. }
            | Self::Corrupt { dir, .. }
            | Self::ProbeTimedOut { dir, .. }
            | Self::Probe { dir, .. }
            | Self::RolledBack { dir, .. }
            | Self::Diverged { dir, .. }
            | Self::NewerSchema { dir, .. } => dir,
            Self::Io { path, .. } | Self::NoHighWater { path } => path,
        }
    }
}
