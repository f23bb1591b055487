//! A worker's link, at the coordinator's end: what the worker says goes to the driver, what the driver gives goes to the worker.

use std::{collections::HashSet, fmt::Display, sync::Arc};

use futures_util::{Stream, StreamExt as _};
use longshore_core::{
    AttemptId, Blame, Clientele, Core, End, Finished, Held, Incarnation, Offer, Order, ReplicaPhase, ReplicaStatus,
    WorkerId,
};
use longshore_drive::{Beat, Hello, Peer, Word};
use longshore_proto::{
    ImageDigest,
    v1::{self, from_worker},
    version,
};
use tokio::sync::mpsc;

use super::{
    offers,
    orders::{How, OrderWriter, Sources, Terms, Unsent},
    recent_failures::RecentFailures,
    results::{self, Breach, Taker},
    sessions::{About, Given, Orders, Session, Sessions},
    told::Told,
    tunnels::{Tunnel, Tunnels},
};
use crate::{
    api::{
        caller::{Caller, Principal, Role},
        views,
    },
    diary::{Diary, Entry},
    drive::{Clock, Handle, deployed::Deployed},
    error::Error,
    kept::catalog::Catalog,
    limits,
    members::register::Register,
    replica::replica_key,
    secrets::vault::Vault,
};

/// What workers can ask, and people of workers.
#[derive(Clone)]
pub struct Agents {
    pub driver: Handle,
    pub catalog: Arc<Catalog>,
    pub deployed: Arc<Deployed>,
    pub sessions: Arc<Sessions>,
    pub tunnels: Arc<Tunnels>,
    pub failures: Arc<RecentFailures>,
    pub diary: Arc<Diary>,
    pub register: Arc<Register>,
    pub vault: Arc<Vault>,
    pub terms: Arc<Terms>,
}

type Down = mpsc::Sender<Result<v1::ToWorker, Error>>;

impl Agents {
    /// Takes in a worker's hello. What it shall be told comes out of the stream; what it says is for [`Link::listen`].
    pub async fn open(&self, caller: &Caller, hello: v1::Hello) -> Result<(Link, Told), Error> {
        version::together(&hello.version, env!("CARGO_PKG_VERSION"))
            .map_err(|apart| Error::not_now(apart.to_string()))?;
        let peer = Peer {
            link: self.sessions.next_link(),
            worker: WorkerId(sixteen(&hello.worker_id, "worker_id")?),
            incarnation: Incarnation(sixteen(&hello.incarnation, "incarnation")?),
        };
        ensure_own(&self.register, caller, peer.worker)?;
        let mut about = About {
            name: shown(&hello.name),
            runtime: shown(&hello.runtime),
            version: shown(&hello.version),
            condition: hello.condition.as_ref().map(condition),
            offer: hello.offer.clone().map(Box::new),
        };
        let worker = peer.worker;
        let known = move |core: &Core| {
            let ledger = core.ledger();
            (ledger.clientele(worker), ledger.member(worker).map(|member| member.labels.clone()))
        };
        let (clientele, labels) = self.driver.peek(known).await?;
        let is_member = matches!(caller.principal, Principal::Member(_));
        let offer = offers::read(hello.offer.as_ref(), labels.as_ref())?;
        if let Some((shown, labels)) = about.offer.as_mut().zip(labels) {
            shown.labels = labels.into_iter().collect();
        }
        let hello = said(hello, is_member, clientele.clone(), offer)?;
        let name = hello.name.clone();
        let (session, proof, orders, urgent) = Session::new(peer.worker, about);
        self.driver.hello(peer, hello, session).await?;
        let (catalog, deployed) = (Arc::clone(&self.catalog), Arc::clone(&self.deployed));
        let kept = Sources { catalog, deployed, vault: Arc::clone(&self.vault) };
        let writer = OrderWriter::new(kept, Arc::clone(&self.terms), proof);
        let (down, told) = mpsc::channel(64);
        let carried = (Arc::clone(&self.catalog), orders, down.clone());
        tokio::spawn(carry_orders(self.driver.clone(), peer, writer, carried));
        Ok((Link { agents: self.clone(), peer, name, clientele, down }, Told::new(told, urgent)))
    }

