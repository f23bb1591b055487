//! `longshore job ls`.

use anyhow::Result;
use clap::Args;

use crate::{context::Context, exit::Exit, views::JobList};

/// Flags of `job ls`.
#[derive(Debug, Default, Args)]
#[command(after_help = "Examples:\n  longshore job ls\n  longshore job ls -q | head -1")]
pub struct LsArgs {
    /// Those of all namespaces; for admins alone
    #[arg(long)]
    all_namespaces: bool,
}

/// Lists jobs.
pub async fn run(args: LsArgs, context: &Context) -> Result<Exit> {
    let client = context.connect().await?;
    let jobs = if args.all_namespaces { client.jobs_of_all_namespaces().await? } else { client.jobs().await? };
    context.printer.view(&JobList(jobs))?;
    Ok(Exit::Done)
}
