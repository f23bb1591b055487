//! A socket on which an answer is still read when the request can no longer be written.
//!
//! A server that says no (413, say) may close its end before it has read the whole request. What is written then fails,
//! often before the answer that waits on our side has been read, and a plain "no" would look like a server that broke
//! off. So what nobody reads any more is thrown away, and reading tells the rest: the answer, or that there is none.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::line::Line;

/// Such a socket.
pub(super) struct Patient<S> {
    socket: S,
    /// The other side reads no more.
    unread: bool,
    line: Arc<Line>,
    /// We have told the other side that we write no more.
    said_goodbye: bool,
}

impl<S> Patient<S> {
    pub(super) fn new(socket: S, line: Arc<Line>) -> Self {
        Self { socket, unread: false, line, said_goodbye: false }
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.line.is_hung_up() && !self.said_goodbye {
            // A socket's end is told at once; what cannot be told, reading tells.
            self.said_goodbye = Pin::new(&mut self.socket).poll_shutdown(context).is_ready();
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.line.hear();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> Patient<S> {
    /// The outcome of writing `bytes` of them.
    fn written(&mut self, outcome: io::Result<usize>, bytes: usize) -> io::Result<usize> {
        match outcome {
            Err(error) if is_closed(&error) => {
                self.unread = true;
                Ok(bytes)
            }
            other => other,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.unread {
            return Poll::Ready(Ok(bytes.len()));
        }
        let outcome = ready!(Pin::new(&mut self.socket).poll_write(context, bytes));
        Poll::Ready(self.written(outcome, bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes = slices.iter().map(|slice| slice.len()).sum();
        if self.unread {
            return Poll::Ready(Ok(bytes));
        }
        let outcome = ready!(Pin::new(&mut self.socket).poll_write_vectored(context, slices));
        Poll::Ready(self.written(outcome, bytes))
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
