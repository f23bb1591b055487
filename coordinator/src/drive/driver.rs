//! The loop around the core: inputs in, records to the store, and only then everything that depends on them out.
//!
//! While one batch of records is on its way to the disk, the core goes on with further inputs; what they lead to waits
//! for the batch after. So many inputs share one flush, and nothing leaves before it is true.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use longshore_core::{Core, Input, JobId, JobView, Notice, Now, Order, Outbox, Record, Reply, RequestId};
use longshore_store::{Batch, CommitError, Committer};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{drive::deployed::Services, kept::records, limits, workers::links::Links};

/// Inputs taken in before effects are looked after.
const BURST: usize = 512;

/// Pause before a batch is tried again that found no room on the disk.
const LOW_SPACE_PAUSE: Duration = Duration::from_millis(500);

/// Bytes of records in one batch, beside one outbox more: well below what a store takes.
const BATCH_BYTES: usize = 16 << 20;

/// Tells somebody something, once it may be told.
type Delivery = Box<dyn FnOnce() + Send>;

/// Looks at the core now; what was seen is told when it is durable.
type Read = Box<dyn FnOnce(&Core) -> Delivery + Send>;

/// Looks at the core and tells at once.
type Peek = Box<dyn FnOnce(&Core) + Send>;

type Watching = Option<watch::Receiver<Arc<JobView>>>;

enum Command {
    Input(Input),
    Request(Box<dyn FnOnce(RequestId) -> Input + Send>, oneshot::Sender<Reply>),
    Read(Read),
    Peek(Peek),
    Watch(JobId, oneshot::Sender<Watching>),
    Stop(oneshot::Sender<()>),
}

/// The way to the driver. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
}

/// The coordinator is stopping.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the coordinator is stopping")]
pub struct Stopped;

impl Handle {
    /// Tells the core that something happened.
    pub async fn tell(&self, input: Input) -> Result<(), Stopped> {
        self.commands.send(Command::Input(input)).await.map_err(|_| Stopped)
    }

    /// Asks the core for something; the reply comes when what it depends on is durable.
    pub async fn ask(&self, input: impl FnOnce(RequestId) -> Input + Send + 'static) -> Result<Reply, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Request(Box::new(input), reply)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// Looks at the core between two inputs, at once: for what is soft anyhow.
    pub async fn peek<T: Send + 'static>(&self, look: impl FnOnce(&Core) -> T + Send + 'static) -> Result<T, Stopped> {
        let (seen, answer) = oneshot::channel();
        let peek: Peek = Box::new(move |core| {
            // Whoever asked may have gone.
            let _ = seen.send(look(core));
        });
        self.commands.send(Command::Peek(peek)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// Looks at the core between two inputs. The answer comes when everything that was seen is durable: nobody is told of
    /// an end that a crash could undo.
    pub async fn read<T: Send + 'static>(&self, look: impl FnOnce(&Core) -> T + Send + 'static) -> Result<T, Stopped> {
        let (seen, answer) = oneshot::channel();
        let read: Read = Box::new(move |core| {
            let found = look(core);
            Box::new(move || {
                // Whoever asked may have gone.
                let _ = seen.send(found);
            })
        });
        self.commands.send(Command::Read(read)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// The job's view, now and whenever it changes; `None` when there is no such job.
    pub async fn watch(&self, job: JobId) -> Result<Watching, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Watch(job, reply)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// Stops the driver once everything it was told before is durable.
    pub async fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        if self.commands.send(Command::Stop(done)).await.is_ok() {
            let _ = stopped.await;
        }
    }
}

/// The wall and the steady clock.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// The time.
    pub fn now(&self) -> Now {
        let steady_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { steady_ms, wall_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX) }
    }
}

/// What waits for records to be durable.
#[derive(Default)]
struct Effects {
    orders: Vec<Order>,
    replies: Vec<(RequestId, Reply)>,
    /// Services that changed.
    services: BTreeSet<String>,
    /// Jobs that changed, as they are once the records are durable, for those who watch.
    views: Vec<(JobId, Arc<JobView>)>,
    deliveries: Vec<Delivery>,
}

