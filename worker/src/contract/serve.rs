//! Interface `http`: a server that stays up, and one request to it.
//!
//! It is told at its start what stays the same for as long as it is up, and with each request the rest. A 2xx answer is the
//! output. What its other answers and its end mean is said here; whether it is asked again is for those who ask.

use std::{sync::Arc, time::Duration};

use longshore_contract::{DEFAULT_PORT, env};
use longshore_proto::v1::{Container, Failure, FailureClass};
use longshore_shim::Serve;

use super::{
    command::filled,
    failures::{self, Bounds, failure},
    http::{self, CallError, HttpServer, NotReady, Question, ServerEnd, Sink, Trouble, Unread},
    placeholders::{Facts, Fixed, Template},
};
use crate::runtime::{Control, Image, Shim};

/// What a server is started with.
pub(crate) struct ServerSpec<'a> {
    pub image: &'a Image,
    pub container: &'a Container,
    pub fixed: Fixed<'a>,
    /// Where it is asked to listen, as the inside sees it.
    pub socket: &'a str,
    /// Largest answer, in bytes.
    pub max_output_bytes: u64,
    /// Bytes kept of each log.
    pub log_bytes: u32,
}

/// A server inside a container. Clones speak with the same one.
#[derive(Clone)]
pub(crate) struct Server {
    http: HttpServer,
    program: Arc<str>,
    bounds: Bounds,
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
}

impl Server {
    /// Starts the server. From now on nobody else may receive from this shim.
    ///
    /// # Errors
    /// When there is no command, or the shim does not answer.
    pub(crate) async fn start(shim: Arc<dyn Shim>, spec: ServerSpec<'_>) -> Result<Self, Failure> {
        let ServerSpec { image, container, fixed, socket, max_output_bytes, log_bytes } = spec;
        let own = container.env.iter().map(|var| (var.name.as_str(), var.value.as_str()));
        let template = Template::new(&image.argv(container), own);
        let (argv, mut env) = filled(&template, &Facts { fixed, run: None })?;
        let port = u16::try_from(container.port).ok().filter(|port| *port > 0).unwrap_or(DEFAULT_PORT);
        env.push((env::PORT.to_owned(), port.to_string()));
        env.push((env::SOCKET.to_owned(), socket.to_owned()));
        let program = argv.first().map_or("", String::as_str).into();
        let bounds = Bounds { timeout_ms: 0, memory_bytes: container.memory_bytes, max_output_bytes };
        let serve = Serve { argv, env, port, socket: socket.to_owned(), log_bytes };
        let lost = |lost: crate::runtime::ShimLost| failure(FailureClass::SlotLost, lost.to_string());
        Ok(Self { http: HttpServer::start(shim, serve).await.map_err(lost)?, program, bounds })
    }

    /// Waits until the server is ready.
    ///
    /// # Errors
    /// When it ends before, or is not ready in time.
    pub(crate) async fn ready(&self, within: Duration, control: &dyn Control) -> Result<(), Failure> {
        match self.http.ready(within).await {
            Ok(()) => Ok(()),
            Err(NotReady::Ended(end)) => Err(self.failure_of_end(end, control).await),
            Err(NotReady::Late(seen)) => {
                let why = format!("the server was not ready within {}s: {seen}", within.as_secs());
                Err(failure(FailureClass::Command, why))
            }
        }
    }

    /// Asks once; the answer goes to `sink`.
    ///
    /// # Errors
    /// When there is no answer that is an output.
    pub(crate) async fn ask(&self, question: Question<'_>, sink: &mut impl Sink) -> Result<(), Unserved> {
        let response = self.http.call(question.request()).await.map_err(Unserved::Lost)?;
        let (status, answer) = (response.status(), response.into_body());
        if let Err(trouble) = http::meaning(status) {
            let failure = trouble.failure(status, &http::first_words(answer).await);
            return Err(if trouble == Trouble::Busy { Unserved::Busy(failure) } else { Unserved::Failed(failure) });
        }
        let most_bytes = self.bounds.max_output_bytes;
        http::read(answer, most_bytes, sink).await.map_err(|unread| match unread {
            Unread::Broken(error) => Unserved::Lost(CallError::Broken(error)),
            Unread::TooLarge => Unserved::Failed(failures::of_too_large(most_bytes)),
            Unread::Disk(cause) => Unserved::Failed(failures::of_disk("the answer cannot be kept", &cause)),
        })
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
            ServerEnd::Process { end, stderr } => failures::of_server_end(&end, &stderr, &self.program, self.bounds),
            ServerEnd::Sandbox(lost) => failures::of_lost(&control.post_mortem().await, &lost.reason, self.bounds),
        }
    }
}
