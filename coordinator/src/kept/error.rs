//! What can be wrong with what was kept.

use longshore_store::ReadError;

use super::keys::FORMAT;

/// A kept record that cannot be read, or that this program does not understand.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The store cannot be read.
    #[error("cannot read the store")]
    Read(#[from] ReadError),
    /// Another version wrote it.
    #[error(
        "its records are of format {found}, and this version of longshore reads format {FORMAT} alone: {}",
        advice(*.found)
    )]
    Format {
        /// The format it has; 1 is that of stores that do not say.
        found: u32,
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

/// What to do about a directory of another format.
fn advice(found: u32) -> &'static str {
    if found > FORMAT {
        "use the newer version that wrote them"
    } else {
        "use the older version that wrote them, or begin with an empty directory (`--data DIR`)"
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
