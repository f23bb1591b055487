//! The loop around the drive: what happened goes in, batches go to the store, and what may leave is carried out.
//!
//! What has to wait for what is not decided here, but in `longshore-drive`.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::pending,
    sync::Arc,
    time::{Duration, Instant},
};

use longshore_core::{Core, JobId, MemberRecord, Notice, Reply, RequestId, SecretName, ServiceName, TokenId, WorkerId};
use longshore_drive::{Drive, Effects, Heard, Next, Rules, Turn};
use longshore_store::{Batch, CommitError, Committer};
use tokio::sync::{mpsc, oneshot};

use super::{
    Clock,
    deployed::Deployed,
    handle::{Answered, Command, Delivery, Handle, Unanswered},
    observer::{self, Observer},
    watchers::Watchers,
};
use crate::{
    diary::{Diary, Entry},
    kept::records,
    members::register::Register,
    secrets::vault::Vault,
    workers::{
        sessions::{Ending, Sessions, Urgent},
        tunnels::Tunnels,
    },
};

/// Inputs taken in before effects are looked after.
const BURST: usize = 512;

/// Pause before a batch is tried again that found no room on the disk.
const NO_ROOM_PAUSE: Duration = Duration::from_millis(500);

/// The same when somebody asks: room may just have been made, and they are answered after that try.
const NO_ROOM_PAUSE_ASKED: Duration = Duration::from_millis(20);

type Outcome = Result<(), Arc<CommitError>>;

/// What the driver works for and with.
pub struct Surroundings {
    pub committer: Committer,
    pub sessions: Arc<Sessions>,
    pub deployed: Arc<Deployed>,
    pub register: Arc<Register>,
    pub tunnels: Arc<Tunnels>,
    pub vault: Arc<Vault>,
    pub diary: Arc<Diary>,
}

struct Driver {
    drive: Drive<records::Writer, Delivery>,
    clock: Clock,
    around: Surroundings,
    requests: BTreeMap<RequestId, Answered<Reply>>,
    request_count: u64,
    watchers: Watchers,
    observer: Observer,
    /// Workers that jobs have lost.
    lost: Vec<(JobId, Entry)>,
    /// Services that changed.
    services: BTreeSet<ServiceName>,
    /// Tokens that changed.
    tokens: BTreeSet<TokenId>,
    /// Members that changed.
    members: BTreeSet<WorkerId>,
    /// Secrets that changed.
    secrets: BTreeSet<SecretName>,
    committed: mpsc::Receiver<Outcome>,
    on_commit: mpsc::Sender<Outcome>,
    /// When the batch that found no room goes again.
    again_at: Option<Instant>,
    /// When a batch found no room last, and it was said.
    no_room_at: Option<Instant>,
    /// Those who ask while there is no room, until the batch was tried again.
    asking: Vec<Command>,
    stopping: Option<oneshot::Sender<()>>,
}

/// Starts the driver on its own task.
pub fn start(core: Core, clock: Clock, around: Surroundings) -> Handle {
    let (commands, inbox) = mpsc::channel(4_096);
    let (on_commit, committed) = mpsc::channel(1);
    // Before anybody can ask: a service that was kept must not be unknown until the driver's first turn.
    for service in core.ledger().services() {
        around.deployed.load(&service.name, core.service_view(&service.name));
    }
    around.register.load(core.ledger());
    around.vault.load(core.ledger());
    let observer = Observer::new(&core);
    let driver = Driver {
        drive: Drive::new(core, clock.now(), records::Writer::default(), (), Rules::default()),
        clock,
        around,
        requests: BTreeMap::new(),
        request_count: 0,
        watchers: Watchers::new(),
        observer,
        lost: Vec::new(),
        services: BTreeSet::new(),
        tokens: BTreeSet::new(),
        members: BTreeSet::new(),
        secrets: BTreeSet::new(),
        committed,
        on_commit,
        again_at: None,
        no_room_at: None,
        asking: Vec::new(),
        stopping: None,
    };
    tokio::spawn(driver.run(inbox));
    Handle::to(commands)
}

