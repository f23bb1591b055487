//! A direct client: hyper over the unix socket of the same server in a container.

use std::{
    os::unix::net::UnixStream as Probe,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use rustix::process::{getgid, getuid};
use tokio::net::UnixStream;

use super::caller::{Connection, load};
use crate::{containers::Kept, contender::Contender, image::SERVE, jobs, run::Run};

/// Longest wait for a server.
const READY: Duration = Duration::from_secs(10);

/// Servers in containers, and connections spread over them.
pub struct Direct {
    image: String,
    servers: usize,
    connections: usize,
    bytes: usize,
    lasting: Duration,
    running: Vec<Server>,
}

/// A server in a container, reached by a unix socket in a directory of this machine.
pub struct Server {
    /// Its container.
    pub kept: Kept,
    dir: tempfile::TempDir,
}

impl Direct {
    /// So many connections, over so many servers.
    pub fn new(image: String, servers: usize, connections: usize, bytes: usize, lasting: Duration) -> Self {
        Self { image, servers, connections, bytes, lasting, running: Vec::new() }
    }
}

impl Server {
    /// Starts one and waits until it takes connections.
    pub fn start(image: &str) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let volume = format!("{}:/socket", dir.path().display());
        let user = format!("{}:{}", getuid().as_raw(), getgid().as_raw());
        let arguments = ["-v", &volume, "-e", "LONGSHORE_SOCKET=/socket/http", "--user", &user, "--read-only", image];
        let server = Self { kept: Kept::start(&[&arguments[..], &SERVE].concat())?, dir };
        wait_for(&server.socket())?;
        Ok(server)
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("http")
    }
}

/// Waits until somebody takes connections there.
pub fn wait_for(socket: &Path) -> Result<()> {
    let begun = Instant::now();
    while Probe::connect(socket).is_err() {
        if begun.elapsed() > READY {
            bail!("nobody takes connections at {}", socket.display());
        }
        sleep(Duration::from_millis(10));
    }
    Ok(())
}

impl Contender for Direct {
    fn name(&self) -> String {
        format!("direct client, {} at once", self.connections)
    }

    fn does(&self) -> String {
        let (connections, servers) = (self.connections, self.servers);
        format!("{connections} connections (hyper, HTTP/1.1) over the unix sockets of {servers} servers in containers")
    }

    fn start(&mut self) -> Result<()> {
        self.running = (0..self.servers).map(|_| Server::start(&self.image)).collect::<Result<_>>()?;
        Ok(())
    }

    fn run(&mut self) -> Result<Run> {
        let used = || self.running.iter().map(|server| server.kept.container.cpu()).sum::<Result<Duration>>();
        let before = used()?;
        let (requests, run) = jobs::runtime()?.block_on(async {
            let mut callers = Vec::new();
            for server in self.running.iter().cycle().take(self.connections) {
                let stream = UnixStream::connect(server.socket()).await?;
                callers.push(Connection::over(stream, "/", "localhost", self.bytes).await?);
            }
            load(callers, self.lasting).await
        })?;
        Ok(run.with_cpu("servers", used()?.saturating_sub(before), requests))
    }
}
