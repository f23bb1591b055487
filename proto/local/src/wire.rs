//! A gRPC channel over a way, which shows its token with every request.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
    task::{Context, Poll},
};

use http::{HeaderValue, Request, Response, Uri, header::AUTHORIZATION};
use hyper_util::rt::TokioIo;
use tonic::{
    body::Body,
    transport::{Channel, Endpoint, Error},
};
use tower_service::Service;

use crate::way::{Stream, Way, WayError};

/// What requests call the host: the coordinator's guard against web pages of strangers lets no other names through.
const HOST: &str = "http://localhost";

/// A channel to one coordinator. Cloning is cheap and shares the connection, which comes back by itself when lost.
#[derive(Debug, Clone)]
pub struct Wire {
    channel: Channel,
    bearer: Option<Bearer>,
}

/// The header that shows the token, as it was read for the latest connection.
type Bearer = Arc<RwLock<Option<HeaderValue>>>;

impl Wire {
    /// Connects, with the settings that `set` makes.
    ///
    /// # Errors
    /// When nobody is there, or somebody else: then a [`WayError`] is among the sources.
    pub async fn connect(way: &Way, set: impl FnOnce(Endpoint) -> Endpoint) -> Result<Self, Error> {
        let connector = Connector::of(way);
        let bearer = connector.bearer.clone();
        Ok(Self { channel: endpoint(set).connect_with_connector(connector).await?, bearer })
    }

    /// The same, but connects when it is first used.
    pub fn lazy(way: &Way, set: impl FnOnce(Endpoint) -> Endpoint) -> Self {
        let connector = Connector::of(way);
        let bearer = connector.bearer.clone();
        Self { channel: endpoint(set).connect_with_connector_lazy(connector), bearer }
    }
}

fn endpoint(set: impl FnOnce(Endpoint) -> Endpoint) -> Endpoint {
    set(Endpoint::from_static(HOST))
}

impl Service<Request<Body>> for Wire {
    type Response = Response<Body>;
    type Error = Error;
    type Future = <Channel as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.channel.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if let Some(bearer) = &self.bearer {
            let bearer = bearer.read().unwrap_or_else(PoisonError::into_inner).clone();
            request.headers_mut().extend(bearer.map(|bearer| (AUTHORIZATION, bearer)));
        }
        self.channel.call(request)
    }
}

/// Makes connections the way goes, whatever the URI says.
#[derive(Debug, Clone)]
struct Connector {
    way: Way,
    bearer: Option<Bearer>,
}

impl Connector {
    fn of(way: &Way) -> Self {
        // A lazy channel makes its first request before it is connected: that has to show the token too.
        let bearer = way.is_by_port().then(|| Arc::new(RwLock::new(way.header())));
        Self { way: way.clone(), bearer }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = WayError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, WayError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), WayError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Self { way, bearer } = self.clone();
        Box::pin(async move {
            let (stream, token) = way.connect().await?;
            if let Some(bearer) = bearer {
                *bearer.write().unwrap_or_else(PoisonError::into_inner) = token.map(|token| token.header());
            }
            Ok(TokioIo::new(stream))
        })
    }
}
