//! The simulated world: one seed drives the network, the disk, the clock, the workers, the clients and the faults around
//! the core and the drive that ship, and an oracle checks everything after each step.
//!
//! The same seed is the same run, always: time is a number, chance is [`dice::Dice`], and nothing iterates in an order that
//! is not fixed. When faults have ended, everything has to come to an end too.

pub mod agenda;
pub mod client;
pub mod count;
pub mod coverage;
pub mod dice;
pub mod disk;
pub mod driver;
pub mod faults;
pub mod kept;
pub mod net;
pub mod oracle;
pub mod outcome;
pub mod profile;
pub mod sabotage;
pub mod script;
pub mod trail;
pub mod worker;

mod lies;
mod links;
mod quiet;

use longshore_core::Now;

use self::{
    agenda::{Agenda, Event},
    client::Client,
    coverage::Coverage,
    dice::Dice,
    disk::Disk,
    driver::Coordinator,
    faults::Fuse,
    net::Net,
    oracle::{Check, Oracle},
    profile::Profile,
    sabotage::Sabotage,
    trail::Trail,
    worker::Worker,
};

/// How often, once faults have ended, it is seen whether everything has.
const LOOK_MS: u64 = 500;
/// Once faults have ended, the longest time in which nothing gets any nearer to its end.
const PATIENCE_MS: u64 = 60_000;
/// How long after the end of faults everything has to have ended.
const LONGEST_MS: u64 = 7_200_000;

/// The world.
#[derive(Debug)]
pub struct World {
    seed: u64,
    profile: Profile,
    sabotage: Sabotage,
    now_ms: u64,
    /// What the wall clock is off by.
    wall_ms: u64,
    dice: Dice,
    agenda: Agenda,
    disk: Disk,
    coordinator: Option<Coordinator>,
    fuse: Option<Fuse>,
    net: Net,
    workers: Vec<Worker>,
    clients: Vec<Client>,
    made_jobs: u64,
    made_requests: u64,
    oracle: Oracle,
    coverage: Coverage,
    trail: Trail,
    events: u64,
    /// When anything last got nearer to its end.
    progress_ms: u64,
    done: bool,
}

impl World {
    /// A world in which nothing has happened.
    #[must_use]
    pub fn new(seed: u64, sabotage: Sabotage, trail: Trail) -> Self {
        let profile = Profile::of(seed);
        let mut dice = Dice::of(&[seed, 3]);
        let workers = (0..profile.workers).map(|number| Worker::new(number, dice.between(1, 4))).collect();
        let clients = (0..profile.clients).map(|_| Client::new(profile.wishes)).collect();
        Self {
            seed,
            sabotage,
            now_ms: 0,
            wall_ms: 1_700_000_000_000,
            dice,
            agenda: Agenda::default(),
            disk: Disk::default(),
            coordinator: None,
            fuse: None,
            net: Net::default(),
            workers,
            clients,
            made_jobs: 0,
            made_requests: 0,
            oracle: Oracle::new(profile.settings),
            coverage: Coverage::default(),
            trail,
            events: 0,
            progress_ms: 0,
            done: false,
            profile,
        }
    }

    /// Lives until everything has ended.
    ///
    /// # Errors
    /// The first thing that was wrong.
    pub fn live(&mut self) -> Check {
        self.begin();
        while !self.done
            && let Some((at_ms, event)) = self.agenda.take_next()
        {
            self.now_ms = self.now_ms.max(at_ms);
            self.events += 1;
            self.happen(event)?;
        }
        self.last_look()
    }

    /// What has happened.
    #[must_use]
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// How many events there were, and how long it took in the world's own time.
    #[must_use]
    pub fn length(&self) -> (u64, u64) {
        (self.events, self.now_ms)
    }

    /// The last events.
    #[must_use]
    pub fn trail(&self) -> &Trail {
        &self.trail
    }

    fn begin(&mut self) {
        self.agenda.plan(0, Event::CoordinatorStarts);
        for worker in 0..self.workers.len() {
            let at_ms = self.dice.below(1_000);
            self.agenda.plan(at_ms, Event::WorkerStarts(worker));
        }
        for client in 0..self.clients.len() {
            let at_ms = self.dice.below(2_000);
            self.agenda.plan(at_ms, Event::Client(client, 0));
        }
        if !self.profile.faults.is_empty() {
            self.plan_fault();
        }
        self.agenda.plan(self.profile.heal_ms, Event::Heals);
    }

    fn happen(&mut self, event: Event) -> Check {
        let Some(event) = self.put_off(event) else {
            return Ok(());
        };
        match event {
            Event::Client(client, turn) => self.client_acts(client, turn),
            Event::CoordinatorStarts => self.coordinator_starts(),
            Event::Tick(epoch) => self.ticks(epoch),
            Event::Pulse(epoch) => self.pulses(epoch),
            Event::Synced(epoch) => self.synced(epoch),
            Event::ArrivesUp(link) => self.arrives_up(link),
            Event::ArrivesDown(link) => self.arrives_down(link),
            Event::NoticesDeadLink(link) => self.coordinator_closes(link),
            Event::WorkerStarts(worker) => self.worker_starts(worker),
            Event::Connects(worker, life) => self.connects(worker, life),
            Event::Beats(worker, life) => self.beats(worker, life),
            Event::RunEnds(worker, life, id) => self.run_ends(worker, life, id),
            Event::ReplicaTurns(worker, life, key) => self.replica_turns(worker, life, &key),
            Event::WorkerResumes(worker) => self.worker_resumes(worker),
            Event::Keepalive(worker, cut) => self.keepalive(worker, cut),
            Event::PartitionEnds(worker, cut) => self.partition_ends(worker, cut),
            Event::DiskRecovers => {
                self.disk.slow = false;
                self.disk.full = false;
                Ok(())
            }
            Event::FaultStrikes(fault, worker) => self.fault_strikes(fault, worker),
            Event::NextFault => self.next_fault(),
            Event::Heals => self.heals(),
            Event::LooksAround => self.looks_around(),
        }
    }

    /// Whoever does not run does nothing: events of a paused worker or a stalled coordinator wait for it.
    fn put_off(&mut self, event: Event) -> Option<Event> {
        let stalled_until_ms = self.coordinator.as_ref().map_or(0, |coordinator| coordinator.stalled_until_ms);
        match event {
            Event::Tick(_) | Event::Pulse(_) | Event::Synced(_) | Event::ArrivesUp(_) | Event::NoticesDeadLink(_)
                if self.now_ms < stalled_until_ms =>
            {
                self.agenda.plan(stalled_until_ms, event);
                None
            }
            Event::Connects(worker, _)
            | Event::Beats(worker, _)
            | Event::RunEnds(worker, ..)
            | Event::ReplicaTurns(worker, ..)
                if self.workers[worker].paused =>
            {
                self.workers[worker].put_off.push(event);
                None
            }
            event => Some(event),
        }
    }

    fn faults_are_on(&self) -> bool {
        self.now_ms < self.profile.heal_ms
    }

    fn say(&mut self, line: impl FnOnce() -> String) {
        self.trail.say(self.now_ms, line);
    }

    /// The time as a coordinator's life sees it: its steady clock begins anywhere.
    fn time(&self, offset_ms: u64) -> Now {
        Now { steady_ms: self.now_ms + offset_ms, wall_ms: self.wall_ms + self.now_ms }
    }
}
