//! Failed attempts of a job that are alike, counted together, with one of each as an example. However many different ones there
//! are, memory is bounded: the smallest group makes room for a new one, which takes over its count (space-saving, Metwally and
//! others 2005), so that what is frequent is never lost. Soft.

use std::collections::HashMap;

use longshore_proto::v1::{FailureGroup, ItemFailure};

use super::fingerprint;

/// Groups that are kept of a job.
const KEPT: usize = 64;

/// Groups that are told, the largest.
const TOLD: usize = 16;

#[derive(Debug)]
struct Group {
    count: u64,
    about: bool,
    example: ItemFailure,
    worker: String,
}

/// The groups of one job.
#[derive(Debug, Default)]
pub struct FailureGroups {
    groups: HashMap<(u32, u64), Group>,
}

impl FailureGroups {
    /// Takes note of a failed attempt, which that worker has run.
    pub fn note(&mut self, failed: &ItemFailure, worker: &str) {
        let Some(failure) = &failed.failure else { return };
        let key = (failed.stage, fingerprint::of(failure));
        if let Some(group) = self.groups.get_mut(&key) {
            group.count += 1;
            return;
        }
        let before = if self.groups.len() < KEPT { 0 } else { self.make_room() };
        let mut example = failed.clone();
        if let Some(failure) = &mut example.failure {
            failure.stderr_tail.clear();
        }
        let group = Group { count: before + 1, about: before > 0, example, worker: worker.to_owned() };
        self.groups.insert(key, group);
    }

    /// Lets the smallest group go; answers how many were in it.
    fn make_room(&mut self) -> u64 {
        let smallest = self.groups.iter().min_by_key(|(key, group)| (group.count, **key)).map(|(key, _)| *key);
        smallest.and_then(|key| self.groups.remove(&key)).map_or(0, |group| group.count)
    }

    /// Whether nothing was noted.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The largest groups, the largest first.
    pub fn largest(&self) -> Vec<FailureGroup> {
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by_key(|(key, group)| (std::cmp::Reverse(group.count), **key));
        let told = groups.into_iter().take(TOLD).map(|((stage, _), group)| FailureGroup {
            stage: *stage,
            attempts: group.count,
            about: group.about,
            example: Some(group.example.clone()),
            worker: group.worker.clone(),
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use longshore_proto::v1::Failure;

    use super::*;

    fn failed(stage: u32, code: i32, path: &str) -> ItemFailure {
        let failure = Failure { class: 1, code, stderr_tail: vec![b'e'; 9].into(), ..Failure::default() };
        ItemFailure { stage, path: path.to_owned(), failure: Some(failure), ..ItemFailure::default() }
    }

    #[test]
    fn alike_ones_are_counted_together_and_the_first_is_the_example() {
        let mut groups = FailureGroups::default();
        for path in ["a", "b", "c"] {
            groups.note(&failed(0, 2, path), "one");
        }
        groups.note(&failed(0, 3, "d"), "two");
        groups.note(&failed(1, 2, "e"), "two");
        let told = groups.largest();
        let example = told[0].example.as_ref().unwrap();
        assert_eq!((told.len(), told[0].attempts, example.path.as_str(), told[0].worker.as_str()), (3, 3, "a", "one"));
        assert!(example.failure.as_ref().unwrap().stderr_tail.is_empty() && !told[0].about);
    }

    #[test]
    fn what_is_frequent_is_never_lost_among_many_different_ones() {
        let mut groups = FailureGroups::default();
        for code in 0..10_000 {
            groups.note(&failed(0, 1_000 + code, "rare"), "one");
            groups.note(&failed(0, 7, "often"), "one");
        }
        assert!(groups.groups.len() <= KEPT);
        let told = groups.largest();
        assert_eq!((told.len(), told[0].attempts), (TOLD, 10_000));
        assert!(!told[0].about && told[1].about);
    }
}
