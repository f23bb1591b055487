//! `longshore worker`: run one, or list them.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::{args::servers::WorkerArgs, context::Context, exit::Exit, failure::Failure, serve, views::WorkerList};

/// Run a worker with --join, or list workers.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:
  longshore worker --join 127.0.0.1:7077 --slots 8
  longshore worker ls"
)]
pub struct WorkerCommand {
    #[command(subcommand)]
    command: Option<WorkerSubcommand>,
    #[command(flatten)]
    serve: Option<WorkerArgs>,
}

#[derive(Debug, Subcommand)]
enum WorkerSubcommand {
    /// List workers
    #[command(after_help = "Examples:\n  longshore worker ls\n  longshore worker ls --format json")]
    Ls,
}

/// Runs or lists.
pub async fn run(args: WorkerCommand, context: &Context) -> Result<ExitCode> {
    match (args.command, args.serve) {
        (Some(WorkerSubcommand::Ls), _) => ls(context).await.map(ExitCode::from),
        (None, Some(args)) => serve::worker(args).await,
        (None, None) => Err(Failure::usage("no coordinator is named").hint("longshore worker --join HOST:PORT").into()),
    }
}

async fn ls(context: &Context) -> Result<Exit> {
    let workers = context.connect().await?.workers().await?;
    context.printer.view(&WorkerList(workers))?;
    Ok(Exit::Done)
}
