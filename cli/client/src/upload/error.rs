//! Why an upload failed.

use std::io;

use crate::{CallError, Kind, inputs::Source, retry::Transient};

/// An upload failed.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// An input cannot be read.
    #[error("cannot read {shown}")]
    Read {
        /// Which, escaped.
        shown: String,
        /// Why.
        source: io::Error,
    },
    /// An input's bytes were not the same when they were read again.
    #[error("{shown} changed while it was uploaded")]
    Changed {
        /// Which, escaped.
        shown: String,
    },
    /// The coordinator could not be asked, or refused.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The program is shutting down.
    #[error("the upload was stopped")]
    Stopped,
}

impl UploadError {
    pub(super) fn read(source: &Source, error: io::Error) -> UploadError {
        UploadError::Read { shown: source.shown(), source: error }
    }

    /// Whose move it is.
    pub fn kind(&self) -> Kind {
        match self {
            UploadError::Read { .. } | UploadError::Changed { .. } => Kind::Refused,
            UploadError::Call(error) => error.kind(),
            UploadError::Stopped => Kind::Unavailable,
        }
    }
}

impl Transient for UploadError {
    fn is_transient(&self) -> bool {
        matches!(self, UploadError::Call(error) if error.is_transient())
    }

    fn why(&self) -> String {
        std::error::Error::source(self).map_or_else(|| self.to_string(), ToString::to_string)
    }
}
