//! Patterns: `*`, `?`, `[a-z]`, `{a,b}` and `**` for any depth, as shells with globstar have them.
//!
//! Patterns reach this program quoted, because only then is it known where the fixed part ends. As in a shell, what
//! begins with a dot is matched only by a pattern that says the dot, and links to directories are not followed.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use globset::{GlobBuilder, GlobMatcher};
use walkdir::DirEntry;

use super::{error::InputError, input::Input, looks::Looks, walk};

const SPECIAL: &[char] = &['*', '?', '[', '{'];

/// Whether `argument` has a character that is special in patterns.
pub(super) fn is_pattern(argument: &OsStr) -> bool {
    argument.as_bytes().iter().any(|&b| SPECIAL.contains(&char::from(b)))
}

/// All files `pattern` matches, in order of name; an error if there is none.
pub(super) fn expand(pattern: &OsStr, looks: &Looks) -> Result<Vec<Input>, InputError> {
    let no_match = || InputError::NoMatch { pattern: pattern.to_owned() };
    let text = pattern.to_str().ok_or_else(no_match)?;
    let (root, rest) = split(text);
    let wanted = Matching::new(text, rest)?;
    if !root.is_dir() {
        return Err(no_match());
    }
    let found = walk::files(&root, wanted, looks)?;
    match found.is_empty() && looks.left_out.is_none() {
        true => Err(no_match()),
        false => Ok(found),
    }
}

/// The fixed part, as a directory, and the pattern below it.
fn split(pattern: &str) -> (PathBuf, &str) {
    let special = pattern.find(SPECIAL).unwrap_or(pattern.len());
    match pattern[..special].rfind('/') {
        Some(slash) => (PathBuf::from(&pattern[..=slash]), &pattern[slash + 1..]),
        None => (PathBuf::from("."), pattern),
    }
}

struct Matching {
    matcher: GlobMatcher,
    depth: usize,
    hidden: bool,
}

impl Matching {
    fn new(whole: &str, rest: &str) -> Result<Matching, InputError> {
        let glob = GlobBuilder::new(rest).literal_separator(true).build();
        let glob = glob.map_err(|source| InputError::BadPattern { pattern: whole.to_owned(), source })?;
        // Braces may hold slashes, so then the number of slashes says nothing about depth.
        let bounded = !rest.contains("**") && !rest.contains('{');
        Ok(Matching {
            matcher: glob.compile_matcher(),
            depth: if bounded { rest.split('/').count() } else { usize::MAX },
            hidden: rest.starts_with('.') || ["/.", "{.", ",."].iter().any(|dot| rest.contains(dot)),
        })
    }
}

impl walk::Wanted for Matching {
    fn enter(&self, entry: &DirEntry) -> bool {
        self.hidden || !entry.file_name().as_bytes().starts_with(b".")
    }

    fn take(&self, relative: &Path) -> bool {
        self.matcher.is_match(relative)
    }

    fn depth(&self) -> usize {
        self.depth
    }
}
