//! `longshore job …`.

pub mod cancel;
pub mod events;
pub mod explain;
pub mod items;
pub mod logs;
pub mod ls;
pub mod outputs;
pub mod pause;
pub mod replay;
pub mod resume;
pub mod retry;
pub mod rm;
pub mod set;
pub mod show;
pub mod wait;
pub mod watch;

use anyhow::Result;
use clap::Subcommand;

use crate::{
    args::job::{JobId, JobIds},
    context::Context,
    exit::Exit,
};

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
    /// Give nothing more of a job out; what runs goes on
    Pause(pause::PauseArgs),
    /// Let a paused job go on
    #[command(after_help = "Examples:\n  longshore job resume last")]
    Resume(JobIds),
    /// Change the priority of a job, or how many of a stage run at once
    #[command(alias = "update")]
    Set(set::SetArgs),
    /// Remove jobs that have ended
    #[command(alias = "remove")]
    Rm(rm::RmArgs),
    /// Put the failed items of an ended job back into the queue, and go on with what had not ended
    Retry(retry::RetryArgs),
    /// List a job's items: their states, workers, tries and times
    Items(items::ItemsArgs),
    /// Say why what of a job waits does not run, and what to do about it
    #[command(
        alias = "why",
        after_help = "Examples:\n  longshore job explain last\n  longshore job explain last --format json\n\nWhat has to be mended first comes first."
    )]
    Explain(JobId),
    /// List what happened to a job, or follow it
    Events(events::EventsArgs),
    /// Show what items wrote to standard output and error
    Logs(logs::LogsArgs),
    /// Run one item here, as it was run, and keep everything
    Replay(Box<replay::ReplayArgs>),
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
        JobCommand::Pause(args) => pause::run(args, context).await,
        JobCommand::Resume(jobs) => resume::run(jobs, context).await,
        JobCommand::Set(args) => set::run(args, context).await,
        JobCommand::Rm(args) => rm::run(args, context).await,
        JobCommand::Retry(args) => retry::run(args, context).await,
        JobCommand::Items(args) => items::run(args, context).await,
        JobCommand::Explain(job) => explain::run(job, context).await,
        JobCommand::Events(args) => events::run(args, context).await,
        JobCommand::Logs(args) => logs::run(args, context).await,
        JobCommand::Replay(args) => replay::run(*args, context).await,
        JobCommand::Outputs(args) => outputs::run(args, context).await,
    }
}
