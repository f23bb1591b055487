//! A running server with a client: over a unix socket or TCP, on a port nobody chose.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use merger_sdk::{Leaf, Listener, Merge, Options, Place, Server};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Longest a test waits for anything that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for what must happen.
pub async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("it did not happen in time")
}

enum At {
    Unix(tempfile::TempDir),
    Tcp(std::net::SocketAddr),
}

/// A server that runs until it is stopped.
pub struct World {
    at: At,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

/// One open connection.
pub struct Connection(SendRequest<BoxBody<Bytes, std::convert::Infallible>>);

impl World {
    pub fn leaf(leaf: impl Leaf, options: Options) -> Self {
        let place = Place { shard: 2, shards: 4, data: None };
        Self::unix(
            |listener, stop| async move { Server::new(options).leaf(Arc::new(leaf), place, listener, stop).await },
        )
    }

    pub fn merge(merge: impl Merge, options: Options) -> Self {
        Self::unix(|listener, stop| async move { Server::new(options).merge(Arc::new(merge), listener, stop).await })
    }

    pub async fn leaf_on_tcp(leaf: impl Leaf) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let at = At::Tcp(listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(async move {
            let stop = async { drop(stopped.await) };
            Server::default().leaf(Arc::new(leaf), Place::default(), listener.into(), stop).await;
        });
        Self { at, stop, served }
    }

    fn unix<F, S>(serve: F) -> Self
    where
        F: FnOnce(Listener, std::pin::Pin<Box<dyn Future<Output = ()> + Send>>) -> S,
        S: Future<Output = ()> + Send + 'static,
    {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("socket")).unwrap();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(serve(listener.into(), Box::pin(async { drop(stopped.await) })));
        Self { at: At::Unix(directory), stop, served }
    }

    pub async fn connect(&self) -> Connection {
        match &self.at {
            At::Unix(directory) => handshake(UnixStream::connect(directory.path().join("socket")).await.unwrap()).await,
            At::Tcp(address) => handshake(TcpStream::connect(address).await.unwrap()).await,
        }
    }

    /// Asks once over a connection of its own.
    pub async fn post(&self, body: impl Into<Bytes>, headers: &[(&str, &str)]) -> (StatusCode, Bytes) {
        self.connect().await.send(Method::POST, "/", headers, whole(body)).await
    }

    pub async fn healthz(&self) -> StatusCode {
        self.connect().await.send(Method::GET, "/healthz", &[], whole("")).await.0
    }

    pub fn socket_exists(&self) -> bool {
        matches!(&self.at, At::Unix(directory) if directory.path().join("socket").exists())
    }

    /// Tells the server to stop; what is returned ends when it has.
    pub fn stop(self) -> impl Future<Output = ()> {
        self.stop.send(()).unwrap();
        let at = self.at;
        async move {
            soon(self.served).await.unwrap();
            drop(at);
        }
    }
}

async fn handshake(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Connection {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    Connection(sender)
}

pub fn whole(body: impl Into<Bytes>) -> BoxBody<Bytes, std::convert::Infallible> {
    Full::new(body.into()).boxed()
}

pub fn streamed(chunks: impl Stream<Item = Bytes> + Send + Sync + 'static) -> BoxBody<Bytes, std::convert::Infallible> {
    BodyExt::boxed(StreamBody::new(chunks.map(|chunk| Ok(Frame::data(chunk)))))
}

impl Connection {
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: BoxBody<Bytes, std::convert::Infallible>,
    ) -> (StatusCode, Bytes) {
        let response = soon(self.ask(method, path, headers, body)).await.unwrap();
        let status = response.status();
        (status, soon(response.into_body().collect()).await.unwrap().to_bytes())
    }

    /// Asks, and answers with the head of the answer.
    pub async fn ask(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: BoxBody<Bytes, std::convert::Infallible>,
    ) -> hyper::Result<Response<Incoming>> {
        let mut request = Request::builder().method(method).uri(path).header("host", "leaf");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.0.send_request(request.body(body).unwrap()).await
    }

    pub async fn post(&mut self, body: impl Into<Bytes>) -> (StatusCode, Bytes) {
        self.send(Method::POST, "/", &[], whole(body)).await
    }
}
