//! The one thread that owns a store: batches go in one after another, each durable before the next.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{Batch, CommitError, Epoch, Op, Store, contained::contained};

/// Told how a batch ended. Runs on the committer's thread, in the order of submission: it must be quick and must not wait
/// for another commit.
pub type Done = Box<dyn FnOnce(Result<(), Arc<CommitError>>) + Send>;
/// Runs before each commit, to make durable what the batch refers to. The changes it answers go into the same commit, or
/// into the next one when this is not kept. Its failure is fatal.
pub type Before = Box<dyn FnMut() -> io::Result<Vec<Op>> + Send>;

/// The most batches that wait.
const WAITING: usize = 64;
/// After this long without a batch the store does what it has put off.
const IDLE: Duration = Duration::from_secs(1);

struct Request {
    batch: Batch,
    done: Done,
}

/// The handle. Dropping it commits what is waiting, closes the store and joins the thread. Shared by `Arc`.
#[derive(Debug)]
pub struct Committer {
    requests: Option<SyncSender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    /// Starts the thread, which commits under `epoch` only. `before`, if given, runs before each commit.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(store: impl Store, epoch: Epoch, before: Option<Before>) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(WAITING);
        let run = move || Loop { store, epoch, before, owed: Vec::new(), failed: None }.run(&receiver);
        let thread = thread::Builder::new().name("store-commit".to_owned()).spawn(run)?;
        Ok(Self { requests: Some(sender), thread: Some(thread) })
    }

    /// Hands over a batch; `done` is called exactly once, when it is durable or has failed. Blocks while many are waiting.
    pub fn submit(&self, batch: Batch, done: Done) {
        let request = Request { batch, done };
        let unsent = match &self.requests {
            Some(requests) => requests.send(request).err().map(|unsent| unsent.0),
            None => Some(request),
        };
        if let Some(request) = unsent {
            (request.done)(Err(Arc::new(broken("take the batch", "the commit thread has stopped".into()))));
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take()
            // A callback may hold the last handle; a thread cannot wait for itself.
            && thread.thread().id() != thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the commit thread panicked");
        }
    }
}

fn broken(doing: &'static str, source: crate::Cause) -> CommitError {
    CommitError::Broken { store: "the store".to_owned(), doing, source }
}

/// What the thread owns.
struct Loop<S> {
    store: S,
    epoch: Epoch,
    before: Option<Before>,
    /// What `before` has answered and no commit has kept yet.
    owed: Vec<Op>,
    /// The first fatal error: it answers every later batch.
    failed: Option<Arc<CommitError>>,
}

impl<S: Store> Loop<S> {
    fn run(mut self, requests: &Receiver<Request>) {
        let mut unsettled = false;
        loop {
            let wait = if unsettled { IDLE } else { Duration::MAX };
            match requests.recv_timeout(wait) {
                Ok(Request { batch, done }) => {
                    let committed = self.commit(batch);
                    if contained(|| done(committed)).is_err() {
                        tracing::error!("a commit's callback panicked");
                    }
                    unsettled = true;
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.settle();
                    unsettled = false;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn commit(&mut self, mut batch: Batch) -> Result<(), Arc<CommitError>> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        // What is refused must not take along what `before` has to say.
        batch.check().map_err(|refusal| Arc::new(CommitError::Refused(refusal)))?;
        let Self { store, epoch, before, owed, .. } = self;
        let committed = guarded("commit", || {
            if let Some(before) = before {
                owed.extend(before().map_err(|error| broken("make durable what the batch refers to", error.into()))?);
                batch.ops.extend_from_slice(owed);
            }
            store.commit(*epoch, &batch)
        });
        if committed.is_ok() {
            self.owed.clear();
        }
        committed.map_err(|error| self.note(error))
    }

    fn settle(&mut self) {
        if self.failed.is_none() {
            let store = &mut self.store;
            if let Err(error) = guarded("settle", || store.settle()) {
                tracing::error!(error = %self.note(error), "the store failed while idle");
            }
        }
    }

    fn note(&mut self, error: CommitError) -> Arc<CommitError> {
        let error = Arc::new(error);
        if error.is_fatal() {
            self.failed = Some(error.clone());
        }
        error
    }
}

fn guarded(doing: &'static str, act: impl FnOnce() -> Result<(), CommitError>) -> Result<(), CommitError> {
    contained(act).unwrap_or_else(|panic| Err(broken(doing, panic.into())))
}
