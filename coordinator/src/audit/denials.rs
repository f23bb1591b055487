//! What was denied, added up by who and why for a second: whoever knocks all the time does not fill the disk.

use std::{
    collections::{HashMap, hash_map::Entry},
    time::{Duration, Instant},
};

use serde::Serialize;

use super::line::Line;

/// How long denials are added up.
const PACE: Duration = Duration::from_secs(1);

/// Callers that are told apart within that time.
const CALLERS: usize = 1_000;

/// The first denial of a caller, and how many there were.
#[derive(Debug, Serialize)]
pub struct Denial {
    #[serde(flatten)]
    first: Line,
    count: u64,
}

/// Denials since the last were written.
#[derive(Debug, Default)]
pub struct Denials {
    by_caller: HashMap<String, Denial>,
    since: Option<Instant>,
}

impl Denials {
    /// Somebody was denied something.
    pub fn add(&mut self, line: Line) {
        self.since.get_or_insert_with(Instant::now);
        let room = self.by_caller.len() < CALLERS;
        let who =
            if room { format!("{} {:?} {}", line.principal, line.peer, line.method) } else { "others".to_owned() };
        match self.by_caller.entry(who) {
            Entry::Occupied(known) => known.into_mut().count += 1,
            Entry::Vacant(new) => drop(new.insert(Denial { first: line, count: 1 })),
        }
    }

    /// What is to be written now, if it is time or they are the last.
    pub fn due(&mut self, last: bool) -> Vec<Denial> {
        if !last && self.since.is_none_or(|since| since.elapsed() < PACE) {
            return Vec::new();
        }
        self.since = None;
        self.by_caller.drain().map(|(_, denial)| denial).collect()
    }
}
