//! The servers, wired together: the one place of the command line that knows their insides.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::args::servers::{CoordinatorArgs, UpArgs, WorkerArgs};

/// Coordinator and worker on this machine.
pub async fn up(args: UpArgs) -> Result<ExitCode> {
    let _ = args;
    bail!("not wired yet")
}

/// A coordinator alone.
pub async fn coordinator(args: CoordinatorArgs) -> Result<ExitCode> {
    let _ = args;
    bail!("not wired yet")
}

/// A worker that joins a coordinator.
pub async fn worker(args: WorkerArgs) -> Result<ExitCode> {
    let _ = args;
    bail!("not wired yet")
}
