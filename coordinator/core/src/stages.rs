//! Stages: the kinds there are, what the core needs to know of a stage, and how far one is.

mod gather;
mod kind;
mod map;
mod progress;

pub(crate) use self::kind::{Before, Kind};
pub use self::{
    kind::Source,
    progress::{ItemState, Stage},
};

/// How items of a stage come to be. A further kind is a variant here and a file that implements `Kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StageKind {
    /// Each input of the job, or each output of the stage before, is an item.
    Map,
    /// All outputs of the stage before are one item. Never the kind of the first stage of a job whose inputs are its items.
    Gather,
}

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
}

impl StageKind {
    /// What this kind decides.
    pub(crate) fn rules(self) -> &'static dyn Kind {
        match self {
            Self::Map => &map::Map,
            Self::Gather => &gather::Gather,
        }
    }
}
