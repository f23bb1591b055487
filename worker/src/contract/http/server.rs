//! A server that stays up inside a container: its connections, its readiness, and the news of its end.

use std::{
    collections::HashMap,
    io,
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header::HOST};
use longshore_contract::path;
use longshore_shim::{End, FromShim, Serve, ToShim};
use tokio::{
    sync::{oneshot, watch},
    task::AbortHandle,
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{
    body::{Body, empty},
    connection::{Connection, Unmade, Unsent},
    line::Hangup,
    pool::{Answer, Pool},
};
use crate::{
    contract::failures::log_bytes,
    pauses::Pauses,
    runtime::{Shim, ShimLost},
    secrets::Secrets,
};

/// Longest wait for the shim to connect.
const CONNECT: Duration = Duration::from_secs(10);

/// Longest wait for an answer to one question whether the server is ready.
const HEALTH: Duration = Duration::from_secs(5);

/// First and longest pause between such questions.
const HEALTH_PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(200));

/// A server that is not ready after so long has it said why.
const EXPLAINED: Duration = Duration::from_secs(2);

/// Kept connections tried before a request fails: each may have been closed a moment ago.
const TRIES: usize = 3;

/// A server inside a container. Clones speak with the same one.
#[derive(Clone)]
pub(crate) struct HttpServer {
    board: Arc<Board>,
    _listening: Arc<Listening>,
}

/// Ends the listening task when the last handle is gone.
struct Listening(AbortHandle);

struct Board {
    shim: Arc<dyn Shim>,
    ids: AtomicU64,
    connecting: Mutex<HashMap<u64, oneshot::Sender<Result<OwnedFd, CallError>>>>,
    pool: Arc<Pool>,
    ended: watch::Sender<Option<ServerEnd>>,
    secrets: Secrets,
}

