//! What can be wrong with what was kept.

use std::{io, path::PathBuf};

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
        "its records are of {found}, and this version of longshore reads format {FORMAT} alone: {}",
        found.advice()
    )]
    Format {
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
    /// An item beyond what can be counted.
    #[error("its items are too many to be counted")]
    Index,
}
