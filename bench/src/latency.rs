//! A job of one item: how long from the submission to the output in hand.

mod cold;
mod warm;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use clap::Args;

use crate::{
    args::{Rounds, Setup},
    contender::{Contenders, Run, compare},
    image,
    report::{Report, median},
};

/// Flags of `latency`.
#[derive(Debug, Args)]
pub struct LatencyArgs {
    #[command(flatten)]
    pub setup: Setup,
    /// Jobs of one run on a warm system
    #[arg(long, value_name = "N", default_value_t = 40)]
    pub jobs: usize,
    /// Jobs of one run on a cold system
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub cold_jobs: usize,
}

/// Before each job, so that the one before is over and done with and the system idle.
const PAUSE: Duration = Duration::from_millis(100);

/// What the item does.
const COMMAND: [&str; 3] = ["cp", "{in}", "{out}"];

/// Measures both systems.
pub fn run(args: &LatencyArgs, rounds: &Rounds) -> Result<Report> {
    let image = image::ensure(&args.setup.image)?;
    let (setup, jobs, cold_jobs) = (&args.setup, args.jobs, args.cold_jobs);
    let mut report = Report::new();
    let warm: Contenders = vec![
        Box::new(warm::Command::new(setup, &image, jobs)),
        Box::new(warm::Connection::new(setup, &image, jobs)),
        Box::new(warm::Alone { jobs }),
    ];
    compare(&mut report, "one item on an idle, warm system", "ms", warm, rounds)?;
    let cold: Contenders = vec![
        Box::new(cold::Longshore { setup: setup.clone(), image: image.clone(), jobs: cold_jobs }),
        Box::new(cold::DockerRun { image, jobs: cold_jobs }),
    ];
    compare(&mut report, "one item with no container started", "ms", cold, rounds)?;
    report.note(args.setup.disk()?);
    report.note("each run is the median of its jobs, 90% of which took at most p90");
    Ok(report)
}

/// The run that these times make: their median, and what nine of ten stay below.
fn summary(mut times: Vec<Duration>) -> Result<Run> {
    times.sort_unstable();
    let millis: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1_000.0).collect();
    let middle = median(&millis).context("no job was run")?;
    let high = millis[(millis.len() * 9 / 10).min(millis.len() - 1)];
    let run = Run { wall_s: times.iter().sum::<Duration>().as_secs_f64(), ..Run::default() };
    Ok(run.with("ms", middle).with("p90 ms", high))
}

/// A file that was never there before.
fn input(dir: &Path, number: usize) -> Result<PathBuf> {
    let path = dir.join(format!("item-{number}"));
    std::fs::write(&path, format!("{} {number}", path.display()))?;
    Ok(path)
}
