//! What can go wrong when opening, putting and getting, one enum each.

use std::{io, path::PathBuf};

use blake3::Hash;
use thiserror::Error;

use crate::{Loss, MAX_SMALL_BYTES};

/// Why the blobs of a directory could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Somebody else has them open.
    #[error("the blobs in {} are in use by another process", dir.display())]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// A file or directory could not be made, read or synced.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// Something is not there any more that was acknowledged. Nothing was changed.
    #[error("blobs are lost: {first}{}", if *others == 0 { String::new() } else { format!(", and {others} files more") })]
    Lost {
        /// The first loss.
        first: Loss,
        /// How many others there are.
        others: usize,
    },
}

/// Why a blob was not taken.
#[derive(Debug, Error)]
pub enum PutError {
    /// The bytes are not the ones the digest names.
    #[error("the bytes have digest {found}, not {expected}")]
    Mismatch {
        /// The digest that was claimed.
        expected: Hash,
        /// The digest the bytes have.
        found: Hash,
    },
    /// Too large for a pack.
    #[error("a blob of {bytes} bytes is too large for a pack (at most {MAX_SMALL_BYTES})")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// No room. What was held before is untouched.
    #[error("no room left for {}", path.display())]
    Full {
        /// The file that could not grow.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// A file to be adopted is not a regular file with one name.
    #[error("{} is not a regular file with a single name", path.display())]
    NotAPlainFile {
        /// The file.
        path: PathBuf,
    },
    /// Reading or writing failed.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
}

impl PutError {
    /// Whether these bytes are a small blob of that digest.
    pub(crate) fn check_small(digest: &Hash, data: &[u8]) -> Result<(), Self> {
        if data.len() > MAX_SMALL_BYTES {
            return Err(Self::TooLarge { bytes: data.len() });
        }
        let found = blake3::hash(data);
        if found != *digest {
            return Err(Self::Mismatch { expected: *digest, found });
        }
        Ok(())
    }

    /// The error for a failed write: no room is told apart from everything else.
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        let path = path.into();
        if is_full(&source) { Self::Full { path, source } } else { Self::Io { doing, path, source } }
    }
}

fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// Why a blob could not be given.
#[derive(Debug, Error)]
pub enum GetError {
    /// It is not held.
    #[error("blob {digest} is not held")]
    NotFound {
        /// Its digest.
        digest: Hash,
    },
    /// It is held, but its bytes are not the ones its digest names. Putting it again heals it.
    #[error("blob {digest} is damaged")]
    Damaged {
        /// Its digest.
        digest: Hash,
    },
    /// Reading failed.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
}