/// How a server ended.
#[derive(Debug, Clone)]
pub(crate) enum ServerEnd {
    /// Its process did, or never came to be.
    Process {
        /// How.
        end: End,
        /// What it wrote to standard error.
        stderr: Bytes,
        /// Processes of it that were killed for want of memory.
        memory_kills: u64,
    },
    /// The whole container did.
    Sandbox(ShimLost),
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The server, or its container, had ended before anything was sent.
    #[error("the server has ended")]
    Ended,
    /// It has ended since.
    #[error("the server has ended")]
    EndedOverIt,
    /// A kept connection was closed as the request was sent, and nothing was said to it: likely it had been silent for too long.
    #[error("the server closed the connection")]
    Stale(#[source] hyper::Error),
    /// It does not take connections.
    #[error("the server cannot be connected to: {0}")]
    Connect(io::Error),
    /// It hung up, or what it said is not HTTP.
    #[error("the server broke off")]
    Broken(#[source] hyper::Error),
}

/// What a server says of its health.
#[derive(Debug)]
pub(crate) enum Health {
    /// It is ready.
    Well,
    /// It says that it is not.
    Unwell(String),
    /// It says nothing.
    Silent(String),
}

/// Why a server is not ready.
#[derive(Debug)]
pub(crate) enum NotReady {
    /// It has ended.
    Ended(ServerEnd),
    /// Its time is over. Carries what was seen last.
    Late(String),
}

impl HttpServer {
    /// Starts the server. From now on nobody else may receive from this shim.
    /// What it says at its end is told without these secrets.
    pub(crate) async fn start(shim: Arc<dyn Shim>, serve: Serve, secrets: Secrets) -> Result<Self, ShimLost> {
        shim.send(&ToShim::Serve(serve)).await?;
        let board = Arc::new(Board {
            shim,
            ids: AtomicU64::new(0),
            connecting: Mutex::default(),
            pool: Arc::default(),
            ended: watch::Sender::new(None),
            secrets,
        });
        let task = tokio::spawn(Arc::clone(&board).listen());
        Ok(Self { board, _listening: Arc::new(Listening(task.abort_handle())) })
    }

    /// Asks `GET /healthz` until the server says that it is ready; one that does not know the path is. What keeps it from that
    /// for some time is told to `seen`, each thing once.
    pub(crate) async fn ready(&self, within: Duration, seen: impl Fn(&str)) -> Result<(), NotReady> {
        let began = Instant::now();
        let mut last = String::from("it took no connection");
        let mut said = None;
        let mut pauses = Pauses::new(HEALTH_PAUSES.0, HEALTH_PAUSES.1);
        while began.elapsed() < within {
            match self.health().await {
                Health::Well => return Ok(()),
                Health::Unwell(why) | Health::Silent(why) => last = why,
            }
            if began.elapsed() > EXPLAINED && said.as_ref() != Some(&last) {
                seen(&last);
                said = Some(last.clone());
            }
            tokio::select! {
                () = sleep(pauses.next()) => {}
                end = self.ended() => return Err(NotReady::Ended(end)),
            }
        }
        Err(NotReady::Late(last))
    }

    /// Asks `GET /healthz` once.
    pub(crate) async fn health(&self) -> Health {
        match timeout(HEALTH, self.call_anew(health_request(), &Hangup::default())).await {
            Ok(Ok(response)) if is_ready(response.status()) => Health::Well,
            Ok(Ok(response)) => Health::Unwell(format!("GET {} answers {}", path::HEALTH, response.status())),
            Ok(Err(error)) => Health::Silent(error.to_string()),
            Err(_) => Health::Silent(format!("GET {} is not answered", path::HEALTH)),
        }
    }

    /// Sends a request over a kept connection, or a new one. The request needs no `Host`.
    ///
    /// The connection is kept once the answer's body has been read to its end; dropping the answer closes it.
    pub(crate) async fn call(
        &self,
        mut request: Request<Body>,
        hangup: &Hangup,
    ) -> Result<Response<Answer>, CallError> {
        name_host(&mut request);
        let mut tries = 0;
        while tries < TRIES
            && let Some(mut kept) = self.board.pool.take()
        {
            if !kept.is_fit().await {
                continue;
            }
            tries += 1;
            hangup.follow(kept.line());
            match kept.send(request).await {
                Ok(response) => return Ok(self.board.pool.lend(kept, response)),
                // It never left: the server had closed the connection already.
                Err(Unsent { request: Some(unsent), .. }) => request = unsent,
                Err(Unsent { error, .. }) if !kept.line().has_heard() => return Err(CallError::Stale(error)),
                Err(Unsent { error, .. }) => return Err(self.board.broken(error)),
            }
        }
        self.call_anew(request, hangup).await
    }

    /// The same, always over a new connection.
    pub(crate) async fn call_anew(
        &self,
        mut request: Request<Body>,
        hangup: &Hangup,
    ) -> Result<Response<Answer>, CallError> {
        name_host(&mut request);
        let mut connection = self.board.connect().await?;
        hangup.follow(connection.line());
        match connection.send(request).await {
            Ok(response) => Ok(self.board.pool.lend(connection, response)),
            Err(Unsent { error, .. }) => Err(self.board.broken(error)),
        }
    }

    /// Waits until the server has ended, and tells how.
    pub(crate) async fn ended(&self) -> ServerEnd {
        let mut ended = self.board.ended.subscribe();
        let end = ended.wait_for(Option::is_some).await;
        end.ok().and_then(|end| end.clone()).unwrap_or_else(unheard)
    }

    /// Waits a little for the end of a server that hung up: the news may be a moment behind.
    pub(crate) async fn ended_within(&self, wait: Duration) -> Option<ServerEnd> {
        timeout(wait, self.ended()).await.ok()
    }
}

impl Board {
    /// Hears the shim, for everybody who waits for something.
    async fn listen(self: Arc<Self>) {
        let end = loop {
            match self.shim.receive().await {
                Ok((FromShim::Connected { id }, Some(socket))) => self.answer(id, Ok(socket)),
                Ok((FromShim::ConnectFailed { id, errno }, _)) => {
                    self.answer(id, Err(CallError::Connect(io::Error::from_raw_os_error(errno))));
                }
                Ok((FromShim::ServerEnded { end, stderr, memory_kills, .. }, _)) => {
                    let stderr = log_bytes(self.secrets.hide_in_log(stderr));
                    break ServerEnd::Process { end, stderr, memory_kills };
                }
                Ok(_) => break ServerEnd::Sandbox(ShimLost { reason: "it said what nobody asked".into() }),
                Err(lost) => break ServerEnd::Sandbox(lost),
            }
        };
        self.ended.send_replace(Some(end));
        self.connecting().clear();
        self.pool.close();
    }

    fn answer(&self, id: u64, outcome: Result<OwnedFd, CallError>) {
        if let Some(waiting) = self.connecting().remove(&id) {
            // Whoever asked may have given up: then the socket closes.
            let _ = waiting.send(outcome);
        }
    }

    async fn connect(&self) -> Result<Connection, CallError> {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let (sender, connected) = oneshot::channel();
        self.connecting().insert(id, sender);
        // Looked at after the entry is there: so the end of the server finds the entry, or is found here.
        if self.ended.borrow().is_some() {
            self.connecting().remove(&id);
            return Err(CallError::Ended);
        }
        let asked = async {
            self.shim.send(&ToShim::Connect { id }).await.map_err(|_| CallError::Ended)?;
            connected.await.map_err(|_| CallError::Ended)?
        };
        let outcome = timeout_at(Instant::now() + CONNECT, asked).await;
        self.connecting().remove(&id);
        let socket = outcome.unwrap_or_else(|_| Err(CallError::Connect(io::ErrorKind::TimedOut.into())))?;
        Ok(Connection::over(socket).await?)
    }

    fn broken(&self, error: hyper::Error) -> CallError {
        if self.ended.borrow().is_some() { CallError::EndedOverIt } else { CallError::Broken(error) }
    }

    fn connecting(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Result<OwnedFd, CallError>>>> {
        self.connecting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<Unmade> for CallError {
    fn from(unmade: Unmade) -> Self {
        match unmade {
            Unmade::Socket(cause) => Self::Connect(cause),
            Unmade::Http(cause) => Self::Broken(cause),
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn name_host(request: &mut Request<Body>) {
    request.headers_mut().entry(HOST).or_insert(http::HeaderValue::from_static("localhost"));
}

fn health_request() -> Request<Body> {
    let mut request = Request::new(empty());
    *request.uri_mut() = http::Uri::from_static(path::HEALTH);
    request
}

fn is_ready(status: StatusCode) -> bool {
    status.is_success() || status == StatusCode::NOT_FOUND
}

fn unheard() -> ServerEnd {
    ServerEnd::Sandbox(ShimLost { reason: "nobody hears it any more".into() })
}
