//! The link to the coordinator: hello, orders in, results out, and all of it again after every loss.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use longshore_proto::v1::{self, FromWorker, ToWorker, from_worker, to_worker};
use prost::Message;
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};
use uuid::Uuid;

use super::{
    connection::Coordinator,
    held::{self, Held},
};
use crate::{
    cache::{Cache, lists},
    causes,
    executor::{Executor, WorkId},
    pauses::Pauses,
    replicas::Replicas,
};

/// First and longest pause before another try to connect.
pub(crate) const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// How long the coordinator may take to answer a hello, and to take in a goodbye.
const MANNERS: Duration = Duration::from_secs(10);

/// Results told in one message, and the bytes that may add up to before the message goes.
const RESULTS: usize = 256;

/// When results follow one another faster than this, those of a little while go together: each message costs both sides
/// several wake-ups, and slots have work for 50 ms. A result that comes alone is told at once.
const RESULTS_APART: Duration = Duration::from_millis(5);
const RESULTS_TOGETHER: Duration = Duration::from_millis(2);
const RESULTS_BYTES: usize = 1 << 20;

/// What a link needs to know.
pub(crate) struct Link {
    pub coordinator: Coordinator,
    pub worker: Uuid,
    pub incarnation: Uuid,
    pub name: String,
    pub slots: u32,
    pub runtime: &'static str,
    pub executor: Arc<Executor>,
    pub blobs: Cache,
    pub held: Arc<Held>,
    pub results: mpsc::UnboundedSender<v1::Result>,
    pub replicas: Arc<Replicas>,
}

/// A link that is up.
struct Session {
    up: mpsc::Sender<FromWorker>,
    down: Streaming<ToWorker>,
    heartbeat: Duration,
}

impl Session {
    async fn say(&self, message: from_worker::Message) -> Result<(), Status> {
        let message = FromWorker { message: Some(message) };
        self.up.send(message).await.map_err(|_| Status::unavailable("the link has ended"))
    }
}

impl Link {
    /// Keeps the link up until it is time to leave.
    pub async fn keep_up(self, mut results: mpsc::UnboundedReceiver<v1::Result>, leave: CancellationToken) {
        let mut pauses = Pauses::apart(PAUSES.0, PAUSES.1);
        let mut epoch = 0;
        // Why there is none, as it was last said.
        let mut lost: Option<String> = None;
        loop {
            let session = tokio::select! {
                session = timeout(MANNERS, self.connect(&mut epoch)) => {
                    session.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer to the hello")))
                }
                () = leave.cancelled() => return,
            };
            let ended = match session {
                Ok(session) => {
                    tracing::info!(epoch, "connected to the coordinator");
                    (lost, _) = (None, pauses.reset());
                    self.converse(session, &mut results, &leave).await
                }
                Err(status) => Err(status),
            };
            match ended {
                Ok(()) => return,
                Err(status) if lost.as_deref() != Some(status.message()) => {
                    tracing::warn!(reason = status.message(), "no link to the coordinator; trying again");
                    lost = Some(status.message().to_owned());
                }
                Err(status) => tracing::debug!(reason = status.message(), "still no link"),
            }
            if !pauses.wait(&leave).await {
                return;
            }
        }
    }

    async fn connect(&self, epoch: &mut u64) -> Result<Session, Status> {
        let (up, stream) = mpsc::channel(16);
        let hello = v1::Hello {
            worker_id: Bytes::copy_from_slice(self.worker.as_bytes()),
            incarnation: Bytes::copy_from_slice(self.incarnation.as_bytes()),
            name: self.name.clone(),
            slots: self.slots,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            held: self.held.all(),
            runtime: self.runtime.to_owned(),
            replicas: self.replicas.reports(),
        };
        let hello = FromWorker { message: Some(from_worker::Message::Hello(hello)) };
        up.send(hello).await.map_err(|_| Status::internal("a new channel is closed"))?;
        let mut down = self.coordinator.agent().link(ReceiverStream::new(stream)).await?.into_inner();
        let welcome = match down.message().await?.and_then(|first| first.message) {
            Some(to_worker::Message::Welcome(welcome)) => welcome,
            _ => return Err(Status::internal("the coordinator's first word is not a welcome")),
        };
        if welcome.epoch < *epoch {
            // An older coordinator, come to life beside its successor: its orders are worth nothing.
            return Err(Status::aborted(format!(
                "the coordinator is in epoch {}, older than {epoch}, which was seen before",
                welcome.epoch
            )));
        }
        *epoch = welcome.epoch;
        self.coordinator.prove_by(&welcome.proof);
        let heartbeat = Duration::from_millis(u64::from(welcome.heartbeat_ms.max(10)));
        Ok(Session { up, down, heartbeat })
    }

