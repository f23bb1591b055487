//! The one thread that owns a store: many requests, one durable commit (group commit).

use std::{
    fmt, io,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{Batch, CommitError, MAX_BATCH_BYTES, Store, contained::contained};

/// Told how a request ended. Runs on the committer's thread, in the order of submission: it must be quick and must not
/// wait for another commit.
pub type Done = Box<dyn FnOnce(Result<(), Arc<CommitError>>) + Send>;
/// Runs before each commit, to make durable what the batch refers to. Its failure is fatal.
pub type Before = Box<dyn FnMut() -> io::Result<()> + Send>;

/// The most requests in one commit, and the most that wait for the next one.
pub const MAX_GROUP_REQUESTS: usize = 512;
/// A commit takes no further request once it has this many changes.
pub const MAX_GROUP_OPS: usize = 65_536;
/// A commit takes no further request once it has this many bytes.
pub const MAX_GROUP_BYTES: usize = 16 << 20;
/// After this long without a request the store does what it has put off.
const IDLE: Duration = Duration::from_secs(1);

struct Request {
    batch: Batch,
    done: Done,
}

/// A request that was not taken because too many are waiting; nothing was done with it.
pub struct Rejected {
    /// The batch as it was given.
    pub batch: Batch,
    /// The callback as it was given, not called.
    pub done: Done,
}

impl fmt::Debug for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejected").field("ops", &self.batch.len()).finish_non_exhaustive()
    }
}

/// The handle. Dropping it commits what is waiting, closes the store and joins the thread. Shared by `Arc`.
#[derive(Debug)]
pub struct Committer {
    requests: Option<SyncSender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    /// Starts the thread. `before`, if given, runs before each commit.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(store: impl Store, before: Option<Before>) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(MAX_GROUP_REQUESTS);
        let run = move || Loop { store, before, failed: None, held: None }.run(&receiver);
        let thread = thread::Builder::new().name("store-commit".to_owned()).spawn(run)?;
        Ok(Self { requests: Some(sender), thread: Some(thread) })
    }

    /// Hands over a batch; `done` is called exactly once, when it is durable or has failed. Blocks while
    /// [`MAX_GROUP_REQUESTS`] are waiting.
    pub fn submit(&self, batch: Batch, done: Done) {
        let request = Request { batch, done };
        let unsent = match &self.requests {
            Some(requests) => requests.send(request).err().map(|unsent| unsent.0),
            None => Some(request),
        };
        if let Some(request) = unsent {
            (request.done)(Err(Arc::new(stopped())));
        }
    }

    /// As [`Committer::submit`], but never blocks.
    ///
    /// # Errors
    /// The request itself, when too many are waiting.
    pub fn try_submit(&self, batch: Batch, done: Done) -> Result<(), Rejected> {
        let request = Request { batch, done };
        let unsent = match &self.requests {
            Some(requests) => requests.try_send(request),
            None => Err(TrySendError::Disconnected(request)),
        };
        match unsent {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(Request { batch, done })) => Err(Rejected { batch, done }),
            Err(TrySendError::Disconnected(request)) => {
                (request.done)(Err(Arc::new(stopped())));
                Ok(())
            }
        }
    }

    /// Submits and waits.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn commit(&self, batch: Batch) -> Result<(), Arc<CommitError>> {
        let (sender, receiver) = sync_channel(1);
        self.submit(batch, Box::new(move |result| drop(sender.send(result))));
        receiver.recv().unwrap_or_else(|_| Err(Arc::new(stopped())))
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

fn stopped() -> CommitError {
    broken("take the batch", "the commit thread has stopped".into())
}

fn broken(doing: &'static str, source: crate::Cause) -> CommitError {
    CommitError::Broken { store: "the store".to_owned(), doing, source }
}

/// What the thread owns.
struct Loop<S> {
    store: S,
    before: Option<Before>,
    /// The first fatal error: it answers every later request.
    failed: Option<Arc<CommitError>>,
    /// A request that did not fit the last group any more.
    held: Option<Request>,
}

impl<S: Store> Loop<S> {
    fn run(mut self, requests: &Receiver<Request>) {
        let mut unsettled = false;
        loop {
            let wait = if unsettled { IDLE } else { Duration::MAX };
            let first = self.held.take().map_or_else(|| requests.recv_timeout(wait), Ok);
            match first {
                Ok(first) => {
                    let group = self.gather(first, requests);
                    self.serve(group);
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

    /// Takes what is waiting, up to a group's bounds, without waiting for more.
    fn gather(&mut self, first: Request, waiting: &Receiver<Request>) -> Vec<Request> {
        let (mut ops, mut bytes) = (first.batch.len(), first.batch.size_bytes());
        let mut group = vec![first];
        while group.len() < MAX_GROUP_REQUESTS && ops < MAX_GROUP_OPS && bytes < MAX_GROUP_BYTES {
            let Ok(request) = waiting.try_recv() else {
                break;
            };
            ops += request.batch.len();
            bytes += request.batch.size_bytes();
            if bytes > MAX_BATCH_BYTES {
                self.held = Some(request);
                break;
            }
            group.push(request);
        }
        group
    }

    fn serve(&mut self, requests: Vec<Request>) {
        let mut group = Batch::new();
        let mut answers = Vec::with_capacity(requests.len());
        for Request { batch, done } in requests {
            // One bad batch must not fail its neighbours.
            let checked = batch.check().map_err(|refusal| Arc::new(CommitError::Refused(refusal)));
            if checked.is_ok() {
                group.ops.extend(batch.ops);
            }
            answers.push((checked, done));
        }
        let committed = self.commit(&group);
        for (checked, done) in answers {
            let result = checked.and_then(|()| committed.clone());
            if contained(|| done(result)).is_err() {
                tracing::error!("a commit's callback panicked");
            }
        }
    }

    fn commit(&mut self, group: &Batch) -> Result<(), Arc<CommitError>> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let Self { store, before, .. } = self;
        let committed = guarded("commit", || {
            if let Some(before) = before {
                before().map_err(|error| broken("make durable what the batch refers to", error.into()))?;
            }
            if group.is_empty() { Ok(()) } else { store.commit(group) }
        });
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
