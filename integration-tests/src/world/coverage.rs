//! What has happened at least once: a world in which a fault never happens proves nothing about it.

use std::collections::BTreeMap;

/// How often each thing happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage(BTreeMap<&'static str, u64>);

/// Everything that has to happen sometimes.
pub const WANTED: &[&str] = &[
    "an acknowledged submission",
    "an answer lost",
    "a submission repeated",
    "a job cancelled",
    "a job retried",
    "a service deployed",
    "a service removed",
    "a coordinator crash",
    "a coordinator crash between deciding and syncing",
    "a coordinator crash between syncing and answering",
    "a crash that lost records",
    "a crash that kept a part of a sync",
    "a coordinator stall",
    "a slow disk",
    "a full disk",
    "a batch that found no room",
    "a look refused because the disk is full",
    "a job looked at",
    "a jump of the wall clock",
    "several outboxes in one sync",
    "a worker crash",
    "a worker power loss",
    "a worker pause",
    "a worker goodbye",
    "a worker that left without its goodbye",
    "a replica that changed between hello and welcome",
    "a worker that never came back",
    "a link reset",
    "a flapping link",
    "a straggling link",
    "a partition both ways",
    "a partition towards the coordinator",
    "a partition from the coordinator",
    "an order dropped with its link",
    "a link of an unknown worker closed",
    "a message of an older link refused",
    "a copy of a worker",
    "a life asked whether it lives",
    "a newcomer in the place of another",
    "a life taken over",
    "a life back after another",
    "a second life refused",
    "a life that was welcome before refused",
    "a silent link dropped by its worker",
    "an item that takes down its worker",
    "an item that takes down its slot",
    "an item given up",
    "an item filtered",
    "a failure that is not tried again",
    "a job that halts",
    "a deadline that is over",
    "a job that waited for too long",
    "a canary that failed",
    "an item that succeeded after failures",
    "an attempt returned",
    "an attempt asked back",
    "an attempt stopped",
    "a late completion discarded",
    "a completion repeated",
    "a result of an attempt of another worker",
    "a result of an attempt of an old epoch",
    "a result of an attempt that was never given out",
    "a result for an item that is not the attempt's",
    "a result for an item that is not there",
    "a result for an item that has ended",
    "a result for a job that is not there",
    "a false claim refused",
    "a false claim believed",
    "an attempt adopted",
    "an attempt adopted after a coordinator crash",
    "a lease that ran out",
    "a worker missed after a coordinator crash",
    "a suspect found later",
    "a suspect given up",
    "an item that may have ended a machine",
    "an item given out to be alone",
    "a gather item given out",
    "a job with groups",
    "a group given out",
    "a merge of a tree given out",
    "a gather of what came through",
    "a success withdrawn",
    "an item made from an output given out",
    "a replica placed again",
    "a replica adopted",
    "a replica failed",
    "a token made",
    "a worker that joined",
    "a worker that joined again",
    "a token used up",
    "a token that has expired",
    "a wrong secret",
    "a key that is another's",
    "a key renewed",
    "a member taken off the list",
    "a member revoked",
    "a member revoked while it was here",
    "a hello of a revoked worker",
    "a token removed",
    "a token rotated",
    "a key in two namespaces",
    "an item given to a worker of few namespaces",
    "an attempt refused that its worker may not have",
    "some more of a retry",
    "a job paused",
    "a job resumed",
    "a job that waited for another",
    "a job removed",
    "some more of a removal",
    "the key of a removed job refused",
    "other work under the same key refused",
    "a worker drained",
];

impl Coverage {
    /// It happened.
    pub fn saw(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    /// Adds up.
    pub fn add(&mut self, other: &Self) {
        for (what, times) in &other.0 {
            *self.0.entry(what).or_default() += times;
        }
    }

    /// How often it happened.
    #[must_use]
    pub fn times(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// What should happen sometimes and did not.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        WANTED.iter().filter(|what| self.times(what) == 0).copied().collect()
    }

    /// Everything with its count.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(what, times)| (*what, *times))
    }
}
