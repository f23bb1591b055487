//! Who is compared, and the rounds: everybody in turn, again and again, so that the machine's moods fall on all alike.

use anyhow::Result;

use crate::{
    report::{Group, Report},
    run::Run,
    setup::Rounds,
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
