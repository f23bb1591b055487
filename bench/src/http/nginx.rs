//! nginx as a reverse proxy before the same server in a container, from a unix socket to a unix socket.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::net::UnixStream;

use super::{
    caller::{Connection, load},
    direct::{Server, wait_for},
};
use crate::{contender::Contender, jobs, processes, run::Run};

/// Connections through an nginx to one server.
pub struct Nginx {
    image: String,
    connections: usize,
    bytes: usize,
    lasting: Duration,
    running: Option<Running>,
}

struct Running {
    process: Child,
    server: Server,
    dir: tempfile::TempDir,
}

impl Nginx {
    /// So many connections.
    pub fn new(image: String, connections: usize, bytes: usize, lasting: Duration) -> Self {
        Self { image, connections, bytes, lasting, running: None }
    }
}

impl Running {
    fn start(image: &str) -> Result<Self> {
        let (server, dir) = (Server::start(image)?, tempfile::tempdir()?);
        let config = dir.path().join("nginx.conf");
        fs::write(&config, Self::config(&dir, &server))?;
        let mut nginx = Command::new("nginx");
        nginx.arg("-p").arg(dir.path()).arg("-c").arg(&config).stdin(Stdio::null()).stderr(Stdio::null());
        let process = nginx.spawn().context("cannot run nginx (Debian: nginx-light)")?;
        let running = Self { process, server, dir };
        wait_for(&running.socket())?;
        Ok(running)
    }

    fn config(dir: &tempfile::TempDir, server: &Server) -> String {
        let (dir, socket) = (dir.path().display(), server.socket());
        // Its workers open the server's socket, which is this user's.
        let user = if rustix::process::getuid().is_root() { "user root;" } else { "" };
        format!(
            "daemon off; {user} pid {dir}/pid; error_log {dir}/errors; worker_processes auto;
            events {{ worker_connections 1024; }}
            http {{
                access_log off;
                client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxied; fastcgi_temp_path {dir}/fastcgi;
                uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
                keepalive_requests 1000000000;
                upstream the_server {{ server unix:{}; keepalive 64; keepalive_requests 1000000000; }}
                server {{
                    listen unix:{dir}/proxy;
                    location / {{
                        proxy_pass http://the_server; proxy_http_version 1.1; proxy_set_header Connection \"\";
                    }}
                }}
            }}",
            socket.display()
        )
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("proxy")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.process);
        // It may have ended already.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.process.wait();
    }
}

impl Contender for Nginx {
    fn name(&self) -> String {
        format!("nginx, {} at once", self.connections)
    }

    fn does(&self) -> String {
        let connections = self.connections;
        format!(
            "{connections} connections to nginx (a worker a core, 64 connections kept), from its unix socket to the server's"
        )
    }

    fn start(&mut self) -> Result<()> {
        self.running = Some(Running::start(&self.image)?);
        Ok(())
    }

    fn run(&mut self) -> Result<Run> {
        let running = self.running.as_ref().context("not started")?;
        let proxy = || Ok::<_, anyhow::Error>(processes::of_tree(running.process.id())?.own);
        let (before, server) = (proxy()?, running.server.kept.container.cpu()?);
        let (requests, run) = jobs::runtime()?.block_on(async {
            let mut callers = Vec::new();
            for _ in 0..self.connections {
                let stream = UnixStream::connect(running.socket()).await?;
                callers.push(Connection::over(stream, "/", "localhost", self.bytes).await?);
            }
            load(callers, self.lasting).await
        })?;
        let server = running.server.kept.container.cpu()?.saturating_sub(server);
        Ok(run.with_cpu("nginx", proxy()?.saturating_sub(before), requests).with_cpu("servers", server, requests))
    }
}
