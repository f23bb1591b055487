//! What every store of blobs does, wherever it keeps them.

use std::{fmt, io};

use blake3::Hash;
use bytes::Bytes;

use crate::{GetError, Handover, Holding, PutError};

/// Small blobs that were new.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Appended {
    /// How many.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The bytes of one blob, in order. After an error it has ended.
pub type Chunks = Box<dyn Iterator<Item = Result<Bytes, GetError>> + Send>;

/// Blobs by their digests. Shared by `Arc`.
///
/// Every call blocks, on a disk or a network: from async code it is made on a thread that may block. Only
/// [`BlobStore::contains`] and [`BlobStore::size`] are as quick as a lookup, at most one of a file's metadata, and
/// [`BlobStore::append_all_small`] as a write that nothing waits for to be durable.
pub trait BlobStore: fmt::Debug + Send + Sync + 'static {
    /// Whether the blob is held and not known to be damaged. It is durable after the next [`BlobStore::sync`].
    fn contains(&self, digest: &Hash) -> bool;

    /// The blob's size in bytes, if it is held.
    fn size(&self, digest: &Hash) -> Option<u64>;

    /// Takes a blob of at most [`crate::MAX_SMALL_BYTES`], unless it is held; returns whether it was new. Durable only
    /// after [`BlobStore::sync`].
    ///
    /// # Errors
    /// When the bytes do not have that digest, are too many, or cannot be written.
    fn append_small(&self, digest: &Hash, data: &[u8]) -> Result<bool, PutError> {
        Ok(self.append_all_small(&[(digest, data)])?.blobs == 1)
    }

    /// As [`BlobStore::append_small`] for many at once, in few writes; returns what was new.
    ///
    /// # Errors
    /// As there. Some of the others may have been taken then.
    fn append_all_small(&self, blobs: &[(&Hash, &[u8])]) -> Result<Appended, PutError>;

    /// Begins a blob of any size whose bytes come bit by bit.
    ///
    /// # Errors
    /// When nothing can be written.
    fn create(&self) -> Result<Box<dyn BlobWriter>, PutError>;

    /// The whole blob, verified. It is held in memory: ask for the size first when it may be large.
    ///
    /// # Errors
    /// When it is not held, damaged or unreadable.
    fn get(&self, digest: &Hash) -> Result<Bytes, GetError>;

    /// The blob in chunks of `chunk_bytes` (at least 1; the last may be shorter). It is verified as a whole at its end:
    /// only when the iterator has ended without an error were the bytes the blob's.
    ///
    /// # Errors
    /// When it is not held or unreadable; damage shows as the iterator's last item.
    fn read_chunks(&self, digest: &Hash, chunk_bytes: usize) -> Result<Chunks, GetError>;

    /// Returns when every blob that was held when it was called is durable. Cheap when there is nothing to do; callers at
    /// the same time share the work.
    ///
    /// # Errors
    /// When a sync failed, now or ever before: which bytes are kept is then unknown, and the process should end.
    fn sync(&self) -> io::Result<()>;

    /// As [`BlobStore::sync`], and answers what the store must hold from now on and has not answered before, at most
    /// [`crate::MAX_CHECKPOINT`] at a time. Whoever keeps that together with what refers to the blobs, and brings it along
    /// at the next opening, is told then what was lost in between.
    ///
    /// # Errors
    /// As for [`BlobStore::sync`].
    fn checkpoint(&self) -> io::Result<Vec<Holding>>;

    /// What can be handed over as files of this machine; `None` where blobs are no files.
    fn handover(&self) -> Option<&dyn Handover> {
        None
    }
}

/// A blob being written. Dropped unfinished, nothing of it is kept.
pub trait BlobWriter: fmt::Debug + Send {
    /// Adds bytes.
    ///
    /// # Errors
    /// When they cannot be written; the writer can then only be dropped.
    fn write(&mut self, data: &[u8]) -> Result<(), PutError>;

    /// Bytes written so far.
    fn size_bytes(&self) -> u64;

    /// Makes the blob durable and visible, unless it is held already; returns its digest and whether it was new.
    ///
    /// # Errors
    /// When the bytes do not have the expected digest, or cannot be written or synced. Nothing is kept then.
    fn finish(self: Box<Self>, expected: Option<Hash>) -> Result<(Hash, bool), PutError>;
}
