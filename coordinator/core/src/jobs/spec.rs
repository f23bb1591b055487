//! What the core needs to know of a job; everything else about it stays in a blob the record names.

use super::cut::Halt;
use crate::{ids::JobId, stages::StageSpec};

/// A job as the core sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobSpec {
    /// What people call it. Empty: of a job from before names were kept here.
    pub name: String,
    /// At least one. The first takes the job's inputs, each further one the outputs of the one before.
    pub stages: Vec<StageSpec>,
    /// Higher goes first.
    pub priority: i32,
    /// The jobs that have to end well before anything of it runs.
    pub after: Vec<JobId>,
    /// The jobs that have to end, one way or another, before anything of it runs.
    pub after_any: Vec<JobId>,
    /// How many failed items end it.
    pub halt: Option<Halt>,
    /// How long after it was submitted, or retried, it ends, milliseconds; 0 means never.
    pub deadline_ms: u64,
    /// How long something of it may wait for a worker while nothing of it runs, before it ends, milliseconds; 0 means for ever.
    pub queue_timeout_ms: u64,
}
