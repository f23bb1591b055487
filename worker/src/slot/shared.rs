//! What all slots of an executor share.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    images::Images,
    queue::{Queue, Wake},
};
use crate::{
    cache::FetchBlobs,
    contract::yard::Yard,
    runtime::Runtime,
    work::{Finished, WorkId},
};

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
    /// Most bytes kept of each of a run's two logs. At most 64 KiB, so that both fit in a frame.
    pub log_bytes: u32,
    /// Most bytes of all outputs of one attempt.
    pub total_output_bytes: u64,
    /// How long a server inside a container may take until it is ready.
    pub server_start: Duration,
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
            log_bytes: 64 << 10,
            total_output_bytes: 16 << 30,
            server_start: Duration::from_secs(60),
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
