//! Medians, ranges and ratios, for people and as JSON.

use comfy_table::{Cell, CellAlignment, Table, presets::NOTHING};
use serde::Serialize;

use crate::run::Run;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The command line.
    command: String,
    /// The machine.
    machine: String,
    /// The tables.
    pub groups: Vec<Group>,
    /// What to know when reading them.
    notes: Vec<String>,
    /// Rows that were not measured, and why.
    missing: Vec<String>,
}

/// One table: rows that may be compared.
#[derive(Debug, Serialize)]
pub struct Group {
    title: String,
    /// The figure that is compared.
    figure: String,
    rows: Vec<Row>,
}

/// One row and its runs.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    does: String,
    runs: Vec<Run>,
}

impl Report {
    /// An empty report.
    pub fn new() -> Self {
        let command: Vec<String> = std::env::args().skip(1).collect();
        let command = format!("bench {}", command.join(" "));
        Self { command, machine: machine(), groups: Vec::new(), notes: Vec::new(), missing: Vec::new() }
    }

    /// Something to know when reading the tables.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// A row that is not there, and why.
    pub fn missing(&mut self, row: impl Into<String>) {
        self.missing.push(row.into());
    }

    /// As text.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n{}\n", self.machine, self.command);
        for group in self.groups.iter().filter(|group| !group.rows.is_empty()) {
            text.push_str(&group.text());
        }
        let notes = self.notes.iter().map(|note| format!("\nnote: {note}"));
        text.extend(notes);
        text.extend(self.missing.iter().map(|row| format!("\nmissing: {row}")));
        text
    }
}

impl Group {
    /// An empty table that compares this figure.
    pub fn new(title: &str, figure: &str) -> Self {
        Self { title: title.to_owned(), figure: figure.to_owned(), rows: Vec::new() }
    }

    /// Adds a run to a row, which is made if need be.
    pub fn add(&mut self, name: &str, does: &str, run: Run) {
        match self.rows.iter_mut().find(|row| row.name == name) {
            Some(row) => row.runs.push(run),
            None => self.rows.push(Row { name: name.to_owned(), does: does.to_owned(), runs: vec![run] }),
        }
    }

    fn text(&self) -> String {
        let others = self.other_figures();
        let mut table = Table::new();
        table.load_style(NOTHING);
        let mut header = vec!["", &self.figure, "lowest", "highest", "1st ÷ it"];
        header.extend(others.iter().map(String::as_str));
        header.extend(["CPU ms/item", "peak MiB"]);
        table.set_header(header);
        let first = self.rows.first().and_then(|row| row.median(&self.figure));
        for row in &self.rows {
            table.add_row(row.cells(&self.figure, first, &others));
        }
        let runs = self.rows.iter().map(|row| row.runs.len()).max().unwrap_or(0);
        let does = self.rows.iter().map(|row| format!("\n  {}: {}", row.name, row.does));
        let does: String = does.collect();
        format!("\n{}; medians of {runs} runs\n\n{table}\n{does}\n", self.title)
    }

    /// Names of all figures but the one that is compared, in the order of their first appearance.
    fn other_figures(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for (name, _) in self.rows.iter().flat_map(|row| &row.runs).flat_map(|run| &run.figures) {
            if *name != self.figure && !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }
}

impl Row {
    fn cells(&self, figure: &str, first: Option<f64>, others: &[String]) -> Vec<Cell> {
        let values = self.values(figure);
        let middle = median(&values);
        let ratio = first.zip(middle).map(|(first, it)| first / it).filter(|ratio| ratio.is_finite());
        let ratio = ratio.map(|ratio| format!("{ratio:.2}"));
        let shown = |value: Option<f64>| value.map(number).unwrap_or_default();
        let mut cells = vec![shown(middle), shown(values.first().copied()), shown(values.last().copied())];
        cells.push(ratio.unwrap_or_default());
        cells.extend(others.iter().map(|name| shown(self.median(name))));
        let right = |text| Cell::new(text).set_alignment(CellAlignment::Right);
        let mut cells: Vec<Cell> = cells.into_iter().map(right).collect();
        cells.insert(0, Cell::new(&self.name));
        cells.push(Cell::new(by_process(&self.runs, |run| &run.cpu_ms_per_item, 3)));
        cells.push(Cell::new(by_process(&self.runs, |run| &run.peak_mib, 0)));
        cells
    }

    /// A figure's values, the smallest first.
    fn values(&self, figure: &str) -> Vec<f64> {
        let named = self.runs.iter().flat_map(|run| &run.figures).filter(|(name, _)| name == figure);
        let mut values: Vec<f64> = named.map(|(_, value)| *value).collect();
        values.sort_by(f64::total_cmp);
        values
    }

    fn median(&self, figure: &str) -> Option<f64> {
        median(&self.values(figure))
    }
}

/// The median over the runs for each process.
fn by_process(runs: &[Run], of: impl Fn(&Run) -> &Vec<(String, f64)>, digits: usize) -> String {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in runs.iter().flat_map(&of) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let shown = names.into_iter().map(|name| {
        let named = runs.iter().flat_map(&of).filter(|(other, _)| other == name);
        let mut values: Vec<f64> = named.map(|(_, value)| *value).collect();
        values.sort_by(f64::total_cmp);
        format!("{name} {:.digits$}", median(&values).unwrap_or(0.0))
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// The middle of sorted values, or between the two in the middle.
pub fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => sorted.get(middle).copied(),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

fn number(value: f64) -> String {
    match value.abs() {
        big if big >= 1_000.0 => format!("{value:.0}"),
        middling if middling >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")?.split(':').nth(1).map(str::trim));
    format!("{cores} cores of {}, Linux {kernel}", model.unwrap_or("an unnamed processor"))
}
