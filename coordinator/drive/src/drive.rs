//! The core, the law and the links, as one object.

use longshore_core::{
    Clientele, Core, Finished, Held, Incarnation, Input, Notice, Now, Outbox, ReplicaStatus, WorkerId,
};

use crate::{Effects, Law, LinkId, Links, Next, Page, Rule, Rules};

/// While jobs run, time passes at least this often, milliseconds: work under way may be worth moving to an idle worker.
pub const BALANCE_MS: u64 = 200;

/// The other end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The link.
    pub link: LinkId,
    /// The worker.
    pub worker: WorkerId,
    /// Its life.
    pub incarnation: Incarnation,
}

/// What a worker says first on a link.
#[derive(Debug, Clone)]
pub struct Hello {
    /// For people.
    pub name: String,
    /// Attempts it runs at once; at least 1.
    pub slots: u32,
    /// Whose work it may be given: what is known of it, not what it says.
    pub clientele: Clientele,
    /// Attempts it holds.
    pub held: Vec<Held>,
    /// Replicas it keeps.
    pub replicas: Vec<ReplicaStatus>,
}

/// What it says after that.
#[derive(Debug, Clone)]
pub enum Word {
    /// That it lives.
    Heartbeat,
    /// That attempts have ended. What they left is stored already.
    Finished(Vec<Finished>),
    /// How all its replicas are.
    Replicas(Vec<ReplicaStatus>),
    /// That it leaves for good.
    Goodbye,
}

/// What became of a worker's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// The core has heard it.
    Told,
    /// Another link speaks for the worker: this one has to end.
    Replaced,
    /// The core does not know this life of the worker, whose lease has run out: the link has ended, and its other end has to
    /// be closed so that the worker says hello again.
    Unknown,
}

/// Sees each step of the core, for those who want to check it.
pub trait Witness {
    /// The core is about to take this in.
    fn before(&mut self, now: Now, input: &Input);

    /// This is what it answered.
    fn after(&mut self, out: &Outbox);
}

impl Witness for () {
    fn before(&mut self, _: Now, _: &Input) {}

    fn after(&mut self, _: &Outbox) {}
}

/// Everything of a coordinator that is decided without a disk, a clock or a network. `P` is where batches of records are written
/// down, `X` what the driver wants done in its turn, `W` sees the steps.
#[derive(Debug)]
pub struct Drive<P: Page, X, W = ()> {
    core: Core,
    law: Law<P, X>,
    links: Links,
    rules: Rules,
    witness: W,
    ticked_ms: u64,
}

impl<P: Page + Clone, X, W: Witness> Drive<P, X, W> {
    /// Around a core that has been loaded at `now`. Each batch begins as a copy of `blank`.
    pub fn new(core: Core, now: Now, blank: P, witness: W, rules: Rules) -> Self {
        let law = Law::new(blank, rules);
        Self { core, law, links: Links::default(), rules, witness, ticked_ms: now.steady_ms }
    }

    /// The core, to look at. What is seen may not be durable yet: see [`Drive::tell`].
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// The links that are up.
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// Who sees the steps.
    pub fn witness(&mut self) -> &mut W {
        &mut self.witness
    }

    /// A client asks for something. Answers what has changed.
    pub fn request(&mut self, now: Now, input: Input) -> Vec<Notice> {
        self.step(now, input)
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Now) -> Vec<Notice> {
        self.ticked_ms = now.steady_ms;
        self.step(now, Input::Tick)
    }

    /// A worker has said hello on a new link, which speaks for it from now on; an older one has to end.
    pub fn hello(&mut self, now: Now, peer: Peer, hello: Hello) -> Vec<Notice> {
        let Peer { link, worker, incarnation } = peer;
        let Hello { name, slots, clientele, held, replicas } = hello;
        let older = self.links.of(worker);
        self.links.hello(worker, link);
        let mut notices = self.step(now, Input::Hello { worker, incarnation, name, slots, clientele, held, replicas });
        if older.is_some() && !self.rules.hold(Rule::OldLinksEndUntold) {
            notices.extend(self.step(now, Input::LinkLost { worker, incarnation }));
        }
        notices
    }

