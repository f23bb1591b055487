//! The blobs of one directory: who holds what, putting and getting.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Seek},
    path::Path,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use blake3::Hash;
use bytes::Bytes;

use crate::{
    Chunks, GetError, MAX_SMALL_BYTES, OpenError, PutError, Writer,
    durability::Durability,
    files::{DirLock, Layout},
    index::{Index, Place},
    packs::Packs,
};

/// Most large blobs remembered as seen whole: 2 MiB of digests.
const SEEN: usize = 1 << 16;

/// The blobs of one directory. Shared by `Arc` or cloned (clones are the same blobs); all calls block on the disk at most.
#[derive(Debug, Clone)]
pub struct Blobs {
    pub(crate) inner: Arc<Inner>,
}

/// What is shared between clones and writers.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) layout: Layout,
    pub(crate) durability: Durability,
    packs: Packs,
    index: RwLock<Index>,
    damaged: RwLock<HashSet<Hash>>,
    /// Large blobs whose bytes were seen whole since the directory was opened.
    seen: RwLock<HashSet<Hash>>,
    next_temp: AtomicU64,
    /// Held as long as the blobs are open.
    _lock: DirLock,
}

/// Small blobs that were new.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Appended {
    /// How many.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What is held, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Pack files.
    pub packs: u32,
    /// Blobs in packs.
    pub packed_blobs: u64,
    /// Bytes of the blobs in packs.
    pub packed_bytes: u64,
    /// Blobs known to be damaged and not put again since.
    pub damaged_blobs: u64,
    /// Bytes free on the file system.
    pub free_bytes: u64,
}

impl Blobs {
    /// Opens the directory and makes it if it is missing (its parent must be there or be makeable). Goes through all
    /// packs, cuts a torn end off the newest, and removes what unfinished writers left.
    ///
    /// # Errors
    /// When it is in use, or a file cannot be made, read or synced. Damaged blobs are no error here.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, OpenError> {
        let (layout, lock) = Layout::open(dir.as_ref())?;
        let (packs, mut contents) = Packs::open(&layout)?;
        layout.file_digests()?.iter().for_each(|digest| contents.index.insert_file(digest));
        let damaged = contents.damaged.into_iter().filter(|digest| contents.index.get(digest).is_none());
        let inner = Inner {
            damaged: RwLock::new(damaged.collect()),
            seen: RwLock::default(),
            index: RwLock::new(contents.index),
            layout,
            packs,
            durability: Durability::default(),
            next_temp: AtomicU64::new(0),
            _lock: lock,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Whether the blob is held and not known to be damaged. It is durable after the next [`Blobs::sync`].
    #[must_use]
    pub fn contains(&self, digest: &Hash) -> bool {
        self.size(digest).is_some() && !self.inner.is_damaged(digest)
    }

    /// The blob's size in bytes, if it is held.
    #[must_use]
    pub fn size(&self, digest: &Hash) -> Option<u64> {
        let file = {
            let index = self.inner.index.read().unwrap_or_else(PoisonError::into_inner);
            match index.get(digest) {
                Some(place) => return Some(place.len() as u64),
                None => index.may_be_file(digest).then(|| self.inner.layout.file(digest)),
            }
        };
        fs::symlink_metadata(file?).ok().map(|metadata| metadata.len())
    }

    /// Appends a blob of at most [`MAX_SMALL_BYTES`] to a pack, unless it is held; returns whether it was new. Durable
    /// only after [`Blobs::sync`].
    ///
    /// # Errors
    /// When the bytes do not have that digest, are too many, or cannot be written.
    pub fn append_small(&self, digest: &Hash, data: &[u8]) -> Result<bool, PutError> {
        Ok(self.append_all_small(&[(digest, data)])?.blobs == 1)
    }

    /// As [`Blobs::append_small`] for many at once, in few writes; returns what was new.
    ///
    /// # Errors
    /// As there. Some of the others may have been appended then.
    pub fn append_all_small(&self, blobs: &[(&Hash, &[u8])]) -> Result<Appended, PutError> {
        for (digest, data) in blobs {
            if data.len() > MAX_SMALL_BYTES {
                return Err(PutError::TooLarge { bytes: data.len() });
            }
            let found = blake3::hash(data);
            if found != **digest {
                return Err(PutError::Mismatch { expected: **digest, found });
            }
        }
        self.inner.append(blobs)
    }

    /// Returns when every blob that was held when it was called is durable. Cheap when there is nothing to do; callers at
    /// the same time share the work.
    ///
    /// # Errors
    /// When a sync failed, now or ever before: which bytes are kept is then unknown, and the process should end.
    pub fn sync(&self) -> io::Result<()> {
        self.inner.durability.sync()
    }

    /// Begins a blob of any size whose bytes come bit by bit.
    ///
    /// # Errors
    /// None today: the first file is made when the bytes no longer fit a pack.
    pub fn create(&self) -> Result<Writer, PutError> {
        Ok(Writer::new(self.inner.clone()))
    }

    /// Takes over the file at `path`, which must be on the same file system, without copying it (a small one is copied
    /// into a pack). It must be a regular file with one name; who still has it open for writing can damage the blob
    /// later, which reading detects. On success the path is gone and the blob durable.
    ///
    /// # Errors
    /// As for [`Writer::finish`]; the file is put back then.
    pub fn adopt_file(&self, path: &Path, expected: Option<Hash>) -> Result<(Hash, bool), PutError> {
        crate::writer::adopt(&self.inner, path, expected)
    }

    /// Makes the file at `path`, which must be `file` and on the same file system, a blob without copying it: the blob is
    /// another name of it, read-only from now on. Who still has it open for writing can damage the blob later, which
    /// reading detects. On success the blob is durable; the path stays.
    ///
    /// # Errors
    /// When it is not a regular file of ours with one name, is not `file`, takes up much more room than its bytes, or cannot
    /// be linked, read or synced.
    pub fn adopt_link(&self, path: &Path, file: &File) -> Result<Hash, PutError> {
        crate::writer::adopt_link(&self.inner, path, file)
    }

    /// The file of a large blob like [`Blobs::open_large`], verified unless its bytes were seen whole since the directory
    /// was opened.
    ///
    /// # Errors
    /// As there, and when it is damaged.
    pub fn open_verified(&self, digest: &Hash) -> Result<File, GetError> {
        let mut file = self.open_large(digest)?;
        if !self.inner.has_seen(digest) {
            let (found, _) = crate::writer::hash(&mut file).map_err(|source| self.inner.read_error(digest, source))?;
            if found != *digest {
                return Err(self.inner.note_damaged(digest));
            }
            file.rewind().map_err(|source| self.inner.read_error(digest, source))?;
            self.inner.note_seen(digest);
        }
        Ok(file)
    }

    /// The whole blob, verified. It is held in memory: ask for the size first when it may be large.
    ///
    /// # Errors
    /// When it is not held, damaged or unreadable.
    pub fn get(&self, digest: &Hash) -> Result<Bytes, GetError> {
        if let Some(packed) = self.inner.get_packed(digest)? {
            return Ok(packed);
        }
        let path = self.inner.layout.file(digest);
        let data = fs::read(&path).map_err(|source| self.inner.read_error(digest, source))?;
        if blake3::hash(&data) != *digest {
            return Err(self.inner.note_damaged(digest));
        }
        Ok(data.into())
    }

    /// The file of a large blob, unverified, read-only and at its start.
    ///
    /// # Errors
    /// When it is not held as a file: small blobs live in packs (see [`Blobs::get`], [`Blobs::read_chunks`]).
    pub fn open_large(&self, digest: &Hash) -> Result<File, GetError> {
        File::open(self.inner.layout.file(digest)).map_err(|source| self.inner.read_error(digest, source))
    }

    /// The blob in chunks of `chunk_bytes` (the last may be shorter). It is verified as a whole at its end: only when the
    /// iterator has ended without an error were the bytes the blob's.
    ///
    /// # Errors
    /// When it is not held or unreadable; damage shows as the iterator's last item.
    pub fn read_chunks(&self, digest: &Hash, chunk_bytes: usize) -> Result<Chunks, GetError> {
        match self.inner.get_packed(digest)? {
            Some(packed) => Ok(Chunks::packed(packed, chunk_bytes)),
            None => Ok(Chunks::file(self.inner.clone(), *digest, self.open_large(digest)?, chunk_bytes)),
        }
    }

    /// What is held. Large blobs are not counted: the file system knows their sizes.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let (packed_blobs, packed_bytes) = self.inner.index.read().unwrap_or_else(PoisonError::into_inner).totals();
        let free = rustix::fs::statvfs(self.inner.layout.packs()).map_or(0, |fs| fs.f_bavail * fs.f_frsize);
        Stats {
            packs: self.inner.packs.count(),
            packed_blobs,
            packed_bytes,
            damaged_blobs: self.inner.damaged.read().unwrap_or_else(PoisonError::into_inner).len() as u64,
            free_bytes: free,
        }
    }
}

