//! The coordinator alone: the real `longshore coordinator` over real gRPC with a durable store, and simulated workers.
//!
//! For each number of items, of workers and of stages, on a data directory of its own:
//!
//! 1. A job is submitted, its items all of one small input; memory is read before and after.
//! 2. The coordinator is stopped and started again with the job queued.
//! 3. Workers say hello. When every one is welcome they begin, and each attempt succeeds at once with what a real worker
//!    reports of `true`: one empty output under the item's name, inline, and a millisecond of run time. The clock runs
//!    from there until the last result is settled, which it is once its outcome is durable.
//! 4. The coordinator is stopped and started again with every outcome, and lists the outputs of the last stage: in order of
//!    the inputs, whatever the order of commits was.

mod flags;
mod job;
mod server;
mod worker;

use std::time::Duration;

use anyhow::Result;

pub use self::flags::CoordinatorArgs;
use self::{server::Server, worker::Crew};
use crate::{
    processes::{self, Activity},
    report::{Group, Report},
    run::Run,
    setup::{Rounds, Setup},
};

/// Measures everything that was asked for.
pub fn run(args: &CoordinatorArgs, rounds: &Rounds) -> Result<Report> {
    let setup = args.setup();
    // One thread: what workers take must not crowd out the coordinator, and is not meant to be quick.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut report = Report::new();
    let mut group = Group::new("the coordinator alone", "completions/s");
    for round in 1..=rounds.rounds {
        for &items in &args.items {
            for (&workers, &stages) in args.workers.iter().flat_map(|w| args.stages.iter().map(move |s| (w, s))) {
                let job = Job { items, workers, stages };
                let name = job.name();
                if !rounds.wants(&name) {
                    continue;
                }
                eprintln!("the coordinator alone, round {round} of {}: {name}", rounds.rounds);
                let run = runtime.block_on(measure(args, &setup, job))?;
                group.add(&name, &format!("{} slots each", worker::slots(args, workers)), run);
            }
        }
    }
    report.groups.push(group);
    report.note(setup.disk()?);
    report.note("timed from the workers' beginning to the last durable outcome; all workers are in one process");
    report.note(format!(
        "each attempt succeeds at once with one empty output, inline, and {} µs of run time, as of `true`",
        args.run_us
    ));
    report.note("submit s: until the acknowledgement; lists of inputs were put before");
    report.note("outputs/s: listed by one caller, of the last stage, right after a start");
    report.note("B/queued item: growth of the resident set from before the submission to after it");
    report.note("start … s: from the start of the process to an answer about its jobs, with the job queued or done");
    Ok(report)
}

/// What is submitted, and who works on it.
#[derive(Debug, Clone, Copy)]
struct Job {
    items: u64,
    workers: u32,
    stages: u16,
}

impl Job {
    fn name(&self) -> String {
        let Self { items, workers, stages } = self;
        match stages {
            1 => format!("{items} items, {workers} workers"),
            _ => format!("{items} items, {workers} workers, {stages} stages"),
        }
    }

    fn completions(&self) -> u64 {
        self.items * u64::from(self.stages)
    }
}

async fn measure(args: &CoordinatorArgs, setup: &Setup, job: Job) -> Result<Run> {
    let Job { items, workers, stages } = job;
    let dir = setup.dir()?;
    let binary = setup.longshore()?;
    let (server, _) = Server::start(&binary, dir.path()).await?;
    let submission = job::put_inputs(&server, items, stages).await?;
    let before = server.resident_bytes()?;
    let acknowledged = job::submit(&server, submission).await?;
    let queued = server.resident_bytes()?.saturating_sub(before);
    let submission_peak = processes::of(server.pid())?.peak_kib;
    server.stop()?;

    let (server, start_queued) = Server::start(&binary, dir.path()).await?;
    let crew = Crew::join(args, &server, job.completions(), workers).await?;
    let (coordinator_before, own_before) = used(&server)?;
    let took = crew.work().await?;
    let (coordinator_after, own_after) = used(&server)?;
    job::ensure_done(&server, items).await?;
    let peak = processes::of(server.pid())?.peak_kib.max(submission_peak);
    server.stop()?;

    let (server, start_done) = Server::start(&binary, dir.path()).await?;
    job::ensure_done(&server, items).await?;
    let listing = job::list_outputs(&server, items).await?;
    server.stop()?;

    let completions = float(job.completions());
    let per_item_us = |cpu: (Duration, u64)| cpu.0.as_secs_f64() * 1e6 / completions;
    Ok(Run::rate("completions/s", completions, took)
        .with("outputs/s", float(items) / listing.as_secs_f64())
        .with("coordinator CPU µs/item", per_item_us(coordinator_after.since(&coordinator_before)))
        .with("workers CPU µs/item", per_item_us(own_after.since(&own_before)))
        .with("submit s", acknowledged.as_secs_f64())
        .with("B/queued item", float(queued) / float(items))
        .with("start queued s", start_queued.as_secs_f64())
        .with("start done s", start_done.as_secs_f64())
        .with("disk B/item", float(server::disk_bytes(dir.path())?) / completions)
        .with_peak("coordinator", peak))
}

/// What the threads of the coordinator and of this process have used.
fn used(server: &Server) -> Result<(Activity, Activity)> {
    Ok((processes::activity(server.pid())?, processes::activity(std::process::id())?))
}

/// A count for a quotient; those here are far below what an f64 holds exactly.
#[allow(clippy::cast_precision_loss)]
fn float(count: u64) -> f64 {
    count as f64
}
