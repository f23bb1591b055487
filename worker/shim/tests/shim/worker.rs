//! The worker's end: starts a shim, sends frames, reads answers.

use std::ffi::OsString;
use std::fs::File;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use longshore_shim::{
    Done, FromShim, INPUTS_ENV, MAX_FRAME_BYTES, Run, SCRATCH_ENV, SOCKET_ENV, Stdin, Stdout, ToShim, VERSION, decode,
    encode,
};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept, bind, listen, recvmsg, send, sendmsg, socket_with,
};
use tempfile::TempDir;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the shim runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// As a child like any other.
    Child,
    /// As process 1 of a PID namespace.
    First,
}

impl Place {
    /// All that this machine allows.
    pub fn all() -> Vec<Self> {
        match unshare() {
            Some(_) => vec![Self::Child, Self::First],
            None => {
                eprintln!("no PID namespaces here: the shim is not tested as process 1");
                vec![Self::Child]
            }
        }
    }

    fn command(self) -> Command {
        let shim = shim();
        let prefix = match self {
            Self::Child => return Command::new(shim),
            Self::First => unshare().unwrap(),
        };
        let mut command = Command::new("unshare");
        command.args(prefix).arg(shim);
        command
    }
}

/// The shim, where Cargo says at run time that it is: the directory may have been moved.
pub fn shim() -> OsString {
    std::env::var_os("CARGO_BIN_EXE_longshore-shim").unwrap_or_else(|| env!("CARGO_BIN_EXE_longshore-shim").into())
}

/// The options of `unshare` that make a process the first here.
fn unshare() -> Option<&'static [&'static str]> {
    const WAYS: [&[&str]; 2] =
        [&["--pid", "--fork", "--kill-child"], &["--user", "--map-root-user", "--pid", "--fork", "--kill-child"]];
    static WAY: OnceLock<Option<&[&str]>> = OnceLock::new();
    *WAY.get_or_init(|| WAYS.into_iter().find(|way| works(way)))
}

fn works(way: &[&str]) -> bool {
    let mut trial = Command::new("unshare");
    trial.args(way).args(["sh", "-c", "test $$ = 1"]);
    trial.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// A worker with one shim.
pub struct Worker {
    directory: TempDir,
    connection: Option<OwnedFd>,
    shim: Child,
    place: Place,
    last_seq: u64,
}

impl Worker {
    /// Starts a shim and takes its greeting.
    pub fn start(place: Place) -> Self {
        Self::start_with(place, &[])
    }

    /// The same with variables in the shim's environment.
    pub fn start_with(place: Place, variables: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("worker.sock");
        let listener = seqpacket();
        bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        listen(&listener, 1).unwrap();
        std::fs::create_dir(directory.path().join("scratch")).unwrap();
        let mut command = place.command();
        command
            .env(SOCKET_ENV, &path)
            .env(INPUTS_ENV, directory.path())
            .env(SCRATCH_ENV, directory.path().join("scratch"))
            .envs(variables.iter().copied());
        let shim = command.spawn().unwrap();
        set_socket_timeout(&listener, Timeout::Recv, Some(PATIENCE)).unwrap();
        let connection = accept(&listener).unwrap();
        set_socket_timeout(&connection, Timeout::Recv, Some(PATIENCE)).unwrap();
        let worker = Self { directory, connection: Some(connection), shim, place, last_seq: 0 };
        assert_eq!(worker.receive(), FromShim::Hello { version: VERSION });
        worker
    }

    /// A path in the worker's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The same as text.
    pub fn name(&self, name: &str) -> String {
        text(&self.path(name))
    }

    /// A run of `sh -c script`.
    pub fn script(&mut self, script: &str) -> Run {
        self.command(&["sh", "-c", script])
    }

    /// A run of a command.
    pub fn command(&mut self, argv: &[&str]) -> Run {
        self.last_seq += 1;
        Run {
            seq: self.last_seq,
            argv: argv.iter().map(|&word| word.into()).collect(),
            env: vec![("DIR".into(), text(self.directory.path()))],
            stdin: Stdin::Empty,
            stdout: Stdout::Log,
            timeout_ms: None,
            grace_ms: 60_000,
            log_bytes: 4096,
            user: None,
            secrets: Vec::new(),
            long_arguments: false,
        }
    }

    /// Sends a frame.
    pub fn send(&self, frame: &ToShim) {
        self.send_bytes(&encode(frame).unwrap());
    }

    /// Sends any bytes.
    pub fn send_bytes(&self, bytes: &[u8]) {
        let connection = self.connection.as_ref().unwrap();
        send(connection, bytes, SendFlags::NOSIGNAL).unwrap();
    }

    /// Sends a frame with files.
    pub fn send_with(&self, frame: &ToShim, files: &[&File]) {
        let files: Vec<BorrowedFd<'_>> = files.iter().map(|file| file.as_fd()).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(&files)));
        let connection = self.connection.as_ref().unwrap();
        sendmsg(connection, &[IoSlice::new(&encode(frame).unwrap())], &mut control, SendFlags::NOSIGNAL).unwrap();
    }

    /// The next frame.
    pub fn receive(&self) -> FromShim {
        self.receive_with_fd().0
    }

    /// The next frame and what is attached to it.
    pub fn receive_with_fd(&self) -> (FromShim, Option<OwnedFd>) {
        let mut bytes = vec![0; MAX_FRAME_BYTES];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let connection = self.connection.as_ref().unwrap();
        let mut slices = [IoSliceMut::new(&mut bytes)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received = recvmsg(connection, &mut slices, &mut control, flags).unwrap();
        let attached = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        (decode(&bytes[..received.bytes]).unwrap(), attached)
    }

    /// The next frame, which must be the end of a run.
    pub fn done(&self) -> Done {
        match self.receive() {
            FromShim::Done(done) => done,
            other => panic!("expected the end of a run, got {other:?}"),
        }
    }

    /// Sends a run and waits for its end.
    pub fn carry_out(&self, run: Run) -> Done {
        let seq = run.seq;
        self.send(&ToShim::Run(run));
        let done = self.done();
        assert_eq!(done.seq, seq);
        assert!(!done.dirty, "{done:?}");
        done
    }

    /// Hangs up.
    pub fn hang_up(&mut self) {
        self.connection = None;
    }

    /// Waits until the shim has left.
    pub fn exit_status(&mut self) -> ExitStatus {
        self.shim.wait().unwrap()
    }

    /// The shim's own process number, here.
    pub fn shim_pid(&self) -> u32 {
        let pid = self.shim.id();
        if self.place == Place::Child {
            return pid;
        }
        let children = format!("/proc/{pid}/task/{pid}/children");
        let children = std::fs::read_to_string(children).unwrap();
        children.trim().parse().unwrap()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // A shim whose worker hangs up leaves, with everything it started.
        self.hang_up();
        let _ = self.shim.wait();
    }
}

fn seqpacket() -> OwnedFd {
    let flags = SocketFlags::CLOEXEC;
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap()
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
