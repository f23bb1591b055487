//! A process of the user's, with what it writes.

use std::os::fd::OwnedFd;

use longshore_shim::{Log, Usage, User};
use rustix::process::Pid;

use crate::command::{Container, NotStarted};
use crate::logs::{Capture, Chunk};
use crate::reap::{Ended, Status};
use crate::spawn::{Program, Stdin, Streams};

/// A process that was started and has not been reported yet.
pub struct Child {
    pid: Pid,
    stdout: Option<Capture>,
    stderr: Capture,
    status: Option<Status>,
    usage: Usage,
    user: Option<User>,
    /// Holds our copies of the writing ends, see [`Capture`].
    _streams: Streams,
}

/// All there is to say about a process that has ended.
pub struct Remains {
    pub status: Status,
    pub usage: Usage,
    pub stdout: Log,
    pub stderr: Log,
    /// Whom it ran as.
    pub user: Option<User>,
    /// False when somebody still writes.
    pub complete: bool,
}

impl Child {
    /// Starts a program as this user. Without a `file`, standard output is a log.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(
        container: &mut Container,
        program: &Program,
        stdin: Stdin,
        file: Option<OwnedFd>,
        log_bytes: u32,
        user: Option<User>,
    ) -> Result<Self, NotStarted> {
        let no_pipe = |errno| NotStarted::new(errno, "make", "a pipe");
        let (capture, stderr) = Capture::new(log_bytes).map_err(no_pipe)?;
        let (log, stdout) = match file {
            Some(file) => (None, file),
            None => {
                let (log, stdout) = Capture::new(log_bytes).map_err(no_pipe)?;
                (Some(log), stdout)
            }
        };
        let streams = Streams { stdin, stdout, stderr };
        Ok(Self {
            pid: container.start(program, &streams, user.as_ref())?,
            stdout: log,
            stderr: capture,
            status: None,
            usage: Usage::default(),
            user,
            _streams: streams,
        })
    }

    /// Its process number, also that of its process group.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Whom it runs as.
    pub fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    /// Its open logs.
    pub fn captures(&self) -> impl Iterator<Item = &Capture> {
        self.stdout.iter().chain([&self.stderr])
    }

    /// Reads what it has written so far.
    pub fn read_logs(&mut self, chunk: &mut Chunk) {
        for capture in self.stdout.iter_mut().chain([&mut self.stderr]) {
            capture.read(chunk);
        }
    }

    /// Takes note of the end of this process, or of an orphan it has left, whose use of the machine it answers for.
    pub fn note(&mut self, ended: &Ended) {
        if ended.pid == self.pid {
            self.status = Some(ended.status);
        }
        self.usage.user_us += ended.usage.user_us;
        self.usage.system_us += ended.usage.system_us;
        self.usage.max_rss_kib = self.usage.max_rss_kib.max(ended.usage.max_rss_kib);
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.status.is_some()
    }

    /// Reads the rest of its logs; nobody may be left who could write.
    pub fn into_remains(mut self, chunk: &mut Chunk) -> Remains {
        let mut complete = self.stderr.read_rest(chunk);
        if let Some(stdout) = &mut self.stdout {
            complete &= stdout.read_rest(chunk);
        }
        Remains {
            // Without a status it could not be killed, and is still there.
            complete: complete && self.status.is_some(),
            status: self.status.unwrap_or(Status::Signaled(libc::SIGKILL)),
            usage: self.usage,
            stdout: self.stdout.map(Capture::into_log).unwrap_or_default(),
            stderr: self.stderr.into_log(),
            user: self.user,
        }
    }
}
