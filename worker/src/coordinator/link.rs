//! The link to the coordinator: hello, orders in, results out, and all of it again after every loss.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use longshore_proto::{
    END_METADATA, REVOKED,
    v1::{self, ToWorker, from_worker, to_worker},
};
use longshore_trust::SharedIdentity;
use longshore_way::WayError;
use prost::Message;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, Streaming};
use uuid::Uuid;

use super::{
    connection::Coordinator,
    joining,
    orders::Orders,
    session::{Pace, Session, Up},
};
use crate::{
    causes,
    fitness::{Condition, Fitness},
    home::Home,
    pauses::Pauses,
    runtime::{Runtime, RuntimeError},
    tenure::Tenure,
};

/// First and longest pause before another try to connect.
pub(crate) const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// How long the coordinator may take to answer a hello.
const MANNERS: Duration = Duration::from_secs(10);

/// How long the first hello waits for the trial of the runtime; said without it, it would be said that nothing is taken.
const TRIAL: Duration = Duration::from_secs(2);

/// How long it may take to take in a goodbye: somebody waits for us to end, and our lease runs out without it too.
const PARTING: Duration = Duration::from_secs(3);

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
    pub home: Arc<Home>,
    /// Who we are to a coordinator of another machine.
    pub identity: Option<SharedIdentity>,
    pub incarnation: Uuid,
    pub name: String,
    pub slots: u32,
    /// What it has for work.
    pub offer: v1::Offer,
    /// Ends when it is refused before it was ever welcome, instead of trying again.
    pub may_end: bool,
    pub runtime: Arc<dyn Runtime>,
    pub orders: Orders,
    pub tenure: Arc<Tenure>,
    /// How this worker is.
    pub fitness: Arc<Fitness>,
    /// Counts the connections over which we were welcome; 0 while we are not.
    pub welcome: watch::Sender<u64>,
    /// What an earlier life has left is gone.
    pub moved_in: AtomicBool,
}

/// Why a link is given up for good.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GivenUp {
    /// Another process is this worker.
    #[error("{0}")]
    Taken(String),
    /// The coordinator is of a version that does not go with ours.
    #[error("{0}")]
    Version(String),
    /// This worker was shut out, for good.
    #[error("{0}")]
    Revoked(String),
    /// What an earlier life left cannot be removed.
    #[error(transparent)]
    Sweep(#[from] RuntimeError),
}

/// Why a link has ended.
enum Lost {
    /// As the coordinator said, or the connection.
    Status(Status),
    /// There is no way to it.
    Way(WayError),
    /// Nothing came for so long.
    Silent(Duration),
    /// What an earlier life left cannot be removed.
    Sweep(RuntimeError),
    /// There is another hello to say: this worker is not as it was.
    Changed,
}

impl From<Status> for Lost {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl Lost {
    fn words(&self) -> String {
        match self {
            Self::Status(status) => status.message().to_owned(),
            Self::Way(way) => causes::in_a_line(way),
            Self::Silent(ago) => format!("nothing has come from the coordinator for {ago:.1?}"),
            Self::Sweep(error) => error.to_string(),
            Self::Changed => "this worker's condition has changed".to_owned(),
        }
    }
}

impl Link {
    /// Keeps the link up until it is time to leave.
    pub async fn keep_up(
        self,
        mut results: mpsc::UnboundedReceiver<v1::Result>,
        leave: CancellationToken,
    ) -> Result<(), GivenUp> {
        let mut pauses = Pauses::apart(PAUSES.0, PAUSES.1);
        let mut epoch = 0;
        // Why there is none, as it was last said.
        let mut said: Option<String> = None;
        tokio::select! {
            () = self.fitness.known(TRIAL) => {}
            () = leave.cancelled() => return Ok(()),
        }
        loop {
            let session = tokio::select! {
                session = timeout(MANNERS, self.connect(&mut epoch)) => session.unwrap_or(Err(Lost::Silent(MANNERS))),
                () = leave.cancelled() => return Ok(()),
            };
            let ended = match session {
                Ok(session) => {
                    tracing::info!(epoch, "connected to the coordinator");
                    (said, _) = (None, pauses.reset());
                    self.converse(session, &mut results, &leave).await
                }
                Err(lost) => Err(lost),
            };
            let Err(lost) = ended else { return Ok(()) };
            if matches!(lost, Lost::Changed) {
                tracing::debug!("{}; saying hello anew", lost.words());
                continue;
            }
            let lost = self.looked_into(lost);
            let words = lost.words();
            let new = said.as_deref() != Some(&words);
            self.cope(lost, epoch, new)?;
            said = Some(words);
            if !pauses.wait(&leave).await {
                return Ok(());
            }
        }
    }

    /// With the reason, where the connection alone does not say it.
    fn looked_into(&self, lost: Lost) -> Lost {
        match lost {
            Lost::Status(status) => match self.coordinator.why_lost(&status) {
                Some(way) => Lost::Way(way),
                None => Lost::Status(status),
            },
            other => other,
        }
    }

