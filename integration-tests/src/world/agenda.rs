//! What is going to happen, in order of time; what is due at the same time happens in the order it was planned.

use std::collections::BTreeMap;

use longshore_core::{AttemptId, ReplicaKey};

use super::{fault::Fault, net::LinkId};

/// Something that is going to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A client does the next thing it wants, or finds that no answer came to its question of that number.
    Client(usize, u64),
    /// The coordinator starts.
    CoordinatorStarts,
    /// The life of the coordinator with that epoch may have something to do.
    Tick(u64),
    /// Time has passed for it, whether it asked to be told or not.
    Pulse(u64),
    /// The sync that life began is done.
    Synced(u64),
    /// What a worker sent may arrive.
    ArrivesUp(LinkId),
    /// What the coordinator sent may arrive.
    ArrivesDown(LinkId),
    /// The coordinator notices that a link is dead.
    NoticesDeadLink(LinkId),
    /// A worker's process starts.
    WorkerStarts(usize),
    /// That life of a worker tries to connect.
    Connects(usize, u64),
    /// It says that it lives.
    Beats(usize, u64),
    /// A run of it ends.
    RunEnds(usize, u64, AttemptId),
    /// A replica of it becomes ready, or fails.
    ReplicaTurns(usize, u64, ReplicaKey),
    /// A life of a worker that was refused ends.
    GivesUp(usize, u64),
    /// A paused worker goes on.
    WorkerResumes(usize),
    /// That partition of a worker has lasted so long that the ends notice.
    Keepalive(usize, u64),
    /// That partition of a worker ends.
    PartitionEnds(usize, u64),
    /// The disk is fast again.
    DiskRecovers,
    /// A fault happens, if it is one of workers to that one.
    FaultStrikes(Fault, usize),
    /// Time for the next fault.
    NextFault,
    /// Faults end.
    Heals,
    /// Whether everything is done.
    LooksAround,
}

/// What is going to happen.
#[derive(Debug, Default)]
pub struct Agenda {
    events: BTreeMap<(u64, u64), Event>,
    planned: u64,
}

impl Agenda {
    /// Plans an event.
    pub fn plan(&mut self, at_ms: u64, event: Event) {
        self.planned += 1;
        self.events.insert((at_ms, self.planned), event);
    }

    /// Takes the next event; with its time.
    pub fn take_next(&mut self) -> Option<(u64, Event)> {
        self.events.pop_first().map(|((at_ms, _), event)| (at_ms, event))
    }
}
