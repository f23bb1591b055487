//! Formats of records, by number.

use std::fmt;

/// What the messages of `longshore.kept.v1` under the keys of [`super::keys`] are; others would be another number.
///
/// 1 and 2 were lists of fields by position, to which nothing could be added.
pub const FORMAT: u32 = 3;

/// Name of the file in a data directory that says the format of its records, in digits.
pub const FILE: &str = "format";

/// A format that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It is said.
    Said(u32),
    /// There is a store, but no file that says its format: formats 1 and 2 had none.
    Unsaid,
}

impl Found {
    /// What to do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Said(format) if format > FORMAT => "use the newer version that wrote them",
            _ => "use the older version that wrote them, or begin anew in an empty directory (`--data DIR`)",
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(format) => write!(f, "format {format}"),
            Self::Unsaid => write!(f, "format 2 or 1 (there is no file {FILE:?} beside them)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_is_called_by_its_number_with_what_to_do_about_it() {
        let said = |found: Found| (found.to_string(), found.advice());
        let (newer, older) = (said(Found::Said(FORMAT + 1)), said(Found::Said(1)));
        assert_eq!(newer.0, format!("format {}", FORMAT + 1));
        assert!(newer.1.contains("newer version") && older.1.contains("older version"), "{newer:?} {older:?}");
        let unsaid = said(Found::Unsaid);
        assert!(unsaid.0.contains("format 2 or 1") && unsaid.1.contains("--data"), "{unsaid:?}");
    }
}