    /// What follows when there is no link; `new` says whether the reason is another than last time.
    fn cope(&self, lost: Lost, epoch: u64, new: bool) -> Result<(), GivenUp> {
        let words = lost.words();
        let never_welcome = epoch == 0 && self.may_end;
        match lost {
            Lost::Status(status) if is_revoked(&status) => return Err(GivenUp::Revoked(words)),
            Lost::Status(status) if status.code() == Code::AlreadyExists => {
                if never_welcome {
                    return Err(GivenUp::Taken(words));
                }
                // Whatever we hold is given to others by now, and what the other has left is to be removed.
                self.tenure.ends();
                self.orders.drop_all();
                self.welcome.send_replace(0);
                self.moved_in.store(false, Ordering::Relaxed);
                if new {
                    let dir = self.home.dir().display();
                    tracing::error!(
                        %dir,
                        "refused: {words}; if {dir} was copied, remove worker-id from the copy; nothing is run here until the \
                         other has gone"
                    );
                }
            }
            Lost::Status(status) if status.code() == Code::FailedPrecondition => {
                if never_welcome {
                    return Err(GivenUp::Version(words));
                }
                if new {
                    tracing::error!("refused: {words}; trying again");
                }
            }
            Lost::Status(status) if status.code() == Code::Unauthenticated => {
                self.coordinator.is_not_known();
                if new {
                    tracing::warn!(reason = words, "no link to the coordinator; trying again");
                }
            }
            Lost::Status(_) | Lost::Way(_) if new => {
                tracing::warn!(reason = words, "no link to the coordinator; trying again");
            }
            Lost::Status(_) | Lost::Way(_) => tracing::debug!(reason = words, "still no link"),
            Lost::Silent(_) => {
                self.coordinator.dial_anew();
                tracing::warn!(reason = words, "no link to the coordinator; dialling anew");
            }
            Lost::Sweep(error) => return Err(error.into()),
            Lost::Changed => {}
        }
        Ok(())
    }

    fn hello(&self, condition: &Condition) -> v1::Hello {
        let bytes = |id: Uuid| Bytes::copy_from_slice(id.as_bytes());
        let trouble = condition.trouble();
        v1::Hello {
            worker_id: bytes(self.home.id()),
            incarnation: bytes(self.incarnation),
            name: self.name.clone(),
            slots: if trouble.is_some() { 0 } else { self.slots },
            version: env!("CARGO_PKG_VERSION").to_owned(),
            held: self.orders.held.all(),
            runtime: self.runtime.name().to_owned(),
            replicas: self.orders.replicas.reports(),
            previous: self.home.previous().map_or_else(Bytes::new, bytes),
            condition: Some(v1::WorkerCondition {
                trouble: trouble.unwrap_or_default(),
                notes: condition.notes.clone(),
            }),
            offer: Some(self.offer.clone()),
        }
    }

    async fn connect(&self, epoch: &mut u64) -> Result<Session, Lost> {
        let (up, said) = Up::new();
        let heard = self.coordinator.heard();
        self.tenure.says_hello();
        // Before the hello is put together: what becomes of a replica until the welcome is said after it.
        let replicas = self.orders.replicas.changes();
        let mut condition = self.fitness.changes();
        let hello = self.hello(&condition.borrow_and_update());
        let hello_says_trouble = hello.slots == 0;
        up.say(from_worker::Message::Hello(hello)).await?;
        let mut down = self.coordinator.agent().link(said).await?.into_inner();
        let welcome = match down.message().await?.and_then(|first| first.message) {
            Some(to_worker::Message::Welcome(welcome)) => welcome,
            _ => return Err(Status::internal("the coordinator's first word is not a welcome").into()),
        };
        if welcome.epoch < *epoch {
            // An older coordinator, come to life beside its successor: its orders are worth nothing.
            let status = Status::aborted(format!(
                "the coordinator is in epoch {}, older than {epoch}, which was seen before",
                welcome.epoch
            ));
            return Err(status.into());
        }
        *epoch = welcome.epoch;
        self.tenure.welcomed(Duration::from_millis(u64::from(welcome.lease_ms)));
        self.coordinator.prove_by(&welcome.proof);
        if let Some(identity) = &self.identity
            && let Err(error) = joining::trust(&self.home, identity, &welcome)
        {
            tracing::warn!(reason = causes::in_a_line(&error), "what the cluster trusts is not kept");
        }
        if hello_says_trouble {
            // It can wait for others; what runs may still come to its end.
            self.orders.executor.give_back(&self.orders.executor.held());
        }
        self.welcome.send_modify(|times| *times += 1);
        Ok(Session { up, down, pace: Pace::of(&welcome, heard), replicas, condition })
    }

