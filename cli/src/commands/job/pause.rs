//! `longshore job pause`.

use anyhow::Result;
use clap::Args;

use super::cancel::reason;
use crate::{args::job::JobIds, context::Context, exit::Exit};

/// Which jobs, and how.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  longshore job pause last
  longshore job pause 0198c2 --now --reason 'the disk is needed'

What runs goes on; with --now it is stopped, runs anew when the job goes on, and counts as no try. Pausing a paused job is no error.")]
pub struct PauseArgs {
    #[command(flatten)]
    jobs: JobIds,
    /// Stop what runs, too
    #[arg(long)]
    now: bool,
    /// Kept and shown with the job
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, value_parser = reason)]
    reason: String,
}

/// Pauses them.
pub async fn run(args: PauseArgs, context: &Context) -> Result<Exit> {
    let client = context.connect().await?;
    for id in &args.jobs.ids {
        let job = client.pause(id, &args.reason, args.now).await?;
        let running: u64 = job.stages.iter().map(|stage| stage.running).sum();
        let runs = match running {
            0 => String::new(),
            some => format!("; {} under way", crate::amounts::some(some, "attempt")),
        };
        context.printer.note(&format!("job {} paused{runs}", job.job_id));
    }
    Ok(Exit::Done)
}
