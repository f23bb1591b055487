//! Trivial items: a fresh process each, with nothing to read and nothing to say.

mod celery;
mod dask;
mod docker;
mod flags;
mod hyperqueue;
mod installed;
mod ours;
mod python;
mod shell;
mod spawn;

use anyhow::Result;

pub use self::flags::QueueArgs;
use crate::{
    contender::{Contenders, compare},
    image,
    report::Report,
    setup::Rounds,
};

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
