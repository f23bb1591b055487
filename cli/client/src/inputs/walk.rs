//! Files below a directory, in order of name.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use walkdir::{DirEntry, WalkDir};

use super::{
    error::{InputError, read_error},
    input::{Input, Source},
    looks::Looks,
    name::item_path,
};

/// Which part of a tree is wanted.
pub(super) trait Wanted {
    /// Whether to look at `relative` at all, and into it if it is a directory.
    fn enter(&self, entry: &DirEntry) -> bool;
    /// Whether the file is wanted; `relative` is its path below the root.
    fn take(&self, relative: &Path) -> bool;
    /// How deep to look; 1 is the root's own entries.
    fn depth(&self) -> usize;
}

/// The whole tree, hidden files included, as `cp -r` takes it.
pub(super) struct Everything;

impl Wanted for Everything {
    fn enter(&self, _: &DirEntry) -> bool {
        true
    }

    fn take(&self, _: &Path) -> bool {
        true
    }

    fn depth(&self) -> usize {
        usize::MAX
    }
}

/// The wanted files below `root`. Links to files are read through; links to directories, sockets and the like are errors
/// if they are wanted, because leaving them out would go unnoticed.
pub(super) fn files(root: &Path, wanted: impl Wanted, looks: &Looks) -> Result<Vec<Input>, InputError> {
    let mut found = Vec::new();
    let entries = WalkDir::new(root).min_depth(1).max_depth(wanted.depth()).sort_by_file_name();
    let enters = |entry: &DirEntry| entry.depth() == 0 || (wanted.enter(entry) && !is_apart(entry, looks));
    for entry in entries.into_iter().filter_entry(enters) {
        match entry.map_err(|error| walk_error(root, error)).and_then(|entry| file(root, &wanted, entry)) {
            Ok(input) => found.extend(input),
            Err(unusable) => looks.skip(unusable)?,
        }
    }
    Ok(found)
}

/// Whether this is the directory that outputs go to.
fn is_apart(entry: &DirEntry, looks: &Looks) -> bool {
    let Some(apart) = looks.apart.filter(|_| entry.file_type().is_dir()) else { return false };
    let is_apart = entry.metadata().is_ok_and(|found| (found.dev(), found.ino()) == apart);
    if is_apart {
        looks.found_apart.replace(Some(entry.path().to_owned()));
    }
    is_apart
}

fn file(root: &Path, wanted: &impl Wanted, entry: DirEntry) -> Result<Option<Input>, InputError> {
    let relative = entry.path().strip_prefix(root).unwrap_or(entry.path());
    if entry.file_type().is_dir() || !wanted.take(relative) {
        return Ok(None);
    }
    if entry.file_type().is_symlink() {
        check_link(entry.path())?;
    } else if !entry.file_type().is_file() {
        return Err(not_a_file(entry.path(), what(entry.file_type())));
    }
    let path = item_path(relative, entry.path())?;
    Ok(Some(Input { path, source: Source::File(entry.into_path()) }))
}

fn check_link(path: &Path) -> Result<(), InputError> {
    let metadata = fs::metadata(path).map_err(|source| read_error(path, source))?;
    match metadata.is_file() {
        true => Ok(()),
        false if metadata.is_dir() => Err(not_a_file(path, "a link to a directory")),
        false => Err(not_a_file(path, what(metadata.file_type()))),
    }
}

fn not_a_file(path: &Path, what: &'static str) -> InputError {
    InputError::NotAFile { path: path.to_owned(), what }
}

/// What a file is, for people.
pub(super) fn what(kind: fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match kind {
        k if k.is_dir() => "a directory",
        k if k.is_socket() => "a socket",
        k if k.is_fifo() => "a named pipe",
        k if k.is_block_device() || k.is_char_device() => "a device",
        k if k.is_symlink() => "a link",
        _ => "something else",
    }
}

fn walk_error(root: &Path, error: walkdir::Error) -> InputError {
    let path = error.path().unwrap_or(root).to_owned();
    read_error(&path, error.into())
}
