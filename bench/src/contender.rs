//! Who is compared, and the rounds: everybody in turn, again and again, so that the machine's moods fall on all alike.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use crate::{
    args::Rounds,
    report::{Group, Report},
};

/// One row: it knows how to carry out its work once.
pub trait Contender {
    /// For the table.
    fn name(&self) -> String;

    /// What one run does, and what is in its time.
    fn does(&self) -> String;

    /// Gets ready, once, before the first round; where that fails, the row is named as missing.
    fn start(&mut self) -> Result<()> {
        Ok(())
    }

    /// Carries out the work once.
    fn run(&mut self) -> Result<Run>;
}

/// Those that are compared in one table, Longshore first.
pub type Contenders = Vec<Box<dyn Contender>>;

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

/// Runs everybody in turn, so many rounds, and adds a table to the report. A row that cannot be measured is named as
/// missing, with the reason, and the others go on.
pub fn compare(report: &mut Report, title: &str, figure: &str, contenders: Contenders, rounds: &Rounds) -> Result<()> {
    let mut group = Group::new(title, figure);
    let mut there = Contenders::new();
    for mut contender in contenders.into_iter().filter(|contender| rounds.wants(&contender.name())) {
        match contender.start() {
            Ok(()) => there.push(contender),
            Err(error) => report.missing(format!("{} ({error:#})", contender.name())),
        }
    }
    for round in 1..=rounds.rounds {
        let mut still = Contenders::new();
        for mut contender in there {
            let name = contender.name();
            eprintln!("{title}, round {round} of {}: {name}", rounds.rounds);
            match contender.run() {
                Ok(run) => {
                    group.add(&name, &contender.does(), run);
                    still.push(contender);
                }
                Err(error) => report.missing(format!("{name} from round {round} on ({error:#})")),
            }
        }
        there = still;
    }
    report.groups.push(group);
    Ok(())
}
