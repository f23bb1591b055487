//! A job of one item: how long from the submission to the output in hand.

mod cold;
mod job;
mod warm;

use anyhow::Result;
use clap::Args;

use crate::{
    contender::{Contenders, compare},
    image,
    report::Report,
    setup::{Rounds, Setup},
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
