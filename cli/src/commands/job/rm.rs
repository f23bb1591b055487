//! `longshore job rm`.

use anyhow::Result;
use clap::Args;

use crate::{args::job::JobIds, context::Context, exit::Exit};

/// Which jobs.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  longshore job rm 0198c2
  longshore job rm --force last
  longshore ps -q | xargs longshore job rm

Outputs that were fetched stay. The idempotency key of a removed job is free after a day.")]
pub struct RmArgs {
    #[command(flatten)]
    jobs: JobIds,
    /// Cancel those that have not ended first
    #[arg(short, long)]
    force: bool,
}

/// Removes them.
pub async fn run(args: RmArgs, context: &Context) -> Result<Exit> {
    let client = context.connect().await?;
    for id in &args.jobs.ids {
        let job = client.remove_job(id, args.force).await?;
        context.printer.note(&format!("job {job} removed"));
    }
    Ok(Exit::Done)
}
