//! The job that is measured, and what its times make.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{report::median, run::Run};

/// Before each job, so that the one before is over and done with and the system idle.
pub const PAUSE: Duration = Duration::from_millis(100);

/// What the item does.
pub const COMMAND: [&str; 3] = ["cp", "{in}", "{out}"];

/// The run that these times make: their median, and what nine of ten stay below.
pub fn summary(mut times: Vec<Duration>) -> Result<Run> {
    times.sort_unstable();
    let millis: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1_000.0).collect();
    let middle = median(&millis).context("no job was run")?;
    let high = millis[(millis.len() * 9 / 10).min(millis.len() - 1)];
    let run = Run { wall_s: times.iter().sum::<Duration>().as_secs_f64(), ..Run::default() };
    Ok(run.with("ms", middle).with("p90 ms", high))
}

/// A file that was never there before.
pub fn input(dir: &Path, number: usize) -> Result<PathBuf> {
    let path = dir.join(format!("item-{number}"));
    std::fs::write(&path, format!("{} {number}", path.display()))?;
    Ok(path)
}