struct Driver {
    core: Core,
    clock: Clock,
    committer: Committer,
    links: Arc<Links>,
    services: Arc<Services>,
    requests: BTreeMap<RequestId, oneshot::Sender<Reply>>,
    request_count: u64,
    watchers: HashMap<JobId, watch::Sender<Arc<JobView>>>,
    changed: BTreeSet<JobId>,
    told_at: Instant,
    /// Not handed to the committer yet: one list per outbox, which is kept whole or not at all.
    records: VecDeque<Vec<Record>>,
    effects: Effects,
    /// Waiting for the batch that is on its way.
    held: Option<Effects>,
    committed: mpsc::Receiver<Result<(), Arc<CommitError>>>,
    on_commit: mpsc::Sender<Result<(), Arc<CommitError>>>,
    batch: Batch,
    stopping: Option<oneshot::Sender<()>>,
}

/// Starts the driver on its own task.
pub fn start(core: Core, clock: Clock, committer: Committer, links: Arc<Links>, services: Arc<Services>) -> Handle {
    let (commands, inbox) = mpsc::channel(4_096);
    let (on_commit, committed) = mpsc::channel(1);
    let driver = Driver {
        core,
        clock,
        committer,
        links,
        services,
        requests: BTreeMap::new(),
        request_count: 0,
        watchers: HashMap::new(),
        changed: BTreeSet::new(),
        told_at: Instant::now(),
        records: VecDeque::new(),
        effects: Effects::default(),
        held: None,
        committed,
        on_commit,
        batch: Batch::new(),
        stopping: None,
    };
    // Before anybody can ask: a service that was kept must not be unknown until the driver's first turn.
    for service in driver.core.ledger().services() {
        driver.services.refresh(&service.name, driver.core.service_view(&service.name));
    }
    tokio::spawn(driver.run(inbox));
    Handle { commands }
}

