//! What a keeper tells of its replica.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use longshore_proto::v1::ReplicaPhase;
use tokio::sync::watch;

use super::call::Serving;

/// Where a replica stands.
pub(super) struct State {
    told: Mutex<Told>,
    changes: watch::Sender<u64>,
}

/// As it was last told.
pub(super) struct Told {
    pub phase: ReplicaPhase,
    pub message: String,
    /// Who answers, when it is ready.
    pub serving: Option<Arc<dyn Serving>>,
}

impl State {
    /// A replica that is starting; `changes` counts whatever is told.
    pub(super) fn new(changes: watch::Sender<u64>) -> Self {
        let told = Told { phase: ReplicaPhase::Starting, message: String::new(), serving: None };
        Self { told: Mutex::new(told), changes }
    }

    /// Where it stands now.
    pub(super) fn now(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells everybody where the replica stands.
    pub(super) fn tell(&self, phase: ReplicaPhase, message: impl Into<String>, serving: Option<Arc<dyn Serving>>) {
        *self.now() = Told { phase, message: message.into(), serving };
        self.changes.send_modify(|count| *count += 1);
    }
}
