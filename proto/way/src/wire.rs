//! A gRPC channel over a way, which shows its token with every request.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response, Uri, header::AUTHORIZATION};
use hyper_util::rt::TokioIo;
use tonic::{
    body::Body,
    transport::{Channel, Endpoint, Error},
};
use tower_service::Service;

use crate::{
    error::WayError,
    heard::{Heard, Hearing},
    stream::Stream,
    way::Way,
};

/// A channel to one coordinator. Cloning is cheap and shares the connection, which comes back by itself when lost.
#[derive(Debug, Clone)]
pub struct Wire {
    channel: Channel,
    way: Way,
    heard: Heard,
}

impl Wire {
    /// Connects, with the settings that `set` makes.
    ///
    /// # Errors
    /// When nobody is there, or somebody else: then a [`WayError`] is among the sources.
    pub async fn connect(way: &Way, set: impl FnOnce(Endpoint) -> Endpoint) -> Result<Self, Error> {
        let heard = Heard::now();
        let channel = endpoint(way, set).connect_with_connector(Connector(way.clone(), heard.clone())).await?;
        Ok(Self { channel, way: way.clone(), heard })
    }

    /// The same, but connects when it is first used.
    pub fn lazy(way: &Way, set: impl FnOnce(Endpoint) -> Endpoint) -> Self {
        let heard = Heard::now();
        let channel = endpoint(way, set).connect_with_connector_lazy(Connector(way.clone(), heard.clone()));
        Self { channel, way: way.clone(), heard }
    }

    /// When anything last came from the coordinator, or a connection to it was made.
    #[must_use]
    pub fn heard(&self) -> &Heard {
        &self.heard
    }
}

fn endpoint(way: &Way, set: impl FnOnce(Endpoint) -> Endpoint) -> Endpoint {
    // Whoever gives up many answers at once meets the ends of those it has forgotten, and they cost the connection nothing.
    set(Endpoint::from_static(way.host()).http2_max_local_error_reset_streams(None))
}

impl Service<Request<Body>> for Wire {
    type Response = Response<Body>;
    type Error = Error;
    type Future = <Channel as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.channel.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if let Some(shown) = self.way.header() {
            request.headers_mut().insert(AUTHORIZATION, shown);
        }
        self.channel.call(request)
    }
}

/// Makes connections the way goes, whatever the URI says.
#[derive(Debug, Clone)]
struct Connector(Way, Heard);

impl Service<Uri> for Connector {
    type Response = TokioIo<Hearing<Stream>>;
    type Error = WayError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, WayError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), WayError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let (way, heard) = (self.0.clone(), self.1.clone());
        Box::pin(async move { Ok(TokioIo::new(Hearing::of(way.connect().await?, heard))) })
    }
}
