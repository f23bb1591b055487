//! Why there are no outputs, in words that name what was left.

use std::io;

use longshore_proto::bounds::OUTPUTS;
use rustix::{fs::FileType, io::Errno};

use crate::contract::amount;

/// Why there are no outputs.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CollectError {
    /// The run left what is not allowed. The text names it, escaped.
    #[error("{0}")]
    Refused(String),
    /// Our own trouble.
    #[error("outputs cannot be collected ({doing})")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The operating system's error.
        #[source]
        cause: io::Error,
    },
}

pub(super) fn unreadable(path: &str, errno: Errno) -> CollectError {
    match errno {
        Errno::LOOP => refused(format!("{} became a symbolic link after the run", shown(path))),
        Errno::XDEV => refused(format!("{} is on another file system", shown(path))),
        Errno::NXIO => refused(format!("{} is a socket", shown(path))),
        Errno::ACCESS | Errno::PERM => refused(format!("{} cannot be read: {errno}", shown(path))),
        Errno::NOENT | Errno::NOTDIR => refused(format!("{} was removed after the run", shown(path))),
        errno => trouble("opening an output", errno),
    }
}

pub(super) fn kind_name(kind: FileType) -> &'static str {
    match kind {
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Directory => "a directory",
        _ => "not a regular file",
    }
}

/// A path for people: quoted, escaped, and cut where it is very long.
pub(super) fn shown(path: &str) -> String {
    const CHARACTERS: usize = 200;
    match path.char_indices().nth(CHARACTERS) {
        Some((at, _)) => format!("\"{}…\"", path[..at].escape_debug()),
        None => format!("\"{}\"", path.escape_debug()),
    }
}

/// A file beyond its bound.
pub(super) fn too_large(path: &str, most_bytes: u64) -> String {
    let bound = amount::bytes(most_bytes);
    format!(
        "{} is larger than {bound}, the bound of one output; `max_output` in the spec or --max-output raises it",
        shown(path)
    )
}

/// Files beyond their bound together.
pub(super) fn too_much(most_bytes: u64) -> String {
    let bound = amount::bytes(most_bytes);
    format!(
        "its outputs are larger than {bound} together; `max_total_output` in the spec or --max-total-output raises that"
    )
}

/// Too many files.
pub(super) fn too_many(most: usize) -> String {
    match most {
        OUTPUTS => format!("there are more than {most} files, the most there can be"),
        _ => format!(
            "there are more than {most} files; `max_output_files` in the spec or --max-output-files raises that"
        ),
    }
}

pub(super) fn refused(what: impl Into<String>) -> CollectError {
    CollectError::Refused(what.into())
}

pub(super) fn trouble(doing: &'static str, errno: Errno) -> CollectError {
    io_trouble(doing, errno.into())
}

pub(super) fn io_trouble(doing: &'static str, cause: io::Error) -> CollectError {
    CollectError::Io { doing, cause }
}