impl Driver {
    async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        let mut burst = Vec::with_capacity(BURST);
        loop {
            let wake = self.next_wake();
            tokio::select! {
                biased;
                Some(outcome) = self.committed.recv() => self.batch_done(outcome),
                count = inbox.recv_many(&mut burst, BURST) => {
                    if count == 0 {
                        return;
                    }
                    burst.drain(..).for_each(|command| self.take(command));
                }
                () = sleep_until(wake) => {}
            }
            // However much comes in, time passes too.
            self.look_at_the_clock();
            self.advance();
            // What waits for room on the disk is known to nobody, so it need not be waited for.
            if (self.drive.is_idle() || self.drive.has_no_room())
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
        let tick = self.drive.next_tick_ms().map(|due_ms| self.clock.at(due_ms));
        // While a batch is on its way nothing is looked at.
        let watchers = self.watchers.due().filter(|_| !self.drive.is_keeping());
        let observer = self.observer.due().filter(|_| !self.drive.is_keeping());
        [tick, watchers, observer, self.again_at].into_iter().flatten().min()
    }

    fn look_at_the_clock(&mut self) {
        let now = self.clock.now();
        while self.drive.next_tick_ms().is_some_and(|due_ms| due_ms <= now.steady_ms) {
            let notices = self.drive.tick(now);
            self.take_turns();
            self.note(notices);
        }
        if self.again_at.take_if(|at| *at <= Instant::now()).is_some()
            && let Some(batch) = self.drive.again()
        {
            self.commit(batch.clone());
        }
    }

    fn take(&mut self, command: Command) {
        if self.drive.has_no_room() && command.asks() {
            self.asking.push(command);
            let soon = Instant::now() + NO_ROOM_PAUSE_ASKED;
            self.again_at = self.again_at.map(|at| at.min(soon));
            return;
        }
        let now = self.clock.now();
        let notices = match command {
            Command::Request(make, reply) => {
                self.request_count += 1;
                let request = RequestId(self.request_count);
                self.requests.insert(request, reply);
                self.drive.request(now, make(request))
            }
            Command::Hello(peer, hello, session) => {
                self.around.sessions.begin(peer, session);
                self.drive.hello(now, peer, *hello)
            }
            Command::Word(peer, word) => {
                let (heard, notices) = self.drive.word(now, peer, word);
                match heard {
                    Heard::Told => {}
                    Heard::Replaced => self.around.sessions.end(peer, Ending::Replaced),
                    Heard::Unknown => self.around.sessions.end(peer, Ending::Unknown),
                }
                notices
            }
            Command::Ended(peer) => {
                self.around.sessions.forget(peer);
                self.drive.ended(now, peer)
            }
            Command::Peek(peek) => return peek(self.drive.core()),
            Command::Read(read) => {
                let told = read(self.drive.core());
                return self.tell(told);
            }
            Command::Watch(job, reply) => {
                let views = self.watchers.watch(self.drive.core(), job);
                return self.tell(Box::new(move |durable| drop(reply.send(durable.map(|()| views)))));
            }
            Command::Stop(done) => {
                self.stopping = Some(done);
                return;
            }
        };
        self.take_turns();
        self.note(notices);
    }

    /// Does with links what the drive says.
    fn take_turns(&mut self) {
        let sessions = &self.around.sessions;
        for turn in self.drive.turns() {
            match turn {
                Turn::Admit(peer) => sessions.admit(peer),
                Turn::Refuse(peer) => sessions.refuse(peer),
                Turn::Bar(peer) => sessions.end(peer, Ending::Revoked),
                Turn::Replace(peer) => sessions.end(peer, Ending::Replaced),
                Turn::Ping(peer, number) => sessions.urge(peer, Urgent::Ping(number)),
                Turn::Answer(peer, number) => sessions.urge(peer, Urgent::Answer(number)),
            }
        }
    }

    fn tell(&mut self, told: Delivery) {
        if let Err(refused) = self.drive.tell(told) {
            refused(Err(Unanswered::NoRoom));
        }
    }

    fn note(&mut self, notices: Vec<Notice>) {
        for notice in notices {
            match notice {
                Notice::Job(job) => {
                    self.watchers.note(job);
                    self.observer.note(job);
                }
                Notice::Lost { job, worker, items } => {
                    self.lost.push((job, observer::lost(worker, items, self.clock.now().wall_ms)));
                }
                Notice::Service(name) => {
                    self.services.insert(name);
                }
                Notice::Token(token) => {
                    self.tokens.insert(token);
                }
                Notice::Member(worker) => {
                    self.members.insert(worker);
                }
                Notice::Secret(name) => {
                    self.secrets.insert(name);
                }
            }
        }
    }