    /// A worker has said something on a link after its hello. Answers what became of it, and what has changed.
    pub fn word(&mut self, now: Now, peer: Peer, word: Word) -> (Heard, Vec<Notice>) {
        let Peer { link, worker, incarnation } = peer;
        if !self.links.speaks(worker, link) && self.rules.hold(Rule::OldLinksAreUnheard) {
            return (Heard::Replaced, Vec::new());
        }
        if !self.core.knows(worker, incarnation) && self.rules.hold(Rule::StrangersLeave) {
            self.links.end(worker, link);
            return (Heard::Unknown, Vec::new());
        }
        let input = match word {
            Word::Heartbeat => Input::Heard { worker, incarnation },
            Word::Finished(results) => Input::Finished { worker, incarnation, results },
            Word::Replicas(replicas) => Input::Replicas { worker, incarnation, replicas },
            Word::Goodbye => Input::Goodbye { worker, incarnation },
        };
        (Heard::Told, self.step(now, input))
    }

    /// A link has ended. The core hears of it only if it still spoke for its worker: told later, the end of an older one would cut
    /// off the newer. Answers what has changed.
    pub fn ended(&mut self, now: Now, peer: Peer) -> Vec<Notice> {
        let Peer { link, worker, incarnation } = peer;
        if !self.links.end(worker, link) {
            return Vec::new();
        }
        self.step(now, Input::LinkLost { worker, incarnation })
    }

    /// To be shown when everything that the core has decided so far is durable.
    pub fn show(&mut self, shown: X) {
        self.law.show(shown);
    }

    /// To be told, to somebody who waits, when everything that the core has decided so far is durable: nobody is told of what a
    /// crash could undo.
    ///
    /// # Errors
    /// What was to be told, while there is no room on the disk.
    pub fn tell(&mut self, told: X) -> Result<(), X> {
        self.law.tell(told)
    }

    /// What can be done next; asked again and again until it is [`Next::Wait`].
    pub fn advance(&mut self) -> Next<'_, P::Batch, X> {
        self.law.advance(&self.links)
    }

    /// The batch that was on its way is durable: this may leave.
    pub fn kept(&mut self) -> Effects<X> {
        self.law.kept(&self.links)
    }

    /// The batch that was on its way found no room, and nothing of it is kept. After a pause it goes again ([`Drive::again`]).
    /// Answers those who wanted to look and shall not wait for room.
    pub fn found_no_room(&mut self) -> Vec<X> {
        self.law.found_no_room()
    }

    /// The batch that found no room, to be tried once more.
    pub fn again(&self) -> Option<&P::Batch> {
        self.law.again()
    }

    /// Whether a batch is on its way to the disk.
    pub fn is_keeping(&self) -> bool {
        self.law.is_keeping()
    }

    /// Whether the last try to keep anything found no room.
    pub fn has_no_room(&self) -> bool {
        self.law.has_no_room()
    }

    /// Whether everything is durable and has left.
    pub fn is_idle(&self) -> bool {
        self.law.is_idle()
    }

    /// When time has to pass next, in steady milliseconds, if ever.
    pub fn next_tick_ms(&self) -> Option<u64> {
        if !self.rules.hold(Rule::TimePasses) {
            return None;
        }
        let balance = self.core.has_running_jobs().then(|| self.ticked_ms + BALANCE_MS);
        [self.core.next_deadline_ms(), balance].into_iter().flatten().min()
    }

    fn step(&mut self, now: Now, input: Input) -> Vec<Notice> {
        self.witness.before(now, &input);
        let mut out = self.core.step(now, input);
        self.witness.after(&out);
        let notices = std::mem::take(&mut out.notices);
        self.law.take(out, &self.links);
        notices
    }
}

#[cfg(test)]
mod tests;
