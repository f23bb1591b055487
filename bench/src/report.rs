//! Medians, ranges and ratios, for people and as JSON.

use std::collections::BTreeMap;

use comfy_table::{Table, presets::NOTHING};
use serde::Serialize;

use crate::peers::Measured;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The machine.
    machine: String,
    /// One row per peer, Longshore first.
    rows: Vec<Row>,
    /// Peers that were not measured.
    missing: Vec<String>,
}

/// One peer.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    rate: f64,
    slowest: f64,
    fastest: f64,
    /// Longshore's median rate divided by this one's.
    ratio: f64,
    cpu: String,
    peak_mib: f64,
    runs: Vec<Measured>,
}

impl Report {
    /// Takes all runs together.
    pub fn new(order: &[String], runs: &BTreeMap<String, Vec<Measured>>, missing: &[String]) -> Self {
        let rates = |name: &String| {
            let mut rates: Vec<f64> = runs[name].iter().map(Measured::rate).collect();
            rates.sort_by(f64::total_cmp);
            rates
        };
        let ours = order.first().map_or(1.0, |name| median(&rates(name)));
        let row = |name: &String| {
            let rates = rates(name);
            let rate = median(&rates);
            Row {
                name: name.clone(),
                rate,
                slowest: rates.first().copied().unwrap_or(0.0),
                fastest: rates.last().copied().unwrap_or(0.0),
                ratio: ours / rate,
                cpu: cpu(&runs[name]),
                peak_mib: peak(&runs[name]),
                runs: runs[name].clone(),
            }
        };
        Self { machine: machine(), rows: order.iter().map(row).collect(), missing: missing.to_vec() }
    }

    /// As a table.
    pub fn text(&self) -> String {
        let mut table = Table::new();
        table.load_style(NOTHING);
        table.set_header(["peer", "items/s", "slowest", "fastest", "ours ÷ it", "CPU ms/item", "peak MiB"]);
        for row in &self.rows {
            table.add_row([
                row.name.clone(),
                number(row.rate),
                number(row.slowest),
                number(row.fastest),
                format!("{:.2}", row.ratio),
                row.cpu.clone(),
                if row.peak_mib > 0.0 { format!("{:.0}", row.peak_mib) } else { String::new() },
            ]);
        }
        let missing: String = self.missing.iter().map(|name| format!("\nmissing: {name}")).collect();
        format!(
            "{}\nmedians of {} runs\n\n{table}\n{missing}",
            self.machine,
            self.rows.first().map_or(0, |row| row.runs.len())
        )
    }
}

fn number(rate: f64) -> String {
    if rate < 100.0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

fn median(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => sorted[odd / 2],
        even => f64::midpoint(sorted[even / 2 - 1], sorted[even / 2]),
    }
}

/// The median processor time per item of each process.
fn cpu(runs: &[Measured]) -> String {
    let Some(first) = runs.first() else { return String::new() };
    let of = |at: usize| {
        let mut all: Vec<f64> = runs.iter().filter_map(|run| Some(run.cpu_ms_per_item.get(at)?.1)).collect();
        all.sort_by(f64::total_cmp);
        median(&all)
    };
    let names = first.cpu_ms_per_item.iter().enumerate();
    names.map(|(at, (name, _))| format!("{name} {:.3}", of(at))).collect::<Vec<_>>().join(", ")
}

fn peak(runs: &[Measured]) -> f64 {
    #[allow(clippy::cast_precision_loss)]
    let mib = |kib: u64| kib as f64 / 1_024.0;
    runs.iter().map(|run| mib(run.peak_kib)).fold(0.0, f64::max)
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")?.split(':').nth(1).map(str::trim));
    format!("{cores} cores of {}, Linux {kernel}", model.unwrap_or("an unnamed processor"))
}