    /// Takes in a worker's stream for calls to its replicas. Only the life of it that is known has replicas.
    pub async fn open_tunnel(
        &self,
        caller: &Caller,
        hello: &v1::LeavesHello,
        down: super::tunnels::Down,
    ) -> Result<(WorkerId, Arc<Tunnel>), Error> {
        let worker = WorkerId(sixteen(&hello.worker_id, "worker_id")?);
        ensure_own(&self.register, caller, worker)?;
        let incarnation = Incarnation(sixteen(&hello.incarnation, "incarnation")?);
        if !self.driver.peek(move |core| core.knows(worker, incarnation)).await? {
            return Err(Error::not_now("this worker has to say hello on its link first"));
        }
        Ok((worker, self.tunnels.register(worker, down)))
    }

    /// All workers that are here, and the members that are not, for whoever looks after them. Others are shown those that may be
    /// given work of their namespace, and of what these have only what is of that.
    pub async fn list(&self, caller: &Caller) -> Result<Vec<v1::WorkerView>, Error> {
        let is_admin = caller.role == Role::Admin;
        let whose = (!is_admin).then(|| caller.namespace.clone());
        let look =
            move |core: &Core| whose.map_or_else(|| core.worker_views(), |namespace| core.worker_views_for(&namespace));
        let workers = self.driver.read(look).await?;
        let members = if is_admin { self.register.members() } else { Vec::new() };
        let here: HashSet<WorkerId> = workers.iter().map(|worker| worker.id).collect();
        let member =
            |id| members.iter().find(|member| member.record.id == id).map(|member| views::member(&member.record));
        let shown = workers.into_iter().map(|worker| v1::WorkerView {
            member: member(worker.id),
            ..views::worker(self.sessions.about(worker.id), worker)
        });
        let away = members.iter().map(|member| &member.record).filter(|member| !here.contains(&member.id));
        Ok(shown.chain(away.map(views::absent)).collect())
    }
}

/// Whether a caller may speak for a worker: a member for itself alone, and nobody else for a member. What a worker says of
/// itself counts for nothing.
fn ensure_own(register: &Register, caller: &Caller, worker: WorkerId) -> Result<(), Error> {
    match caller.principal {
        Principal::Member(own) if own == worker => Ok(()),
        Principal::Member(own) => Err(Error::denied(format!("this certificate is of worker {own}, not of {worker}"))),
        _ if register.member(worker).is_some() => {
            Err(Error::denied(format!("worker {worker} is a member, which comes in by TLS with its certificate")))
        }
        _ => Ok(()),
    }
}

/// A link that is up.
pub struct Link {
    agents: Agents,
    peer: Peer,
    name: String,
    clientele: Clientele,
    down: Down,
}

impl Link {
    /// Takes in what the worker says until its link ends.
    pub async fn listen<E: Display>(self, up: impl Stream<Item = Result<v1::FromWorker, E>> + Unpin) {
        if let Err(error) = self.hear(up).await {
            tracing::info!(worker = self.name, %error, "a worker's link has ended");
            // It may have been told why already.
            let _ = self.down.try_send(Err(error));
        }
        self.agents.driver.ended(self.peer).await;
    }

    async fn hear<E: Display>(
        &self,
        mut up: impl Stream<Item = Result<v1::FromWorker, E>> + Unpin,
    ) -> Result<(), Error> {
        loop {
            let message = tokio::select! {
                message = up.next() => message,
                () = self.down.closed() => return Ok(()),
            };
            let Some(message) = message else {
                return Ok(());
            };
            let message = message.map_err(|error| Error::internal(error.to_string()))?;
            let word = match message.message {
                Some(from_worker::Message::Heartbeat(beat)) => {
                    Word::Heartbeat(Beat { number: beat.number, answered: beat.answered })
                }
                Some(from_worker::Message::Pong(pong)) => Word::Pong(pong.number),
                Some(from_worker::Message::Results(results)) => {
                    let results = results.results;
                    let writes = results.iter().any(results::has_bytes);
                    Word::Finished(leave_runtime_if(writes, || self.take_in(results))?)
                }
                Some(from_worker::Message::Replicas(reports)) => {
                    Word::Replicas(reports.reports.into_iter().filter_map(replica_status).collect())
                }
                Some(from_worker::Message::Image(found)) => match leave_runtime_if(true, || self.of_image(&found))? {
                    Some(word) => word,
                    None => continue,
                },
                Some(from_worker::Message::Goodbye(_)) => Word::Goodbye,
                Some(from_worker::Message::Hello(_)) => {
                    return Err(Error::invalid("a second hello on one link"));
                }
                None => continue,
            };
            self.agents.driver.word(self.peer, word).await?;
        }
    }

