//! The core, the law and the links, as one object.

use longshore_core::{Core, Input, Notice, Now, Outbox, WorkerId};

use crate::{
    Beat, Effects, Hello, Law, Links, Next, Page, Peer, Rule, Rules, Turn, Word,
    newcomers::{Newcomer, Newcomers},
    presence::Presence,
};

/// While jobs run, time passes at least this often, milliseconds: work under way may be worth moving to an idle worker.
pub const BALANCE_MS: u64 = 200;

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
    newcomers: Newcomers,
    turns: Vec<Turn>,
    presence: Presence,
    rules: Rules,
    witness: W,
    ticked_ms: u64,
}

impl<P: Page + Clone, X, W: Witness> Drive<P, X, W> {
    /// Around a core that has been loaded at `now`. Each batch begins as a copy of `blank`.
    pub fn new(core: Core, now: Now, blank: P, witness: W, rules: Rules) -> Self {
        let law = Law::new(blank, rules);
        let (links, newcomers, presence) = (Links::default(), Newcomers::default(), Presence::since(now));
        Self { core, law, links, newcomers, turns: Vec::new(), presence, rules, witness, ticked_ms: now.steady_ms }
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
        let now = self.here(now);
        self.step(now, input)
    }

    /// Time has passed, or somebody has waited long enough: whoever drives looks at [`Drive::next_tick_ms`] again after it.
    pub fn tick(&mut self, now: Now) -> Vec<Notice> {
        let now = self.here(now);
        if let Some(Newcomer { peer, hello, .. }) = self.may_come_in(now).and_then(|worker| self.newcomers.take(worker))
        {
            return self.admit(now, peer, hello);
        }
        self.ticked_ms = now.steady_ms;
        self.step(now, Input::Tick)
    }

    /// A worker has said hello on a new link. It speaks for the worker from now on, and an older one has to end; unless another
    /// life of the worker is there: then that is asked first, and this one waits. What becomes of both is said in
    /// [`Drive::turns`].
    pub fn hello(&mut self, now: Now, peer: Peer, hello: Hello) -> Vec<Notice> {
        let now = self.here(now);
        match self.rival(peer).filter(|_| self.rules.hold(Rule::LivesAreAsked)) {
            Some(rival) => {
                let (ping, before) = self.newcomers.wait(now.steady_ms, peer, hello, rival.link);
                self.turns.extend(before.map(Turn::Replace));
                self.turns.push(Turn::Ping(rival, ping));
                self.look_at_newcomers(now);
                Vec::new()
            }
            None => self.admit(now, peer, hello),
        }
    }

    /// Another life of the worker whose lease runs and whose link is up, if there is one.
    fn rival(&self, peer: Peer) -> Option<Peer> {
        let life = self.core.life(peer.worker).filter(|life| *life != peer.incarnation)?;
        Some(Peer { link: self.links.of(peer.worker)?, worker: peer.worker, incarnation: life })
    }

    fn admit(&mut self, now: Now, peer: Peer, hello: Hello) -> Vec<Notice> {
        let Peer { link, worker, incarnation } = peer;
        let Hello { previous, name, slots, is_member, clientele, offer, held, replicas } = hello;
        // It was one when it came; what it may be given then is no more.
        if is_member && self.core.ledger().member(worker).is_none() {
            self.turns.push(Turn::Bar(peer));
            return Vec::new();
        }
        let older = self.links.of(worker);
        self.links.hello(worker, link);
        let said = Input::Hello { worker, incarnation, previous, name, slots, clientele, offer, held, replicas };
        let mut notices = self.step(now, said);
        if older.is_some() && !self.rules.hold(Rule::OldLinksEndUntold) {
            notices.extend(self.step(now, Input::LinkLost { worker, incarnation }));
        }
        if !self.core.knows(worker, incarnation) {
            self.links.end(worker, link);
            self.turns.push(Turn::Bar(peer));
            return notices;
        }
        self.turns.push(Turn::Admit(peer));
        if let Some(ping) = self.newcomers.ask_on(worker, link, now.steady_ms) {
            self.turns.push(Turn::Ping(peer, ping));
            self.look_at_newcomers(now);
        }
        notices
    }

    /// A worker of which another life can take its place now: the one that was there has gone, or has not answered in time.
    fn may_come_in(&self, now: Now) -> Option<WorkerId> {
        self.newcomers
            .all()
            .find(|newcomer| self.due_ms(newcomer) <= now.steady_ms)
            .map(|newcomer| newcomer.peer.worker)
    }

    /// When it can take the place of the other, steady milliseconds.
    fn due_ms(&self, newcomer: &Newcomer) -> u64 {
        match self.rival(newcomer.peer) {
            None => 0,
            // From now on it can answer: that has to be noted.
            Some(_) if newcomer.is_put_off && !self.law.keeps_welcome(newcomer.asked) => 0,
            Some(_) if self.rules.hold(Rule::SilenceEnds) => newcomer.due_ms,
            Some(_) => u64::MAX,
        }
    }

