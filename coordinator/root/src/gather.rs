//! One shard's part, from whichever replica gives it.

use std::sync::Arc;

use crate::{
    message::Part,
    topology::{CallError, Candidate, Target},
};

/// What came of calling one of several replicas.
pub(crate) struct Called<T> {
    pub answer: Result<Part, CallError>,
    /// Who answered, or was asked last.
    pub target: Option<Arc<T>>,
}

/// Nobody could be asked.
pub(crate) fn nobody_ready<T: Target>(candidates: &[Candidate<T>]) -> Called<T> {
    let reasons: Vec<String> = candidates
        .iter()
        .map(|candidate| {
            let reason = candidate.unready.as_deref().unwrap_or("ready");
            format!("{} {reason}", candidate.target)
        })
        .collect();
    let reasons = if reasons.is_empty() { "none placed".to_owned() } else { reasons.join(", ") };
    Called { answer: Err(CallError::Failed(format!("no ready replica ({reasons})"))), target: None }
}
