//! A blob as it is handed out: its bytes, or a file of them; and why it cannot be.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use futures_util::stream::BoxStream;

/// A blob's bytes.
#[derive(Debug, Clone)]
pub enum Blob {
    /// In memory.
    Bytes(Bytes),
    /// In a read-only file, kept at least as long as this value lives.
    File(CachedFile),
}

/// A file of the cache, in use.
#[derive(Debug, Clone)]
pub struct CachedFile {
    pub(super) path: Arc<Path>,
    pub(super) _in_use: Arc<()>,
}

impl CachedFile {
    /// Where it is. Nobody may write to it or remove it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Why a blob cannot be had.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FetchError {
    /// It is not where it should be.
    #[error("blob {digest} is not known")]
    Missing {
        /// Its digest.
        digest: blake3::Hash,
    },
    /// The other side cannot be asked now.
    #[error("blob {digest} cannot be fetched: {cause}")]
    Unavailable {
        /// Its digest.
        digest: blake3::Hash,
        /// In the other side's words.
        cause: String,
    },
    /// What came is not the blob.
    #[error("what came as blob {digest} is not it: {cause}")]
    Corrupt {
        /// Its digest.
        digest: blake3::Hash,
        /// What was seen.
        cause: String,
    },
    /// The local disk.
    #[error("blob {digest} cannot be kept: {cause}")]
    Disk {
        /// Its digest.
        digest: blake3::Hash,
        /// The operating system's words.
        cause: Arc<std::io::Error>,
    },
    /// All the cache's room is in use.
    #[error("blob {digest} of {size} bytes does not fit in the cache ({bound} bytes, {in_use} of them in use)")]
    NoRoom {
        /// Its digest.
        digest: blake3::Hash,
        /// Its size.
        size: u64,
        /// The cache's bound.
        bound: u64,
        /// Bytes that cannot be evicted now.
        in_use: u64,
    },
}

/// A blob's bytes as they arrive.
pub type Pieces = BoxStream<'static, Result<Bytes, FetchError>>;
