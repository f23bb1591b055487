//! Interface `http`: a server that stays up, and one request to it.
//!
//! It is told at its start what stays the same for as long as it is up, and with each request the rest. A 2xx answer is the
//! output. What its other answers and its end mean is said here; whether it is asked again is for those who ask.

use std::{sync::Arc, time::Duration};

use ::http::{HeaderMap, StatusCode, response};
use longshore_contract::{DEFAULT_PORT, env};
use longshore_proto::v1::{Container, Failure, FailureClass};
use longshore_root::NoMemory;
use longshore_shim::Serve;

use super::{
    command::{filled, secrets_of},
    failures::{self, Bounds, Ending, failure},
    http::{
        self, CallError, Hangup, Health, HttpServer, NotReady, Question, ServerEnd, Sink, Trouble, Unread, Untaken,
    },
    placeholders::{Facts, Fixed, Template},
};
use crate::{
    runtime::{Control, Image, Shim, users::Users},
    secrets::Secrets,
};

/// What a server is started with.
pub(crate) struct ServerSpec<'a> {
    pub image: &'a Image,
    pub container: &'a Container,
    pub fixed: Fixed<'a>,
    /// What the container names of secrets.
    pub secrets: &'a Secrets,
    /// Where it is asked to listen, as the inside sees it.
    pub socket: &'a str,
    /// Largest answer, in bytes.
    pub max_output_bytes: u64,
    /// Bytes kept of each log.
    pub log_bytes: u32,
    /// Whom its container's processes run as.
    pub users: &'a Users,
}

/// A server inside a container. Clones speak with the same one.
#[derive(Clone)]
pub(crate) struct Server {
    http: HttpServer,
    program: Arc<str>,
    bounds: Bounds,
    secrets: Secrets,
}

/// What an answer says of itself.
#[derive(Debug)]
pub(crate) struct Said {
    pub status: StatusCode,
    /// All of them, as they came.
    pub headers: HeaderMap,
}

/// Why a request was not served.
#[derive(Debug)]
pub(crate) enum Unserved {
    /// It has too much to do: it may be asked again.
    Busy(Failure),
    /// It said no, or its answer is none that can be kept. It goes on.
    Failed(Failure),
    /// There is no whole answer: nobody knows what it is doing.
    Lost(CallError),
    /// There is no memory for its answer.
    NoRoom(NoMemory),
}

impl Server {
    /// Starts the server. From now on nobody else may receive from this shim.
    ///
    /// # Errors
    /// When there is no command, or the shim does not answer.
    pub(crate) async fn start(shim: Arc<dyn Shim>, spec: ServerSpec<'_>) -> Result<Self, Failure> {
        let ServerSpec { image, container, fixed, secrets, socket, max_output_bytes, log_bytes, users } = spec;
        let own = container.env.iter().map(|var| (var.name.as_str(), var.value.as_str()));
        let template = Template::new(&image.argv(container), own);
        let given = secrets_of(container, secrets)?;
        let (argv, mut env) = filled(&template, &Facts { fixed, run: None }, &given)?;
        let port = u16::try_from(container.port).ok().filter(|port| *port > 0).unwrap_or(DEFAULT_PORT);
        env.push((env::PORT.to_owned(), port.to_string()));
        env.push((env::SOCKET.to_owned(), socket.to_owned()));
        let program = argv.first().map_or("", String::as_str).into();
        let Container { memory_bytes, pids_limit: pids, tmp_bytes, .. } = *container;
        let bounds =
            Bounds { timeout_ms: 0, memory_bytes, pids, max_output_bytes, tmp_bytes, ignores_memory_kills: false };
        let user = users.next().ok_or_else(failures::of_no_user)?.inside;
        let serve = Serve { argv, env, port, socket: socket.to_owned(), log_bytes, user, secrets: given };
        let lost = |lost: crate::runtime::ShimLost| failure(FailureClass::SlotLost, lost.to_string());
        let secrets = secrets.clone();
        let http = HttpServer::start(shim, serve, secrets.clone()).await.map_err(lost)?;
        Ok(Self { http, program, bounds, secrets })
    }

