//! Which containers an engine has with a label.
//!
//! The client library knows the states a container of Docker can be in, and takes an answer with any other for broken. Podman has
//! more of them, and so may a Docker of later. What is looked for here does not depend on states, so they are not read.

use std::{collections::HashMap, error::Error};

use bytes::Bytes;
use http::{Request, header::HOST};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::{net::UnixStream, time::timeout};

use super::engine::{Engine, EngineError, LOOK, bounded};

/// Bytes of an answer: a thousand containers with all their labels and mounts take a few megabytes.
const ANSWER_BYTES: usize = 64 << 20;

/// A container, as far as it is looked at.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Listed {
    /// The engine's id.
    pub(super) id: String,
    /// Its labels.
    #[serde(default)]
    pub(super) labels: Option<HashMap<String, String>>,
}

/// The containers with this label, in whatever state. The value must be of letters, digits and `-`.
pub(super) async fn with_label(engine: &Engine, label: &str, value: &str) -> Result<Vec<Listed>, EngineError> {
    let version = engine.api_version().map(|version| format!("/v{version}")).unwrap_or_default();
    // {"label":["LABEL=VALUE"]}
    let uri = format!("{version}/containers/json?all=true&filters=%7B%22label%22%3A%5B%22{label}%3D{value}%22%5D%7D");
    let socket = engine.socket();
    let lost = |cause: Box<dyn Error + Send + Sync>| EngineError::Unreachable {
        socket: socket.to_owned(),
        cause: bounded(&cause.to_string()),
    };
    let (status, body) = match timeout(LOOK, get(socket, &uri)).await {
        Ok(answer) => answer.map_err(lost)?,
        Err(_elapsed) => return Err(EngineError::TimedOut { socket: socket.to_owned(), seconds: LOOK.as_secs() }),
    };
    if status != 200 {
        return Err(EngineError::Answered { status, words: bounded(&String::from_utf8_lossy(&body)) });
    }
    serde_json::from_slice(&body).map_err(|error| lost(error.into()))
}

async fn get(socket: &str, uri: &str) -> Result<(u16, Bytes), Box<dyn Error + Send + Sync>> {
    let stream = UnixStream::connect(socket).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(uri).header(HOST, "localhost").body(Empty::<Bytes>::new())?;
    // It may end before the answer is read that it has brought.
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request).await?;
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES).collect().await?.to_bytes();
    connection.abort();
    Ok((status, body))
}
