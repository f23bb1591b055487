//! A store in memory, for tests and simulation: what is committed lives as long as its disk does.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use crate::{Batch, CommitError, Entry, Epoch, Key, Op, ReadError, Reader, Store, Value};

/// What a [`MemoryStore`] is kept on. Clones are the same disk: drop the store and open the disk again to simulate a
/// crash.
#[derive(Debug, Clone, Default)]
pub struct MemoryDisk {
    content: Arc<RwLock<Content>>,
}

#[derive(Debug, Default)]
struct Content {
    epoch: Epoch,
    entries: BTreeMap<Key, Value>,
}

impl MemoryDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the store on this disk. Unlike a directory it is not locked: two owners fence each other by their epochs.
    #[must_use]
    pub fn open(&self) -> MemoryStore {
        MemoryStore { disk: self.clone() }
    }

    fn read(&self) -> RwLockReadGuard<'_, Content> {
        self.content.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Content> {
        self.content.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`MemoryDisk`].
#[derive(Debug, Default)]
pub struct MemoryStore {
    disk: MemoryDisk,
}

impl Store for MemoryStore {
    fn begin_epoch(&mut self, at_least: Epoch) -> Result<Epoch, CommitError> {
        let mut content = self.disk.write();
        content.epoch = content.epoch.next().max(at_least);
        Ok(content.epoch)
    }

    fn commit(&mut self, epoch: Epoch, batch: &Batch) -> Result<(), CommitError> {
        batch.check()?;
        let Content { epoch: current, entries } = &mut *self.disk.write();
        if epoch != *current {
            return Err(CommitError::Fenced { epoch, current: *current });
        }
        for op in &batch.ops {
            match op {
                Op::Put(key, value) => drop(entries.insert(key.clone(), value.clone())),
                Op::Delete(key) => drop(entries.remove(key)),
            }
        }
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Value>, ReadError> {
        Reader::get(&self.disk, key)
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, ReadError> {
        Reader::scan(&self.disk, prefix, after, limit)
    }

    fn size_bytes(&self) -> u64 {
        self.disk.read().entries.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum()
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(self.disk.clone())
    }
}

impl Reader for MemoryDisk {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, ReadError> {
        Ok(self.read().entries.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, ReadError> {
        let content = self.read();
        let from = scan_start(prefix, after);
        let matching = content
            .entries
            .range::<[u8], _>((from, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit)
            .map(|(key, value)| (key.clone(), value.clone()));
        Ok(matching.collect())
    }
}

/// Where a scan begins: at the prefix, or behind `after` when that is further on.
pub(crate) fn scan_start<'a>(prefix: &'a [u8], after: Option<&'a [u8]>) -> Bound<&'a [u8]> {
    match after {
        Some(after) if after >= prefix => Bound::Excluded(after),
        _ => Bound::Included(prefix),
    }
}
