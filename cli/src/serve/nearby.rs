//! Queries from the coordinator of `up` to the worker beside it: calls within the process.

use std::{future::Future, pin::Pin, time::Duration};

use bytes::Bytes;
use longshore_coordinator::{Call, CallError, Transport};
use longshore_worker::nearby::{Ask, Nearby, ReplicaId, Unanswered};

/// Leads to the worker of this process.
pub struct Beside(pub Nearby);

impl Transport<ReplicaId> for Beside {
    fn call(
        &self,
        target: &ReplicaId,
        call: Call,
        timeout: Duration,
    ) -> Pin<Box<dyn Future<Output = Result<Bytes, CallError>> + Send>> {
        let (worker, replica) = (self.0.clone(), target.clone());
        let ask = match call {
            Call::Leaf(body) => Ask::Leaf(body),
            Call::Merge(parts) => Ask::Merge(parts),
        };
        Box::pin(async move {
            worker.call(&replica, ask, timeout).await.map_err(|why| match why {
                Unanswered::Refused(why) => CallError::Refused(why),
                Unanswered::Busy(why) => CallError::Busy(why),
                Unanswered::Failed(why) => CallError::Failed(why),
            })
        })
    }
}
