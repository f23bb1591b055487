//! Blobs in a directory of this machine: small ones in packs, large ones as files.

mod adopt;
mod chunks;
mod durability;
mod files;
mod index;
mod inner;
mod inspect;
mod listing;
mod missing;
mod pack;
mod packs;
mod writer;

use std::{
    collections::{HashSet, VecDeque},
    fs::{self, File},
    io::{self, Seek},
    path::Path,
    sync::Arc,
};

use blake3::Hash;
use bytes::Bytes;

pub use self::inspect::{Inspection, Progress};
use self::{
    chunks::Chunks as OwnChunks,
    files::{Layout, failed},
    index::Index,
    inner::Inner,
    missing::missing,
    packs::{Floor, Surveyed},
    writer::Writer,
};
use crate::{Appended, BlobStore, BlobWriter, Chunks, GetError, Handover, Harm, Holding, Loss, OpenError, PutError};

/// Losses that are logged one by one.
const TOLD: usize = 100;

/// The blobs of one directory. Shared by `Arc` or cloned (clones are the same blobs).
#[derive(Debug, Clone)]
pub struct LocalBlobs {
    inner: Arc<Inner>,
}

/// What opening a directory came to.
#[derive(Debug)]
pub struct Opened {
    /// The blobs.
    pub blobs: LocalBlobs,
    /// What is given up for lost: it must not be expected at the next opening.
    pub gone: Vec<Holding>,
}

impl LocalBlobs {
    /// Opens the directory and makes it if it is missing (its parent must be there or be makeable). Goes through all
    /// packs, cuts a torn end off the newest, and removes what unfinished writers left.
    ///
    /// `holdings` is what must be there: all that checkpoints answered, without what was given up. If some of it is lost,
    /// nothing is changed, unless the loss is accepted.
    ///
    /// # Errors
    /// When something is lost and that is not accepted, it is in use, or a file cannot be made, read or synced.
    pub fn open(dir: impl AsRef<Path>, holdings: &[Holding], accept_loss: bool) -> Result<Opened, OpenError> {
        let dir = dir.as_ref();
        let missing = missing(&Layout::at(dir), holdings)?;
        judge(missing.iter().map(|(_, loss)| loss), accept_loss)?;
        let (layout, lock) = Layout::open(dir)?;
        let surveyed = Surveyed::of(&layout, &Floor::all(holdings))?;
        judge(surveyed.losses.iter(), accept_loss)?;
        let (packs, mut index, damaged) = surveyed.open(&layout)?;
        let damaged = damaged.into_iter().filter(|digest| index.get(digest).is_none()).collect();
        let gone = give_up(&missing)?;
        let unreported = index_files(&layout, holdings, &mut index)?;
        let inner = Inner::new(layout, lock, packs, index, damaged, unreported);
        Ok(Opened { gone, blobs: Self { inner: Arc::new(inner) } })
    }

    /// Whether there are blobs in the directory. Nothing is changed.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_anything_in(dir: &Path) -> Result<bool, OpenError> {
        if !dir.exists() {
            return Ok(false);
        }
        let layout = Layout::at(dir);
        Ok(!layout.pack_numbers()?.is_empty() || !layout.file_digests()?.is_empty())
    }
}

/// What of the losses that were accepted is gone for good: a pack that is short is still there. A file that does not hold its
/// blob gets another name, under which nobody takes it for the blob.
fn give_up(missing: &[(Holding, Loss)]) -> Result<Vec<Holding>, OpenError> {
    let mut gone = Vec::new();
    for (holding, Loss { path, harm }) in missing {
        if matches!(holding, Holding::File { .. }) && *harm != Harm::Gone {
            fs::rename(path, path.with_extension("damaged")).map_err(failed("rename", path))?;
        }
        if *harm == Harm::Gone || matches!(holding, Holding::File { .. }) {
            gone.push(*holding);
        }
    }
    Ok(gone)
}

/// Notes all large blobs; answers those that were put after the last checkpoint.
fn index_files(layout: &Layout, holdings: &[Holding], index: &mut Index) -> Result<VecDeque<(Hash, u64)>, OpenError> {
    let known: HashSet<Hash> = holdings
        .iter()
        .filter_map(|holding| match holding {
            Holding::File { digest, .. } => Some(*digest),
            Holding::Pack { .. } => None,
        })
        .collect();
    let mut new = VecDeque::new();
    for digest in layout.file_digests()? {
        index.insert_file(&digest);
        if !known.contains(&digest) {
            let path = layout.file(&digest);
            let metadata = fs::symlink_metadata(&path).map_err(failed("look at", &path))?;
            new.push_back((digest, metadata.len()));
        }
    }
    Ok(new)
}

/// Refuses losses, or says that they were accepted.
fn judge<'a>(losses: impl Iterator<Item = &'a Loss> + Clone, accept: bool) -> Result<(), OpenError> {
    let Some(first) = losses.clone().next() else {
        return Ok(());
    };
    let count = losses.clone().count();
    if !accept {
        return Err(OpenError::Lost { first: first.clone(), others: count - 1 });
    }
    losses.take(TOLD).for_each(|loss| tracing::error!("accepted as lost: {loss}"));
    if count > TOLD {
        tracing::error!("accepted as lost: {} files more", count - TOLD);
    }
    Ok(())
}

impl BlobStore for LocalBlobs {
    fn contains(&self, digest: &Hash) -> bool {
        self.size(digest).is_some() && !self.inner.is_damaged(digest)
    }

    fn size(&self, digest: &Hash) -> Option<u64> {
        self.inner.size(digest)
    }

    fn append_all_small(&self, blobs: &[(&Hash, &[u8])]) -> Result<Appended, PutError> {
        for (digest, data) in blobs {
            PutError::check_small(digest, data)?;
        }
        self.inner.append(blobs)
    }

    fn create(&self) -> Result<Box<dyn BlobWriter>, PutError> {
        // The first file is made when the bytes no longer fit a pack.
        Ok(Box::new(Writer::new(self.inner.clone())))
    }

    fn get(&self, digest: &Hash) -> Result<Bytes, GetError> {
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

    fn read_chunks(&self, digest: &Hash, chunk_bytes: usize) -> Result<Chunks, GetError> {
        Ok(Box::new(match self.inner.get_packed(digest)? {
            Some(packed) => OwnChunks::packed(packed, chunk_bytes),
            None => OwnChunks::file(self.inner.clone(), *digest, self.open_large(digest)?, chunk_bytes),
        }))
    }

    fn sync(&self) -> io::Result<()> {
        self.inner.durability.sync()
    }

    fn checkpoint(&self) -> io::Result<Vec<Holding>> {
        self.inner.checkpoint()
    }

    fn handover(&self) -> Option<&dyn Handover> {
        Some(self)
    }
}

impl Handover for LocalBlobs {
    fn open_large(&self, digest: &Hash) -> Result<File, GetError> {
        File::open(self.inner.layout.file(digest)).map_err(|source| self.inner.read_error(digest, source))
    }

    fn open_verified(&self, digest: &Hash) -> Result<File, GetError> {
        let mut file = self.open_large(digest)?;
        if !self.inner.has_seen(digest) {
            let (found, _) = writer::hash(&mut file).map_err(|source| self.inner.read_error(digest, source))?;
            if found != *digest {
                return Err(self.inner.note_damaged(digest));
            }
            file.rewind().map_err(|source| self.inner.read_error(digest, source))?;
            self.inner.note_seen(digest);
        }
        Ok(file)
    }

    fn adopt_link(&self, path: &Path, file: &File) -> Result<Hash, PutError> {
        adopt::adopt_link(&self.inner, path, file)
    }
}
