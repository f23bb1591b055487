//! The connection to the Docker Engine: where it is, how long it may take, what its errors mean.

use std::{env, error::Error as _, fmt::Write as _, path::Path, time::Duration};

use bollard::{ClientVersion, Docker, errors::Error as ClientError, models::SystemVersion};
use tokio_util::task::TaskTracker;

use super::api::{self, Agreed, Disagreement, NEWEST, OLDEST};

/// How long a call may take that only looks at something.
pub(super) const LOOK: Duration = Duration::from_secs(20);

/// How long a call may take that changes something. A busy engine takes seconds to create or remove a container; one
/// that takes longer than this hangs.
pub(super) const CHANGE: Duration = Duration::from_secs(90);

/// Most characters of the engine's words that we pass on.
const WORDS: usize = 1000;

/// Why a call failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// It answered with an error.
    #[error("the Docker Engine says: {words} (status {status})")]
    Answered {
        /// The HTTP status.
        status: u16,
        /// Its words.
        words: String,
    },
    /// It said in the middle of an answer that it failed.
    #[error("the Docker Engine says: {words}")]
    Failed {
        /// Its words.
        words: String,
    },
    /// No answer in time.
    #[error("the Docker Engine at {socket} gave no answer within {seconds} s")]
    TimedOut {
        /// Where it is.
        socket: String,
        /// How long we waited.
        seconds: u64,
    },
    /// It is not there, or hung up.
    #[error(
        "the Docker Engine at {socket} cannot be reached: {cause}; start it (`systemctl start docker`), then \
         `longshore doctor` tells whether it will do"
    )]
    Unreachable {
        /// Where it should be.
        socket: String,
        /// The operating system's words.
        cause: String,
    },
    /// It speaks only older versions than we do.
    #[error("the Docker Engine at {socket} speaks API {version}; at least {OLDEST} (Docker 20.10) is needed")]
    TooOld {
        /// Where it is.
        socket: String,
        /// The newest it speaks.
        version: String,
    },
    /// It speaks only newer versions than we do.
    #[error(
        "the Docker Engine at {socket} speaks no API older than {version}, this Longshore none newer than {NEWEST}; install a \
         newer Longshore, or allow older clients in the engine's daemon.json: \"min-api-version\": \"{NEWEST}\""
    )]
    TooNew {
        /// Where it is.
        socket: String,
        /// The oldest it speaks.
        version: String,
    },
    /// What it says of its versions makes no sense.
    #[error("whatever listens at {socket} is no Docker Engine: it says that it speaks API {version:?}")]
    NoEngine {
        /// Where it is.
        socket: String,
        /// Its words.
        version: String,
    },
    /// The address is not one on this machine.
    #[error(
        "the Docker Engine's address {0:?} is not a unix socket: a worker shares directories with its containers, so \
         the engine must be on the same machine; set DOCKER_HOST=unix:///path/docker.sock"
    )]
    NotLocal(String),
}

impl EngineError {
    /// The status it answered with, if it answered.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Answered { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Its words, or what is to be said in their place.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Answered { words, .. } | Self::Failed { words } => words.clone(),
            other => other.to_string(),
        }
    }
}

/// A connection.
#[derive(Clone)]
pub(super) struct Engine {
    docker: Docker,
    socket: String,
    agreed: Agreed,
    abandoned: TaskTracker,
}

impl Engine {
    /// Connects to `host`, or else to where `DOCKER_HOST` says, or else to the usual places, and agrees on a version; also answers
    /// what the engine says of itself.
    pub(super) async fn connect(host: Option<&str>) -> Result<(Self, SystemVersion), EngineError> {
        let socket = socket_path(host)?;
        // Each call has its own limit below; this one is for headers only, and must not be the shorter one.
        let docker = Docker::connect_with_unix(&socket, CHANGE.as_secs(), &NEWEST)
            .map_err(|error| explain(error, &socket, CHANGE))?;
        let agreed = Agreed::default();
        let docker = docker.with_request_modifier(agreed.modifier());
        let engine = Self { docker, socket, agreed, abandoned: TaskTracker::new() };
        let version = engine.agree().await?;
        Ok((engine, version))
    }

