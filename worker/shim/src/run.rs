//! One run: its files, its process, its time.

use std::os::fd::OwnedFd;
use std::path::{Component, Path};
use std::process::Stdio;
use std::time::{Duration, Instant};

use longshore_shim::{End, Run, Stdout};
use rustix::fs::{Mode, OFlags, mkdir, open};
use rustix::io::Errno;
use rustix::process::umask;

use crate::child::{Child, Remains};
use crate::command::{Container, NotStarted, errno_of};
use crate::logs::Chunk;
use crate::reap::{self, Reaper};

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
    /// Makes the files of a run and starts its process.
    ///
    /// # Errors
    /// When anything of that fails. What was made by then is left to the worker.
    pub fn start(run: &Run, container: &Container) -> Result<Self, NotStarted> {
        let started = Instant::now();
        make_out_dir(&run.out_dir)?;
        let stdin = match &run.stdin {
            Some(path) => open_stdin(path)?,
            None => container.empty_stdin()?,
        };
        let file = match &run.stdout {
            Stdout::File(path) => Some(create_stdout(path, &run.out_dir)?),
            Stdout::Log => None,
        };
        let command = container.command(&run.argv, &run.env)?;
        let timeout = run.timeout_ms.map(Duration::from_millis);
        Ok(Self {
            seq: run.seq,
            child: Child::spawn(command, stdin, file, run.log_bytes)?,
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

/// While it lives, new files and directories get exactly the mode that is asked for.
struct ExactModes(Mode);

impl ExactModes {
    fn new() -> Self {
        Self(umask(Mode::empty()))
    }
}

impl Drop for ExactModes {
    fn drop(&mut self) {
        // The user's processes are to see the mask the container came with.
        umask(self.0);
    }
}

fn make_out_dir(path: &str) -> Result<(), NotStarted> {
    let _exact = ExactModes::new();
    mkdir(path, Mode::from_raw_mode(0o777)).map_err(|errno| NotStarted::new(errno, "make directory", path))
}

fn open_stdin(path: &str) -> Result<Stdio, NotStarted> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match open(path, flags, Mode::empty()) {
        Ok(file) => Ok(file.into()),
        Err(errno) => Err(NotStarted::new(errno, "open standard input", path)),
    }
}

fn create_stdout(path: &str, out_dir: &str) -> Result<OwnedFd, NotStarted> {
    let refuse = |errno| NotStarted::new(errno, "create standard output", path);
    make_parents(path, out_dir).map_err(refuse)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    open(path, flags, Mode::from_raw_mode(0o666)).map_err(refuse)
}

/// Makes the directories between `out_dir` and a file below it, open to all like `out_dir`.
fn make_parents(path: &str, out_dir: &str) -> Result<(), Errno> {
    let below = Path::new(path).strip_prefix(out_dir);
    let below = below.map_err(|_| Errno::INVAL)?;
    let plain = |part| matches!(part, Component::Normal(_));
    let parent = below.parent().filter(|_| below.components().all(plain));
    let parent = parent.ok_or(Errno::INVAL)?;
    if parent.as_os_str().is_empty() {
        return Ok(());
    }
    let _exact = ExactModes::new();
    std::fs::create_dir_all(Path::new(out_dir).join(parent)).map_err(|cause| errno_of(&cause))
}