impl Driver {
    async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        let mut burst = Vec::with_capacity(BURST);
        loop {
            let wake = self.next_wake();
            tokio::select! {
                biased;
                Some(outcome) = self.committed.recv() => self.batch_done(outcome).await,
                count = inbox.recv_many(&mut burst, BURST) => {
                    if count == 0 {
                        return;
                    }
                    burst.drain(..).for_each(|command| self.take(command));
                    // However much comes in, time passes too.
                    if wake.is_some_and(|wake| wake <= Instant::now()) {
                        self.tick();
                    }
                }
                () = sleep_until(wake) => self.tick(),
            }
            self.advance();
            if self.held.is_none()
                && self.records.is_empty()
                && let Some(done) = self.stopping.take()
            {
                // The store is closed before anybody hears that it is.
                tokio::task::block_in_place(|| drop(self));
                let _ = done.send(());
                return;
            }
        }
    }

    /// When the clock has to be looked at again; never, when nothing is timed.
    fn next_wake(&self) -> Option<Instant> {
        let core = self.core.next_deadline_ms().map(|due| {
            let now = self.clock.now().steady_ms;
            Instant::now() + Duration::from_millis(due.saturating_sub(now).max(1))
        });
        let watchers = (!self.changed.is_empty()).then(|| self.told_at + limits::WATCH_PACE);
        // Work under way may be worth moving to an idle worker now and then.
        let balance = self.core.has_running_jobs().then(|| Instant::now() + Duration::from_millis(200));
        [core, watchers, balance].into_iter().flatten().min()
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Input(input) => self.step(input),
            Command::Request(make, reply) => {
                self.request_count += 1;
                let request = RequestId(self.request_count);
                self.requests.insert(request, reply);
                self.step(make(request));
            }
            Command::Peek(peek) => peek(&self.core),
            Command::Read(read) => self.effects.deliveries.push(read(&self.core)),
            Command::Watch(job, reply) => {
                let receiver = self.core.job_view(job).map(|view| {
                    let view = Arc::new(view);
                    let watcher = self.watchers.entry(job).or_insert_with(|| watch::Sender::new(Arc::clone(&view)));
                    if watcher.receiver_count() == 0 {
                        // Left by earlier watchers, it may show an end that a retry has undone.
                        watcher.send_replace(view);
                    }
                    watcher.subscribe()
                });
                // Whoever asked may have gone.
                self.effects.deliveries.push(Box::new(move || drop(reply.send(receiver))));
            }
            Command::Stop(done) => self.stopping = Some(done),
        }
    }

    fn step(&mut self, input: Input) {
        let Outbox { records, orders, replies, notices } = self.core.step(self.clock.now(), input);
        if !records.is_empty() {
            self.records.push_back(records);
        }
        self.effects.orders.extend(orders);
        self.effects.replies.extend(replies);
        for notice in notices {
            match notice {
                Notice::Job(job) if self.watchers.contains_key(&job) => {
                    self.changed.insert(job);
                }
                Notice::Job(_) => {}
                Notice::Service(name) => {
                    self.effects.services.insert(name);
                }
            }
        }
    }

    fn tick(&mut self) {
        self.step(Input::Tick);
    }

    /// Hands the next batch to the committer, if none is on its way; what needs no batch goes out at once.
    fn advance(&mut self) {
        if self.held.is_some() {
            return;
        }
        let mut writer = records::Writer::default();
        while writer.size_bytes() < BATCH_BYTES
            && let Some(outbox) = self.records.pop_front()
        {
            writer.add(outbox);
        }
        self.batch = writer.finish();
        let mut effects = Effects::default();
        if self.records.is_empty() {
            // The core is now exactly as it will be durable with this batch.
            self.look_for_watchers();
            effects = std::mem::take(&mut self.effects);
        }
        if self.batch.is_empty() {
            self.release(effects);
        } else {
            self.held = Some(effects);
            self.commit();
        }
    }

    fn commit(&self) {
        let on_commit = self.on_commit.clone();
        self.committer.submit(
            self.batch.clone(),
            Box::new(move |outcome| {
                // Nobody listens only when the driver has ended.
                let _ = on_commit.try_send(outcome);
            }),
        );
    }

    async fn batch_done(&mut self, outcome: Result<(), Arc<CommitError>>) {
        match outcome {
            Ok(()) => {
                if let Some(effects) = self.held.take() {
                    self.release(effects);
                }
            }
            Err(error) if matches!(*error, CommitError::LowSpace { .. }) => {
                // Nothing was written, and the core has moved on: the same batch has to go in first.
                tracing::error!(%error, "waiting for room on the disk");
                tokio::time::sleep(LOW_SPACE_PAUSE).await;
                self.commit();
            }
            Err(error) => {
                // What the disk holds is unknown; only opening it again can tell.
                let cause = std::error::Error::source(&*error).map(ToString::to_string).unwrap_or_default();
                tracing::error!(%error, cause, "the store has failed; ending so that a restart can recover");
                eprintln!("error: {error}: {cause}\nthe coordinator ends here; nothing acknowledged is lost");
                std::process::abort();
            }
        }
    }

    /// Lets out what depended on records that are durable now. What is shown changes first, then orders go, then replies:
    /// so whoever has a reply sees what it speaks of.
    fn release(&mut self, effects: Effects) {
        for name in effects.services {
            self.services.refresh(&name, self.core.service_view(&name));
        }
        for (job, view) in effects.views {
            if let Some(watcher) = self.watchers.get(&job) {
                watcher.send_replace(view);
            }
        }
        let mut by_worker: BTreeMap<_, Vec<Order>> = BTreeMap::new();
        for order in effects.orders {
            by_worker.entry(order.worker()).or_default().push(order);
        }
        for (worker, orders) in by_worker {
            self.links.give(worker, orders);
        }
        for (request, reply) in effects.replies {
            if let Some(waiting) = self.requests.remove(&request) {
                // Whoever asked may have gone.
                let _ = waiting.send(reply);
            }
        }
        effects.deliveries.into_iter().for_each(|deliver| deliver());
    }

    /// Looks at jobs that changed, for those who watch: at most ten times a second, but at once when a job has ended.
    fn look_for_watchers(&mut self) {
        if self.changed.is_empty() {
            return;
        }
        let due = self.told_at.elapsed() >= limits::WATCH_PACE;
        let ledger = self.core.ledger();
        let ended = |job: &JobId| ledger.job(*job).is_some_and(|job| job.record.state.has_ended());
        let now: Vec<JobId> = self.changed.iter().filter(|job| due || ended(job)).copied().collect();
        for job in now {
            self.changed.remove(&job);
            let watched = self.watchers.get(&job).is_some_and(|watcher| watcher.receiver_count() > 0);
            match self.core.job_view(job) {
                Some(view) if watched => self.effects.views.push((job, Arc::new(view))),
                _ => {
                    self.watchers.remove(&job);
                }
            }
        }
        if due {
            self.told_at = Instant::now();
        }
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
