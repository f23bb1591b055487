//! `Agent`: the links to workers.

use std::sync::Arc;

use longshore_core::{
    AttemptId, End, Finished, Held, Incarnation, Input, Order, ReplicaPhase, ReplicaStatus, WorkerId,
};
use longshore_proto::v1::{self, agent_server, from_leaves, from_worker};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::workers::orders::{Scribe, Unreadable};
use crate::{
    api::views,
    drive::Handle,
    drive::deployed::Services,
    kept::catalog::Catalog,
    limits,
    workers::links::{About, Links, Orders},
    workers::results::{self, RecentFailures},
    workers::tunnels::{Tunnels, replica_key},
};

/// The service.
#[derive(Clone)]
pub struct AgentService {
    pub driver: Handle,
    pub catalog: Arc<Catalog>,
    pub services: Arc<Services>,
    pub links: Arc<Links>,
    pub tunnels: Arc<Tunnels>,
    pub failures: Arc<RecentFailures>,
    pub epoch: u64,
    pub lease_ms: u32,
}

type Down<T> = ReceiverStream<Result<T, Status>>;

#[tonic::async_trait]
impl agent_server::Agent for AgentService {
    type LinkStream = Down<v1::ToWorker>;

    async fn link(&self, request: Request<Streaming<v1::FromWorker>>) -> Result<Response<Self::LinkStream>, Status> {
        let mut up = request.into_inner();
        let hello = match up.message().await?.and_then(|first| first.message) {
            Some(from_worker::Message::Hello(hello)) => hello,
            _ => {
                return Err(Status::invalid_argument("the first message of a link is the hello"));
            }
        };
        let peer = Peer::new(&hello)?;
        let about = About { runtime: shown(&hello.runtime), version: shown(&hello.version) };
        let input = said_hello(&peer, hello)?;
        let (down, stream) = mpsc::channel(64);
        let gate = self.links.gate.lock().await;
        let (serial, proof, orders) = self.links.register(peer.worker, about);
        self.driver.tell(input).await?;
        drop(gate);
        let (catalog, services) = (Arc::clone(&self.catalog), Arc::clone(&self.services));
        let scribe = Scribe::new(catalog, services, self.epoch, self.lease_ms, proof);
        tokio::spawn(carry_orders(self.driver.clone(), peer.clone(), scribe, orders, down.clone()));
        let service = self.clone();
        tokio::spawn(async move {
            if let Err(status) = service.listen(&peer, serial, up, &down).await {
                tracing::info!(worker = peer.name, %status, "a worker's link has ended");
                let _ = down.try_send(Err(status));
            }
            let _gate = service.links.gate.lock().await;
            if service.links.remove(peer.worker, serial) {
                let (worker, incarnation) = (peer.worker, peer.incarnation);
                let _ = service.driver.tell(Input::LinkLost { worker, incarnation }).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    type LeavesStream = Down<v1::ToLeaves>;

    async fn leaves(
        &self,
        request: Request<Streaming<v1::FromLeaves>>,
    ) -> Result<Response<Self::LeavesStream>, Status> {
        let mut up = request.into_inner();
        let hello = match up.message().await?.and_then(|first| first.message) {
            Some(from_leaves::Message::Hello(hello)) => hello,
            _ => {
                return Err(Status::invalid_argument("the first message of this stream is the hello"));
            }
        };
        let worker = WorkerId(sixteen(&hello.worker_id, "worker_id")?);
        let (down, stream) = mpsc::channel(64);
        let tunnels = Arc::clone(&self.tunnels);
        let tunnel = tunnels.register(worker, down);
        tokio::spawn(async move {
            while let Ok(Some(message)) = up.message().await {
                tunnel.take_in(message);
            }
            tunnels.remove(worker, &tunnel);
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn workers(&self, _: Request<v1::WorkersRequest>) -> Result<Response<v1::WorkersResponse>, Status> {
        let workers = self.driver.read(longshore_core::Core::worker_views).await?;
        let workers = workers.into_iter().map(|worker| views::worker(self.links.about(worker.id), worker)).collect();
        Ok(Response::new(v1::WorkersResponse { workers }))
    }
}

/// Who is at the other end of a link.
#[derive(Clone)]
struct Peer {
    worker: WorkerId,
    incarnation: Incarnation,
    name: String,
}

impl Peer {
    fn new(hello: &v1::Hello) -> Result<Self, Status> {
        let name = shown(&hello.name);
        let worker = WorkerId(sixteen(&hello.worker_id, "worker_id")?);
        let incarnation = Incarnation(sixteen(&hello.incarnation, "incarnation")?);
        Ok(Self { worker, incarnation, name })
    }
}

/// A word of a worker's, for people.
fn shown(word: &str) -> String {
    word.chars().filter(|c| !c.is_control()).take(limits::NAME_CHARS).collect()
}

fn sixteen(bytes: &[u8], field: &str) -> Result<[u8; 16], Status> {
    bytes.try_into().map_err(|_| Status::invalid_argument(format!("{field} is not 16 bytes")))
}

fn said_hello(peer: &Peer, hello: v1::Hello) -> Result<Input, Status> {
    if !(1..=limits::SLOTS).contains(&hello.slots) {
        return Err(Status::invalid_argument(format!("a worker has 1 to {} slots", limits::SLOTS)));
    }
    let held = hello
        .held
        .into_iter()
        .map(|held| {
            let id = held.id.ok_or("an attempt without an id")?;
            let item = results::item_of(&held.job_id, held.stage, held.index)?;
            Ok(Held { id: AttemptId { epoch: id.epoch, number: id.number }, item })
        })
        .collect::<Result<Vec<_>, String>>()
        .map_err(Status::invalid_argument)?;
    Ok(Input::Hello {
        worker: peer.worker,
        incarnation: peer.incarnation,
        name: peer.name.clone(),
        slots: hello.slots,
        held,
        replicas: hello.replicas.into_iter().filter_map(replica_status).collect(),
    })
}

fn replica_status(report: v1::ReplicaReport) -> Option<ReplicaStatus> {
    let phase = match report.phase() {
        v1::ReplicaPhase::Ready => ReplicaPhase::Ready,
        v1::ReplicaPhase::Failed => ReplicaPhase::Failed,
        v1::ReplicaPhase::Starting | v1::ReplicaPhase::Unspecified => ReplicaPhase::Starting,
    };
    let message = report.message.chars().filter(|c| !c.is_control()).take(512).collect();
    Some(ReplicaStatus { key: replica_key(report.id?), phase, message })
}

/// Carries orders to a worker until its link ends or another takes its place.
async fn carry_orders(
    driver: Handle,
    peer: Peer,
    mut scribe: Scribe,
    mut orders: Orders,
    down: mpsc::Sender<Result<v1::ToWorker, Status>>,
) {
    let mut welcomed = false;
    loop {
        let batch = tokio::select! {
            batch = orders.recv() => batch,
            () = down.closed() => return,
        };
        let Some(mut batch) = batch else {
            let _ = down.send(Err(Status::aborted("another link of this worker has taken over"))).await;
            return;
        };
        if !welcomed {
            // Orders from before this hello were for a link that is no more; the hello has settled them.
            let ours =
                |order: &Order| matches!(order, Order::Welcome { incarnation, .. } if *incarnation == peer.incarnation);
            let Some(welcome) = batch.iter().position(ours) else { continue };
            batch.drain(..welcome);
            welcomed = true;
        }
        let reads = batch.iter().any(|order| matches!(order, Order::Assign { .. } | Order::Replicas { .. }));
        let (messages, unreadable) = leave_runtime_if(reads, || scribe.write(batch));
        for message in messages {
            if down.send(Ok(message)).await.is_err() {
                return;
            }
        }
        if !unreadable.is_empty() {
            let (worker, incarnation) = (peer.worker, peer.incarnation);
            let results = unreadable.into_iter().map(unreadable_result).collect();
            let _ = driver.tell(Input::Finished { worker, incarnation, results }).await;
        }
    }
}

/// Small blobs are read from and written to the page cache: quick enough to do here, but not while others wait for this
/// thread. What needs no disk at all is spared the change of threads.
fn leave_runtime_if<T>(blocks: bool, act: impl FnOnce() -> T) -> T {
    if blocks { tokio::task::block_in_place(act) } else { act() }
}

/// An attempt that ended before it was sent.
fn unreadable_result(unreadable: Unreadable) -> Finished {
    let Unreadable { assignment, why } = unreadable;
    tracing::error!(item = ?assignment.item, why, "an item's input cannot be read");
    let failure = v1::Failure {
        class: v1::FailureClass::Infrastructure.into(),
        message: format!("its input cannot be read: {why}"),
        ..v1::Failure::default()
    };
    let result = v1::Result {
        id: Some(v1::AttemptId { epoch: assignment.id.epoch, number: assignment.id.number }),
        end: Some(v1::result::End::Failure(failure.clone())),
        ..v1::Result::default()
    };
    Finished {
        id: assignment.id,
        item: assignment.item,
        end: End::Failed { blame: longshore_core::Blame::Infrastructure, detail: results::detail(&result, failure) },
        run_us: 0,
    }
}

impl AgentService {
    /// Takes in what a worker says until its link ends.
    async fn listen(
        &self,
        peer: &Peer,
        serial: u64,
        mut up: Streaming<v1::FromWorker>,
        down: &mpsc::Sender<Result<v1::ToWorker, Status>>,
    ) -> Result<(), Status> {
        let (worker, incarnation) = (peer.worker, peer.incarnation);
        loop {
            let message = tokio::select! {
                message = up.message() => message?,
                () = down.closed() => return Ok(()),
            };
            let Some(message) = message else {
                return Ok(());
            };
            let input = match message.message {
                Some(from_worker::Message::Heartbeat(_)) => {
                    if !self.driver.peek(move |core| core.knows(worker, incarnation)).await? {
                        return Err(Status::aborted("the lease has run out; say hello again"));
                    }
                    Input::Heard { worker, incarnation }
                }
                Some(from_worker::Message::Results(results)) => {
                    let results = results.results;
                    let writes = results.iter().any(results::has_bytes);
                    let results =
                        leave_runtime_if(writes, || self.take_in(peer, results)).map_err(Status::invalid_argument)?;
                    Input::Finished { worker, incarnation, results }
                }
                Some(from_worker::Message::Replicas(reports)) => {
                    let replicas = reports.reports.into_iter().filter_map(replica_status).collect();
                    Input::Replicas { worker, incarnation, replicas }
                }
                Some(from_worker::Message::Goodbye(_)) => Input::Goodbye { worker, incarnation },
                Some(from_worker::Message::Hello(_)) => {
                    return Err(Status::invalid_argument("a second hello on one link"));
                }
                None => continue,
            };
            // What an earlier link of this worker still brings is not news any more.
            let _gate = self.links.gate.lock().await;
            if !self.links.is_current(worker, serial) {
                return Err(Status::aborted("another link of this worker has taken over"));
            }
            self.driver.tell(input).await?;
        }
    }

    fn take_in(&self, peer: &Peer, results: Vec<v1::Result>) -> Result<Vec<Finished>, String> {
        results
            .into_iter()
            .map(|result| {
                self.failures.note(&result);
                results::take_in(&self.catalog, &peer.name, result)
            })
            .collect()
    }
}
