//! Requests, one after the other on each of several connections, for a time.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{
    HeaderValue, Request,
    header::{AUTHORIZATION, HOST},
};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::run::{Run, count};

/// Somebody who asks and waits for the answer.
pub trait Caller: Send + 'static {
    /// One request.
    fn call(&mut self) -> impl Future<Output = Result<()>> + Send;
}

/// Lets all callers ask at once for a time; requests per second, and how long they took.
pub async fn load<C: Caller>(callers: Vec<C>, lasting: Duration) -> Result<(usize, Run)> {
    let began = Instant::now();
    let tasks: Vec<_> = callers.into_iter().map(|caller| tokio::spawn(ask(caller, began, lasting))).collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.context("a caller has panicked")??);
    }
    let wall = began.elapsed();
    times.sort_unstable();
    let micros = |of: f64| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let at = (count(times.len()) * of) as usize;
        times.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e6)
    };
    let run = Run::rate("requests/s", count(times.len()), wall);
    Ok((times.len(), run.with("p50 µs", micros(0.5)).with("p99 µs", micros(0.99))))
}

async fn ask<C: Caller>(mut caller: C, began: Instant, lasting: Duration) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    while began.elapsed() < lasting {
        let asked = Instant::now();
        caller.call().await?;
        times.push(asked.elapsed());
    }
    Ok(times)
}

/// A connection of HTTP/1.1 and what is asked over it; the answer has to be as long as the question, or as was said.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    path: String,
    host: String,
    token: Option<HeaderValue>,
    body: Bytes,
    answer: Option<usize>,
}

impl Connection {
    /// Speaks over this stream.
    pub async fn over<S>(stream: S, path: &str, host: &str, bytes: usize) -> Result<Self>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let (path, host, body) = (path.to_owned(), host.to_owned(), Bytes::from(vec![b'x'; bytes]));
        Ok(Self { sender, path, host, token: None, body, answer: Some(bytes) })
    }

    /// Shows a token with each request.
    pub fn with_token(self, token: HeaderValue) -> Self {
        Self { token: Some(token), ..self }
    }

    /// With an answer of so many bytes, or of any number.
    pub fn answering(self, answer: Option<usize>) -> Self {
        Self { answer, ..self }
    }
}

impl Caller for Connection {
    async fn call(&mut self) -> Result<()> {
        self.sender.ready().await?;
        let mut request = Request::post(&self.path).header(HOST, &self.host).body(Full::new(self.body.clone()))?;
        request.headers_mut().extend(self.token.clone().map(|token| (AUTHORIZATION, token)));
        let answer = self.sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
        ensure!(self.answer.is_none_or(|bytes| body.len() == bytes), "an answer of {} bytes", body.len());
        Ok(())
    }
}
