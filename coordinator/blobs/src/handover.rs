//! What only a store on this machine's disk can do: blobs as files, out and in, without their bytes being copied.

use std::{fs::File, path::Path};

use blake3::Hash;

use crate::{GetError, PutError};

/// Large blobs as files. All calls block on the disk.
pub trait Handover {
    /// The file of a large blob, unverified, read-only and at its start.
    ///
    /// # Errors
    /// When it is not held as a file: small blobs live in packs (see [`crate::BlobStore::get`]).
    fn open_large(&self, digest: &Hash) -> Result<File, GetError>;

    /// The file of a large blob like [`Handover::open_large`], verified unless its bytes were seen whole since the
    /// directory was opened.
    ///
    /// # Errors
    /// As there, and when it is damaged.
    fn open_verified(&self, digest: &Hash) -> Result<File, GetError>;

    /// Makes the file at `path`, which must be `file` and on the same file system, a blob without copying it: the blob is
    /// another name of it, read-only from now on. Who still has it open for writing can damage the blob later, which
    /// reading detects. On success the blob is durable; the path stays.
    ///
    /// # Errors
    /// When it is not a regular file of ours with one name, is not `file`, takes up much more room than its bytes, or cannot
    /// be linked, read or synced.
    fn adopt_link(&self, path: &Path, file: &File) -> Result<Hash, PutError>;
}
