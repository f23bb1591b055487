//! A worker, over all its lives: what it has, and what it says of itself.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use longshore_core::{
    Assignment, AttemptId, Digest, Finished, Held, Incarnation, ItemKey, JobId, ReplicaKey, ReplicaPhase,
    ReplicaStatus, WorkerId,
};
use longshore_drive::Beat;
use longshore_proto::Tenure;

use super::{
    agenda::Event,
    net::{LinkId, Say},
};

/// A worker, over all its lives.
#[derive(Debug)]
pub struct Worker {
    /// Its id; copies of a worker have the same.
    pub id: WorkerId,
    /// It is a copy of another.
    pub is_copy: bool,
    /// It is of a version that neither counts heartbeats nor knows pings.
    pub is_old: bool,
    /// Attempts it runs at once.
    pub slots: u64,
    /// Counts its processes.
    pub life: u64,
    /// Its process lives.
    pub up: bool,
    /// The last of its lives that was welcome, if that is known for certain to be one of its own, and to have ended.
    pub previous: Option<u64>,
    /// The life that is welcome, if it was.
    pub was_welcome: Option<u64>,
    /// It will never start again.
    pub forsaken: bool,
    /// Its process is stopped, but lives.
    pub paused: bool,
    /// What waits for it to go on.
    pub put_off: Vec<Event>,
    /// Its end of a link.
    pub link: Option<LinkId>,
    /// Its hello was accepted.
    pub welcomed: bool,
    /// When anything last reached it.
    pub reached_ms: u64,
    /// What it knows of its lease.
    pub tenure: Tenure,
    /// Nothing gets from it to the coordinator.
    pub cut_up: bool,
    /// Nothing gets from the coordinator to it.
    pub cut_down: bool,
    /// Counts its partitions.
    pub cuts: u64,
    /// Its last hello claimed what it was not given.
    pub claims: bool,
    /// Attempts that have not started.
    pub queue: VecDeque<Assignment>,
    /// Attempts that run.
    pub running: BTreeMap<AttemptId, Assignment>,
    /// Ends of attempts that are not settled.
    pub results: BTreeMap<AttemptId, Finished>,
    /// Replicas it keeps.
    pub replicas: BTreeMap<ReplicaKey, ReplicaPhase>,
    /// Which images it was told to run.
    pub(super) images: BTreeMap<(JobId, u16), Digest>,
    /// They have changed since its last hello.
    pub news: bool,
    /// Lives of it that ended in order.
    pub left: BTreeSet<u64>,
    /// Attempts it was ever given.
    pub(super) given: BTreeSet<AttemptId>,
}

/// The name of a life of a worker.
#[must_use]
pub fn incarnation(worker: usize, life: u64) -> Incarnation {
    Incarnation(sixteen(worker as u64 + 1, life))
}

/// Sixteen bytes from two numbers.
#[must_use]
pub fn sixteen(high: u64, low: u64) -> [u8; 16] {
    ((u128::from(high) << 64) | u128::from(low)).to_be_bytes()
}

impl Worker {
    /// A worker that never ran.
    #[must_use]
    pub fn new(number: u64, slots: u64) -> Self {
        Self {
            id: WorkerId(sixteen(0, number + 1)),
            is_copy: false,
            is_old: false,
            slots,
            life: 0,
            up: false,
            previous: None,
            was_welcome: None,
            forsaken: false,
            paused: false,
            put_off: Vec::new(),
            link: None,
            welcomed: false,
            reached_ms: 0,
            tenure: Tenure::default(),
            cut_up: false,
            cut_down: false,
            cuts: 0,
            claims: false,
            queue: VecDeque::new(),
            running: BTreeMap::new(),
            results: BTreeMap::new(),
            replicas: BTreeMap::new(),
            images: BTreeMap::new(),
            news: false,
            left: BTreeSet::new(),
            given: BTreeSet::new(),
        }
    }

    /// A copy of this worker's directory on another machine, in which no process was started yet.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self { id: self.id, is_copy: true, is_old: self.is_old, ..Self::new(0, self.slots) }
    }

    /// What it says first: what it has, and what it claims beside that. `number` is its own.
    pub fn hello(&mut self, number: usize, now_ms: u64, claims: Vec<Held>) -> Say {
        self.tenure.says_hello(Duration::from_millis(now_ms));
        self.news = false;
        let truth = self.has().into_iter().map(|(id, item)| Held { id, item });
        let held = truth.chain(claims).collect();
        let previous = self.previous.map(|life| incarnation(number, life));
        Say::Hello { previous, held, replicas: self.statuses() }
    }

    /// Its next heartbeat.
    pub fn beat(&mut self, now_ms: u64) -> Beat {
        if self.is_old {
            return Beat { number: 0, answered: 0 };
        }
        let (number, answered) = self.tenure.says_heartbeat(Duration::from_millis(now_ms));
        Beat { number, answered }
    }

    /// Whether it holds itself counted on.
    #[must_use]
    pub fn is_kept(&self, now_ms: u64) -> bool {
        !self.is_old && self.tenure.is_kept(Duration::from_millis(now_ms))
    }

    /// How its replicas are.
    pub(super) fn statuses(&self) -> Vec<ReplicaStatus> {
        self.replicas
            .iter()
            .map(|(key, phase)| ReplicaStatus { key: key.clone(), phase: *phase, message: String::new() })
            .collect()
    }

    /// Every attempt it has, with its item, whether it waits, runs, or has ended.
    #[must_use]
    pub fn has(&self) -> Vec<(AttemptId, ItemKey)> {
        let waiting = self.queue.iter().chain(self.running.values()).map(|it| (it.id, it.item));
        waiting.chain(self.results.values().map(|it| (it.id, it.item))).collect()
    }

    /// Its process ends in order, with all it runs: nobody is told later that it has ended.
    pub(super) fn leaves(&mut self) {
        if self.was_welcome.take().is_some() {
            self.previous = None;
        }
        self.left.insert(self.life);
    }

    /// It forgets and ends all it has.
    pub(super) fn drops_all(&mut self) {
        self.queue.clear();
        self.running.clear();
        self.results.clear();
        self.replicas.clear();
    }

    /// Whether it has nothing to do.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.running.is_empty() && self.results.is_empty()
    }

    /// Whether it is in that life.
    pub(super) fn is(&self, life: u64) -> bool {
        self.up && self.life == life
    }
}
