//! A connection, whichever way it was made.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use longshore_local::LocalStream;
use longshore_trust::Trouble;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

/// What is said of whoever speaks TLS where none was spoken to it. Whoever reads of it in the text of an error may tell it by
/// this: libraries in between keep no more of an error than its text.
pub const SPEAKS_TLS: &str = "what is there speaks TLS";

/// What an alert of TLS begins with, whatever its version (RFC 8446, section 5.1). No frame of HTTP/2 that a server sends first
/// is as long as this would say.
const ALERT: [u8; 2] = [21, 3];

/// A connection of any kind.
#[derive(Debug)]
pub enum Stream {
    /// On this machine.
    Local(Plain),
    /// By TLS.
    Tls(Box<Secured>),
}

/// Why the other end did not take the certificate that was shown, if it has said so. It says so only after the handshake,
/// when a connection is in use already, and whoever uses it learns no more than that it has ended.
#[derive(Debug, Clone, Default)]
pub struct Told(Arc<Mutex<Option<Trouble>>>);

impl Told {
    /// What was said last, if there was no connection since.
    pub fn get(&self) -> Option<Trouble> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set(&self, trouble: Option<Trouble>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

/// A connection without TLS, which notices if the other end speaks it.
#[derive(Debug)]
pub struct Plain {
    stream: LocalStream,
    /// Something was heard already.
    heard: bool,
}

impl Plain {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if self.heard || !matches!(read, Poll::Ready(Ok(()))) {
            return read;
        }
        self.heard = true;
        match buf.filled()[before..].starts_with(&ALERT) {
            true => Poll::Ready(Err(io::Error::other(SPEAKS_TLS))),
            false => read,
        }
    }
}

/// A connection by TLS that remembers why it was refused.
#[derive(Debug)]
pub struct Secured {
    stream: TlsStream<TcpStream>,
    told: Told,
}

impl Secured {
    pub(crate) fn new(stream: TlsStream<TcpStream>, told: Told) -> Self {
        Self { stream, told }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if let Poll::Ready(Err(error)) = &read
            && let Some(refused @ Trouble::Refused(_)) = Trouble::among(error)
        {
            self.told.set(Some(refused));
        }
        read
    }
}

impl Stream {
    pub(crate) fn local(stream: LocalStream) -> Self {
        Self::Local(Plain { stream, heard: false })
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Local(plain) => plain.poll_read(cx, buf),
            Self::Tls(secured) => secured.poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Local(plain) => Pin::new(&mut plain.stream).poll_write(cx, buf),
            Self::Tls(secured) => Pin::new(&mut secured.stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Local(plain) => Pin::new(&mut plain.stream).poll_write_vectored(cx, bufs),
            Self::Tls(secured) => Pin::new(&mut secured.stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Local(plain) => plain.stream.is_write_vectored(),
            Self::Tls(secured) => secured.stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Local(plain) => Pin::new(&mut plain.stream).poll_flush(cx),
            Self::Tls(secured) => Pin::new(&mut secured.stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Local(plain) => Pin::new(&mut plain.stream).poll_shutdown(cx),
            Self::Tls(secured) => Pin::new(&mut secured.stream).poll_shutdown(cx),
        }
    }
}
