//! The owner of a store in sled: its commits are applied, flushed, synced, and marked as acknowledged.

use std::{fs::File, os::unix::fs::MetadataExt, path::Path, sync::Arc};

use super::{
    engine, envelope,
    high_water::HighWater,
    last::{self, Last},
    layout::Layout,
    options::Options,
    read::SledReader,
    room,
};
use crate::{Batch, Cause, CommitError, Entry, Epoch, ReadError, Reader, Store, Value, contained::contained};

/// A store in sled 0.34, one tree.
///
/// sled's `flush` alone does not survive a power cut on Linux. So a commit here is: apply, flush, then sync sled's log
/// through a descriptor of our own, which also reports the write errors that sled's background thread swallows. Every
/// value carries a checksum over itself and its key; every commit writes its number, a chained hash, and the count and sum of
/// all entries; a high-water mark outside the database tells when it comes back older than it was. One process at a time,
/// on a local file system (ext4, xfs; not NFS, not FUSE).
///
/// After a fatal error ([`CommitError::is_fatal`]) the process must end; dropping the store closes it.
#[derive(Debug)]
pub struct SledStore {
    pub(super) reader: Arc<SledReader>,
    pub(super) layout: Layout,
    pub(super) options: Options,
    /// Our own descriptor of sled's log.
    pub(super) log: File,
    pub(super) last: Last,
    pub(super) epoch: Epoch,
    pub(super) high_water: HighWater,
    pub(super) failed: bool,
}

impl SledStore {
    /// Whether there is a store in the directory, or a part of one. Nothing is changed.
    #[must_use]
    pub fn is_in(dir: &Path) -> bool {
        let layout = Layout { dir: dir.to_owned() };
        layout.log().exists() || layout.high_water().exists()
    }

    /// The number of the newest commit.
    #[must_use]
    pub fn commit_seq(&self) -> u64 {
        self.last.mark.seq
    }

    fn check_room(&self, batch: &Batch) -> Result<(), CommitError> {
        if self.options.commit_reserve_bytes == 0 {
            return Ok(());
        }
        let needed = self.options.commit_reserve_bytes + 4 * batch.size_bytes() as u64;
        let free = room::free_bytes(&self.layout.dir).map_err(|error| self.broken("look at its disk", error.into()))?;
        if free >= needed {
            return Ok(());
        }
        Err(CommitError::LowSpace { dir: self.layout.dir.clone(), free, needed })
    }

    fn apply(&mut self, batch: &Batch) -> Result<Last, CommitError> {
        let tree = self.reader.tree();
        let mark = self.last.mark.after(batch);
        let mut totals = self.last.totals;
        let mut changes = sled::Batch::default();
        for (key, value) in last::net(batch) {
            if let Some(old) = tree.get(key).map_err(|error| self.sled_error("read what it replaces", error))? {
                totals.remove(&old);
            }
            if let Some(value) = value {
                let sealed = envelope::seal(key, mark.seq, value);
                totals.add(&sealed);
                changes.insert(key, sealed);
            } else {
                changes.remove(key);
            }
        }
        let last = Last { mark, totals };
        changes.insert(last::KEY, envelope::seal(last::KEY, mark.seq, &last.encode()));
        tree.apply_batch(changes).map_err(|error| self.sled_error("apply a batch", error))?;
        Ok(last)
    }

    fn make_durable(&mut self) -> Result<(), CommitError> {
        self.reader.tree().flush().map_err(|error| self.sled_error("flush", error))?;
        if self.options.without_sync {
            return Ok(());
        }
        self.log.sync_data().map_err(|error| self.io_error("sync", error))?;
        if self.high_water.is_due() {
            self.check_in_place()?;
            let mark = self.last.mark;
            self.high_water.keep(mark).map_err(|error| self.io_error("keep its high-water mark", error))?;
        }
        Ok(())
    }

    /// Writes that go to a file without a name would be lost silently.
    fn check_in_place(&self) -> Result<(), CommitError> {
        let ours = self.log.metadata();
        let named = std::fs::metadata(self.layout.log());
        let same = ours.and_then(|ours| Ok((ours.dev(), ours.ino()) == named.map(|named| (named.dev(), named.ino()))?));
        match same {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.broken("find its file in place", "another file has its name".into())),
            Err(error) => Err(self.broken("find its file in place", error.into())),
        }
    }

    fn commit_all(&mut self, batch: &Batch) -> Result<(), CommitError> {
        self.last = self.apply(batch)?;
        self.make_durable()
    }

    /// Runs what can fail for good: afterwards the store takes nothing more, whatever sled itself would do.
    fn or_fail(&mut self, act: impl FnOnce(&mut Self) -> Result<(), CommitError>) -> Result<(), CommitError> {
        if self.failed {
            return Err(self.broken("go on", "it has failed before".into()));
        }
        let acted = contained(|| act(self)).unwrap_or_else(|panic| Err(self.broken("commit", panic.into())));
        self.failed = acted.as_ref().is_err_and(CommitError::is_fatal);
        acted
    }

    fn sled_error(&self, doing: &'static str, error: sled::Error) -> CommitError {
        if engine::is_full(&error) { self.full(error.into()) } else { self.broken(doing, error.into()) }
    }

    fn io_error(&self, doing: &'static str, error: std::io::Error) -> CommitError {
        self.sled_error(doing, sled::Error::Io(error))
    }

    fn full(&self, source: Cause) -> CommitError {
        let ballast_released = room::release_ballast(&self.layout);
        CommitError::Full { dir: self.layout.dir.clone(), ballast_released, source }
    }

    fn broken(&self, doing: &'static str, source: Cause) -> CommitError {
        CommitError::Broken { store: self.reader.name(), doing, source }
    }
}

impl Store for SledStore {
    fn begin_epoch(&mut self, at_least: Epoch) -> Result<Epoch, CommitError> {
        let epoch = self.epoch.next().max(at_least);
        let mut batch = Batch::new();
        batch.put(last::EPOCH_KEY, epoch.0.to_be_bytes());
        self.or_fail(|store| store.check_room(&batch).and_then(|()| store.commit_all(&batch)))?;
        self.epoch = epoch;
        Ok(epoch)
    }

    fn commit(&mut self, epoch: Epoch, batch: &Batch) -> Result<(), CommitError> {
        batch.check()?;
        // The directory's lock keeps out every other process, so this is as good as a comparison within the commit.
        if epoch != self.epoch {
            return Err(CommitError::Fenced { epoch, current: self.epoch });
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.or_fail(|store| store.check_room(batch).and_then(|()| store.commit_all(batch)))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Value>, ReadError> {
        self.reader.get(key)
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, ReadError> {
        self.reader.scan(prefix, after, limit)
    }

    fn size_bytes(&self) -> u64 {
        self.reader.size_bytes()
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.reader.clone()
    }

    fn settle(&mut self) -> Result<(), CommitError> {
        self.or_fail(|store| {
            let mark = store.last.mark;
            store.high_water.keep(mark).map_err(|error| store.io_error("keep its high-water mark", error))
        })
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        if !self.failed
            && let Err(error) = self.settle()
        {
            tracing::error!(%error, "the store could not be closed cleanly");
        }
    }
}