    /// Carries orders in and results out. `Ok` when it is time to leave.
    async fn converse(
        &self,
        mut session: Session,
        results: &mut mpsc::UnboundedReceiver<v1::Result>,
        leave: &CancellationToken,
    ) -> Result<(), Status> {
        let mut replicas = self.replicas.changes();
        let mut beat = interval(session.heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(RESULTS);
        let mut told: Option<Instant> = None;
        self.tell(&session, self.held.unsettled()).await?;
        loop {
            tokio::select! {
                message = session.down.message() => match message? {
                    Some(message) => self.take_in(message),
                    None => return Err(Status::unavailable("the coordinator has closed the link")),
                },
                count = results.recv_many(&mut batch, RESULTS) => {
                    if count == 0 {
                        return Ok(());
                    }
                    if told.is_some_and(|told| told.elapsed() < RESULTS_APART) {
                        tokio::time::sleep(RESULTS_TOGETHER).await;
                        while batch.len() < RESULTS
                            && let Ok(more) = results.try_recv()
                        {
                            batch.push(more);
                        }
                    }
                    self.tell(&session, batch.drain(..)).await?;
                    told = Some(Instant::now());
                }
                _ = beat.tick() => session.say(from_worker::Message::Heartbeat(v1::Heartbeat {})).await?,
                _ = replicas.changed() => {
                    let reports = self.replicas.reports();
                    session.say(from_worker::Message::Replicas(v1::ReplicaReports { reports })).await?;
                }
                () = leave.cancelled() => return self.say_goodbye(session).await,
            }
        }
    }

    async fn tell(&self, session: &Session, results: impl IntoIterator<Item = v1::Result>) -> Result<(), Status> {
        let mut message = v1::Results::default();
        let mut bytes = 0;
        for result in results {
            bytes += result.encoded_len();
            message.results.push(result);
            if bytes > RESULTS_BYTES {
                session.say(from_worker::Message::Results(std::mem::take(&mut message))).await?;
                bytes = 0;
            }
        }
        if message.results.is_empty() {
            return Ok(());
        }
        session.say(from_worker::Message::Results(message)).await
    }

    async fn say_goodbye(&self, mut session: Session) -> Result<(), Status> {
        session.say(from_worker::Message::Goodbye(v1::Goodbye {})).await?;
        drop(session.up);
        // The coordinator ends the stream when it has heard.
        let _ = timeout(MANNERS, async { while let Ok(Some(_)) = session.down.message().await {} }).await;
        Ok(())
    }

    fn take_in(&self, message: ToWorker) {
        match message.message {
            Some(to_worker::Message::Assign(assign)) => self.assign(assign),
            Some(to_worker::Message::Stop(stop)) => {
                let ids = work_ids(&stop.ids);
                self.executor.stop(&ids);
                self.held.forget(&ids);
            }
            Some(to_worker::Message::Return(back)) => self.executor.give_back(&work_ids(&back.ids)),
            Some(to_worker::Message::Settled(settled)) => self.held.forget(&work_ids(&settled.ids)),
            Some(to_worker::Message::Replicas(desired)) => self.replicas.keep(desired.replicas),
            Some(to_worker::Message::Forget(forget)) => {
                self.held.forget_job(&forget.job_id);
                if let Ok(job) = forget.job_id.as_ref().try_into() {
                    self.executor.forget_job(job);
                }
            }
            Some(to_worker::Message::Welcome(_)) | None => {}
        }
    }

    fn assign(&self, assign: v1::Assign) {
        for context in assign.contexts {
            self.held.learn(context);
        }
        let mut ready = Vec::with_capacity(assign.attempts.len());
        for attempt in assign.attempts {
            let Some((id, context)) = self.held.take_in(&attempt) else { continue };
            if attempt.inputs_refs.is_empty() {
                ready.extend(held::work(id, context, attempt));
            } else {
                self.assign_long(id, context, attempt);
            }
        }
        self.executor.submit(ready);
    }

    /// An attempt whose list of parts is kept in blobs.
    fn assign_long(&self, id: WorkId, context: held::Context, mut attempt: v1::Attempt) {
        let (executor, held, results) = (Arc::clone(&self.executor), Arc::clone(&self.held), self.results.clone());
        let blobs = self.blobs.clone();
        tokio::spawn(async move {
            match lists::entries(&blobs, &attempt.inputs_refs).await {
                Ok(inputs) => {
                    if !held.holds(id) {
                        // It was stopped while its list was on the way.
                        return;
                    }
                    attempt.inputs = inputs;
                    executor.submit(held::work(id, context, attempt).into_iter().collect());
                }
                Err(why) => {
                    let failure = v1::Failure {
                        class: v1::FailureClass::Infrastructure.into(),
                        message: format!("the list of its parts cannot be had: {}", causes::in_a_line(&why)),
                        ..v1::Failure::default()
                    };
                    let end = Some(v1::result::End::Failure(failure));
                    if let Some(result) = held.finish(id, v1::Result { end, ..v1::Result::default() }) {
                        let _ = results.send(result);
                    }
                }
            }
        });
    }
}

fn work_ids(ids: &[v1::AttemptId]) -> Vec<WorkId> {
    ids.iter().map(|id| (id.epoch, id.number)).collect()
}
