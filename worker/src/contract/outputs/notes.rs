//! What is worth a word though nothing was wrong: it is said at the end of a run's log.

use std::fmt::Write as _;

use super::error::shown;

/// How many are named; of the others is said how many.
const NAMED: usize = 3;

/// Paths that are counted, the first few with their names.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub count: usize,
    names: Vec<String>,
}

impl Tally {
    pub(super) fn add(&mut self, path: &str) {
        self.count += 1;
        if self.names.len() < NAMED {
            self.names.push(shown(path));
        }
    }

    /// A line about them, if there are any: what one of them is, what several are, and what became of them.
    fn say(&self, (one, many): (&str, &str), became: &str, lines: &mut String) {
        let names = self.names.join(", ");
        let more = match self.count - self.names.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        // Writing to a string does not fail.
        let _ = match self.count {
            0 => Ok(()),
            1 => writeln!(lines, "longshore: {one} is {became}: {names}"),
            count => writeln!(lines, "longshore: {count} {many} are {became}: {names}{more}"),
        };
    }
}

/// What the log of a run should have: nothing, mostly.
pub(super) fn lines(empty_dirs: &Tally, skipped_links: &Tally) -> String {
    let mut lines = String::new();
    empty_dirs.say(("an empty directory", "empty directories"), "not kept", &mut lines);
    skipped_links.say(("a link", "links"), "left out", &mut lines);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_named_and_the_others_counted() {
        let tally = |count: usize| {
            let mut tally = Tally::default();
            (0..count).for_each(|at| tally.add(&format!("d/{at}")));
            tally
        };
        assert_eq!(lines(&tally(0), &tally(0)), "");
        assert_eq!(lines(&tally(1), &tally(0)), "longshore: an empty directory is not kept: \"d/0\"\n");
        assert_eq!(
            lines(&tally(2), &tally(5)),
            "longshore: 2 empty directories are not kept: \"d/0\", \"d/1\"\n\
             longshore: 5 links are left out: \"d/0\", \"d/1\", \"d/2\" and 2 more\n"
        );
    }
}
