//! Ours as a leaf: queries to a service of one shard, over gRPC and over HTTP.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use longshore_client::{
    Client,
    v1::{Container, Interface, LeafSpec, MergeSpec, QueryRequest, ServiceSpec, query_response::Answer},
};
use longshore_local::Token;
use longshore_way::Way;
use tokio::net::{TcpStream, UnixStream};

use super::caller::{Caller, Connection, load};
use crate::{
    contender::Contender,
    jobs,
    longshore::{Entry, Longshore, Work},
    run::Run,
    setup::Setup,
};

/// The service's name.
const NAME: &str = "bench";

/// Longest wait for the service, and what each shard adds.
const READY: Duration = Duration::from_secs(30);
const EACH: Duration = Duration::from_secs(1);

/// How it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `Query`, all over one connection.
    Grpc,
    /// `POST /v1/services/NAME/query` at the port, with the token, each over a connection of its own.
    Http,
    /// The same at the socket.
    Socket,
}

/// A service of one leaf.
pub struct Leaf {
    kind: Kind,
    setup: Setup,
    work: Work,
    queries: usize,
    bytes: usize,
    lasting: Duration,
    shards: u32,
    /// Whether a container merges; the coordinator joins the parts otherwise.
    merges: bool,
    /// Coordinator and worker apart, reached by this; else one process.
    entry: Option<Entry>,
    running: Option<Longshore>,
}

impl Leaf {
    /// With so many queries at once.
    pub fn new(kind: Kind, setup: &Setup, work: Work, queries: usize, bytes: usize, lasting: Duration) -> Self {
        let setup = setup.clone();
        Self { kind, setup, work, queries, bytes, lasting, shards: 1, merges: false, entry: None, running: None }
    }

    /// With coordinator and worker apart, and everybody coming in by this.
    pub fn reached_by(self, entry: Entry) -> Self {
        Self { entry: Some(entry), ..self }
    }

    /// With so many shards, whose parts a container merges or the coordinator joins.
    pub fn of_shards(self, shards: u32, merges: bool) -> Self {
        Self { shards, merges, ..self }
    }

    /// Deploys the service and waits until it is ready.
    async fn deploy(&self, ours: &Longshore) -> Result<()> {
        let client = jobs::connect(ours).await?;
        let container = Container {
            image: self.work.image.clone(),
            command: self.work.command.clone(),
            interface: Interface::Http.into(),
            ..Container::default()
        };
        let merge =
            self.merges.then(|| MergeSpec { container: Some(container.clone()), replicas: 1, ..MergeSpec::default() });
        let leaf = LeafSpec { container: Some(container), shards: self.shards, ..LeafSpec::default() };
        client.deploy(ServiceSpec { name: NAME.to_owned(), leaf: Some(leaf), merge, ..ServiceSpec::default() }).await?;
        let begun = Instant::now();
        while !client.service(NAME).await?.ready {
            if begun.elapsed() > READY + EACH * self.shards {
                bail!("the service is not ready");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// How long an answer is, where it is known: a container that merges is given the parts with what is said of each, and echoes that.
    fn answer(&self) -> Option<usize> {
        (!self.merges).then_some(self.bytes * usize::try_from(self.shards).unwrap_or(usize::MAX))
    }

    async fn ask(&self, ours: &Longshore) -> Result<(usize, Run)> {
        if self.kind == Kind::Grpc {
            let client = jobs::connect(ours).await?;
            let answer = self.answer();
            let caller = || Query { client: client.clone(), body: vec![b'x'; self.bytes].into(), answer };
            return load((0..self.queries).map(|_| caller()).collect(), self.lasting).await;
        }
        let host = ours.address().trim_start_matches("http://");
        let word = Way::to(host, None)?.word().await.context("the coordinator has left no word of its socket")?;
        let path = format!("/v1/services/{NAME}/query");
        let mut callers = Vec::new();
        for _ in 0..self.queries {
            callers.push(match self.kind {
                Kind::Socket => {
                    let stream = UnixStream::connect(&word.socket).await?;
                    Connection::over(stream, &path, "localhost", self.bytes).await?.answering(self.answer())
                }
                _ => {
                    let stream = TcpStream::connect(host).await?;
                    stream.set_nodelay(true)?;
                    let token = Token::read(&word.token_file)?.header();
                    let connection = Connection::over(stream, &path, host, self.bytes).await?.with_token(token);
                    connection.answering(self.answer())
                }
            });
        }
        load(callers, self.lasting).await
    }
}

impl Contender for Leaf {
    fn name(&self) -> String {
        let kind = match self.kind {
            Kind::Grpc => "gRPC",
            Kind::Http => "HTTP",
            Kind::Socket => "HTTP by the socket",
        };
        let by = self.entry.map_or(String::new(), |entry| format!(" by {entry}"));
        let what = match (self.shards, self.merges) {
            (1, false) => "a leaf".to_owned(),
            (shards, false) => format!("{shards} leaves, joined,"),
            (shards, true) => format!("{shards} leaves and a merge"),
        };
        format!("longshore, {what} by {kind}, {} at once{by}", self.queries)
    }

    fn does(&self) -> String {
        match self.kind {
            Kind::Grpc => "queries to a service of one shard without a merge, all over one connection",
            Kind::Http => "the same, each over a TCP connection of its own, with the token",
            Kind::Socket => "the same, each over a connection of its own to the socket",
        }
        .to_owned()
    }

    fn start(&mut self) -> Result<()> {
        let ours = match self.entry {
            Some(entry) => Longshore::apart_by(entry, &self.setup, self.work.clone())?,
            None => Longshore::up(&self.setup, self.work.clone())?,
        };
        jobs::runtime()?.block_on(self.deploy(&ours))?;
        self.running = Some(ours);
        Ok(())
    }

    fn run(&mut self) -> Result<Run> {
        let ours = self.running.as_ref().context("not started")?;
        let before = ours.look()?;
        let (requests, run) = jobs::runtime()?.block_on(self.ask(ours))?;
        Ok(ours.look()?.account(&before, requests, run))
    }
}

/// One who asks over gRPC.
struct Query {
    client: Client,
    body: Bytes,
    /// The length of the answer, where it is known.
    answer: Option<usize>,
}

impl Caller for Query {
    async fn call(&mut self) -> Result<()> {
        let request = QueryRequest { service: NAME.to_owned(), body: self.body.clone(), ..QueryRequest::default() };
        match self.client.query(request).await?.answer {
            Some(Answer::Complete(answer)) if self.answer.is_none_or(|bytes| answer.body.len() == bytes) => Ok(()),
            other => bail!("not the answer: {other:?}"),
        }
    }
}