    /// Waits until the server is ready; what keeps it from that for some time is told to `seen`.
    ///
    /// # Errors
    /// When it ends before, or is not ready in time.
    pub(crate) async fn ready(
        &self,
        within: Duration,
        control: &dyn Control,
        seen: impl Fn(&str),
    ) -> Result<(), Failure> {
        match self.http.ready(within, seen).await {
            Ok(()) => Ok(()),
            Err(NotReady::Ended(end)) => Err(self.failure_of_end(end, control).await),
            Err(NotReady::Late(seen)) => {
                let why = format!("the server was not ready within {}s: {seen}", within.as_secs());
                Err(failure(FailureClass::Command, why))
            }
        }
    }

    /// What it says of its health now.
    pub(crate) async fn health(&self) -> Health {
        self.http.health().await
    }

    /// Asks once; the answer goes to `sink`, and what it says of itself is answered.
    ///
    /// # Errors
    /// When there is no answer that is an output.
    pub(crate) async fn ask(&self, question: Question<'_>, sink: &mut impl Sink) -> Result<Said, Unserved> {
        self.ask_until(question, &Hangup::default(), sink).await
    }

    /// The same; with `hangup` the server is told that nobody waits any more.
    pub(crate) async fn ask_until(
        &self,
        question: Question<'_>,
        hangup: &Hangup,
        sink: &mut impl Sink,
    ) -> Result<Said, Unserved> {
        let again = question.clone();
        let response = match self.http.call(question.request(), hangup).await {
            // Servers close what has been silent for a while, and may do so just now: it is said again, once.
            Err(CallError::Stale(_)) => {
                let response = self.http.call_anew(again.request(), hangup).await;
                response.map_err(|error| if matches!(error, CallError::Ended) { CallError::EndedOverIt } else { error })
            }
            response => response,
        };
        let (response::Parts { status, headers, .. }, answer) = response.map_err(Unserved::Lost)?.into_parts();
        if let Err(trouble) = http::meaning(status) {
            let words = self.secrets.hide_in_beginning(http::first_words(answer).await);
            let failure = trouble.failure(status, &failures::one_line(&String::from_utf8_lossy(&words)));
            return Err(if trouble == Trouble::Busy { Unserved::Busy(failure) } else { Unserved::Failed(failure) });
        }
        let most_bytes = self.bounds.max_output_bytes;
        http::read(answer, most_bytes, sink).await.map_err(|unread| match unread {
            Unread::Broken(error) => Unserved::Lost(CallError::Broken(error)),
            Unread::TooLarge => Unserved::Failed(failures::of_too_large(most_bytes)),
            Unread::Untaken(Untaken::Disk(cause)) => {
                Unserved::Failed(failures::of_disk("the answer cannot be kept", &cause))
            }
            Unread::Untaken(Untaken::NoRoom(error)) => Unserved::NoRoom(error),
        })?;
        Ok(Said { status, headers })
    }

    /// The failure of a request that had no whole answer: mostly because the server has ended, of which the news may take
    /// a moment.
    pub(crate) async fn failure_of(&self, error: &CallError, news: Duration, control: &dyn Control) -> Failure {
        if let Some(end) = self.http.ended_within(news).await {
            return self.failure_of_end(end, control).await;
        }
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
        failure(FailureClass::SlotLost, format!("{error}{cause}"))
    }

    /// Waits until the server has ended.
    pub(crate) async fn ended(&self) {
        drop(self.http.ended().await);
    }

    /// Waits until the server has ended; the failure of whatever needs it then.
    pub(crate) async fn end(&self, control: &dyn Control) -> Failure {
        self.failure_of_end(self.http.ended().await, control).await
    }

    async fn failure_of_end(&self, end: ServerEnd, control: &dyn Control) -> Failure {
        match end {
            ServerEnd::Process { end, stderr, memory_kills } => {
                let ending = Ending { end: &end, memory_kills, process_refusals: 0 };
                failures::of_server_end(ending, &stderr, &self.program, self.bounds)
            }
            ServerEnd::Sandbox(lost) => failures::of_lost(&control.post_mortem().await, &lost.reason, self.bounds),
        }
    }
}
