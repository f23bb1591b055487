//! What one run was measured to be.

use std::time::Duration;

use serde::Serialize;

/// What one run was measured to be.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Run {
    /// Seconds it took.
    pub wall_s: f64,
    /// Figures by name, with their unit in it.
    pub figures: Vec<(String, f64)>,
    /// Processor milliseconds per item, by process.
    pub cpu_ms_per_item: Vec<(String, f64)>,
    /// Largest resident set in MiB, by process.
    pub peak_mib: Vec<(String, f64)>,
}

impl Run {
    /// So much of something in a time, as a rate per second.
    pub fn rate(unit: &str, amount: f64, wall: Duration) -> Self {
        let run = Self { wall_s: wall.as_secs_f64(), ..Self::default() };
        run.with(unit, amount / wall.as_secs_f64().max(1e-9))
    }

    /// With one more figure.
    pub fn with(mut self, name: &str, value: f64) -> Self {
        self.figures.push((name.to_owned(), value));
        self
    }

    /// With the processor time that so many items took in a process.
    pub fn with_cpu(mut self, process: &str, cpu: Duration, items: usize) -> Self {
        self.cpu_ms_per_item.push((process.to_owned(), cpu.as_secs_f64() * 1_000.0 / count(items).max(1.0)));
        self
    }

    /// With a process's peak of memory.
    pub fn with_peak(mut self, process: &str, kib: u64) -> Self {
        #[allow(clippy::cast_precision_loss)]
        self.peak_mib.push((process.to_owned(), kib as f64 / 1_024.0));
        self
    }
}

/// A number of things; far below what an `f64` holds exactly.
pub fn count(things: usize) -> f64 {
    #[allow(clippy::cast_precision_loss)]
    let things = things as f64;
    things
}
