//! Names of items as names of files, and the directories such files lie in.

use std::{io, os::fd::OwnedFd, path::Path};

use longshore_proto::bounds::COMPONENT_BYTES;
use rustix::fs::{CWD, Mode, OFlags, openat};

/// The last component of an item's path. Paths were checked where they came in; what is no name becomes one.
pub(crate) fn base_name(path: &str) -> &str {
    match path.rsplit('/').next() {
        Some(name) if !matches!(name, "" | "." | "..") => shortened(name, COMPONENT_BYTES),
        _ => "input",
    }
}

/// The beginning of a name, of at most so many bytes.
pub(super) fn shortened(name: &str, bytes: usize) -> &str {
    &name[..name.floor_char_boundary(bytes)]
}

/// Opens a directory of ours.
pub(crate) fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(CWD, path, flags, Mode::empty())?)
}
