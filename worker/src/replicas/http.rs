//! A replica with interface `http`: a server that stays up.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{future::BoxFuture, stream};
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::Frame;
use longshore_contract::{DEFAULT_PORT, bounds::ANSWER_BYTES, env as named, header as told};
use longshore_shim::Serve;
use tokio::sync::Semaphore;

use super::{
    Ask, Serving, Unanswered,
    keeper::{Place, Room},
};
use crate::{
    contract::{
        failures,
        http::{Body, HttpServer, NotReady, ServerEnd},
        placeholders::{Facts, Template},
    },
    runtime::Control,
};

/// How long a server may take to be ready: models are large.
const START: Duration = Duration::from_secs(600);

/// Bytes kept of each log.
const LOG_BYTES: u32 = 16 << 10;

/// Characters of a server's words in an error.
const WORDS: usize = 256;

/// A server that is ready.
pub(super) struct Server {
    server: HttpServer,
    working: Semaphore,
    shards: u32,
}

impl Server {
    /// Starts the server in its container and waits until it is ready.
    pub async fn start(place: &Place, room: &Room, concurrency: u32) -> Result<Self, String> {
        let serve = serve(place, room)?;
        let server = HttpServer::start(Arc::clone(&room.shim), serve).await.map_err(|lost| lost.to_string())?;
        match server.ready(START).await {
            Ok(()) => {}
            Err(NotReady::Ended(end)) => return Err(words(end, &*room.control).await),
            Err(NotReady::Late(seen)) => {
                return Err(format!("it was not ready within {}s: {seen}", START.as_secs()));
            }
        }
        Ok(Self { server, working: Semaphore::new(concurrency as usize), shards: place.shards })
    }

    /// Waits until the server has ended; answers why.
    pub async fn ended(&self, control: &dyn Control) -> String {
        words(self.server.ended().await, control).await
    }

    async fn ask(&self, ask: Ask, within: Duration) -> Result<Bytes, Unanswered> {
        let failed = |error: &dyn std::fmt::Display| Unanswered::Failed(error.to_string());
        let _working = self.working.acquire().await.map_err(|error| failed(&error))?;
        let mut request = match ask {
            Ask::Leaf(body) => Request::new(whole(body)),
            Ask::Merge(parts) => multipart(parts),
        };
        *request.method_mut() = Method::POST;
        let headers = request.headers_mut();
        let millis = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        headers.insert(told::TIMEOUT_MS, millis.into());
        headers.insert(told::SHARDS, self.shards.into());
        let answer = self.server.call(request).await.map_err(|error| failed(&error))?;
        let status = answer.status();
        let bound = usize::try_from(ANSWER_BYTES).unwrap_or(usize::MAX);
        let body = Limited::new(answer.into_body(), bound).collect().await.map_err(|error| failed(&error))?;
        let body = body.to_bytes();
        if status.is_success() {
            return Ok(body);
        }
        let said: String = String::from_utf8_lossy(&body).chars().take(WORDS).collect();
        let message = format!("{status}: {}", failures::one_line(&said));
        Err(match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Unanswered::Busy(message),
            status if status.is_client_error() => Unanswered::Refused(message),
            _ => Unanswered::Failed(message),
        })
    }
}

impl Serving for Server {
    fn call(&self, ask: Ask, within: Duration) -> BoxFuture<'_, Result<Bytes, Unanswered>> {
        Box::pin(self.ask(ask, within))
    }
}

fn serve(place: &Place, room: &Room) -> Result<Serve, String> {
    let paths = &room.paths;
    let argv = room.image.argv(&place.container);
    if argv.is_empty() {
        return Err("there is no command: the image has none and none was given".to_owned());
    }
    let own = place.container.env.iter().map(|var| (var.name.as_str(), var.value.as_str()));
    let template = Template::new(&argv, own);
    let facts = Facts {
        job: &place.service,
        shard: (!place.merge).then_some(place.shard),
        shards: Some(place.shards),
        data: paths.inside_data.as_deref(),
        ..Facts::default()
    };
    let port = u16::try_from(place.container.port).ok().filter(|port| *port > 0).unwrap_or(DEFAULT_PORT);
    let socket = paths.inside_socket.clone();
    let mut env = template.env(&facts);
    env.push((named::PORT.to_owned(), port.to_string()));
    env.push((named::SOCKET.to_owned(), socket.clone()));
    Ok(Serve { argv: template.argv(&facts), env, port, socket, log_bytes: LOG_BYTES })
}

async fn words(end: ServerEnd, control: &dyn Control) -> String {
    match end {
        ServerEnd::Process { end, stderr, .. } => {
            let bounds = failures::Bounds { timeout_ms: 0, memory_bytes: 0, max_output_bytes: ANSWER_BYTES };
            let how = failures::of_end(&end, "the server", bounds)
                .map_or_else(|| "exit code 0".to_owned(), |failure| failure.message);
            let last = String::from_utf8_lossy(&stderr).lines().next_back().map(failures::one_line);
            let last = last.filter(|line| !line.is_empty()).map_or(String::new(), |line| format!(" ({line})"));
            format!("its server has ended: {how}{last}")
        }
        ServerEnd::Sandbox(lost) => {
            let found = control.post_mortem().await;
            if found.out_of_memory {
                "its container met its memory limit".to_owned()
            } else {
                format!("its container has ended: {}", lost.reason)
            }
        }
    }
}

fn whole(body: Bytes) -> Body {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}

/// All parts as `multipart/mixed` (RFC 2046), each with its shard and length.
fn multipart(parts: Vec<(u32, Bytes)>) -> Request<Body> {
    let boundary = uuid::Uuid::new_v4().simple().to_string();
    let mut pieces = Vec::with_capacity(parts.len() * 2 + 1);
    for (shard, part) in parts {
        let head = format!("\r\n--{boundary}\r\n{}: {shard}\r\ncontent-length: {}\r\n\r\n", told::SHARD, part.len());
        pieces.push(Bytes::from(head));
        pieces.push(part);
    }
    pieces.push(Bytes::from(format!("\r\n--{boundary}--\r\n")));
    let length: usize = pieces.iter().map(Bytes::len).sum();
    let frames = pieces
        .into_iter()
        .filter(|piece| !piece.is_empty())
        .map(|piece| Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Frame::data(piece)));
    let mut request = Request::new(StreamBody::new(stream::iter(frames)).boxed_unsync());
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_LENGTH, length.into());
    if let Ok(value) = HeaderValue::try_from(format!("multipart/mixed; boundary={boundary}")) {
        headers.insert(header::CONTENT_TYPE, value);
    }
    request
}
