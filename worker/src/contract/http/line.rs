//! What is known of a connection beside its bytes: whether the server has said anything to the request on it, and whether we
//! have hung up.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

/// Both sides of it: the socket below HTTP, and whoever speaks HTTP over it.
#[derive(Debug, Default)]
pub(super) struct Line {
    heard: AtomicBool,
    hung_up: AtomicBool,
}

impl Line {
    /// A request is sent: nothing has been said to it.
    pub(super) fn listen(&self) {
        self.heard.store(false, Ordering::Relaxed);
    }

    /// The server has said something.
    pub(super) fn hear(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    /// Whether it has.
    pub(super) fn has_heard(&self) -> bool {
        self.heard.load(Ordering::Relaxed)
    }

    /// Whether nothing more will be sent.
    pub(super) fn is_hung_up(&self) -> bool {
        self.hung_up.load(Ordering::Relaxed)
    }
}

/// The end of a request's caller, told to its server wherever the request is now: the connection says that nothing more comes,
/// as that of a client that has gone does, yet the answer is still read. So a server that looks after its clients stops, and
/// one that does not is known to have ended only when it has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hangup(Arc<Mutex<Hanging>>);

#[derive(Debug, Default)]
struct Hanging {
    hung_up: bool,
    line: Option<Arc<Line>>,
}

impl Hangup {
    fn lock(&self) -> MutexGuard<'_, Hanging> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The request is on this line from now on.
    pub(super) fn follow(&self, line: &Arc<Line>) {
        let mut hanging = self.lock();
        hanging.line = Some(Arc::clone(line));
        if hanging.hung_up {
            line.hung_up.store(true, Ordering::Relaxed);
        }
    }

    /// Nobody waits any more. The request has to be polled for this to be told.
    pub(crate) fn hang_up(&self) {
        let mut hanging = self.lock();
        hanging.hung_up = true;
        if let Some(line) = &hanging.line {
            line.hung_up.store(true, Ordering::Relaxed);
        }
    }
}
