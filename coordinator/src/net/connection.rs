//! One connection: HTTP/1.1 or HTTP/2, bounded, with a service of its own that knows who is at the other end.

use std::{
    convert::Infallible,
    pin::pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{body::Body, response::Response};
use futures_util::future::{Ready, ready};
use http::Request;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tower::{MakeService, Service};
use tower_http::timeout::TimeoutBody;

use crate::{
    limits,
    net::{gate::Peer, listener::Listener, streams::Streams},
};

/// What answers the requests of a connection.
pub trait Requests:
    Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static
{
}

impl<S> Requests for S where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static
{
}

/// Makes the service of each connection.
#[derive(Debug, Clone)]
pub struct MakeConnection<S> {
    stack: S,
}

impl<S> MakeConnection<S> {
    /// With `stack` behind each of them.
    pub fn new(stack: S) -> Self {
        Self { stack }
    }
}

impl<S: Clone> Service<Peer> for MakeConnection<S> {
    type Response = OfConnection<S>;
    type Error = Infallible;
    type Future = Ready<Result<OfConnection<S>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, peer: Peer) -> Self::Future {
        ready(Ok(OfConnection { stack: self.stack.clone(), peer }))
    }
}

/// The service of one connection: it puts the other end into every request, and sees to it that bodies come.
#[derive(Debug, Clone)]
pub struct OfConnection<S> {
    stack: S,
    peer: Peer,
}

impl<S: Service<Request<Body>>> Service<Request<Incoming>> for OfConnection<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.stack.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Incoming>) -> S::Future {
        self.stack.call(with_peer(request, &self.peer))
    }
}

/// Serves a connection until it ends: by the other end, because nothing comes, or because nobody shows who it is.
pub async fn serve<L: Listener>(
    arrived: L::Arrived,
    peer: Peer,
    mut make: impl MakeService<Peer, Request<Incoming>, Service: Requests, MakeError = Infallible>,
) {
    // Whoever says nothing holds no place.
    let (stream, peer) = match timeout(limits::HEADER_TIME, L::greet(arrived, peer)).await {
        Ok(Ok(greeted)) => greeted,
        Ok(Err(error)) => return tracing::debug!(%error, "a connection has ended before anything was asked"),
        Err(_) => return,
    };
    let mut server = auto::Builder::new(Streams);
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEADER_TIME)
        .max_buf_size(limits::HEADER_BUFFER_BYTES);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits::STREAMS)
        .max_header_list_size(limits::HEADER_BYTES)
        // Callers that give up together (a deadline) must not cost each other the connection.
        .max_pending_accept_reset_streams(limits::RESETS)
        // Whoever shows who it is may give up as often as it likes; what comes late for a stream that was given up is nobody's fault.
        .max_local_error_reset_streams(None)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(8 << 20)
        .max_frame_size(limits::FRAME_BYTES)
        .keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(20));
    let known = peer.clone();
    let service = match make.make_service(peer).await {
        Ok(service) => service,
        Err(never) => match never {},
    };
    // What is said and not taken for so long is said to nobody.
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits::ANSWER_SILENCE));
    let mut serving = pin!(server.serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(service)));
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        // Whoever does not show who it is holds no place either.
        () = unknown_for_too_long(&known) => {
            serving.as_mut().graceful_shutdown();
            timeout(limits::HEADER_TIME, serving).await.unwrap_or(Ok(()))
        }
        // Nor does whoever is known no more, also where they take nothing of what is said to them.
        () = known.is_over() => {
            serving.as_mut().graceful_shutdown();
            timeout(limits::LEAVING, serving).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error, "a connection has ended early");
    }
}

async fn unknown_for_too_long(peer: &Peer) {
    tokio::time::sleep(limits::HEADER_TIME).await;
    if peer.is_known() {
        std::future::pending().await
    }
}

/// Puts the other end of its connection into a request, and sees to it that its body comes.
fn with_peer(request: Request<Incoming>, peer: &Peer) -> Request<Body> {
    let of_worker = request.uri().path().starts_with("/longshore.v1.Agent/");
    let mut request = match of_worker {
        true => request.map(Body::new),
        false => request.map(|body| Body::new(TimeoutBody::new(limits::BODY_SILENCE, body))),
    };
    request.extensions_mut().insert(peer.clone());
    request
}

#[cfg(test)]
mod tests;
