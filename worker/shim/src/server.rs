//! The server that stays up, and connections to it.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::time::Duration;

use longshore_shim::Serve;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::sockopt::{set_tcp_nodelay, socket_error};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, ipproto, socket_with};

use crate::child::{Child, Remains};
use crate::command::{Container, NotStarted};
use crate::logs::Chunk;
use crate::rights::AsOwner;

/// Longest wait for a connection. Over loopback the answer is there at once unless the server's backlog is full.
const CONNECT_LIMIT: Duration = Duration::from_millis(50);

/// A server that is up.
pub struct Server {
    child: Child,
    socket: String,
    port: u16,
}

impl Server {
    /// Starts it. That it listens shows in connections.
    ///
    /// # Errors
    /// When its process cannot be started.
    pub fn start(serve: &Serve, container: &mut Container) -> Result<Self, NotStarted> {
        let program = container.program(&serve.argv, &serve.env, (&serve.secrets, serve.user.as_ref()))?;
        let stdin = container.empty_stdin()?;
        Ok(Self {
            child: Child::spawn(container, &program, stdin, None, serve.log_bytes, serve.user.clone())?,
            socket: serve.socket.clone(),
            port: serve.port,
        })
    }

    /// Its process.
    pub fn child(&self) -> &Child {
        &self.child
    }

    /// Its process.
    pub fn child_mut(&mut self) -> &mut Child {
        &mut self.child
    }

    /// What is left after it has ended.
    pub fn into_remains(self, chunk: &mut Chunk) -> Remains {
        self.child.into_remains(chunk)
    }

    /// A connection to it, in non-blocking mode: by its unix socket if it listens there, else over TCP.
    ///
    /// # Errors
    /// `ECONNREFUSED` when it listens nowhere, `EAGAIN` and `ETIMEDOUT` when its backlog is full.
    pub fn connect(&self) -> Result<OwnedFd, Errno> {
        match self.connect_unix() {
            Err(Errno::AGAIN) => Err(Errno::AGAIN),
            Err(_) => self.connect_tcp(),
            connected => connected,
        }
    }

    fn connect_unix(&self) -> Result<OwnedFd, Errno> {
        if self.socket.is_empty() {
            return Err(Errno::NOENT);
        }
        let address = SocketAddrUnix::new(self.socket.as_str())?;
        let fd = stream(AddressFamily::UNIX, None)?;
        // The socket is the server's, and mostly nobody else may write to it.
        let _borrowed = AsOwner::of(self.child.user());
        connect(&fd, &address)?;
        Ok(fd)
    }

    fn connect_tcp(&self) -> Result<OwnedFd, Errno> {
        let fd = stream(AddressFamily::INET, Some(ipproto::TCP))?;
        set_tcp_nodelay(&fd, true)?;
        match connect(&fd, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.port)) {
            Ok(()) => Ok(fd),
            Err(Errno::INPROGRESS) => finish_connect(fd),
            Err(errno) => Err(errno),
        }
    }
}

fn stream(family: AddressFamily, protocol: Option<rustix::net::Protocol>) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(family, SocketType::STREAM, flags, protocol)
}

fn finish_connect(fd: OwnedFd) -> Result<OwnedFd, Errno> {
    let limit = Timespec::try_from(CONNECT_LIMIT).ok();
    let ready = retry_on_intr(|| poll(&mut [PollFd::new(&fd, PollFlags::OUT)], limit.as_ref()))?;
    if ready == 0 {
        return Err(Errno::TIMEDOUT);
    }
    socket_error(&fd)??;
    Ok(fd)
}
