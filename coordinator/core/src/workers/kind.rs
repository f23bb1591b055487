//! What workers have in common for whom everything is decided alike.

use std::sync::Arc;

use super::clientele::Clientele;
use crate::{
    fit::{Needs, Offer, could},
    ids::Namespace,
};

/// Whose work a worker may be given, what it offers, and in how many slots.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kind {
    pub clientele: Clientele,
    pub offer: Arc<Offer>,
    pub slots: u32,
}

impl Kind {
    /// Whether such a worker could ever be given work of that namespace that needs this.
    pub fn may_have(&self, namespace: &Namespace, needs: Option<&Needs>) -> bool {
        self.clientele.has(namespace) && could(needs, &self.offer).is_ok()
    }

    /// Whether such work is counted exactly there.
    pub fn counts(&self, needs: Option<&Needs>) -> bool {
        needs.is_some_and(|needs| self.offer.counts(needs, self.slots))
    }
}
