//! One connection to a server, driven by whoever waits for its answer: no task of its own stands between the two.

use std::{
    future::{Future, poll_fn},
    io,
    os::fd::OwnedFd,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use rustix::net::{AddressFamily, sockopt};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};

use super::{body::Body, line::Line, patient::Patient};

/// A connection. Nothing happens on it unless somebody waits; dropping it closes it.
pub(super) struct Connection {
    sender: SendRequest<Body>,
    driver: Driver,
    line: Arc<Line>,
}

/// Reads and writes; `None` once the connection is closed.
struct Driver(Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>>);

impl Driver {
    /// Goes on as far as is possible now. What goes wrong is told to the request on the connection, or its answer.
    fn go_on(&mut self, context: &mut Context<'_>) {
        if self.0.as_mut().is_some_and(|driver| driver.as_mut().poll(context).is_ready()) {
            self.0 = None;
        }
    }
}

/// Why a socket is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unmade {
    /// It cannot be used.
    #[error("the socket cannot be used")]
    Socket(#[from] io::Error),
    /// HTTP cannot be spoken over it.
    #[error("HTTP cannot be spoken over it")]
    Http(#[from] hyper::Error),
}

/// A request without an answer.
pub(super) struct Unsent {
    pub error: hyper::Error,
    /// The request, where no byte of it has left.
    pub request: Option<Request<Body>>,
}

impl Connection {
    /// Begins to speak HTTP over a socket from inside.
    pub(super) async fn over(socket: OwnedFd) -> Result<Self, Unmade> {
        let domain = sockopt::socket_domain(&socket).map_err(io::Error::from)?;
        if domain == AddressFamily::UNIX {
            let stream = std::os::unix::net::UnixStream::from(socket);
            let stream = stream.set_nonblocking(true).and_then(|()| UnixStream::from_std(stream));
            return Self::shake_hands(stream?).await;
        }
        let stream = std::net::TcpStream::from(socket);
        let stream = stream
            .set_nonblocking(true)
            .and_then(|()| stream.set_nodelay(true))
            .and_then(|()| TcpStream::from_std(stream));
        Self::shake_hands(stream?).await
    }

    async fn shake_hands<S>(stream: S) -> Result<Self, Unmade>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let line = Arc::<Line>::default();
        let (sender, driver) = http1::handshake(TokioIo::new(Patient::new(stream, Arc::clone(&line)))).await?;
        Ok(Self { sender, driver: Driver(Some(Box::pin(driver))), line })
    }

    /// What is known of it beside its bytes.
    pub(super) fn line(&self) -> &Arc<Line> {
        &self.line
    }

    /// Goes on as far as is possible now.
    pub(super) fn go_on(&mut self, context: &mut Context<'_>) {
        self.driver.go_on(context);
    }

    /// Whether a kept connection takes a request: the server may have closed it meanwhile.
    pub(super) async fn is_fit(&mut self) -> bool {
        poll_fn(|context| {
            self.driver.go_on(context);
            Poll::Ready(())
        })
        .await;
        self.sender.is_ready()
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(&mut self, request: Request<Body>) -> Result<Response<Incoming>, Unsent> {
        self.line.listen();
        let mut answer = pin!(self.sender.try_send_request(request));
        let driver = &mut self.driver;
        let answer = poll_fn(|context| {
            driver.go_on(context);
            answer.as_mut().poll(context)
        });
        answer.await.map_err(|mut error| {
            let request = error.take_message();
            Unsent { error: error.into_error(), request }
        })
    }
}
