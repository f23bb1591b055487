//! What is installed here.

use std::process::Command;

/// Whether a command is on the path.
pub fn is_here(command: &str) -> bool {
    Command::new("sh").args(["-c", &format!("command -v {command} >/dev/null")]).status().is_ok_and(|s| s.success())
}
