//! Who is measured: each knows how to carry out so many trivial items once.

mod docker;
mod hyperqueue;
mod longshore;
mod shell;
mod spawn;

use std::{process::Command, time::Duration};

use anyhow::Result;
use serde::Serialize;

use crate::args::QueueArgs;

/// One of those that are compared.
pub trait Peer {
    /// For the table.
    fn name(&self) -> String;

    /// Carries out its items once.
    fn run(&mut self) -> Result<Measured>;
}

/// Those that are here.
pub type Peers = Vec<Box<dyn Peer>>;

/// One run.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// Items carried out.
    pub items: usize,
    /// Seconds from the first to the last.
    pub wall_s: f64,
    /// Processor milliseconds per item, by process.
    pub cpu_ms_per_item: Vec<(String, f64)>,
    /// Largest resident set of the longest-lived process, KiB; 0 when not known.
    pub peak_kib: u64,
}

impl Measured {
    /// Items in a time.
    pub fn new(items: usize, wall: Duration) -> Self {
        Self { items, wall_s: wall.as_secs_f64(), cpu_ms_per_item: Vec::new(), peak_kib: 0 }
    }

    /// With the processor time of a process.
    pub fn with_cpu(mut self, process: &str, cpu: Duration) -> Self {
        // Counts of items are far below what an f64 holds exactly.
        #[allow(clippy::cast_precision_loss)]
        let per_item = cpu.as_secs_f64() * 1_000.0 / self.items.max(1) as f64;
        self.cpu_ms_per_item.push((process.to_owned(), per_item));
        self
    }

    /// With a peak of memory.
    pub fn with_peak(mut self, peak_kib: u64) -> Self {
        self.peak_kib = peak_kib;
        self
    }

    /// Items per second.
    pub fn rate(&self) -> f64 {
        #[allow(clippy::cast_precision_loss)]
        let items = self.items as f64;
        items / self.wall_s.max(1e-9)
    }
}

/// Everybody who is here, Longshore first; and the names of those who are not.
pub fn all(args: &QueueArgs, image: &str) -> Result<(Peers, Vec<String>)> {
    let mut missing = Vec::new();
    let mut peers: Peers = vec![
        Box::new(longshore::Longshore::start(args, image)?),
        Box::new(shell::InContainer::start(args, image)?),
        Box::new(shell::OnHost::xargs(args)),
        Box::new(spawn::Spawn::new(args)),
    ];
    for parallel in [1, 2, 4, 8] {
        peers.push(Box::new(docker::DockerRun { image: image.to_owned(), parallel, items: args.docker_items }));
    }
    match is_here("parallel") {
        true => peers.push(Box::new(shell::OnHost::gnu_parallel(args))),
        false => missing.push("GNU parallel (not installed)".to_owned()),
    }
    match &args.hq {
        Some(hq) => peers.push(Box::new(hyperqueue::HyperQueue::start(hq, args)?)),
        None => missing.push("HyperQueue (give its command with --hq)".to_owned()),
    }
    missing.push("Celery, Dask (not measured by this program yet)".to_owned());
    Ok((peers, missing))
}

fn is_here(command: &str) -> bool {
    Command::new("sh").args(["-c", &format!("command -v {command} >/dev/null")]).status().is_ok_and(|s| s.success())
}
