//! Why what was typed cannot be turned into items.

use std::{
    io,
    path::{Path, PathBuf},
};

use longshore_proto::path::BadPath;

use crate::{Kind, escape};

/// What was typed cannot be turned into items.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// A file or directory cannot be read, or is not there.
    #[error("cannot read {}", escape::path(path))]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A directory with no file in it.
    #[error("directory {} has no file in it", escape::path(path))]
    EmptyDirectory {
        /// Which.
        path: PathBuf,
    },
    /// A pattern that matches no file.
    #[error("pattern {} matches no file", escape::bytes_line(pattern.as_encoded_bytes()))]
    NoMatch {
        /// As typed.
        pattern: std::ffi::OsString,
    },
    /// A pattern that is none.
    #[error("{} is no pattern", escape::line(pattern))]
    BadPattern {
        /// As typed.
        pattern: String,
        /// What is wrong with it.
        source: globset::Error,
    },
    /// Not a regular file.
    #[error("{} is {what}, not a regular file", escape::path(path))]
    NotAFile {
        /// Which.
        path: PathBuf,
        /// What it is instead.
        what: &'static str,
    },
    /// A name that no item can have.
    #[error("{} cannot be an input: {reason}", escape::bytes_line(path.as_os_str().as_encoded_bytes()))]
    BadName {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        reason: BadPath,
    },
    /// Two inputs would be the same item.
    #[error("two inputs would both be item {}: {first} and {second}", escape::line(path))]
    Duplicate {
        /// The item's path.
        path: String,
        /// Where the first comes from.
        first: String,
        /// Where the second comes from.
        second: String,
    },
    /// A list or a file of lines with nothing in it.
    #[error("{name} lists nothing")]
    EmptyList {
        /// Its name, escaped.
        name: String,
    },
    /// A list or a file of lines that is too long to be held in memory.
    #[error("{name} is longer than {limit} bytes")]
    TooLong {
        /// Its name, escaped.
        name: String,
        /// The limit in bytes.
        limit: u64,
    },
}

impl InputError {
    /// Whose move it is: always the caller's.
    pub fn kind(&self) -> Kind {
        Kind::Refused
    }

    /// The next thing to do, where there is an obvious one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            InputError::Duplicate { .. } => {
                Some("name their directory, or quote the pattern, and each keeps its path below it")
            }
            InputError::NotAFile { what: "a link to a directory", .. } => {
                Some("name the directory it leads to as an input of its own")
            }
            InputError::NotAFile { what: "a directory", .. } => Some("list files only, as `find DIR -type f` does"),
            _ => None,
        }
    }
}

pub(super) fn bad_name(path: &Path, reason: BadPath) -> InputError {
    InputError::BadName { path: path.to_owned(), reason }
}

pub(super) fn read_error(path: &Path, source: io::Error) -> InputError {
    InputError::Read { path: path.to_owned(), source }
}
