//! Stages: the kinds there are, what the core needs to know of a stage, and how far one is.

use std::sync::Arc;

use crate::fit::{Growth, Needs};

mod gathering;
mod keys;
mod kind;
mod progress;
mod recount;
mod require;

use crate::{fault::FaultPolicy, jobs::Breaker};

pub(crate) use self::{
    gathering::{Change, Gathering, Share, Status},
    kind::Before,
    recount::Recount,
};
pub use self::{
    keys::Run,
    kind::{Source, StageKind},
    progress::{ItemState, Stage},
    require::Require,
};

/// A stage as the core sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageSpec {
    /// How its items come to be.
    pub kind: StageKind,
    /// How often an item is tried before it has failed; at least 1.
    pub attempts: u32,
    /// First pause before another try, milliseconds; doubles each time.
    pub backoff_ms: u64,
    /// Longest pause, milliseconds.
    pub max_backoff_ms: u64,
    /// Most attempts under way at once; 0 means no limit.
    pub max_parallel: u32,
    /// How many containers and workers may go away under an item before it is given up for that; at least 1. Never fewer
    /// than its tries.
    pub losses: u32,
    /// Which failures are tried again, and which are none.
    pub policy: FaultPolicy,
    /// So many of its first items have to succeed before any other is begun.
    pub canary: u32,
    /// Whether its job ends when nothing succeeds in it.
    pub breaker: Breaker,
    /// What its attempts need of a worker; `None`: nothing but a slot.
    pub needs: Option<Arc<Needs>>,
    /// How their memory grows after attempts that met its limit; `None`: it does not.
    pub growth: Option<Growth>,
}

impl Default for StageSpec {
    /// A map stage whose items are tried once, at once and wherever there is room.
    fn default() -> Self {
        Self {
            kind: StageKind::Map,
            attempts: 1,
            backoff_ms: 1,
            max_backoff_ms: 1,
            max_parallel: 0,
            losses: 3,
            policy: FaultPolicy::default(),
            canary: 0,
            breaker: Breaker::Auto,
            needs: None,
            growth: None,
        }
    }
}

impl StageSpec {
    /// What an item's attempts need after its memory has grown once, twice, …; as often as it may.
    pub(crate) fn grown(&self) -> Vec<Arc<Needs>> {
        self.growth.map_or_else(Vec::new, |growth| growth.steps(self.needs.as_deref()))
    }

    /// How many losses that speak against an item are too many.
    pub(crate) fn most_losses(&self) -> u32 {
        self.losses.max(self.attempts)
    }
}
