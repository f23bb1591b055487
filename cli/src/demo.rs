//! `longshore demo`: both patterns on real files, from nothing.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::{args::servers::Runtime, context::Context};

/// What the demo is given.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// How containers are run
    #[arg(long, value_enum, default_value_t)]
    pub runtime: Runtime,
}

/// Runs the demo.
pub async fn demo(args: DemoArgs, context: &Context) -> Result<ExitCode> {
    let _ = (args, context);
    bail!("not wired yet")
}
