//! The server: takes its listener and its stop signal from outside, so tests bring their own.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use longshore_contract::bounds;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::either::Either;

use crate::handler::{Bounds, Handler, LeafHandler, MergeHandler, respond};
use crate::leaf::Leaf;
use crate::merge::Merge;
use crate::place::Place;
use crate::pool::Pool;

/// Bounds of a server. The defaults suit most; the fields say what else to consider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Calls into the user's code that run at once. 0 runs it between the reads and writes of the server's own thread:
    /// faster by some 20 µs a request, for code that always answers in microseconds. Default: as many as there are
    /// processors.
    pub threads: usize,
    /// Requests taken on at once, waiting ones included; those beyond are answered 503. Default: 128.
    pub in_flight: usize,
    /// Connections open at once; those beyond wait. Default: 1,024.
    pub connections: usize,
    /// Largest body of a request, all parts together for a merge; larger ones are answered 413. Default: what Longshore
    /// sends at most, which is 256 MiB of parts and what stands before each of them. A leaf, and a merge that keeps its
    /// parts, holds it in memory.
    pub body_max_bytes: usize,
    /// Longest time for one request, also when the caller names a longer one or none. Default: [`Duration::MAX`], as long
    /// as the caller waits: a caller that hangs up is noticed.
    pub longest: Duration,
    /// Time that requests under way have left when the server stops. Default: 10 seconds.
    pub grace: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            in_flight: 128,
            connections: 1024,
            body_max_bytes: usize::try_from(bounds::BODY_BYTES).unwrap_or(usize::MAX),
            longest: Duration::MAX,
            grace: Duration::from_secs(10),
        }
    }
}

/// Largest head of a request; also what hyper buffers of a connection at most.
const HEAD_MAX_BYTES: usize = 64 * 1024;

/// Most headers of a request.
const HEADERS_MAX: usize = 64;

/// Longest wait for a request's head, which includes the idle time of a connection kept open. Long on purpose: the
/// caller keeps connections for the next request, and one closed just then would cost it that request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(600);

/// Pause after a failure to accept, such as too many open files: trying on at once would only burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Where a server listens.
#[derive(Debug)]
pub enum Listener {
    /// A unix socket; its path is removed when the server ends.
    Unix(UnixListener),
    /// TCP.
    Tcp(TcpListener),
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self::Unix(listener)
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

impl Listener {
    async fn accept(&self) -> io::Result<Either<UnixStream, TcpStream>> {
        match self {
            Self::Unix(listener) => Ok(Either::Left(listener.accept().await?.0)),
            Self::Tcp(listener) => {
                let stream = listener.accept().await?.0;
                stream.set_nodelay(true)?;
                Ok(Either::Right(stream))
            }
        }
    }

    fn path(&self) -> Option<PathBuf> {
        match self {
            Self::Unix(listener) => listener.local_addr().ok()?.as_pathname().map(PathBuf::from),
            Self::Tcp(_) => None,
        }
    }
}

/// Serves a leaf or a merge: [`Server::leaf`] and [`Server::merge`] inside a runtime of the caller's, on a listener of
/// the caller's; [`Server::serve_leaf`] and [`Server::serve_merge`] with everything taken from the environment.
#[derive(Debug, Clone, Default)]
pub struct Server {
    options: Options,
}

impl Server {
    /// A server with these bounds.
    pub fn new(options: Options) -> Self {
        Self { options }
    }

    /// Serves a leaf until `stop` ends and the requests under way are answered, or their grace is over.
    pub async fn leaf<L: Leaf>(&self, leaf: Arc<L>, place: Place, listener: Listener, stop: impl Future<Output = ()>) {
        self.run(LeafHandler { leaf, place: Arc::new(place) }, listener, stop).await;
    }

    /// Serves a merge until `stop` ends and the requests under way are answered, or their grace is over.
    pub async fn merge<M: Merge>(&self, merge: Arc<M>, listener: Listener, stop: impl Future<Output = ()>) {
        self.run(MergeHandler { merge }, listener, stop).await;
    }

    async fn run<H: Handler>(&self, handler: H, listener: Listener, stop: impl Future<Output = ()>) {
        let mut accepting = Accepting::new(&self.options, handler);
        tokio::select! {
            () = accepting.forever(&listener) => {}
            () = stop => {}
        }
        if let Some(path) = listener.path() {
            // Best effort: a path left behind is replaced at the next start.
            let _ = std::fs::remove_file(path);
        }
        drop(listener);
        // What is still open after the grace is cut when the connections are dropped.
        let _ = tokio::time::timeout(self.options.grace, accepting.graceful.shutdown()).await;
    }
}

/// The connections of a running server.
struct Accepting<H> {
    handler: Arc<H>,
    bounds: Arc<Bounds>,
    room: Arc<Semaphore>,
    graceful: GracefulShutdown,
    connections: JoinSet<()>,
    http: http1::Builder,
}

impl<H: Handler> Accepting<H> {
    fn new(options: &Options, handler: H) -> Self {
        let bounds = Bounds {
            body_max_bytes: options.body_max_bytes,
            longest: options.longest,
            pool: Pool::new(options.threads, options.in_flight),
        };
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
        http.max_buf_size(HEAD_MAX_BYTES).max_headers(HEADERS_MAX);
        Self {
            handler: Arc::new(handler),
            bounds: Arc::new(bounds),
            room: Arc::new(Semaphore::new(options.connections.clamp(1, Semaphore::MAX_PERMITS))),
            graceful: GracefulShutdown::new(),
            connections: JoinSet::new(),
            http,
        }
    }

    async fn forever(&mut self, listener: &Listener) {
        loop {
            // Connections that have ended are collected here, so that the set does not grow.
            while self.connections.try_join_next().is_some() {}
            let Ok(room) = Arc::clone(&self.room).acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok(stream) => {
                    let connection = self.connection(stream);
                    self.connections.spawn(async move {
                        let _room = room;
                        connection.await;
                    });
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    fn connection(&self, stream: Either<UnixStream, TcpStream>) -> impl Future<Output = ()> + Send + use<H> {
        let (handler, bounds) = (Arc::clone(&self.handler), Arc::clone(&self.bounds));
        let service = service_fn(move |request| respond(Arc::clone(&handler), Arc::clone(&bounds), request));
        let connection = self.http.serve_connection(TokioIo::new(stream), service);
        let watched = self.graceful.watch(connection);
        async move {
            // A broken connection concerns its caller alone, who notices by itself.
            let _ = watched.await;
        }
    }
}
