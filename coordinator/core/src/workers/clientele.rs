//! Whose work a worker may be given.

use std::collections::BTreeSet;

use crate::ids::Namespace;

/// Whose work a worker may be given.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Clientele {
    /// Everybody's.
    #[default]
    Everybody,
    /// That of these namespaces alone.
    Only(BTreeSet<Namespace>),
}

impl Clientele {
    /// Whether work of this namespace may be given to it.
    #[must_use]
    pub fn has(&self, namespace: &Namespace) -> bool {
        match self {
            Self::Everybody => true,
            Self::Only(some) => some.contains(namespace),
        }
    }
}
