//! Links between workers and the coordinator: like TCP streams, in order within a direction, and nothing is lost unless
//! the whole link is.

use std::collections::{BTreeMap, VecDeque};

use longshore_core::{Digest, Finished, Held, Incarnation, JobId, Order, ReplicaStatus};
use longshore_drive::Beat;

/// A link; never used twice.
pub type LinkId = u64;

/// What a worker says.
#[derive(Debug, Clone)]
pub enum Say {
    /// Who it is and what it has; the first thing on a link.
    Hello {
        /// The life that ended before in the same place, if it knows.
        previous: Option<Incarnation>,
        /// Attempts it holds.
        held: Vec<Held>,
        /// Replicas it keeps.
        replicas: Vec<ReplicaStatus>,
    },
    /// That it lives.
    Heartbeat(Beat),
    /// That it was asked whether it lives.
    Pong(u64),
    /// That attempts have ended.
    Finished(Vec<Finished>),
    /// How its replicas are.
    Replicas(Vec<ReplicaStatus>),
    /// Which image it has found for a stage of a job.
    Image(JobId, u16, Digest),
    /// That it leaves.
    Goodbye,
}

/// What the coordinator says.
#[derive(Debug, Clone)]
pub enum Tell {
    /// What the worker shall do.
    Order(Order),
    /// That a heartbeat has arrived.
    Answer(u64),
    /// Whether it lives.
    Ping(u64),
    /// That another is in its place.
    Taken,
}

/// What travels in one direction.
#[derive(Debug, Clone)]
pub enum Packet<T> {
    /// A message.
    Data(T),
    /// The sender has closed the link.
    Closed,
}

/// One direction.
#[derive(Debug)]
pub struct Lane<T> {
    packets: VecDeque<(u64, Packet<T>)>,
    last_ms: u64,
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self { packets: VecDeque::new(), last_ms: 0 }
    }
}

impl<T> Lane<T> {
    /// Sends; answers when it arrives at the earliest: never before what was sent before it.
    pub fn send(&mut self, earliest_ms: u64, packet: Packet<T>) -> u64 {
        self.last_ms = self.last_ms.max(earliest_ms);
        self.packets.push_back((self.last_ms, packet));
        self.last_ms
    }

    /// The next packet that is there by now.
    pub fn receive(&mut self, now_ms: u64) -> Option<Packet<T>> {
        match self.packets.front() {
            Some((at_ms, _)) if *at_ms <= now_ms => self.packets.pop_front().map(|(_, packet)| packet),
            _ => None,
        }
    }

    /// Loses the newest packets on the way, all but the oldest `keep`.
    pub fn truncate(&mut self, keep: usize) {
        self.packets.truncate(keep);
    }

    /// Packets on the way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// Whether nothing is on the way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }
}

/// One link.
#[derive(Debug)]
pub struct Link {
    /// The worker's number.
    pub worker: usize,
    /// Which life of it.
    pub life: u64,
    /// Towards the coordinator.
    pub up: Lane<Say>,
    /// From the coordinator.
    pub down: Lane<Tell>,
    /// The worker's end is open.
    pub worker_open: bool,
    /// The coordinator's end is open.
    pub coordinator_open: bool,
    /// Nothing it brings is read before that time.
    pub unread_until_ms: u64,
    /// The coordinator has sent something.
    pub welcomed: bool,
    /// What it sends right after that.
    pub urgent: Vec<Tell>,
}

/// All links.
#[derive(Debug, Default)]
pub struct Net {
    /// By id.
    pub links: BTreeMap<LinkId, Link>,
    made: LinkId,
}

impl Net {
    /// A new link, open at both ends.
    pub fn open(&mut self, worker: usize, life: u64) -> LinkId {
        self.made += 1;
        let link = Link {
            worker,
            life,
            up: Lane::default(),
            down: Lane::default(),
            worker_open: true,
            coordinator_open: true,
            unread_until_ms: 0,
            welcomed: false,
            urgent: Vec::new(),
        };
        self.links.insert(self.made, link);
        self.made
    }

    /// Links of a worker.
    #[must_use]
    pub fn of(&self, worker: usize) -> Vec<LinkId> {
        self.links.iter().filter(|(_, link)| link.worker == worker).map(|(id, _)| *id).collect()
    }

    /// Forgets links that are closed at both ends.
    pub fn sweep(&mut self) {
        self.links.retain(|_, link| link.worker_open || link.coordinator_open);
    }
}
