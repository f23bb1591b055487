//! What `longshore doctor` finds out about this machine's Docker Engine.

use crate::commands::doctor::Check;

/// Checks of the Docker Engine.
pub async fn docker() -> Vec<Check> {
    Vec::new()
}
