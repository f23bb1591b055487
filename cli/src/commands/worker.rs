//! `longshore worker`: run one, let others join, list them, take them off the list.

pub mod token;

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use clap::{Args, Subcommand};

use longshore_client::escape;

use self::token::WorkerTokenCommand;
use crate::{
    amounts, args::servers::WorkerFlags, context::Context, exit::Exit, failure::Failure, serve, views::WorkerList,
};

/// How often it is looked whether a worker is empty.
const LOOK: Duration = Duration::from_millis(300);

/// Run a worker with --join, or list workers.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:
  longshore worker --join 127.0.0.1:7077 --slots 8
  longshore worker token create           what a worker of another machine joins with
  longshore worker ls"
)]
pub struct WorkerCommand {
    #[command(subcommand)]
    command: Option<WorkerSubcommand>,
    #[command(flatten)]
    serve: WorkerFlags,
}

#[derive(Debug, Subcommand)]
enum WorkerSubcommand {
    /// List workers
    #[command(after_help = "Examples:\n  longshore worker ls\n  longshore worker ls --format json")]
    Ls,
    /// Make, list and end what workers of other machines join with
    #[command(subcommand)]
    Token(WorkerTokenCommand),
    /// Give a worker nothing more, so that it can be stopped without loss
    Drain(DrainArgs),
    /// Give a drained worker work again
    #[command(after_help = "Examples:\n  longshore worker undrain rack3-07")]
    Undrain(WorkerName),
    /// Take a worker off the list, or shut it out
    #[command(
        alias = "remove",
        after_help = "Examples:\n  longshore worker rm old-laptop\n  longshore worker rm --revoke stolen-laptop"
    )]
    Rm(RmArgs),
}

/// Which worker.
#[derive(Debug, Args)]
struct RmArgs {
    /// The worker's id, an unambiguous beginning of it, or its name
    #[arg(value_name = "WORKER")]
    worker: String,
    /// Shut it out at once and for good: what it runs goes elsewhere, and its certificate is good for nothing
    #[arg(long)]
    revoke: bool,
}

/// Which worker.
#[derive(Debug, Args)]
struct WorkerName {
    /// The worker's id, an unambiguous beginning of it, or its name
    #[arg(value_name = "WORKER")]
    worker: String,
}

/// Which worker, and how.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  longshore worker drain rack3-07 --wait && ssh rack3-07 reboot
  longshore worker undrain rack3-07

What runs there goes on; what waits there goes elsewhere. The worker stays drained over its own and the coordinator's restarts.")]
struct DrainArgs {
    #[command(flatten)]
    worker: WorkerName,
    /// Wait until nothing runs there any more
    #[arg(long)]
    wait: bool,
}

impl WorkerCommand {
    /// Whether a worker is run.
    pub fn serves(&self) -> bool {
        self.command.is_none()
    }
}

/// Runs or lists.
pub async fn run(args: WorkerCommand, context: &Context) -> Result<ExitCode> {
    if let Some(command) = args.command {
        let exit = match command {
            WorkerSubcommand::Ls => ls(context).await,
            WorkerSubcommand::Token(command) => token::run(command, context).await,
            WorkerSubcommand::Drain(args) => drain(args, context).await,
            WorkerSubcommand::Undrain(worker) => undrain(worker, context).await,
            WorkerSubcommand::Rm(args) => remove(args, context).await,
        };
        return exit.map(ExitCode::from);
    }
    match args.serve.worker() {
        Some(worker) => serve::worker(worker, context.token()?).await,
        None => Err(Failure::usage("no coordinator is named").hint("longshore worker --join HOST:PORT").into()),
    }
}

async fn ls(context: &Context) -> Result<Exit> {
    let workers = context.connect().await?.workers().await?;
    context.printer.view(&WorkerList(workers))?;
    Ok(Exit::Done)
}

async fn remove(args: RmArgs, context: &Context) -> Result<Exit> {
    let place = context.place()?;
    let removed = context.connect().await?.remove_worker(&args.worker, args.revoke).await?;
    let (name, id) = (escape::line(&removed.name), removed.worker_id);
    let became = if args.revoke { "revoked" } else { "off the list" };
    context.printer.note(&format!("worker {name} ({id}) is {became} at {place}"));
    Ok(Exit::Done)
}

async fn drain(args: DrainArgs, context: &Context) -> Result<Exit> {
    let client = context.connect().await?;
    let drained = client.drain_worker(&args.worker.worker, false).await?;
    let name = escape::line(&drained.name);
    context.printer.note(&format!("worker {name} ({}) is given nothing more", drained.worker_id));
    if !args.wait {
        return Ok(Exit::Done);
    }
    let mut said = (0, 0);
    loop {
        let workers = client.workers().await?;
        let Some(worker) = workers.into_iter().find(|worker| worker.worker_id == drained.worker_id) else {
            context.printer.note(&format!("worker {name} has gone"));
            return Ok(Exit::Done);
        };
        let left = (worker.attempts, worker.replicas);
        if left == (0, 0) {
            context.printer.note(&format!("nothing runs on worker {name} any more"));
            return Ok(Exit::Done);
        }
        if !worker.connected {
            return Err(anyhow::anyhow!("worker {name} is away, so nobody knows what still runs there"));
        }
        if left != said {
            let (attempts, replicas) =
                (amounts::some(left.0.into(), "attempt"), amounts::some(left.1.into(), "replica"));
            context.printer.note(&format!("{attempts} and {replicas} left"));
            said = left;
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn undrain(args: WorkerName, context: &Context) -> Result<Exit> {
    let worker = context.connect().await?.drain_worker(&args.worker, true).await?;
    context.printer.note(&format!("worker {} ({}) is given work again", escape::line(&worker.name), worker.worker_id));
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::commands::{Cli, Command};

    #[test]
    fn a_worker_is_run_with_the_flags_it_was_given() {
        let cli = Cli::try_parse_from(["longshore", "worker", "--join", "h:1", "--slots", "3", "--name", "w"]).unwrap();
        let Command::Worker(command) = cli.command else {
            panic!("{:?}", cli.command);
        };
        let worker = command.serve.worker().unwrap();
        assert_eq!((worker.join.as_str(), worker.name.as_str(), worker.capacity.slots.get()), ("h:1", "w", 3));
    }

    #[test]
    fn listing_needs_no_coordinator_to_join() {
        assert!(Cli::try_parse_from(["longshore", "worker", "ls"]).is_ok());
        assert!(Cli::try_parse_from(["longshore", "worker"]).is_err());
    }
}
