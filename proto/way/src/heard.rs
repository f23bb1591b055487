//! When anything last came from the other end of a connection.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// When anything last came. Cheap to clone; all clones are the same.
#[derive(Debug, Clone)]
pub struct Heard(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    begun: Instant,
    /// Milliseconds after that.
    at: AtomicU64,
}

impl Heard {
    /// Just now.
    pub(crate) fn now() -> Self {
        Self(Arc::new(Inner { begun: Instant::now(), at: AtomicU64::new(0) }))
    }

    fn note(&self) {
        let at = u64::try_from(self.0.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.at.store(at, Ordering::Relaxed);
    }

    /// How long ago that was. However slowly a message comes, its bytes count.
    #[must_use]
    pub fn ago(&self) -> Duration {
        self.0.begun.elapsed().saturating_sub(Duration::from_millis(self.0.at.load(Ordering::Relaxed)))
    }
}

/// A stream that notes when anything comes out of it.
#[derive(Debug)]
pub(crate) struct Hearing<S> {
    stream: S,
    heard: Heard,
}

impl<S> Hearing<S> {
    /// The stream, which has just been made.
    pub fn of(stream: S, heard: Heard) -> Self {
        heard.note();
        Self { stream, heard }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Hearing<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.heard.note();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Hearing<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn what_comes_is_noted_and_what_goes_is_not() {
        let (ours, mut theirs) = duplex(64);
        let heard = Heard::now();
        let mut stream = Hearing::of(ours, heard.clone());
        let long_ago = || heard.0.at.store(0, Ordering::Relaxed);
        while heard.0.begun.elapsed() < Duration::from_millis(3) {
            tokio::task::yield_now().await;
        }
        long_ago();
        stream.write_all(b"going").await.unwrap();
        assert_eq!(heard.0.at.load(Ordering::Relaxed), 0);
        theirs.write_all(b"c").await.unwrap();
        stream.read_exact(&mut [0]).await.unwrap();
        assert!(heard.0.at.load(Ordering::Relaxed) > 0);
    }
}