    /// What a worker has found, of all stages that name the same; none where there is no such job.
    fn of_image(&self, found: &v1::ImageFound) -> Result<Option<Word>, Error> {
        let item = results::item_of(&found.job_id, found.stage, 0)?;
        let digest = ImageDigest::from_wire(&found.digest);
        let digest = digest.ok_or_else(|| Error::invalid("the digest of an image is not 32 bytes"))?;
        let submission = self.agents.catalog.submission(item.job);
        let submission = submission.inspect_err(|error| tracing::warn!(job = %item.job, %error, "an image of no job"));
        let stages = submission.ok().map(|submission| submission.of_same_image(item.stage));
        Ok(stages.filter(|stages| !stages.is_empty()).map(|stages| Word::Image(item.job, stages, digest.0)))
    }

    /// Tells those who look and follow of an attempt that has ended.
    fn note_in_diary(&self, result: &v1::Result) -> Result<(), Breach> {
        let item = results::item_of(&result.job_id, result.stage, result.index)?;
        let failure = match &result.end {
            Some(v1::result::End::Success(_)) => None,
            Some(v1::result::End::Failure(failure)) => {
                let mut failure = failure.clone();
                results::shorten(&mut failure);
                let event = v1::JobEvent {
                    at_ms: Clock::start().now().wall_ms,
                    kind: v1::JobEventKind::AttemptFailed.into(),
                    item: result.path.clone(),
                    attempt: result.attempt,
                    worker: self.name.clone(),
                    message: failure.message.clone(),
                    ..v1::JobEvent::default()
                };
                self.agents.diary.note(item.job, Entry { stage: Some(item.stage), event });
                Some(failure)
            }
            Some(v1::result::End::Returned(_)) | None => return Ok(()),
        };
        self.agents.diary.tell(item.job, || {
            let state = if failure.is_some() { v1::ItemState::Failed } else { v1::ItemState::Succeeded };
            let item = v1::ItemView {
                stage: result.stage,
                index: result.index,
                path: result.path.clone(),
                state: state.into(),
                failure,
                attempts: result.attempt,
                worker: self.name.clone(),
                duration_us: result.duration_us,
                ..v1::ItemView::default()
            };
            let (stdout, stderr) = (result.stdout_log.clone(), result.stderr_log.clone());
            v1::LogPiece { item: Some(item), stdout, stderr, missed: 0 }
        });
        Ok(())
    }

    fn take_in(&self, results: Vec<v1::Result>) -> Result<Vec<Finished>, Breach> {
        let mut taker = Taker::new(&self.agents.catalog, &self.name, &self.clientele);
        let take_in = |result: v1::Result| {
            // What is said of a job that is none of this worker's is shown to nobody.
            if taker.is_of_its_own(&result)? {
                self.agents.failures.note(&result, &self.name);
                self.note_in_diary(&result)?;
            }
            taker.take_in(result)
        };
        results.into_iter().map(take_in).collect()
    }
}

/// A word of a worker's, for people.
fn shown(word: &str) -> String {
    shortened(word, limits::NAME_CHARS)
}

fn shortened(words: &str, chars: usize) -> String {
    words.chars().filter(|c| !c.is_control()).take(chars).collect()
}

/// How a worker says that it is, within bounds.
fn condition(said: &v1::WorkerCondition) -> v1::WorkerCondition {
    let notes = said.notes.iter().take(limits::NOTES).map(|note| shortened(note, limits::NOTE_CHARS));
    v1::WorkerCondition { trouble: shortened(&said.trouble, limits::TROUBLE_CHARS), notes: notes.collect() }
}

fn sixteen(bytes: &[u8], field: &str) -> Result<[u8; 16], Error> {
    bytes.try_into().map_err(|_| Error::invalid(format!("{field} is not 16 bytes")))
}

