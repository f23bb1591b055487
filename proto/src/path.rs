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

#[cfg(test)]
mod tests {
    use super::*;

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
