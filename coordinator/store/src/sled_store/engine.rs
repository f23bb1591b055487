//! sled itself: opening it with fixed settings, checking every entry, and telling its errors apart.

use std::{
    io, panic,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::{
    envelope,
    last::{self, Last, Totals},
};
use crate::{
    Epoch, ReadError,
    contained::{Panicked, contained},
};

/// sled's background pass: collects garbage, for up to half of this time, and syncs once more. Nothing waits for it but
/// the end of a store, so it is long: it costs a flush of the disk each time, also when there is nothing to do.
const FLUSH_EVERY_MS: u64 = 2_000;
/// How long a previous handle of this very process may take to let go of sled's own lock.
const UNLOCK_WAIT: Duration = Duration::from_secs(5);

/// Why sled's files could not be used.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The operating system refused.
    Io(io::Error),
    /// The contents are damaged.
    Damaged(String),
    /// Written by a newer version.
    Newer(u8),
}

impl From<Panicked> for Fault {
    fn from(panic: Panicked) -> Self {
        Self::Damaged(panic.to_string())
    }
}

/// Opens sled in `dir`. The caller holds the store's lock, so that sled's own can only be held by a handle that is just
/// being dropped.
pub(crate) fn open(dir: &Path, cache_bytes: u64) -> Result<sled::Db, Fault> {
    let config = sled::Config::new()
        .path(dir)
        .cache_capacity(cache_bytes)
        .flush_every_ms(Some(FLUSH_EVERY_MS))
        .use_compression(false)
        .temporary(false);
    let deadline = Instant::now() + UNLOCK_WAIT;
    loop {
        match contained(|| config.open()) {
            Ok(Ok(db)) => return Ok(db),
            Ok(Err(error)) if is_locked(&error) && Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
            Ok(Err(error)) => return Err(fault(error)),
            Err(panic) => return Err(panic.into()),
        }
    }
}

/// The record of the last commit; the default one for a store without any.
pub(crate) fn last(tree: &sled::Tree) -> Result<Last, Fault> {
    let kept = contained(|| tree.get(last::KEY))?.map_err(fault)?;
    let Some(kept) = kept else {
        return Ok(Last::default());
    };
    let payload = envelope::payload(last::KEY, &kept).map_err(read_fault)?;
    Last::decode(&payload).ok_or_else(|| Fault::Damaged("the record of the last commit is malformed".to_owned()))
}

/// The epoch begun last; 0 for a store on which none was.
pub(crate) fn epoch(tree: &sled::Tree) -> Result<Epoch, Fault> {
    let kept = contained(|| tree.get(last::EPOCH_KEY))?.map_err(fault)?;
    let Some(kept) = kept else {
        return Ok(Epoch::default());
    };
    let payload = envelope::payload(last::EPOCH_KEY, &kept).map_err(read_fault)?;
    let epoch = payload.try_into().map_err(|_| Fault::Damaged("the record of the epoch is malformed".to_owned()))?;
    Ok(Epoch(u64::from_be_bytes(epoch)))
}

/// Reads every entry and compares what is there with what the last commit says must be there.
pub(crate) fn verify(tree: &sled::Tree) -> Result<Last, Fault> {
    let last = last(tree)?;
    let counted = contained(|| count(tree, last.mark.seq))??;
    if counted == last.totals {
        return Ok(last);
    }
    let (found, expected) = (counted.entries, last.totals.entries);
    Err(Fault::Damaged(format!("its {found} entries are not the {expected} that commit {} left", last.mark.seq)))
}

fn count(tree: &sled::Tree, newest: u64) -> Result<Totals, Fault> {
    let mut totals = Totals::default();
    for entry in tree.iter() {
        let (key, sealed) = entry.map_err(fault)?;
        let opened = envelope::open(&key, &sealed).map_err(read_fault)?;
        if opened.seq > newest {
            return Err(Fault::Damaged(format!(
                "it holds an entry of commit {}, after its last, {newest}",
                opened.seq
            )));
        }
        if *key != *last::KEY {
            totals.add(&sealed);
        }
    }
    Ok(totals)
}

/// Closes sled. It syncs once more and panics when that fails; what was acknowledged is durable already.
pub(crate) fn close(db: sled::Db) {
    if let Err(panic) = contained(panic::AssertUnwindSafe(|| drop(db))) {
        tracing::error!(%panic, "sled failed to close");
    }
}

fn fault(error: sled::Error) -> Fault {
    use io::ErrorKind::{NotFound, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    match error {
        // sled reports damage as all sorts of errors; these are the ones that are certainly not damage.
        sled::Error::Io(error) => match error.kind() {
            NotFound | PermissionDenied | QuotaExceeded | ReadOnlyFilesystem | StorageFull => Fault::Io(error),
            _ => Fault::Damaged(error.to_string()),
        },
        error => Fault::Damaged(error.to_string()),
    }
}

fn read_fault(error: ReadError) -> Fault {
    match error {
        ReadError::NewerSchema { found, .. } => Fault::Newer(found),
        error => Fault::Damaged(error.to_string()),
    }
}

/// sled gives its lock's error as text only.
fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().starts_with("could not acquire lock"))
}

/// Whether the disk is full. sled keeps the first error and repeats a copy of it, of which only the kind survives.
pub(crate) fn is_full(error: &sled::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error, sled::Error::Io(error) if matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge))
}