    /// A worker has said something on a link after its hello. Answers what became of it, and what has changed.
    pub fn word(&mut self, now: Now, peer: Peer, word: Word) -> (Heard, Vec<Notice>) {
        let now = self.here(now);
        let Peer { link, worker, incarnation } = peer;
        if !self.links.speaks(worker, link) && self.rules.hold(Rule::OldLinksAreUnheard) {
            return (Heard::Replaced, Vec::new());
        }
        if !self.core.knows(worker, incarnation) && self.rules.hold(Rule::StrangersLeave) {
            self.links.end(worker, link);
            return (Heard::Unknown, Vec::new());
        }
        let input = match word {
            Word::Heartbeat(beat) => self.beat(now, peer, beat),
            Word::Pong(ping) => self.pong(peer, ping),
            Word::Finished(results) => Some(Input::Finished { worker, incarnation, results }),
            Word::Replicas(replicas) => Some(Input::Replicas { worker, incarnation, replicas }),
            Word::Image(job, stages, digest) => Some(Input::Image { worker, incarnation, job, stages, digest }),
            Word::Goodbye => Some(Input::Goodbye { worker, incarnation }),
        };
        (Heard::Told, input.map_or_else(Vec::new, |input| self.step(now, input)))
    }

    /// A heartbeat is answered, and proves by itself that an earlier answer has arrived.
    fn beat(&mut self, now: Now, peer: Peer, beat: Beat) -> Option<Input> {
        let Peer { worker, incarnation, .. } = peer;
        let as_of_ms = if beat.number == 0 || !self.rules.hold(Rule::LeasesAreProven) {
            Some(now.steady_ms)
        } else {
            self.links.answered_ms(worker, beat.answered)
        };
        if beat.number > 0 {
            self.links.answer(worker, beat.number, now.steady_ms);
            self.turns.push(Turn::Answer(peer, beat.number));
        }
        as_of_ms.map(|as_of_ms| Input::Heard { worker, incarnation, as_of_ms })
    }

    /// The life that is there lives, if it was asked just that: then whoever waits for its place has to go.
    fn pong(&mut self, peer: Peer, ping: u64) -> Option<Input> {
        let Peer { link, worker, incarnation } = peer;
        let asked = self.newcomers.of(worker).filter(|newcomer| newcomer.is_answered_by(link, ping))?;
        let (as_of_ms, refused) = (asked.asked_ms, asked.peer);
        if self.rules.hold(Rule::AnswersCount) {
            self.newcomers.take(worker);
            self.turns.push(Turn::Refuse(refused));
        }
        Some(Input::Heard { worker, incarnation, as_of_ms })
    }

    /// A link has ended. The core hears of it only if it still spoke for its worker: told later, the end of an older one would cut
    /// off the newer. Answers what has changed.
    pub fn ended(&mut self, now: Now, peer: Peer) -> Vec<Notice> {
        let now = self.here(now);
        let Peer { link, worker, incarnation } = peer;
        if self.newcomers.of(worker).is_some_and(|newcomer| newcomer.peer.link == link) {
            self.newcomers.take(worker);
        }
        if !self.links.end(worker, link) {
            return Vec::new();
        }
        self.step(now, Input::LinkLost { worker, incarnation })
    }

    /// What links have to do, in this order; asked after whatever was told, before [`Drive::advance`].
    pub fn turns(&mut self) -> Vec<Turn> {
        std::mem::take(&mut self.turns)
    }

    /// The lives that wait for others to answer, and until when, steady milliseconds.
    pub fn newcomers(&self) -> impl Iterator<Item = (Peer, u64)> {
        self.newcomers.all().map(|newcomer| (newcomer.peer, self.presence.on_its_clock(newcomer.due_ms)))
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
        let newcomer = self.newcomers.all().map(|newcomer| self.due_ms(newcomer)).min();
        // One step of it after the other, each once the one before is durable: so what waits for the disk never grows with it.
        let chores = (self.core.has_chores() && !self.law.is_keeping()).then(|| self.ticked_ms + 1);
        let due = [self.core.next_deadline_ms(), newcomer, balance, chores].into_iter().flatten().min();
        let look = (!self.links.is_empty()).then(|| self.presence.look_ms());
        due.map(|due_ms| self.presence.on_its_clock(due_ms)).into_iter().chain(look).min()
    }

    /// The time without the driver's own absences.
    fn here(&mut self, now: Now) -> Now {
        let now = self.presence.here(now, !self.links.is_empty());
        self.look_at_newcomers(now);
        now
    }

    fn look_at_newcomers(&mut self, now: Now) {
        self.newcomers.put_off(now.steady_ms, |link| self.law.keeps_welcome(link));
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
