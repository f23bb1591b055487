//! Looks at the same thing within a second: the first has a line before it is done, the others are added up behind it.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    time::{Duration, Instant},
};

use serde::Serialize;

use super::line::Line;
use crate::limits;

/// How long they are added up.
const PACE: Duration = Duration::from_secs(1);

/// How often something was looked at after the line for it was written.
#[derive(Debug, Serialize)]
pub struct Again {
    #[serde(flatten)]
    line: Line,
    count: u64,
}

type Key = (String, Option<IpAddr>, Option<String>, String, String);

/// Looks since the last were written.
#[derive(Debug, Default)]
pub struct Reads {
    seen: HashMap<Key, Again>,
    since: Option<Instant>,
}

impl Reads {
    /// Whether this needs no line of its own, as there is one for it.
    pub fn is_again(&mut self, line: &Line) -> bool {
        let has_room = self.seen.len() < limits::AUDIT_TOLD_APART;
        let Line { principal, peer, namespace, method, resource, .. } = line.clone();
        match self.seen.entry((principal, peer, namespace, method, resource)) {
            Entry::Occupied(known) => {
                known.into_mut().count += 1;
                true
            }
            Entry::Vacant(new) => {
                if has_room {
                    self.since.get_or_insert_with(Instant::now);
                    new.insert(Again { line: line.clone(), count: 0 });
                }
                false
            }
        }
    }

    /// The lines for those are not there.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// What is to be written now, if it is time or they are the last.
    pub fn due(&mut self, last: bool) -> Vec<Again> {
        if !last && self.since.is_none_or(|since| since.elapsed() < PACE) {
            return Vec::new();
        }
        self.since = None;
        self.seen.drain().map(|(_, again)| again).filter(|again| again.count > 0).collect()
    }
}
