//! What the handle, its writers and its readers share: who holds what, and what is known of it.

use std::{
    collections::{HashSet, VecDeque},
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use blake3::Hash;
use bytes::Bytes;

use super::{
    durability::Durability,
    files::{DirLock, Layout},
    index::{Index, Place},
    packs::Packs,
};
use crate::{Appended, GetError, Holding, MAX_CHECKPOINT, PutError};

/// Most large blobs remembered as seen whole: 2 MiB of digests.
const SEEN: usize = 1 << 16;

/// See the module.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) layout: Layout,
    pub(crate) durability: Durability,
    packs: Packs,
    index: RwLock<Index>,
    damaged: RwLock<HashSet<Hash>>,
    /// Large blobs whose bytes were seen whole since the directory was opened.
    seen: RwLock<HashSet<Hash>>,
    /// Large blobs, with their sizes, that no checkpoint has answered yet.
    unreported: Mutex<VecDeque<(Hash, u64)>>,
    next_temp: AtomicU64,
    /// Held as long as the blobs are open.
    _lock: DirLock,
}

impl Inner {
    pub(crate) fn new(
        layout: Layout,
        lock: DirLock,
        packs: Packs,
        index: Index,
        damaged: HashSet<Hash>,
        unreported: VecDeque<(Hash, u64)>,
    ) -> Self {
        Self {
            layout,
            packs,
            durability: Durability::default(),
            index: RwLock::new(index),
            damaged: RwLock::new(damaged),
            seen: RwLock::default(),
            unreported: Mutex::new(unreported),
            next_temp: AtomicU64::new(0),
            _lock: lock,
        }
    }

    /// The blob's size, if it is held.
    pub(crate) fn size(&self, digest: &Hash) -> Option<u64> {
        let file = {
            let index = read(&self.index);
            match index.get(digest) {
                Some(place) => return Some(place.len() as u64),
                None => index.may_be_file(digest).then(|| self.layout.file(digest)),
            }
        };
        fs::symlink_metadata(file?).ok().map(|metadata| metadata.len())
    }

    /// Appends blobs whose digests were verified, unless they are held; returns what was new.
    pub(crate) fn append(&self, blobs: &[(&Hash, &[u8])]) -> Result<Appended, PutError> {
        let wanted: Vec<(&Hash, &[u8])> = blobs.iter().copied().filter(|(digest, _)| !self.is_packed(digest)).collect();
        let mut new = Appended::default();
        if wanted.is_empty() {
            return Ok(new);
        }
        let placed = |places: &[(Hash, Place)]| {
            let mut index = write(&self.index);
            places.iter().for_each(|(digest, place)| index.insert(digest, *place));
            drop(index);
            places.iter().for_each(|(digest, _)| self.healed(digest));
            new.blobs += places.len() as u64;
            new.bytes += places.iter().map(|(_, place)| place.len() as u64).sum::<u64>();
        };
        self.packs.append(&self.layout, &self.durability, &wanted, |digest| self.is_packed(digest), placed)?;
        Ok(new)
    }

    /// Renames a file, which must be synced and whose digest was verified, to where the blob is read from, unless the blob is held.
    pub(crate) fn publish(&self, file: &Path, digest: &Hash, size: u64) -> Result<bool, PutError> {
        let path = self.layout.file(digest);
        let dir = self.layout.files_dir(digest.as_bytes()[0]);
        // The looking and the renaming are one step, so that of many putting the same blob one is the first.
        let new = self.durability.change_name(&dir, || {
            let there = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.len() == size);
            if there && !self.is_damaged(digest) {
                return fs::remove_file(file).map(|()| false);
            }
            fs::rename(file, &path)?;
            self.note_seen(digest);
            write(&self.index).insert_file(digest);
            self.healed(digest);
            lock(&self.unreported).push_back((*digest, size));
            Ok(true)
        });
        let new = new.map_err(|error| PutError::io("name", &path, error))?;
        self.durability.sync().map_err(|error| PutError::io("sync", &path, error))?;
        Ok(new)
    }

    /// Makes everything durable; answers what is held since the last time.
    pub(crate) fn checkpoint(&self) -> io::Result<Vec<Holding>> {
        // First what there is, then the sync: what comes in between is of the next checkpoint.
        let mut holdings = self.packs.unreported();
        {
            let mut files = lock(&self.unreported);
            let count = files.len().min(MAX_CHECKPOINT.saturating_sub(holdings.len()));
            holdings.extend(files.drain(..count).map(|(digest, size)| Holding::File { digest, size }));
        }
        self.durability.sync()?;
        Ok(holdings)
    }

    /// A path in `temp/` that nobody else uses.
    pub(crate) fn temp_path(&self) -> PathBuf {
        self.layout.temp().join(self.next_temp.fetch_add(1, Ordering::Relaxed).to_string())
    }

    pub(crate) fn has_seen(&self, digest: &Hash) -> bool {
        read(&self.seen).contains(digest)
    }

    pub(crate) fn note_seen(&self, digest: &Hash) {
        let mut seen = write(&self.seen);
        if seen.len() >= SEEN {
            // Whatever is asked for again is verified once more.
            seen.clear();
        }
        seen.insert(*digest);
    }

    /// Remembers that the blob has to be put again.
    pub(crate) fn note_damaged(&self, digest: &Hash) -> GetError {
        tracing::error!(%digest, "blob is damaged");
        write(&self.seen).remove(digest);
        write(&self.damaged).insert(*digest);
        GetError::Damaged { digest: *digest }
    }

    /// The error for a large blob that cannot be opened or read.
    pub(crate) fn read_error(&self, digest: &Hash, source: io::Error) -> GetError {
        match source.kind() {
            io::ErrorKind::NotFound if self.is_damaged(digest) => GetError::Damaged { digest: *digest },
            io::ErrorKind::NotFound => GetError::NotFound { digest: *digest },
            _ => GetError::Io { path: self.layout.file(digest), source },
        }
    }

    /// A small blob, verified; `None` when it is not in a pack.
    pub(crate) fn get_packed(&self, digest: &Hash) -> Result<Option<Bytes>, GetError> {
        let Some(place) = self.place(digest) else {
            return Ok(None);
        };
        match self.packs.read(&self.layout, place) {
            Ok(data) if blake3::hash(&data) == *digest => Ok(Some(data.into())),
            // A pack that is gone or too short has lost the blob just as changed bytes have.
            Ok(_) => Err(self.note_damaged(digest)),
            Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::NotFound) => {
                Err(self.note_damaged(digest))
            }
            Err(source) => Err(GetError::Io { path: self.layout.pack(place.pack()), source }),
        }
    }

    /// Whether a small blob is held whole. Only large ones are files, so the index knows.
    fn is_packed(&self, digest: &Hash) -> bool {
        self.place(digest).is_some() && !self.is_damaged(digest)
    }

    fn place(&self, digest: &Hash) -> Option<Place> {
        read(&self.index).get(digest)
    }

    pub(crate) fn is_damaged(&self, digest: &Hash) -> bool {
        read(&self.damaged).contains(digest)
    }

    fn healed(&self, digest: &Hash) {
        write(&self.damaged).remove(digest);
    }
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
