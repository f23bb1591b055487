//! One input.

use std::path::PathBuf;

use bytes::Bytes;

use crate::escape;

/// One input: the item's path and where its bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Relative path of plain components, unique among the inputs of a job.
    pub path: String,
    /// Where its bytes are.
    pub source: Source,
}

/// Where the bytes of an input are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In a regular file (or behind a link to one).
    File(PathBuf),
    /// At hand.
    Bytes(Bytes),
}

impl Source {
    /// For error messages, escaped.
    pub fn shown(&self) -> String {
        match self {
            Source::File(path) => escape::path(path),
            Source::Bytes(_) => "a line of a file".to_owned(),
        }
    }
}
