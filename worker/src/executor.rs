//! Carries out attempts: a queue, and slots that take from it.
//!
//! Each slot is a thread of its own. It speaks with its container's shim, writes inputs and reads outputs itself, with
//! plain system calls: so an item costs no switch between threads here, and a disk that stalls holds up slots but never
//! the heartbeat. Results go to a channel; while nobody takes them, the slots wait.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::{runtime::Handle, sync::mpsc};
use tokio_util::sync::CancellationToken;

use crate::{
    cache::FetchBlobs,
    contract::yard::Yard,
    fitness::About,
    runtime::Runtime,
    slot::{self, Command, Images, Queue, Shared},
};

pub(crate) use crate::slot::Agree;
pub use crate::{
    slot::Options,
    work::{Content, Ended, Finished, Output, OwnedFile, Secrets, Work, WorkId},
};

/// Between two looks at the room on the disk while nothing runs.
const ROOM_LOOKS: Duration = Duration::from_millis(500);

/// While anything is held and the disk may be full in a moment: who finds it full for less is hardly seen.
const ROOM_LOOKS_NEAR: Duration = Duration::from_millis(20);

/// The local execution layer.
pub struct Executor {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    handle: Handle,
}

impl Executor {
    /// Starts the slots. Containers come with the first work.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the directory cannot be made ready or a thread not started.
    pub fn start(
        runtime: Arc<dyn Runtime>,
        blobs: Arc<dyn FetchBlobs>,
        options: Options,
        results: mpsc::Sender<Finished>,
    ) -> io::Result<Self> {
        let (seats, commands): (Vec<_>, Vec<_>) = (0..options.slots).map(|_| mpsc::unbounded_channel()).unzip();
        let shared = Arc::new(Shared {
            runtime,
            blobs,
            images: Images::default(),
            yard: Arc::new(Yard::open(&options.dir)?),
            exit: CancellationToken::new(),
            results,
            queue: Mutex::new(Queue::new(options.slots, Instant::now())),
            seats,
            options,
        });
        let executor = Self { shared, threads: Mutex::default(), handle: Handle::current() };
        executor.handle.spawn(watch_room(Arc::clone(&executor.shared)));
        for (seat, commands) in commands.into_iter().enumerate() {
            let thread = slot::spawn(seat, Arc::clone(&executor.shared), commands)?;
            executor.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        Ok(executor)
    }

    /// Has workers agree on the images that come from registries. Before that, and without it, each finds its own.
    pub(crate) fn agree_by(&self, agree: Arc<dyn Agree>) {
        self.shared.images.agree_by(agree);
    }

    /// Adds attempts. Those already held are left as they are.
    pub fn submit(&self, work: Vec<Work>) {
        let wake = self.shared.queue().submit(work, Instant::now());
        self.shared.wake(wake);
    }

    /// Stops attempts, running or not. Nothing more is reported of them.
    pub fn stop(&self, ids: &[WorkId]) {
        let at_seats = self.shared.queue().stop(ids);
        for (seat, id) in at_seats {
            self.shared.tell(seat, Command::Stop(id));
        }
    }

    /// Gives back those that have not started, as [`Ended::Returned`]; the others go on.
    pub fn give_back(&self, ids: &[WorkId]) {
        let (back, at_seats) = self.shared.queue().give_back(ids);
        for (seat, id) in at_seats {
            self.shared.tell(seat, Command::GiveBack(id));
        }
        if back.is_empty() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        self.handle.spawn(async move {
            for work in back {
                shared.report(work.ended(Ended::Returned)).await;
            }
        });
    }

    /// The job has ended: what is remembered of it is forgotten.
    pub fn forget_job(&self, job: [u8; 16]) {
        self.shared.images.forget(job);
    }

    /// The attempts that wait or run here, in no order. Those reported are not among them.
    #[must_use]
    pub fn held(&self) -> Vec<WorkId> {
        self.shared.queue().held()
    }

    /// Ends everything and removes all containers. Nothing is reported of what was held.
    pub async fn shutdown(&self) {
        self.close();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let yard = Arc::clone(&self.shared.yard);
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                // A slot that panicked has said so.
                let _ = thread.join();
            }
            yard.close();
        });
        let _ = joined.await;
    }

    fn close(&self) {
        self.shared.queue().close();
        self.shared.exit.cancel();
    }
}

/// Says whether the disk has room for anything, until the end.
async fn watch_room(shared: Arc<Shared>) {
    loop {
        let (shortage, is_near) = shared.yard.room().watch();
        let pause = if is_near && shared.queue().holds_any() { ROOM_LOOKS_NEAR } else { ROOM_LOOKS };
        shared.options.fitness.report(About::Disk, shortage.map(|shortage| shortage.to_string()));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shared.exit.cancelled() => return,
        }
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        // The threads then remove their containers and end by themselves.
        self.close();
    }
}

#[cfg(test)]
mod tests;
