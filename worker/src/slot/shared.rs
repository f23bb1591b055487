//! What all slots of an executor share.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use longshore_proto::v1::{Failure, FailureClass};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    images::Images,
    queue::{Offer, Queue, Wake},
};
use crate::{
    bounds::{Ceilings, Machine, Policy},
    cache::FetchBlobs,
    contract::{failures, yard::Yard},
    fitness::Fitness,
    runtime::Runtime,
    work::{Finished, WorkId},
};

/// An attempt that finds its container unusable, or the disk full, this often fails.
pub(super) const RETURNS: u8 = 3;

/// How an executor works.
#[derive(Debug, Clone)]
pub struct Options {
    /// Attempts that run at once.
    pub slots: usize,
    /// Where sandboxes' directories and outputs on their way are kept: on the file system of the blobs, and nobody
    /// else's. What is in it is removed at the start.
    pub dir: PathBuf,
    /// How long a warm container without work is kept.
    pub idle: Duration,
    /// A container older than this takes no more work.
    pub max_age: Duration,
    /// A container takes no more work after this many runs.
    pub max_runs: u64,
    /// Between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// How long an engine may take for what is to be done at the end.
    pub parting: Duration,
    /// Most bytes kept of each of a run's two logs. At most 64 KiB, so that both fit in a frame.
    pub log_bytes: u32,
    /// How much containers and their runs may use.
    pub bounds: Policy,
    /// How long a server inside a container may take until it is ready.
    pub server_start: Duration,
    /// Told when the runtime may be to blame for a failure; what it says is believed.
    pub fitness: Arc<Fitness>,
}

impl Options {
    /// The defaults, for so many slots and this directory.
    #[must_use]
    pub fn new(slots: usize, dir: PathBuf) -> Self {
        Self {
            slots,
            dir,
            idle: Duration::from_secs(60),
            max_age: Duration::from_secs(3_600),
            max_runs: 1_000_000,
            grace: Duration::from_secs(5),
            parting: Duration::from_secs(8),
            log_bytes: 64 << 10,
            bounds: Policy::new(Machine::look(), slots, Ceilings::default()),
            server_start: Duration::from_secs(60),
            fitness: Arc::default(),
        }
    }
}

/// What a slot is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    /// There may be work.
    Wake,
    /// End this attempt; nobody wants to hear of it.
    Stop(WorkId),
    /// Give this attempt back if it has not started.
    GiveBack(WorkId),
}

/// What the slots share.
pub(crate) struct Shared {
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) blobs: Arc<dyn FetchBlobs>,
    pub(crate) options: Options,
    pub(crate) images: Images,
    pub(crate) yard: Arc<Yard>,
    /// The executor is shutting down: nothing is waited for any more.
    pub(crate) exit: CancellationToken,
    pub(crate) results: mpsc::Sender<Finished>,
    pub(crate) seats: Vec<mpsc::UnboundedSender<Command>>,
    pub(crate) queue: Mutex<Queue>,
}

impl Shared {
    /// The queue, locked.
    pub(crate) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a result on; waits while nobody takes them.
    pub(crate) async fn report(&self, finished: Finished) {
        tokio::select! {
            biased;
            // An error means that nobody wants results any more.
            _ = self.results.send(finished) => {}
            () = self.exit.cancelled() => {}
        }
    }

    /// Whether nothing is to begin now, since the disk has no room for it.
    pub(crate) fn is_short_of_room(&self) -> bool {
        self.yard.room().shortage().is_some()
    }

    /// What failed while the disk was full says nothing of the item: it is put back, and `None` answered, to be tried again when
    /// there is room; but not for ever, since it may itself be what fills the disk.
    pub(super) fn believe(&self, offer: &Offer, failure: Failure, started: Option<Instant>) -> Option<Failure> {
        let since = started.unwrap_or_else(Instant::now);
        let Some(shortage) = self.yard.room().shortage_since(since) else {
            return Some(failure);
        };
        if offer.returns < RETURNS {
            self.put_back(offer.clone(), true);
            return None;
        }
        let words = format!("{shortage}; while it was, the attempt failed: {}", failure.message);
        Some(failures::failure(FailureClass::Infrastructure, words))
    }

    /// Lets another container have this attempt. `counts` says that it was not the item's doing: it must not go on for ever.
    pub(super) fn put_back(&self, mut offer: Offer, counts: bool) {
        offer.returns += u8::from(counts);
        let wake = self.queue().put_back(offer);
        self.wake(wake);
    }

    /// Waits until the executor has been shutting down for so long that nobody waits for an engine any more.
    pub(crate) async fn too_late(&self) {
        self.exit.cancelled().await;
        tokio::time::sleep(self.options.parting).await;
    }

    /// Wakes seats.
    pub(crate) fn wake(&self, seats: Wake) {
        for seat in seats {
            self.tell(seat, Command::Wake);
        }
    }

    /// Tells a seat.
    pub(crate) fn tell(&self, seat: usize, command: Command) {
        // A seat whose thread has ended needs no telling.
        let _ = self.seats[seat].send(command);
    }
}
