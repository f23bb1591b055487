//! What the core needs to know of a job; everything else about it stays in a blob the record names.

use crate::stages::StageSpec;

/// A job as the core sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSpec {
    /// At least one. The first takes the job's inputs, each further one the outputs of the one before.
    pub stages: Vec<StageSpec>,
    /// Higher goes first.
    pub priority: i32,
}
