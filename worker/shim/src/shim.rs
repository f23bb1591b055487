//! The loop: what has happened, and what follows from it.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use longshore_shim::{Done, End, FromShim, Log, MAX_QUEUED_RUNS, Run, Serve, ToShim, Usage, User};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::child::Child;
use crate::command::Container;
use crate::counters::Counter;
use crate::logs::Chunk;
use crate::reap::{self, Ended, Next, Reaper, Status};
use crate::run::{Running, Waiting};
use crate::scratch::Scratch;
use crate::server::Server;
use crate::socket::{Lost, Socket};
use crate::wake::Wake;
use crate::{sysv, users};

/// Longest wait for killed processes to be gone. One that outlives it hangs in the kernel; the run is reported dirty.
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// How often killing is repeated meanwhile, when nobody's end wakes the shim before.
const KILL_AGAIN: Duration = Duration::from_millis(20);

/// Everything the shim holds.
pub struct Shim {
    socket: Socket,
    wake: Wake,
    reaper: Reaper,
    container: Container,
    scratch: Scratch,
    memory_kills: Counter,
    process_refusals: Counter,
    contained: bool,
    chunk: Chunk,
    queue: VecDeque<Waiting>,
    running: Option<Running>,
    server: Option<Server>,
}

/// What there is to do.
#[derive(Default)]
struct Ready {
    signal: bool,
    frame: bool,
    logs: bool,
}

/// Whether the worker wants the conversation to go on.
#[derive(PartialEq, Eq)]
enum Then {
    Continue,
    Leave,
}

impl Shim {
    /// A shim with nothing to do yet. `contained` says that a container is its own.
    ///
    /// # Errors
    /// When the system lacks what it needs.
    pub fn new(socket: Socket, scratch: &OsStr, contained: bool) -> std::io::Result<Self> {
        let reaper = Reaper::new();
        Ok(Self {
            socket,
            wake: Wake::install()?,
            container: Container::new(reaper.is_first())?,
            scratch: Scratch::open(scratch)?,
            memory_kills: Counter::of_memory_kills(contained),
            process_refusals: Counter::of_process_refusals(contained),
            contained,
            chunk: Chunk::new(),
            queue: VecDeque::new(),
            running: None,
            server: None,
            reaper,
        })
    }

    /// Says something to the worker.
    ///
    /// # Errors
    /// When the worker is gone.
    pub fn say(&self, frame: &FromShim) -> Result<(), Lost> {
        self.socket.send(frame)
    }

    /// Works until told to leave.
    ///
    /// # Errors
    /// When the worker is gone or makes no sense.
    pub fn work(&mut self) -> Result<(), Lost> {
        loop {
            self.start_next()?;
            let ready = self.wait();
            if ready.logs {
                self.read_logs();
            }
            if ready.signal {
                self.wake.clear();
                self.collect()?;
            }
            if let Some(running) = &mut self.running {
                running.keep_time(&self.reaper);
            }
            let then = if ready.frame { self.listen()? } else { Then::Continue };
            if then == Then::Leave || self.wake.asked_to_leave() {
                return Ok(());
            }
        }
    }

    /// Kills every process that was started here.
    pub fn end_everything(&mut self) {
        self.clear();
    }

    fn start_next(&mut self) -> Result<(), Lost> {
        while self.running.is_none()
            && let Some(waiting) = self.queue.pop_front()
        {
            let seq = waiting.seq();
            let secretive = waiting.whose_secrets();
            match Running::start(waiting, &mut self.container) {
                Ok(running) => self.running = Some(running),
                Err(problem) => {
                    // They may be in place already. What cannot be removed is in the way of the next ones.
                    if let Some(user) = secretive {
                        self.scratch.empty(user.as_ref());
                    }
                    self.done_without_process(seq, problem.into_end())?;
                }
            }
        }
        Ok(())
    }

