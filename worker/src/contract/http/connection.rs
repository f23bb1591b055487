//! One connection to a server, driven by whoever waits for its answer: no task of its own stands between the two.

use std::{
    future::{Future, poll_fn},
    os::fd::OwnedFd,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use hyper::{
    body::{Frame, Incoming, SizeHint},
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use rustix::net::{AddressFamily, sockopt};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};

use super::{Board, Body, CallError};

/// A connection. Nothing happens on it unless somebody waits; dropping it closes it.
pub(super) struct Connection {
    sender: SendRequest<Body>,
    driver: Driver,
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

/// A request without an answer.
pub(super) struct Unsent {
    pub error: hyper::Error,
    /// The request, where no byte of it has left.
    pub request: Option<Request<Body>>,
}

impl Connection {
    /// Begins to speak HTTP over a socket from inside.
    pub(super) async fn over(socket: OwnedFd) -> Result<Self, CallError> {
        let domain = sockopt::socket_domain(&socket).map_err(|errno| CallError::Connect(errno.into()))?;
        if domain == AddressFamily::UNIX {
            let stream = std::os::unix::net::UnixStream::from(socket);
            let stream = stream.set_nonblocking(true).and_then(|()| UnixStream::from_std(stream));
            return Self::shake_hands(stream.map_err(CallError::Connect)?).await;
        }
        let stream = std::net::TcpStream::from(socket);
        let stream = stream
            .set_nonblocking(true)
            .and_then(|()| stream.set_nodelay(true))
            .and_then(|()| TcpStream::from_std(stream));
        Self::shake_hands(stream.map_err(CallError::Connect)?).await
    }

    async fn shake_hands<S>(stream: S) -> Result<Self, CallError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(CallError::Broken)?;
        Ok(Self { sender, driver: Driver(Some(Box::pin(driver))) })
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

/// An answer's body. Read to its end, it gives its connection back; dropped before, it closes it.
pub(crate) struct Answer {
    body: Incoming,
    lent: Option<(Connection, Arc<Board>)>,
}

impl Answer {
    pub(super) fn new(body: Incoming, connection: Connection, board: Arc<Board>) -> Self {
        Self { body, lent: Some((connection, board)) }
    }
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        let mut frame = Pin::new(&mut this.body).poll_frame(context);
        if frame.is_pending()
            && let Some((connection, _)) = &mut this.lent
        {
            connection.driver.go_on(context);
            frame = Pin::new(&mut this.body).poll_frame(context);
        }
        match frame {
            Poll::Ready(None) => {
                if let Some((connection, board)) = this.lent.take() {
                    board.keep(connection);
                }
            }
            Poll::Ready(Some(Err(_))) => this.lent = None,
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
