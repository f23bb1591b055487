//! What a directory of blobs must hold, and what is missing of it.
//!
//! A torn end of the newest pack is nothing to speak of when its bytes were never acknowledged, and a loss when they were;
//! a file that is not there was never put, or is lost. The directory alone cannot tell. So whoever keeps what refers to
//! blobs keeps in the same commit what they are in: then what is missing at an opening was acknowledged and is lost.

use std::{fmt, path::PathBuf};

use blake3::Hash;

/// One thing that must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    /// A pack of small blobs. It may have grown since.
    Pack {
        /// Its number.
        number: u32,
        /// Bytes from its beginning that are durable.
        bytes: u64,
        /// Damaged stretches in it that are known; each more is a loss.
        damaged: u32,
    },
    /// The file of a large blob.
    File {
        /// The blob's digest.
        digest: Hash,
        /// Its bytes.
        size: u64,
    },
}

/// Something that was acknowledged and is not there any more. The text names the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub harm: Harm,
}

/// What can be wrong with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// It is not there.
    Gone,
    /// It is shorter, or for a large blob's file longer, than it was.
    Size {
        /// Its bytes.
        found: u64,
        /// The bytes that were acknowledged.
        acknowledged: u64,
    },
    /// It is a large blob's, and holds other bytes.
    Content,
    /// Blobs in it are overwritten.
    Damaged {
        /// Stretches of it that are not what was written.
        stretches: u32,
    },
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.harm {
            Harm::Gone => write!(f, "{path} is missing"),
            Harm::Size { found, acknowledged } => {
                write!(f, "{path} has {found} bytes, not the {acknowledged} that were acknowledged")
            }
            Harm::Content => write!(f, "{path} does not hold the blob it is named for"),
            Harm::Damaged { stretches: 1 } => write!(f, "{path} is damaged in one place"),
            Harm::Damaged { stretches } => write!(f, "{path} is damaged in {stretches} places"),
        }
    }
}