impl Inner {
    /// Appends blobs whose digests were verified, unless they are held; returns what was new.
    pub(crate) fn append(&self, blobs: &[(&Hash, &[u8])]) -> Result<Appended, PutError> {
        let wanted: Vec<(&Hash, &[u8])> = blobs.iter().copied().filter(|(digest, _)| !self.is_packed(digest)).collect();
        let mut new = Appended::default();
        if wanted.is_empty() {
            return Ok(new);
        }
        let placed = |places: &[(Hash, Place)]| {
            let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
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
            self.index.write().unwrap_or_else(PoisonError::into_inner).insert_file(digest);
            self.healed(digest);
            Ok(true)
        });
        let new = new.map_err(|error| PutError::io("name", &path, error))?;
        self.durability.sync().map_err(|error| PutError::io("sync", &path, error))?;
        Ok(new)
    }

    /// A path in `temp/` that nobody else uses.
    pub(crate) fn temp_path(&self) -> std::path::PathBuf {
        self.layout.temp().join(self.next_temp.fetch_add(1, Ordering::Relaxed).to_string())
    }

    fn has_seen(&self, digest: &Hash) -> bool {
        self.seen.read().unwrap_or_else(PoisonError::into_inner).contains(digest)
    }

    pub(crate) fn note_seen(&self, digest: &Hash) {
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= SEEN {
            // Whatever is asked for again is verified once more.
            seen.clear();
        }
        seen.insert(*digest);
    }

    /// Remembers that the blob has to be put again.
    pub(crate) fn note_damaged(&self, digest: &Hash) -> GetError {
        tracing::error!(%digest, "blob is damaged");
        self.seen.write().unwrap_or_else(PoisonError::into_inner).remove(digest);
        self.damaged.write().unwrap_or_else(PoisonError::into_inner).insert(*digest);
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

    fn get_packed(&self, digest: &Hash) -> Result<Option<Bytes>, GetError> {
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
        self.index.read().unwrap_or_else(PoisonError::into_inner).get(digest)
    }

    fn is_damaged(&self, digest: &Hash) -> bool {
        self.damaged.read().unwrap_or_else(PoisonError::into_inner).contains(digest)
    }

    fn healed(&self, digest: &Hash) {
        self.damaged.write().unwrap_or_else(PoisonError::into_inner).remove(digest);
    }
}
