//! Inputs that cannot be used: the first ends what was begun, or all are left out, told and counted.

use std::sync::{Arc, Mutex, PoisonError};

/// Of those left out, so many are told by name.
const TOLD: usize = 10;

/// What was left out so far. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct LeftOut(Arc<Mutex<Told>>);

/// Of what was left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// How many.
    pub count: u64,
    /// The first of them, each with why: one line each, escaped.
    pub first: Vec<String>,
}

impl LeftOut {
    /// One more is left out.
    pub(crate) fn add(&self, why: &dyn std::error::Error) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.count += 1;
        if told.first.len() < TOLD {
            let cause = why.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            told.first.push(format!("{why}{cause}"));
        }
    }

    /// What was left out so far.
    pub fn told(&self) -> Told {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