    /// Carries orders in and results out. `Ok` when it is time to leave.
    async fn converse(
        &self,
        session: Session,
        results: &mut mpsc::UnboundedReceiver<v1::Result>,
        leave: &CancellationToken,
    ) -> Result<(), Lost> {
        let Session { up, mut down, pace, replicas, mut condition } = session;
        // None of these waits for another: a link that takes nothing is still heard, and one that brings nothing still ends.
        let ended = tokio::select! {
            lost = self.listen(&up, &mut down) => Err(lost),
            said = self.speak(&up, results, replicas) => said.map_err(Lost::from),
            ago = pace.keep(&up, &self.tenure) => Err(Lost::Silent(ago)),
            _ = condition.changed() => Err(Lost::Changed),
            () = leave.cancelled() => Ok(()),
        };
        match ended {
            // Nothing was begun here: that can be said.
            Ok(()) | Err(Lost::Sweep(_)) => say_goodbye(up, down).await?,
            Err(_) => {}
        }
        ended
    }

    /// Takes in what the coordinator says, until it says no more.
    async fn listen(&self, up: &Up, down: &mut Streaming<ToWorker>) -> Lost {
        let mut moving_in = std::pin::pin!(self.move_in());
        let (mut moved_in, mut waiting) = (false, Vec::new());
        loop {
            let message = tokio::select! {
                message = down.message() => message,
                moved = &mut moving_in, if !moved_in => {
                    if let Err(error) = moved {
                        return Lost::Sweep(error);
                    }
                    moved_in = true;
                    waiting.drain(..).for_each(|order| self.orders.take_in(order));
                    continue;
                }
            };
            match message {
                Ok(Some(ToWorker { message: None })) => {}
                Ok(Some(ToWorker { message: Some(message) })) => match message {
                    to_worker::Message::Answer(answer) => self.tenure.answered(answer.number),
                    to_worker::Message::Ping(ping) => up.pong(ping.number),
                    order if moved_in => self.orders.take_in(order),
                    order => waiting.push(order),
                },
                Ok(None) => return Status::unavailable("the coordinator has closed the link").into(),
                Err(status) => return status.into(),
            }
        }
    }

    /// Removes what an earlier life has left. Before we are welcome that may be what another process of this id runs.
    async fn move_in(&self) -> Result<(), RuntimeError> {
        if self.moved_in.load(Ordering::Relaxed) {
            return Ok(());
        }
        let swept = self.runtime.sweep().await?;
        if swept > 0 {
            tracing::info!(containers = swept, "removed what an earlier run left behind");
        }
        if let Err(error) = self.home.keep_life(self.incarnation) {
            tracing::warn!(%error, "should this worker be killed, nobody will know what it ran");
        }
        self.moved_in.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Says what there is to say. `Ok` when there will be nothing any more.
    async fn speak(
        &self,
        up: &Up,
        results: &mut mpsc::UnboundedReceiver<v1::Result>,
        mut replicas: watch::Receiver<u64>,
    ) -> Result<(), Status> {
        let mut batch = Vec::with_capacity(RESULTS);
        let mut told: Option<Instant> = None;
        let mut images = self.orders.images.changes();
        images.mark_changed();
        tell(up, self.orders.held.unsettled()).await?;
        loop {
            tokio::select! {
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
                    tell(up, batch.drain(..)).await?;
                    told = Some(Instant::now());
                }
                _ = images.changed() => {
                    for found in self.orders.images.open() {
                        up.say(from_worker::Message::Image(found)).await?;
                    }
                }
                _ = replicas.changed() => {
                    let reports = self.orders.replicas.reports();
                    up.say(from_worker::Message::Replicas(v1::ReplicaReports { reports })).await?;
                }
            }
        }
    }
}

/// Whether the coordinator says that there is no use in trying again.
fn is_revoked(status: &Status) -> bool {
    status.metadata().get(END_METADATA).is_some_and(|end| end == REVOKED)
}

async fn tell(up: &Up, results: impl IntoIterator<Item = v1::Result>) -> Result<(), Status> {
    let mut message = v1::Results::default();
    let mut bytes = 0;
    for result in results {
        bytes += result.encoded_len();
        message.results.push(result);
        if bytes > RESULTS_BYTES {
            up.say(from_worker::Message::Results(std::mem::take(&mut message))).await?;
            bytes = 0;
        }
    }
    if message.results.is_empty() {
        return Ok(());
    }
    up.say(from_worker::Message::Results(message)).await
}

async fn say_goodbye(up: Up, mut down: Streaming<ToWorker>) -> Result<(), Status> {
    let parting = async {
        up.say(from_worker::Message::Goodbye(v1::Goodbye {})).await?;
        drop(up);
        // The coordinator ends the stream when it has heard.
        while let Ok(Some(_)) = down.message().await {}
        Ok(())
    };
    timeout(PARTING, parting).await.unwrap_or(Ok(()))
}
