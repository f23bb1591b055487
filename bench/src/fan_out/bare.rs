//! The bare fan-out: one client with a connection to each of the same servers, all asked at once.

use std::time::Duration;

use anyhow::Result;
use futures_util::future::try_join_all;
use tokio::net::UnixStream;

use crate::{
    contender::Contender,
    http::{
        caller::{Caller, Connection, load},
        direct::Server,
    },
    jobs,
    run::Run,
};

/// Servers in containers, and a client of all of them.
pub struct Bare {
    image: String,
    leaves: u32,
    queries: usize,
    bytes: usize,
    lasting: Duration,
    running: Vec<Server>,
}

impl Bare {
    /// So many servers, asked by so many at once.
    pub fn new(image: String, leaves: u32, queries: usize, bytes: usize, lasting: Duration) -> Self {
        Self { image, leaves, queries, bytes, lasting, running: Vec::new() }
    }

    async fn connect(&self) -> Result<All> {
        let mut all = Vec::new();
        for server in &self.running {
            let stream = UnixStream::connect(server.socket()).await?;
            all.push(Connection::over(stream, "/", "localhost", self.bytes).await?);
        }
        Ok(All(all))
    }
}

/// A connection to each; one call asks all.
struct All(Vec<Connection>);

impl Caller for All {
    async fn call(&mut self) -> Result<()> {
        try_join_all(self.0.iter_mut().map(Connection::call)).await.map(|_| ())
    }
}

impl Contender for Bare {
    fn name(&self) -> String {
        format!("bare fan-out to {}, {} at once", self.leaves, self.queries)
    }

    fn does(&self) -> String {
        let (leaves, queries) = (self.leaves, self.queries);
        format!(
            "{queries} clients (hyper, HTTP/1.1), each with a connection to the unix sockets of {leaves} servers in containers"
        )
    }

    fn start(&mut self) -> Result<()> {
        self.running = (0..self.leaves).map(|_| Server::start(&self.image)).collect::<Result<_>>()?;
        Ok(())
    }

    fn run(&mut self) -> Result<Run> {
        let used = || self.running.iter().map(|server| server.kept.container.cpu()).sum::<Result<Duration>>();
        let before = used()?;
        let (requests, run) = jobs::runtime()?.block_on(async {
            let mut callers = Vec::new();
            for _ in 0..self.queries {
                callers.push(self.connect().await?);
            }
            load(callers, self.lasting).await
        })?;
        Ok(run.with_cpu("servers", used()?.saturating_sub(before), requests))
    }
}