fn said(hello: v1::Hello, is_member: bool, clientele: Clientele, offer: Offer) -> Result<Hello, Error> {
    let is_in_trouble = hello.condition.as_ref().is_some_and(|condition| !condition.trouble.is_empty());
    if hello.slots > limits::SLOTS || (hello.slots == 0) != is_in_trouble {
        return Err(Error::invalid(format!("a worker has 1 to {} slots", limits::SLOTS)));
    }
    let held = hello
        .held
        .into_iter()
        .map(|held| {
            let id = held.id.ok_or(Breach::NoAttempt)?;
            let item = results::item_of(&held.job_id, held.stage, held.index)?;
            Ok(Held { id: AttemptId { epoch: id.epoch, number: id.number }, item })
        })
        .collect::<Result<Vec<_>, Breach>>()?;
    let previous = match &hello.previous[..] {
        [] => None,
        previous => Some(Incarnation(sixteen(previous, "previous")?)),
    };
    Ok(Hello {
        previous,
        name: shown(&hello.name),
        slots: hello.slots,
        is_member,
        clientele,
        offer: Arc::new(offer),
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

/// Carries what the driver gives to the worker, until one of them ends the link.
async fn carry_orders(
    driver: Handle,
    peer: Peer,
    mut writer: OrderWriter,
    (catalog, mut orders, down): (Arc<Catalog>, Orders, Down),
) {
    loop {
        let given = tokio::select! {
            given = orders.recv() => given,
            () = down.closed() => return,
        };
        let batch = match given {
            Some(Given::Orders(batch)) => batch,
            Some(Given::End(why)) => {
                let _ = down.send(Err(why.into())).await;
                return;
            }
            None => return,
        };
        let reads = batch.iter().any(|order| matches!(order, Order::Assign { .. } | Order::Replicas { .. }));
        let (messages, unsent) = leave_runtime_if(reads, || writer.write(batch));
        for message in messages {
            if down.send(Ok(message)).await.is_err() {
                return;
            }
        }
        if !unsent.is_empty() {
            let ended = |unsent| result_of(&catalog, unsent).ok();
            let results = leave_runtime_if(true, || unsent.into_iter().filter_map(ended).collect());
            let _ = driver.word(peer, Word::Finished(results)).await;
        }
    }
}

/// Small blobs are read from and written to the page cache: quick enough to do here, but not while others wait for this
/// thread. What needs no disk at all is spared the change of threads.
fn leave_runtime_if<T>(blocks: bool, act: impl FnOnce() -> T) -> T {
    if blocks { tokio::task::block_in_place(act) } else { act() }
}

/// An attempt that ended before it was sent.
fn result_of(catalog: &Catalog, unsent: Unsent) -> Result<Finished, Breach> {
    let Unsent { assignment, how } = unsent;
    let result = |end| v1::Result {
        id: Some(v1::AttemptId { epoch: assignment.id.epoch, number: assignment.id.number }),
        job_id: assignment.item.job.0.to_vec().into(),
        stage: assignment.item.stage.into(),
        index: assignment.item.index,
        end: Some(end),
        attempt: assignment.attempt,
        ..v1::Result::default()
    };
    let why = match how {
        How::Done(outputs) => {
            let done = result(v1::result::End::Success(v1::Success { outputs: outputs.blobs }));
            return Taker::new(catalog, COORDINATOR, &Clientele::Everybody).take_in(done);
        }
        How::Not(why) => why,
    };
    let blame = if why.is_for_good() { Blame::Hopeless } else { Blame::Infrastructure };
    let message = why.to_string();
    tracing::error!(item = ?assignment.item, why = message, "an item cannot be given out");
    let failure = v1::Failure { class: why.class().into(), message, ..v1::Failure::default() };
    let result = result(v1::result::End::Failure(failure.clone()));
    Ok(Finished {
        id: assignment.id,
        item: assignment.item,
        end: End::Failed { blame, fault: results::fault_of(&failure), detail: results::detail(&result, failure) },
        run_us: 0,
    })
}

/// Whose work it is called that no worker does.
const COORDINATOR: &str = "coordinator";
