//! Trivial items: a fresh process each, with nothing to read and nothing to say.

mod celery;
mod dask;
mod docker;
mod hyperqueue;
mod ours;
mod python;
mod shell;
mod spawn;

use std::{path::PathBuf, process::Command};

use anyhow::Result;
use clap::Args;

use crate::{
    args::{Rounds, Setup},
    contender::{Contenders, compare},
    image,
    report::Report,
};

/// Flags of `queue`.
#[derive(Debug, Args)]
pub struct QueueArgs {
    #[command(flatten)]
    pub setup: Setup,
    /// Items of one run
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub items: usize,
    /// Items of one run of `docker run`, which is slow
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub docker_items: usize,
    /// HyperQueue's command
    #[arg(long, value_name = "PATH")]
    pub hq: Option<PathBuf>,
    /// A Python that has `celery`, `redis` and `distributed`
    #[arg(long, value_name = "PATH", default_value = "python3")]
    pub python: PathBuf,
}

/// Measures everybody who is here.
pub fn run(args: &QueueArgs, rounds: &Rounds) -> Result<Report> {
    let image = image::ensure(&args.setup.image)?;
    let slots = args.setup.slots;
    let mut contenders: Contenders = vec![
        Box::new(ours::Ours::up(args, &image)),
        Box::new(ours::Ours::apart(args, &image)),
        Box::new(shell::InContainer::new(args, &image)),
        Box::new(shell::OnHost::xargs(args)),
        Box::new(spawn::Spawn { slots, items: args.items }),
    ];
    for parallel in [1, 2, 4, 8] {
        contenders.push(Box::new(docker::DockerRun { image: image.clone(), parallel, items: args.docker_items }));
    }
    contenders.push(Box::new(shell::OnHost::gnu_parallel(args)));
    contenders.push(Box::new(hyperqueue::HyperQueue::new(args)));
    for task in python::TASKS {
        contenders.push(Box::new(celery::Celery::new(args, task)));
    }
    for task in python::TASKS {
        contenders.push(Box::new(dask::Dask::new(args, task)));
    }
    let mut report = Report::new();
    compare(&mut report, "trivial items", "items/s", contenders, rounds)?;
    report.note(args.setup.disk()?);
    report.note(
        "shims: process 1 of the containers; users: everything else in them, from fork to exit; client: the command",
    );
    Ok(report)
}

/// Whether a command is on the path.
fn is_here(command: &str) -> bool {
    Command::new("sh").args(["-c", &format!("command -v {command} >/dev/null")]).status().is_ok_and(|s| s.success())
}
