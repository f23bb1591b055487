//! Reading from sled, from any thread.

use std::{ops::Bound, path::PathBuf};

use super::{engine, envelope, layout::DirLock};
use crate::{Entry, RESERVED, ReadError, Reader, Value, contained::contained, memory::scan_start};

/// The open database, shared by the store and its readers; the last one closes it, then lets go of the directory.
#[derive(Debug)]
pub(crate) struct SledReader {
    dir: PathBuf,
    /// There until dropped.
    db: Option<sled::Db>,
    _lock: DirLock,
}

impl SledReader {
    pub(crate) fn new(dir: PathBuf, db: sled::Db, lock: DirLock) -> Self {
        Self { dir, db: Some(db), _lock: lock }
    }

    pub(crate) fn tree(&self) -> &sled::Tree {
        self.db.as_ref().expect("only dropping takes it")
    }

    pub(crate) fn name(&self) -> String {
        format!("the store in {}", self.dir.display())
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.db.as_ref().and_then(|db| db.size_on_disk().ok()).unwrap_or(0)
    }

    fn contained<T>(&self, read: impl FnOnce() -> Result<T, ReadError>) -> Result<T, ReadError> {
        contained(read).unwrap_or_else(|panic| Err(ReadError::Broken { store: self.name(), source: panic.into() }))
    }

    fn broken(&self, error: sled::Error) -> ReadError {
        ReadError::Broken { store: self.name(), source: error.into() }
    }
}

impl Reader for SledReader {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, ReadError> {
        if key.first() == Some(&RESERVED) {
            return Ok(None);
        }
        self.contained(|| {
            let sealed = self.tree().get(key).map_err(|error| self.broken(error))?;
            sealed.map(|sealed| envelope::payload(key, &sealed)).transpose()
        })
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, ReadError> {
        let reserved = [RESERVED];
        let from = scan_start(prefix, after);
        if let Bound::Included(from) | Bound::Excluded(from) = from
            && from >= &reserved[..]
        {
            return Ok(Vec::new());
        }
        self.contained(|| {
            let range = self.tree().range::<&[u8], _>((from, Bound::Excluded(&reserved[..])));
            let mut entries = Vec::new();
            for entry in range.take(limit) {
                let (key, sealed) = entry.map_err(|error| self.broken(error))?;
                if !key.starts_with(prefix) {
                    break;
                }
                entries.push((key.to_vec(), envelope::payload(&key, &sealed)?));
            }
            Ok(entries)
        })
    }
}

impl Drop for SledReader {
    fn drop(&mut self) {
        if let Some(db) = self.db.take() {
            engine::close(db);
        }
    }
}
