//! One run: its files, its process, its time.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use longshore_shim::{End, Run, Stdin, Stdout, User};
use rustix::io::Errno;

use crate::child::{Child, Remains};
use crate::command::{Container, NotStarted};
use crate::logs::Chunk;
use crate::reap::{self, Reaper};
use crate::spawn;

/// A run that waits for its turn, with the file of its standard output.
pub struct Waiting {
    run: Run,
    stdout: Option<OwnedFd>,
}

impl Waiting {
    /// A run and what travelled with it; nothing when that is not what the run says.
    pub fn new(run: Run, attached: Option<OwnedFd>) -> Option<Self> {
        let as_said = attached.is_some() == (run.stdout == Stdout::Attached);
        as_said.then_some(Self { run, stdout: attached })
    }

    /// The worker's number for it.
    pub fn seq(&self) -> u64 {
        self.run.seq
    }

    /// Whose its secrets are, if it has any.
    pub fn whose_secrets(&self) -> Option<Option<User>> {
        (!self.run.secrets.is_empty()).then(|| self.run.user.clone())
    }
}

fn c_path(path: &str) -> Result<CString, NotStarted> {
    CString::new(path).map_err(|_| NotStarted::new(Errno::INVAL, "open standard input", path))
}

/// A run that is going on.
///
/// Its time may be over, or its worker may stop it: then it is asked to end (SIGTERM), and after a grace killed. Whenever
/// its process ends, the run does.
pub struct Running {
    seq: u64,
    child: Child,
    started: Instant,
    /// Set once it is being ended from outside.
    forced: Option<End>,
    /// When it is asked to end, or, once it was asked, killed.
    deadline: Option<Instant>,
    grace: Duration,
}

impl Running {
    /// Starts the process of a run.
    ///
    /// # Errors
    /// When that fails.
    pub fn start(Waiting { run, stdout }: Waiting, container: &mut Container) -> Result<Self, NotStarted> {
        let started = Instant::now();
        let stdin = match &run.stdin {
            Stdin::File(path) => spawn::Stdin::Input(c_path(path)?),
            Stdin::Empty => container.empty_stdin()?,
        };
        let mut program = container.program(&run.argv, &run.env, (&run.secrets, run.user.as_ref()))?;
        program.long_arguments = run.long_arguments;
        let timeout = run.timeout_ms.map(Duration::from_millis);
        let child = Child::spawn(container, &program, stdin, stdout, run.log_bytes, run.user)?;
        Ok(Self {
            seq: run.seq,
            child,
            started,
            forced: None,
            deadline: timeout.and_then(|timeout| started.checked_add(timeout)),
            grace: Duration::from_millis(run.grace_ms.into()),
        })
    }

    /// The worker's number for it.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Its process.
    pub fn child(&self) -> &Child {
        &self.child
    }

    /// Its process.
    pub fn child_mut(&mut self) -> &mut Child {
        &mut self.child
    }

    /// When [`Running::keep_time`] is to be called next.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The worker wants it ended. Does nothing when it is being ended already.
    pub fn stop(&mut self, grace_ms: u32) {
        if self.forced.is_none() {
            self.grace = Duration::from_millis(grace_ms.into());
            self.ask(End::Stopped);
        }
    }

    /// Moves on when the deadline has passed.
    pub fn keep_time(&mut self, reaper: &Reaper) {
        while self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            if self.forced.is_none() {
                self.ask(End::TimedOut);
            } else {
                reaper.kill();
                self.deadline = None;
            }
        }
    }

    fn ask(&mut self, end: End) {
        reap::terminate(self.child.pid());
        self.forced = Some(end);
        self.deadline = Instant::now().checked_add(self.grace);
    }

    /// Ends the run, after its process has ended and the leftovers are dead. The second value says that the run was
    /// made to end so, whatever its process did.
    pub fn into_remains(self, chunk: &mut Chunk) -> (Remains, Option<End>) {
        let wall = self.started.elapsed();
        let mut remains = self.child.into_remains(chunk);
        remains.usage.wall_us = u64::try_from(wall.as_micros()).unwrap_or(u64::MAX);
        (remains, self.forced)
    }
}
