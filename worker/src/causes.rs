//! An error with all its causes in one line, for logs and for people elsewhere.

use std::error::Error;

/// `what: why: why that`.
pub(crate) fn in_a_line(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}