    fn wait(&self) -> Ready {
        let mut fds = Vec::with_capacity(6);
        fds.push(PollFd::from_borrowed_fd(self.wake.fd(), PollFlags::IN));
        fds.push(PollFd::from_borrowed_fd(self.socket.fd(), PollFlags::IN));
        for capture in self.children().flat_map(Child::captures) {
            fds.push(PollFd::from_borrowed_fd(capture.fd(), PollFlags::IN));
        }
        match poll(&mut fds, self.time_left().as_ref()) {
            Ok(_) => Ready { signal: has_event(&fds[..1]), frame: has_event(&fds[1..2]), logs: has_event(&fds[2..]) },
            // Interrupted by a signal. Whatever else there is, the next turn finds it.
            Err(_) => Ready { signal: true, ..Ready::default() },
        }
    }

    fn time_left(&self) -> Option<Timespec> {
        let deadline = self.running.as_ref()?.deadline()?;
        // A time too long for the kernel is as good as none.
        Timespec::try_from(deadline.saturating_duration_since(Instant::now())).ok()
    }

    fn children(&self) -> impl Iterator<Item = &Child> {
        let running = self.running.iter().map(Running::child);
        running.chain(self.server.iter().map(Server::child))
    }

    fn read_logs(&mut self) {
        let running = self.running.iter_mut().map(Running::child_mut);
        for child in running.chain(self.server.iter_mut().map(Server::child_mut)) {
            child.read_logs(&mut self.chunk);
        }
    }

    /// Collects the children that have ended, and finishes what ended with them.
    fn collect(&mut self) -> Result<(), Lost> {
        let nobody = self.reap();
        if !self.children().any(Child::has_ended) {
            return Ok(());
        }
        let clear = nobody || self.clear();
        if let Some(running) = self.running.take() {
            self.finish_run(running, clear)?;
        }
        if let Some(server) = self.server.take() {
            self.finish_server(server)?;
        }
        Ok(())
    }

    /// True when no child is left.
    fn reap(&mut self) -> bool {
        loop {
            match reap::next() {
                Next::Ended(ended) => self.note(&ended),
                Next::Alive => return false,
                Next::Nobody => return true,
            }
        }
    }

    fn note(&mut self, ended: &Ended) {
        // An orphan cannot be told from another's; it is the run's, as a run and a server are not mixed.
        let of_server = self.server.as_ref().is_some_and(|server| server.child().pid() == ended.pid);
        let run = self.running.as_mut().map(Running::child_mut).filter(|_| !of_server);
        if let Some(child) = run.or(self.server.as_mut().map(Server::child_mut)) {
            child.note(ended);
        }
    }

    /// Kills all there is. False when something is still there at the end.
    fn clear(&mut self) -> bool {
        let limit = Instant::now() + KILL_LIMIT;
        loop {
            self.reaper.kill();
            if self.reap() {
                return true;
            }
            if Instant::now() > limit {
                return false;
            }
            self.wake.sleep(KILL_AGAIN);
        }
    }

    fn finish_run(&mut self, running: Running, clear: bool) -> Result<(), Lost> {
        let seq = running.seq();
        let (remains, forced) = running.into_remains(&mut self.chunk);
        let end = forced.unwrap_or_else(|| end_of(remains.status));
        // All of it is dead, or else the container is not used again.
        let emptied = self.empty(remains.user.as_ref());
        let memory_kills = self.memory_kills.new_ones();
        let process_refusals = self.process_refusals.new_ones();
        self.say(&FromShim::Done(Done {
            seq,
            end,
            dirty: !(clear && emptied && remains.complete),
            memory_kills,
            process_refusals,
            usage: remains.usage,
            stdout: remains.stdout,
            stderr: remains.stderr,
        }))
    }

    /// Removes what a run of this user left beside its outputs. False when something stays.
    fn empty(&mut self, user: Option<&User>) -> bool {
        let emptied = self.scratch.empty(user);
        // Elsewhere these may be the whole machine's.
        emptied && (!self.contained || sysv::clear(user))
    }

