//! Why outputs cannot be brought back.

use longshore_proto::path::BadPath;

use crate::{BlobError, CallError, Kind, OutDirError, escape};

/// Outputs cannot be brought back.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The coordinator could not be asked.
    #[error(transparent)]
    Call(#[from] CallError),
    /// An output did not come, or not whole.
    #[error("cannot fetch outputs")]
    Blob(#[from] BlobError),
    /// An output cannot be written.
    #[error("cannot write outputs")]
    Write(#[from] OutDirError),
    /// An output has a name no output may have.
    #[error("item {} left output {}: {reason}", escape::line(item), escape::line(path))]
    BadName {
        /// Whose output.
        item: String,
        /// Its name.
        path: String,
        /// What is wrong with it.
        reason: BadPath,
    },
    /// An output with a digest that is none.
    #[error("output {} of item {} has no valid digest", escape::line(path), escape::line(item))]
    BadDigest {
        /// Whose output.
        item: String,
        /// Its name.
        path: String,
    },
    /// Two items left the same output, or one a file where the other needs a directory.
    #[error(
        "items {} and {} both left output {}; nothing was written",
        escape::line(first),
        escape::line(second),
        escape::line(path)
    )]
    Conflict {
        /// The output.
        path: String,
        /// One item.
        first: String,
        /// The other.
        second: String,
    },
    /// The program is shutting down.
    #[error("the fetch was stopped")]
    Stopped,
}

impl OutputError {
    /// Whose move it is.
    pub fn kind(&self) -> Kind {
        match self {
            OutputError::Call(error) => error.kind(),
            OutputError::Blob(error) => error.kind(),
            OutputError::Write(_) | OutputError::BadName { .. } | OutputError::Conflict { .. } => Kind::Refused,
            OutputError::BadDigest { .. } => Kind::Broken,
            OutputError::Stopped => Kind::Unavailable,
        }
    }
}