    /// Does whatever can be done.
    fn advance(&mut self) {
        if self.drive.is_keeping() {
            return;
        }
        self.look_at_changes();
        loop {
            match self.drive.advance() {
                Next::Wait => return,
                Next::Release(effects) => self.carry_out(effects),
                Next::Keep(batch) => {
                    let batch = batch.clone();
                    return self.commit(batch);
                }
            }
        }
    }

    /// What is shown of services, tokens, members, secrets and jobs that changed is as they are now, once that is durable.
    fn look_at_changes(&mut self) {
        for name in std::mem::take(&mut self.services) {
            let view = self.drive.core().service_view(&name);
            let deployed = Arc::clone(&self.around.deployed);
            self.drive.show(Box::new(move |_| deployed.refresh(&name, view)));
        }
        for id in std::mem::take(&mut self.tokens) {
            let token = self.drive.core().ledger().token(id).cloned();
            let register = Arc::clone(&self.around.register);
            self.drive.show(Box::new(move |_| register.show_token(id, token)));
        }
        for id in std::mem::take(&mut self.members) {
            let member = self.drive.core().ledger().member(id).cloned();
            let register = Arc::clone(&self.around.register);
            let (sessions, tunnels) = (Arc::clone(&self.around.sessions), Arc::clone(&self.around.tunnels));
            self.drive.show(Box::new(move |_| {
                let is_out = member.as_ref().is_none_or(MemberRecord::is_revoked);
                register.show_member(id, member);
                if is_out {
                    sessions.end_of_member(id);
                    tunnels.end_of_member(id);
                }
            }));
        }
        for name in std::mem::take(&mut self.secrets) {
            let secret = self.drive.core().ledger().secret(&name).cloned();
            let vault = Arc::clone(&self.around.vault);
            self.drive.show(Box::new(move |_| vault.show(&name, secret)));
        }
        let mut happened = std::mem::take(&mut self.lost);
        happened.extend(self.observer.look(self.drive.core(), self.clock.now().wall_ms));
        if !happened.is_empty() {
            let diary = Arc::clone(&self.around.diary);
            self.drive.show(Box::new(move |_| observer::tell(&diary, happened)));
        }
        for news in self.watchers.look(self.drive.core()) {
            self.drive.show(Box::new(move |_| news.tell()));
        }
    }

    fn commit(&self, batch: Batch) {
        let on_commit = self.on_commit.clone();
        self.around.committer.submit(
            batch,
            Box::new(move |outcome| {
                // Nobody listens only when the driver has ended.
                let _ = on_commit.try_send(outcome);
            }),
        );
    }

    fn batch_done(&mut self, outcome: Outcome) {
        match outcome {
            Ok(()) => {
                let effects = self.drive.kept();
                self.carry_out(effects);
                self.no_room_at = None;
                std::mem::take(&mut self.asking).into_iter().for_each(|command| self.take(command));
            }
            Err(error) if matches!(*error, CommitError::LowSpace { .. }) => {
                let now = Instant::now();
                // However often somebody asks.
                if self.no_room_at.is_none_or(|said| now >= said + NO_ROOM_PAUSE) {
                    tracing::error!(%error, "waiting for room on the disk");
                    self.no_room_at = Some(now);
                }
                self.refuse();
                self.again_at = Some(now + NO_ROOM_PAUSE);
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

    /// Tells everybody who waits that nothing can be kept.
    fn refuse(&mut self) {
        for told in self.drive.found_no_room() {
            told(Err(Unanswered::NoRoom));
        }
        for (_, reply) in std::mem::take(&mut self.requests) {
            // Whoever asked may have gone.
            let _ = reply.send(Err(Unanswered::Undecided));
        }
        for command in std::mem::take(&mut self.asking) {
            command.refuse(self.drive.core(), Unanswered::NoRoom);
        }
    }

    fn carry_out(&mut self, effects: Effects<Delivery>) {
        effects.shown.into_iter().for_each(|show| show(Ok(())));
        for (link, orders) in effects.orders {
            self.around.sessions.give(link, orders);
        }
        for (request, reply) in effects.replies {
            if let Some(waiting) = self.requests.remove(&request) {
                let _ = waiting.send(Ok(reply));
            }
        }
        effects.told.into_iter().for_each(|tell| tell(Ok(())));
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => pending().await,
    }
}
