//! Signals, turned into something `poll` can wait for.
//!
//! A handler and not a `signalfd`: a blocked signal mask would be inherited by the user's processes, a handler is
//! forgotten by `exec`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io;
use rustix::process::{Pid, getpid};

static EVENT: OnceLock<OwnedFd> = OnceLock::new();
static LEAVE: AtomicBool = AtomicBool::new(false);
/// Whether this is process 1: whoever is seen to have sent a signal is inside, and has nothing to say.
static FIRST: AtomicBool = AtomicBool::new(false);

/// Wakes the loop when a child ends (SIGCHLD) or the shim is asked to leave (SIGTERM).
pub struct Wake {
    event: &'static OwnedFd,
}

impl Wake {
    /// Installs the handlers.
    ///
    /// # Errors
    /// When the system has no descriptor left.
    pub fn install() -> io::Result<Self> {
        FIRST.store(getpid() == Pid::INIT, Ordering::Relaxed);
        let fresh = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let event = EVENT.get_or_init(|| fresh);
        handle(libc::SIGCHLD);
        handle(libc::SIGTERM);
        Ok(Self { event })
    }

    /// What to poll for reading.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }

    /// Forgets the signals so far; whoever calls this looks at children and at [`Wake::asked_to_leave`] afterwards.
    pub fn clear(&self) {
        let mut count = [0; 8];
        // Only "nothing to read" can happen, and then there is nothing to forget.
        let _ = io::read(self.event, &mut count);
    }

    /// Sleeps until a signal comes, at most for `limit`.
    pub fn sleep(&self, limit: Duration) {
        let timeout = Timespec::try_from(limit).ok();
        // An interruption is a signal, which is what was waited for.
        let _ = poll(&mut [PollFd::new(self.event, PollFlags::IN)], timeout.as_ref());
        self.clear();
    }

    /// Whether SIGTERM has come.
    pub fn asked_to_leave(&self) -> bool {
        LEAVE.load(Ordering::Relaxed)
    }
}

fn handle(signal: libc::c_int) {
    // SAFETY: `on_signal` does only what is allowed in a handler. It stays after the first signal, and interrupted calls are
    // restarted; `poll` never is.
    #[allow(unsafe_code)]
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_signal as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
        libc::sigemptyset(&raw mut action.sa_mask);
        // Only a signal that cannot be handled is refused, and these can.
        libc::sigaction(signal, &raw const action, std::ptr::null_mut());
    }
}

/// Atomic loads and stores and one raw system call, which leaves `errno` alone.
extern "C" fn on_signal(signal: libc::c_int, told: *const libc::siginfo_t, _: *const libc::c_void) {
    // SAFETY: the kernel gives a handler of this kind what is told of the signal, and a number is read from it. A sender
    // outside of our namespace of processes has none.
    #[allow(unsafe_code)]
    let from_inside = FIRST.load(Ordering::Relaxed) && unsafe { (*told).si_pid() } != 0;
    if signal == libc::SIGTERM && !from_inside {
        LEAVE.store(true, Ordering::Relaxed);
    }
    if let Some(event) = EVENT.get() {
        // It fails only when the counter is full, and then the loop is awake already.
        let _ = io::write(event, &1_u64.to_ne_bytes());
    }
}
