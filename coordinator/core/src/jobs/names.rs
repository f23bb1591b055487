//! What jobs can be called by, beside the beginnings of their ids: the ends of those, and their names.

use std::collections::{BTreeMap, BTreeSet};

use super::JobState;
use crate::ids::JobId;

/// What a reference to a job means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meant {
    /// No job.
    Nothing,
    /// This one.
    One(JobId),
    /// More than one: the newest of them, newest first.
    Many(Vec<JobId>),
}

impl Meant {
    /// Of ids in order, newest first.
    fn of(mut ids: impl Iterator<Item = JobId>) -> Self {
        let Some(first) = ids.next() else { return Self::Nothing };
        match ids.next() {
            None => Self::One(first),
            Some(second) => Self::Many([first, second].into_iter().chain(ids.take(CANDIDATES - 2)).collect()),
        }
    }
}

/// Jobs that are named to whoever has to choose among more.
pub const CANDIDATES: usize = 8;

/// Jobs of one name that are looked at, the newest: who has more of a name running than that has to use ids.
const NAMESAKES: usize = 256;

/// The ends of ids and the names of the jobs of one namespace.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// Ids whose digits stand the other way round: those that end alike stand together.
    ends: BTreeSet<JobId>,
    names: BTreeMap<String, BTreeSet<JobId>>,
}

impl Names {
    /// There is a job.
    pub fn add(&mut self, id: JobId, name: &str) {
        self.ends.insert(id.reversed());
        if !name.is_empty() {
            self.names.entry(name.to_owned()).or_default().insert(id);
        }
    }

    /// There is not any more.
    pub fn remove(&mut self, id: JobId, name: &str) {
        self.ends.remove(&id.reversed());
        if let Some(ids) = self.names.get_mut(name) {
            ids.remove(&id);
            if ids.is_empty() {
                self.names.remove(name);
            }
        }
    }

    /// The jobs whose ids end with these hexadecimal digits, as they come: at most a few more than are named to anybody.
    pub fn ending_with(&self, text: &str) -> Vec<JobId> {
        let backwards: String = text.chars().rev().collect();
        let Some(range) = JobId::starting_with(&backwards) else { return Vec::new() };
        self.ends.range(range).take(CANDIDATES + 1).map(|id| id.reversed()).collect()
    }

    /// The newest job of that name; or, if more than one of them has not ended, those.
    pub fn named(&self, name: &str, state: impl Fn(JobId) -> Option<JobState>) -> Meant {
        let Some(ids) = self.names.get(name) else { return Meant::Nothing };
        let newest = ids.iter().rev().take(NAMESAKES).copied();
        let goes_on = |id: &JobId| state(*id).is_some_and(|state| !state.has_ended());
        match Meant::of(newest.filter(goes_on)) {
            many @ Meant::Many(_) => many,
            _ => ids.last().map_or(Meant::Nothing, |newest| Meant::One(*newest)),
        }
    }
}

/// The one job that these digits begin or end the id of.
pub(crate) fn by_digits(beginnings: impl Iterator<Item = JobId>, ends: Vec<JobId>) -> Meant {
    let found: BTreeSet<JobId> = beginnings.take(CANDIDATES + 1).chain(ends).collect();
    Meant::of(found.into_iter().rev())
}
