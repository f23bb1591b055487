//! A replica with interface `http`: a server that stays up, asked many things at once.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use longshore_contract::bounds::ANSWER_BYTES;
use longshore_root::{Call, CallError};
use tokio::sync::Semaphore;

use super::{
    call::{Serving, call_error, part_name},
    error::ReplicaError,
    spec::{ReplicaSpec, Started},
};
use crate::{
    cache::Blob,
    contract::{
        failures,
        http::{Content, Part, Question},
        placeholders::Fixed,
        received::InMemory,
        serve::{Server, ServerSpec, Unserved},
    },
    runtime::Control,
};

/// How long a server may take to be ready: models are large.
const START: Duration = Duration::from_secs(600);

/// Bytes kept of each log.
const LOG_BYTES: u32 = 16 << 10;

/// Calls a server works on at once when its service does not say.
const CONCURRENCY: u32 = 16;

/// A server that is ready.
pub(super) struct ServerReplica {
    server: Server,
    spec: Arc<ReplicaSpec>,
    working: Semaphore,
}

impl ServerReplica {
    /// Starts the server in its container and waits until it is ready.
    pub(super) async fn start(spec: &Arc<ReplicaSpec>, started: &Started) -> Result<Self, ReplicaError> {
        let told = ServerSpec {
            image: &started.image,
            container: &spec.container,
            fixed: spec.fixed(&started.paths),
            socket: &started.paths.inside_socket,
            max_output_bytes: ANSWER_BYTES,
            log_bytes: LOG_BYTES,
        };
        let server = Server::start(Arc::clone(&started.shim), told).await.map_err(ReplicaError::Failed)?;
        server.ready(START, &*started.control).await.map_err(ReplicaError::Failed)?;
        let concurrency = if spec.concurrency == 0 { CONCURRENCY } else { spec.concurrency };
        Ok(Self { server, spec: Arc::clone(spec), working: Semaphore::new(concurrency as usize) })
    }

    /// Waits until the server has ended; answers why.
    pub(super) async fn ended(&self, control: &dyn Control) -> ReplicaError {
        ReplicaError::Failed(self.server.end(control).await)
    }

    async fn ask(&self, call: Call, within: Duration) -> Result<Bytes, CallError> {
        let failed = |error: &dyn std::fmt::Display| CallError::Failed(error.to_string());
        let asked = tokio::time::Instant::now();
        let _working = self.working.acquire().await.map_err(|error| failed(&error))?;
        let within = within.saturating_sub(asked.elapsed());
        let fixed = Fixed { job: &self.spec.service, shards: Some(self.spec.shards), ..Fixed::default() };
        let question = Question { item: self.spec.item(), fixed, within: Some(within), content: content(call) };
        let mut answer = InMemory::default();
        match self.server.ask(question, &mut answer).await {
            Ok(()) => Ok(answer.whole()),
            Err(Unserved::Busy(failure)) => Err(CallError::Busy(failures::in_a_line(&failure))),
            Err(Unserved::Failed(failure)) => Err(call_error(&failure)),
            // Another replica is asked at once: the news of this one's end is not waited for.
            Err(Unserved::Lost(error)) => Err(failed(&error)),
        }
    }
}

impl Serving for ServerReplica {
    fn call(&self, call: Call, within: Duration) -> BoxFuture<'_, Result<Bytes, CallError>> {
        Box::pin(self.ask(call, within))
    }
}

fn content(call: Call) -> Content {
    match call {
        Call::Leaf(body) => {
            let size = body.len() as u64;
            Content::One(Blob::Bytes(body), size)
        }
        Call::Merge(parts) => {
            let part = |(shard, bytes): (u32, Bytes)| Part {
                shard: shard.into(),
                name: part_name(shard),
                size: bytes.len() as u64,
                blob: Blob::Bytes(bytes),
            };
            Content::Parts(parts.into_iter().map(part).collect())
        }
    }
}