    fn finish_server(&mut self, server: Server) -> Result<(), Lost> {
        let remains = server.into_remains(&mut self.chunk);
        let memory_kills = self.memory_kills.new_ones();
        self.say(&FromShim::ServerEnded {
            end: end_of(remains.status),
            stdout: remains.stdout,
            stderr: remains.stderr,
            memory_kills,
        })
    }

    /// Takes one frame; if there are more, the next turn finds them.
    fn listen(&mut self) -> Result<Then, Lost> {
        let Some((frame, attached)) = self.socket.receive()? else { return Ok(Then::Continue) };
        match frame {
            ToShim::Run(run) => self.enqueue(run, attached)?,
            ToShim::Stop { seq, grace_ms } => self.stop(seq, grace_ms)?,
            ToShim::Serve(serve) => self.serve(&serve)?,
            ToShim::Connect { id } => self.connect(id)?,
            ToShim::LookUp { user } => self.say(&FromShim::User(users::look_up(&user)))?,
            ToShim::Find { program, env } => {
                let found = self.container.find(&program, &env);
                self.say(&FromShim::Found(found))?;
            }
            ToShim::Exit => return Ok(Then::Leave),
        }
        Ok(Then::Continue)
    }

    fn enqueue(&mut self, run: Run, attached: Option<OwnedFd>) -> Result<(), Lost> {
        match Waiting::new(run, attached) {
            Some(waiting) if self.queue.len() < MAX_QUEUED_RUNS => {
                self.queue.push_back(waiting);
                Ok(())
            }
            _ => Err(Lost::Malformed),
        }
    }

    /// A number that is not known is that of a run whose end is on its way to the worker.
    fn stop(&mut self, seq: u64, grace_ms: u32) -> Result<(), Lost> {
        if let Some(running) = self.running.as_mut().filter(|running| running.seq() == seq) {
            running.stop(grace_ms);
            running.keep_time(&self.reaper);
        }
        match self.queue.iter().position(|waiting| waiting.seq() == seq) {
            Some(place) => {
                self.queue.remove(place);
                self.done_without_process(seq, End::Stopped)
            }
            None => Ok(()),
        }
    }

    fn done_without_process(&self, seq: u64, end: End) -> Result<(), Lost> {
        self.say(&FromShim::Done(Done {
            seq,
            end,
            dirty: false,
            memory_kills: 0,
            process_refusals: 0,
            usage: Usage::default(),
            stdout: Log::default(),
            stderr: Log::default(),
        }))
    }

    fn serve(&mut self, serve: &Serve) -> Result<(), Lost> {
        if self.server.is_some() {
            return Err(Lost::Malformed);
        }
        match Server::start(serve, &mut self.container) {
            Ok(server) => {
                self.server = Some(server);
                Ok(())
            }
            Err(problem) => self.say(&FromShim::ServerEnded {
                end: problem.into_end(),
                stdout: Log::default(),
                stderr: Log::default(),
                memory_kills: 0,
            }),
        }
    }

    fn connect(&mut self, id: u64) -> Result<(), Lost> {
        let connected = match &self.server {
            Some(server) => server.connect(),
            None => Err(Errno::CONNREFUSED),
        };
        match connected {
            Ok(fd) => {
                let frame = FromShim::Connected { id };
                self.socket.send_with(&frame, std::os::fd::AsFd::as_fd(&fd))
            }
            Err(errno) => self.say(&FromShim::ConnectFailed { id, errno: errno.raw_os_error() }),
        }
    }
}

fn end_of(status: Status) -> End {
    match status {
        Status::Exited(code) => End::Exited(code),
        Status::Signaled(signal) => End::Signaled { signal },
    }
}

fn has_event(fds: &[PollFd<'_>]) -> bool {
    fds.iter().any(|fd| !fd.revents().is_empty())
}
