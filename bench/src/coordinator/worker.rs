//! Workers that run nothing: what they are given succeeds at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use longshore_proto::{
    MAX_MESSAGE_BYTES, bounds,
    v1::{self, FromWorker, ToWorker, agent_client::AgentClient, from_worker, result, to_worker},
};
use longshore_way::Wire;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;
use uuid::Uuid;

use super::{flags::CoordinatorArgs, server::Server};

/// Results told in one message, as a real worker does.
const RESULTS: usize = 256;

/// Slots of each of so many workers.
pub fn slots(args: &CoordinatorArgs, workers: u32) -> u32 {
    (args.slots / workers).clamp(1, bounds::SLOTS)
}

/// All workers of one run, welcome and waiting to begin.
pub struct Crew {
    workers: JoinSet<Result<()>>,
    go: CancellationToken,
    done: CancellationToken,
    settled: Arc<AtomicU64>,
    items: u64,
}

impl Crew {
    /// Has all workers say hello and waits until each is welcome.
    pub async fn join(args: &CoordinatorArgs, server: &Server, items: u64, workers: u32) -> Result<Self> {
        let slots = slots(args, workers);
        let (go, done) = (CancellationToken::new(), CancellationToken::new());
        let settled = Arc::new(AtomicU64::new(0));
        let welcomes = Arc::new(Semaphore::new(0));
        let mut crew = JoinSet::new();
        let mut wires = Vec::new();
        for _ in 0..workers {
            wires.push(server.connect().await?);
        }
        for (number, wire) in wires.into_iter().enumerate() {
            let worker = Worker {
                run_us: args.run_us,
                items,
                settled: Arc::clone(&settled),
                done: done.clone(),
                empty: Bytes::copy_from_slice(blake3::hash(b"").as_bytes()),
            };
            let (go, arrived) = (go.clone(), Arc::clone(&welcomes));
            crew.spawn(async move {
                let link = Link::open(wire, number, slots).await?;
                arrived.add_permits(1);
                worker.serve(link, go).await
            });
        }
        tokio::select! {
            ended = crew.join_next() => {
                ended.context("there are no workers")???;
                bail!("a worker's link has ended early");
            }
            all = welcomes.acquire_many(workers) => drop(all?),
        }
        Ok(Self { workers: crew, go, done, settled, items })
    }

    /// Has them begin; how long it took until every item was settled.
    pub async fn work(mut self) -> Result<Duration> {
        let started = Instant::now();
        self.go.cancel();
        tokio::select! {
            ended = self.workers.join_next() => {
                ended.context("there are no workers")???;
                bail!("a worker's link has ended early");
            }
            () = self.done.cancelled() => {}
        }
        let took = started.elapsed();
        let settled = self.settled.load(Ordering::Relaxed);
        anyhow::ensure!(settled == self.items, "{settled} results of {} items were settled", self.items);
        // Time for the job's end to be told, which follows the last result.
        self.workers.shutdown().await;
        Ok(took)
    }
}

/// A link that is up.
struct Link {
    up: mpsc::Sender<FromWorker>,
    down: Streaming<ToWorker>,
    heartbeat: Duration,
}

impl Link {
    async fn open(wire: Wire, number: usize, slots: u32) -> Result<Self> {
        let (up, stream) = mpsc::channel(16);
        let hello = v1::Hello {
            worker_id: Bytes::copy_from_slice(Uuid::new_v4().as_bytes()),
            incarnation: Bytes::copy_from_slice(Uuid::new_v4().as_bytes()),
            name: format!("worker-{number}"),
            slots,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            runtime: "process".to_owned(),
            ..v1::Hello::default()
        };
        up.send(FromWorker { message: Some(from_worker::Message::Hello(hello)) }).await?;
        let mut agent = AgentClient::new(wire)
            .max_decoding_message_size(2 * MAX_MESSAGE_BYTES)
            .max_encoding_message_size(2 * MAX_MESSAGE_BYTES);
        let mut down = agent.link(ReceiverStream::new(stream)).await?.into_inner();
        let Some(to_worker::Message::Welcome(welcome)) = down.message().await?.and_then(|first| first.message) else {
            bail!("the coordinator's first word is not a welcome");
        };
        Ok(Self { up, down, heartbeat: Duration::from_millis(u64::from(welcome.heartbeat_ms.max(10))) })
    }

    async fn say(&self, message: from_worker::Message) -> Result<()> {
        Ok(self.up.send(FromWorker { message: Some(message) }).await?)
    }
}

struct Worker {
    run_us: u64,
    items: u64,
    settled: Arc<AtomicU64>,
    done: CancellationToken,
    empty: Bytes,
}

impl Worker {
    async fn serve(self, mut link: Link, go: CancellationToken) -> Result<()> {
        let mut beat = interval(link.heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = go.cancelled() => break,
                _ = beat.tick() => link.say(from_worker::Message::Heartbeat(v1::Heartbeat::default())).await?,
            }
        }
        loop {
            tokio::select! {
                message = link.down.message() => {
                    let Some(message) = message?.and_then(|message| message.message) else { return Ok(()) };
                    self.take_in(&link, message).await?;
                }
                _ = beat.tick() => link.say(from_worker::Message::Heartbeat(v1::Heartbeat::default())).await?,
            }
        }
    }

    async fn take_in(&self, link: &Link, message: to_worker::Message) -> Result<()> {
        match message {
            to_worker::Message::Assign(assign) => {
                let mut attempts = assign.attempts.into_iter().map(|attempt| self.success(attempt)).peekable();
                while attempts.peek().is_some() {
                    let results = attempts.by_ref().take(RESULTS).collect();
                    link.say(from_worker::Message::Results(v1::Results { results })).await?;
                }
            }
            to_worker::Message::Settled(settled) => {
                let count = settled.ids.len() as u64;
                if self.settled.fetch_add(count, Ordering::Relaxed) + count >= self.items {
                    self.done.cancel();
                }
            }
            to_worker::Message::Return(_) | to_worker::Message::Stop(_) => bail!("everything has ended already"),
            _ => {}
        }
        Ok(())
    }

    fn success(&self, attempt: v1::Attempt) -> v1::Result {
        let output = v1::NamedBlob {
            path: attempt.path.clone(),
            digest: self.empty.clone(),
            size: 0,
            executable: false,
            inline: Some(Bytes::new()),
            origin: String::new(),
        };
        v1::Result {
            id: attempt.id,
            job_id: attempt.job_id,
            stage: attempt.stage,
            index: attempt.index,
            end: Some(result::End::Success(v1::Success { outputs: vec![output] })),
            duration_us: self.run_us,
            path: attempt.path,
            attempt: attempt.attempt,
            ..v1::Result::default()
        }
    }
}
