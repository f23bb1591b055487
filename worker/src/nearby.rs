//! The way to a worker's replicas from within its own process: the coordinator of `up` needs no stream to it.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
pub use longshore_proto::v1::ReplicaId;

use crate::replicas::Replicas;
pub use crate::replicas::{Ask, Unanswered};

/// The way to one worker. Clones lead to the same.
#[derive(Clone, Default)]
pub struct Nearby(Arc<OnceLock<Arc<Replicas>>>);

impl Nearby {
    /// From now on calls arrive. Only the first worker counts.
    pub(crate) fn open(&self, replicas: Arc<Replicas>) {
        // One is made for one worker.
        let _ = self.0.set(replicas);
    }

    /// Calls a replica, for at most the time given. Dropping the future abandons the call.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn call(&self, replica: &ReplicaId, ask: Ask, within: Duration) -> Result<Bytes, Unanswered> {
        let replicas = self.0.get().ok_or_else(|| Unanswered::Failed("its worker is starting".to_owned()))?;
        replicas.call(replica, ask, within).await
    }
}

impl fmt::Debug for Nearby {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Nearby").field(&self.0.get().is_some()).finish()
    }
}
