//! A job's inputs, for those who ask for neighbours one after another: these are in one list.

use std::sync::Arc;

use longshore_proto::{Digest, v1::NamedBlob};

use super::{
    error::CatalogError,
    lists::{LIST, List, Lists},
    submission::Submission,
};

/// A job's inputs.
pub struct Inputs {
    submission: Arc<Submission>,
    /// The list that was read last.
    list: Option<(Digest, Arc<List>)>,
}

impl Inputs {
    pub fn new(submission: Arc<Submission>) -> Self {
        Self { submission, list: None }
    }

    /// One of them.
    pub fn get(&mut self, lists: &Lists, index: u64) -> Result<NamedBlob, CatalogError> {
        let nowhere = || CatalogError::NoInput { stage: 0, index };
        let (digest, at) = self.submission.place(index).ok_or_else(nowhere)?;
        let list = match &self.list {
            Some((known, list)) if *known == digest => list,
            _ => &self.list.insert((digest, lists.get(digest)?)).1,
        };
        let entry = list.entry(at).ok_or_else(nowhere)?;
        entry.map_err(|source| CatalogError::Malformed { what: LIST, source })
    }
}
