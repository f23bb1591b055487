//! `longshore job …`.

pub mod cancel;
pub mod logs;
pub mod ls;
pub mod outputs;
pub mod retry;
pub mod show;
pub mod wait;
pub mod watch;

use anyhow::Result;
use clap::Subcommand;

use crate::{args::job::JobId, context::Context, exit::Exit};

/// What to do with jobs.
#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// List jobs, newest first
    #[command(alias = "list")]
    Ls(ls::LsArgs),
    /// Show one job
    #[command(after_help = "Examples:\n  longshore job show last\n  longshore job show 0198c2 --format json")]
    Show(JobId),
    /// Watch a job until it has ended
    #[command(after_help = "Examples:\n  longshore job watch last\n\nCtrl-C stops watching; the job goes on.")]
    Watch(JobId),
    /// Wait until a job has ended; the exit code says how
    Wait(wait::WaitArgs),
    /// Cancel a job
    Cancel(cancel::CancelArgs),
    /// Put the failed items of an ended job back into the queue
    #[command(after_help = "Examples:\n  longshore job retry last && longshore job watch last")]
    Retry(JobId),
    /// Show what items wrote to standard output and error
    Logs(logs::LogsArgs),
    /// List a job's outputs, or fetch them
    Outputs(outputs::OutputsArgs),
}

/// Does it.
pub async fn run(command: JobCommand, context: &Context) -> Result<Exit> {
    match command {
        JobCommand::Ls(args) => ls::run(args, context).await,
        JobCommand::Show(job) => show::run(job, context).await,
        JobCommand::Watch(job) => watch::run(job, context).await,
        JobCommand::Wait(args) => wait::run(args, context).await,
        JobCommand::Cancel(args) => cancel::run(args, context).await,
        JobCommand::Retry(job) => retry::run(job, context).await,
        JobCommand::Logs(args) => logs::run(args, context).await,
        JobCommand::Outputs(args) => outputs::run(args, context).await,
    }
}
