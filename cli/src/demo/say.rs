//! What the demo tells whoever watches it.

use std::io::Write as _;

/// One line of it.
pub fn say(line: &str) {
    // Nobody may be reading.
    let _ = writeln!(std::io::stdout(), "{line}");
}