    /// Agrees on a version, anew if there is one: the engine may have been replaced by another. Answers what it says of itself.
    pub(super) async fn agree(&self) -> Result<SystemVersion, EngineError> {
        // Without a version in its path, every engine answers this.
        self.agreed.forget();
        let version = self.within(LOOK, self.docker.version()).await?;
        let said = |text: &Option<String>| text.clone().unwrap_or_default();
        let (newest, oldest) = (said(&version.api_version), said(&version.min_api_version));
        let socket = self.socket.clone();
        match api::agree(&newest, &oldest) {
            Ok(version) => self.agreed.on(version),
            Err(Disagreement::TooOld) => return Err(EngineError::TooOld { socket, version: newest }),
            Err(Disagreement::TooNew) => return Err(EngineError::TooNew { socket, version: oldest }),
            Err(Disagreement::NoSense) => return Err(EngineError::NoEngine { socket, version: newest }),
        }
        Ok(version)
    }

    /// The version of the interface that is spoken.
    pub(super) fn api_version(&self) -> Option<ClientVersion> {
        self.agreed.version()
    }

    /// The client, to make a call with: hand the call to [`Engine::within`].
    pub(super) fn docker(&self) -> &Docker {
        &self.docker
    }

    /// A client for calls whose first answer may take this long.
    pub(super) fn patient(&self, limit: Duration) -> Docker {
        self.docker.clone().with_timeout(limit)
    }

    /// Removals of containers that were given up in the middle of their start.
    pub(super) fn abandoned(&self) -> &TaskTracker {
        &self.abandoned
    }

    /// Where it is.
    pub(super) fn socket(&self) -> &str {
        &self.socket
    }

    /// Waits for a call, no longer than `limit`.
    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, EngineError> {
        match tokio::time::timeout(limit, call).await {
            Ok(answer) => answer.map_err(|error| explain(error, &self.socket, limit)),
            Err(_elapsed) => Err(timed_out(&self.socket, limit)),
        }
    }
}

/// The socket's path. Rootless engines listen in the user's runtime directory.
fn socket_path(host: Option<&str>) -> Result<String, EngineError> {
    let named = host.map(str::to_owned).or_else(|| env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty()));
    if let Some(named) = named {
        let path = named.strip_prefix("unix://").unwrap_or(&named);
        return if path.starts_with('/') { Ok(path.to_owned()) } else { Err(EngineError::NotLocal(named)) };
    }
    let usual = "/var/run/docker.sock".to_owned();
    let rootless = env::var("XDG_RUNTIME_DIR").map(|directory| format!("{directory}/docker.sock"));
    Ok(match rootless {
        Ok(rootless) if !Path::new(&usual).exists() && Path::new(&rootless).exists() => rootless,
        _ => usual,
    })
}

fn timed_out(socket: &str, limit: Duration) -> EngineError {
    EngineError::TimedOut { socket: socket.to_owned(), seconds: limit.as_secs() }
}

fn explain(error: ClientError, socket: &str, limit: Duration) -> EngineError {
    match error {
        ClientError::DockerResponseServerError { status_code, message } => {
            EngineError::Answered { status: status_code, words: bounded(&message) }
        }
        ClientError::DockerStreamError { error } => EngineError::Failed { words: bounded(&error) },
        ClientError::RequestTimeoutError => timed_out(socket, limit),
        ClientError::SocketNotFoundError(_) => {
            EngineError::Unreachable { socket: socket.to_owned(), cause: "no such socket".into() }
        }
        other => EngineError::Unreachable { socket: socket.to_owned(), cause: bounded(&with_causes(&other)) },
    }
}

/// The client's outer errors say little ("client error (Connect)"); what was refused stands in their causes.
fn with_causes(error: &ClientError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            // Writing to a string does not fail.
            let _ = write!(text, ": {words}");
        }
        cause = inner.source();
    }
    text
}

pub(super) fn bounded(words: &str) -> String {
    words.trim().chars().take(WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_engine_that_is_not_there_is_named_with_the_next_command() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("docker.sock").display().to_string();
        let absent = Engine::connect(Some(&path)).await.err().unwrap().to_string();
        assert!(absent.contains(&path) && absent.contains("systemctl start docker"), "{absent}");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let refused = Engine::connect(Some(&path)).await.err().unwrap().to_string();
        assert!(refused.contains(&path) && refused.contains("Connection refused"), "{refused}");
    }

    #[tokio::test]
    async fn an_engine_on_another_machine_is_refused() {
        let error = Engine::connect(Some("tcp://10.0.0.1:2375")).await.err().unwrap();
        assert!(matches!(error, EngineError::NotLocal(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_hangs_is_given_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("docker.sock");
        let _listener = tokio::net::UnixListener::bind(&path).unwrap();
        let error = Engine::connect(path.to_str()).await.err().unwrap();
        assert!(matches!(error, EngineError::TimedOut { .. }), "{error}");
    }
}
