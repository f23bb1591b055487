//! What the path of an item, an output, or a file of a shard may be.
//!
//! The same rule on every way in and out: a relative path of plain components, so that a path can never lead out of the
//! directory it is put under.

use crate::bounds::{COMPONENT_BYTES, PATH_BYTES};

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// Nothing, or nothing between two slashes.
    #[error("it has an empty component")]
    Empty,
    /// Begins with a slash.
    #[error("it is absolute")]
    Absolute,
    /// Has a `.` or `..` component.
    #[error("it has a `.` or `..` component")]
    Dots,
    /// Has a control character.
    #[error("it has a control character")]
    Control,
    /// Is not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// Longer than [`PATH_BYTES`], or a component of it longer than [`COMPONENT_BYTES`].
    #[error("it is longer than {PATH_BYTES} bytes, or a component of it longer than {COMPONENT_BYTES}")]
    TooLong,
}

/// Says whether `path` may be used below a directory.
pub fn check(path: &str) -> Result<(), BadPath> {
    if path.len() > PATH_BYTES {
        return Err(BadPath::TooLong);
    }
    if path.starts_with('/') {
        return Err(BadPath::Absolute);
    }
    if path.chars().any(char::is_control) {
        return Err(BadPath::Control);
    }
    path.split('/').try_for_each(|component| match component {
        "" => Err(BadPath::Empty),
        "." | ".." => Err(BadPath::Dots),
        long if long.len() > COMPONENT_BYTES => Err(BadPath::TooLong),
        _ => Ok(()),
    })
}

/// Where no container may begin: below these nothing is an image's, and a way out was found before (CVE-2024-21626).
const NO_WORKDIR: [&str; 4] = ["/proc", "/sys", "/dev", "/longshore"];

/// Why a working directory is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadWorkdir {
    /// Does not begin with a slash.
    #[error("it is not absolute")]
    Relative,
    /// What comes after the slash is no plain path.
    #[error(transparent)]
    Odd(#[from] BadPath),
    /// Has a character that separates paths.
    #[error("it has a `:` or `,`")]
    Separator,
    /// In one of the places that are not an image's.
    #[error("it is in {0}, which is not the image's")]
    NotTheImages(&'static str),
}

/// Says whether `path` may be a container's working directory.
pub fn check_workdir(path: &str) -> Result<(), BadWorkdir> {
    let below = path.strip_prefix('/').ok_or(BadWorkdir::Relative)?;
    if below.is_empty() {
        return Ok(());
    }
    check(below)?;
    if path.contains([':', ',']) {
        return Err(BadWorkdir::Separator);
    }
    let taken = NO_WORKDIR.iter().find(|taken| is_at_or_below(path, taken));
    taken.map_or(Ok(()), |taken| Err(BadWorkdir::NotTheImages(taken)))
}

/// Whether an absolute path is `base` or below it.
#[must_use]
pub fn is_at_or_below(path: &str, base: &str) -> bool {
    path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_working_directory_is_absolute_plain_and_the_images() {
        for path in ["/", "/work", "/srv/a b", "/develop", "/tmp"] {
            assert_eq!(check_workdir(path), Ok(()), "{path}");
        }
        for (path, why) in [
            ("work", BadWorkdir::Relative),
            ("", BadWorkdir::Relative),
            ("/a/../b", BadWorkdir::Odd(BadPath::Dots)),
            ("//a", BadWorkdir::Odd(BadPath::Absolute)),
            ("/a/", BadWorkdir::Odd(BadPath::Empty)),
            ("/a:b", BadWorkdir::Separator),
            ("/proc/self/fd/8", BadWorkdir::NotTheImages("/proc")),
            ("/longshore/in", BadWorkdir::NotTheImages("/longshore")),
        ] {
            assert_eq!(check_workdir(path), Err(why), "{path:?}");
        }
    }

    #[test]
    fn plain_relative_paths_are_taken() {
        for path in ["a", "a/b.txt", ".hidden", "..a", "a b/ü"] {
            assert_eq!(check(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn paths_that_lead_elsewhere_or_hide_something_are_refused() {
        for (path, why) in [
            ("", BadPath::Empty),
            ("a//b", BadPath::Empty),
            ("a/", BadPath::Empty),
            ("/etc/passwd", BadPath::Absolute),
            ("../x", BadPath::Dots),
            ("a/./b", BadPath::Dots),
            ("a/..", BadPath::Dots),
            ("a\nb", BadPath::Control),
            ("a\u{9b}b", BadPath::Control),
        ] {
            assert_eq!(check(path), Err(why), "{path:?}");
        }
        assert_eq!(check(&"x".repeat(256)), Err(BadPath::TooLong));
        assert_eq!(check(&"x/".repeat(600)), Err(BadPath::TooLong));
    }
}
