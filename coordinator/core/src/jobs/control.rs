//! What may be asked of a job or worker that is there, and what is kept of it. Each can be asked again and is answered alike: whoever
//! has lost an answer just asks once more.

use crate::ids::{JobId, WorkerId};

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// Nothing more of the job is given out.
    Pause {
        /// The job.
        job: JobId,
        /// Why.
        why: String,
        /// What runs is stopped too, and runs anew later.
        stop: bool,
    },
    /// It is given out again.
    Resume {
        /// The job.
        job: JobId,
    },
    /// The job runs by other terms from now on.
    Change {
        /// The job.
        job: JobId,
        /// What is different.
        change: Change,
    },
    /// The job is to be gone.
    Remove {
        /// The job.
        job: JobId,
        /// If it has not ended, it is cancelled first.
        force: bool,
    },
    /// The worker is given nothing more.
    Drain {
        /// The worker.
        worker: WorkerId,
    },
    /// It is given work again.
    Undrain {
        /// The worker.
        worker: WorkerId,
    },
}

/// Terms of a job that may change while it runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Its priority, if that is to be another.
    pub priority: Option<i32>,
    /// Most attempts at once of these stages; 0 means no limit.
    pub max_parallel: Vec<(u16, u32)>,
}

/// Why nothing of a job is given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// By whom.
    pub by: PausedBy,
    /// In their words; may be empty.
    pub why: String,
    /// Unix milliseconds.
    pub since_ms: u64,
    /// What ran was stopped.
    pub stop: bool,
}

/// Who has paused a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PausedBy {
    /// Somebody who asked for it.
    Person,
}

/// What a retry puts back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retried {
    /// Items that had failed.
    pub failed: u64,
    /// Items that had not ended.
    pub unended: u64,
    /// The stage and index from which on items are still to be put back; `None` once all are.
    pub next: Option<(u16, u64)>,
    /// Those that failed from this stage and index on stay so; `None`: none do.
    pub until: Option<(u16, u64)>,
}

/// Some items of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Only {
    /// Of this stage.
    pub stage: u16,
    /// That one; `None`: all.
    pub index: Option<u64>,
}

impl Only {
    /// The stage and index of the first, and of what is behind the last.
    pub(crate) fn range(self) -> ((u16, u64), (u16, u64)) {
        let Self { stage, index } = self;
        match index {
            Some(index) => ((stage, index), (stage, index.saturating_add(1))),
            None => ((stage, 0), (stage.saturating_add(1), 0)),
        }
    }
}

/// How far the removal of a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Going {
    /// The stage whose items go next.
    pub stage: u16,
    /// The first of them that has not gone.
    pub index: u64,
    /// How many each stage had.
    pub items: Vec<u64>,
}
