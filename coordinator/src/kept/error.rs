//! What can be wrong with what was kept.

use std::{io, path::PathBuf};

use longshore_blobs::{GetError, PutError};
use longshore_core::JobId;
use longshore_proto::{Digest, digest::NoDigest, namespace::BadNamespace};
use longshore_store::ReadError;

use super::format::{FORMAT, Found};

/// A kept record that cannot be read, or that this program does not understand.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The store cannot be read.
    #[error("cannot read the store")]
    Read(#[from] ReadError),
    /// Another version wrote it.
    #[error(
        "the records in {} are of {found}, and this version of longshore reads format {FORMAT} alone: {}",
        dir.display(),
        found.advice()
    )]
    Format {
        /// The data directory.
        dir: PathBuf,
        /// The format it has.
        found: Found,
    },
    /// The file that says the format cannot be used.
    #[error("the file {} cannot be read or made; it says in digits which format the records beside it have", path.display())]
    FormatFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An entry is not of this version's shape.
    #[error("the entry {key} is not understood: it may be a newer version's, which can read it")]
    Malformed {
        /// Its key, escaped.
        key: String,
        /// Why.
        source: Malformed,
    },
}

impl LoadError {
    /// Of the entry with this key.
    pub fn malformed(key: &[u8], why: impl Into<Malformed>) -> Self {
        Self::Malformed { key: key.escape_ascii().to_string(), source: why.into() }
    }
}

/// What is wrong with one entry.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// The key is of no such entry.
    #[error("its key names nothing")]
    Key,
    /// The bytes are not a message.
    #[error("its value cannot be decoded")]
    Value(#[from] prost::DecodeError),
    /// Something is not said that always is.
    #[error("its {field} is missing")]
    Missing {
        /// The message's field.
        field: &'static str,
    },
    /// One of a list of possibilities that this program does not have.
    #[error("its {field} has the unknown value {value}")]
    Unknown {
        /// The message's field.
        field: &'static str,
        /// The number there.
        value: i32,
    },
    /// A digest is no digest.
    #[error("its {field} has {bytes} bytes, not 32")]
    Digest {
        /// The message's field.
        field: &'static str,
        /// How many bytes there are.
        bytes: usize,
    },
    /// Whose it is, is no name.
    #[error("it is of a namespace that cannot be")]
    Namespace(#[from] BadNamespace),
    /// An item beyond what can be counted.
    #[error("its items are too many to be counted")]
    Index,
}

/// Why something that is named cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// A record is unreadable.
    #[error("the records of a job cannot be read")]
    Record(#[from] LoadError),
    /// A job's record is missing.
    #[error("there is no record of job {job}")]
    NoJob {
        /// The job.
        job: JobId,
    },
    /// A blob is missing or damaged.
    #[error("{what} cannot be read")]
    Blob {
        /// What is in the blob.
        what: &'static str,
        /// Why.
        source: GetError,
    },
    /// A blob does not hold what it should.
    #[error("{what} is malformed")]
    Malformed {
        /// What is in the blob.
        what: &'static str,
        /// Why.
        source: prost::DecodeError,
    },
    /// What is kept names a blob by something that is no digest.
    #[error("{what} is not named by its digest")]
    Digest {
        /// What is in the blob.
        what: &'static str,
        /// Why.
        source: NoDigest,
    },
    /// There is no such item.
    #[error("item {index} of stage {stage} has no input")]
    NoInput {
        /// The stage.
        stage: u16,
        /// The item.
        index: u64,
    },
    /// A list cannot be stored.
    #[error("a list cannot be stored")]
    Put(#[from] PutError),
}

impl CatalogError {
    /// Whether it will never be readable again: the blob is gone or damaged, and not only out of reach.
    pub fn is_loss(&self) -> bool {
        matches!(self, Self::Blob { source: GetError::NotFound { .. } | GetError::Damaged { .. }, .. })
    }
}

/// The digest in something that was kept. `what` the blob is called in errors.
pub fn digest(bytes: &[u8], what: &'static str) -> Result<Digest, CatalogError> {
    Digest::try_from(bytes).map_err(|source| CatalogError::Digest { what, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_named_readably_whatever_its_key_is() {
        let error = LoadError::malformed(b"s\x00a\xff", Malformed::Missing { field: "spec" });
        assert!(error.to_string().contains(r"s\x00a\xff"), "{error}");
        let cause = std::error::Error::source(&error).unwrap();
        assert_eq!(cause.to_string(), "its spec is missing");
    }

    #[test]
    fn what_is_no_digest_is_said_with_the_name_of_the_blob() {
        assert_eq!(digest(Digest::of(b"").as_bytes(), "a list").unwrap(), Digest::of(b""));
        assert_eq!(digest(b"short", "a list").unwrap_err().to_string(), "a list is not named by its digest");
    }
}
