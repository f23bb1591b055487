//! Why there are no outputs, in words that name what was left.

use std::io;

use rustix::{fs::FileType, io::Errno};

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
        Errno::LOOP => refused(format!("{} is a symlink", shown(path))),
        Errno::XDEV => refused(format!("{} is on another file system", shown(path))),
        Errno::NXIO => refused(format!("{} is a socket", shown(path))),
        Errno::ACCESS | Errno::PERM => refused(format!("{} cannot be read: {errno}", shown(path))),
        Errno::NOENT | Errno::NOTDIR => refused(format!("{} was removed after the run", shown(path))),
        errno => trouble("opening an output", errno),
    }
}

pub(super) fn kind_name(kind: FileType) -> &'static str {
    match kind {
        FileType::Symlink => "a symlink",
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

pub(super) fn refused(what: impl Into<String>) -> CollectError {
    CollectError::Refused(what.into())
}

pub(super) fn trouble(doing: &'static str, errno: Errno) -> CollectError {
    io_trouble(doing, errno.into())
}

pub(super) fn io_trouble(doing: &'static str, cause: io::Error) -> CollectError {
    CollectError::Io { doing, cause }
}
