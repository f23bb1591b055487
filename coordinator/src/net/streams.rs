//! The streams of an HTTP/2 connection, each a task that can be ended for itself: whoever does not read one answer loses that
//! answer, and nobody else on the connection anything.

use hyper::rt::Executor;
use tokio_util::sync::CancellationToken;

tokio::task_local! {
    static THIS: CancellationToken;
}

/// Runs each stream as a task.
#[derive(Debug, Clone, Copy)]
pub struct Streams;

impl<F> Executor<F> for Streams
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let cut = CancellationToken::new();
        let within = cut.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = THIS.scope(within, stream) => {}
                // Dropped, it is reset.
                () = cut.cancelled() => {}
            }
        });
    }
}

/// How a stream is ended from outside.
#[derive(Debug, Clone)]
pub struct Cut(Option<CancellationToken>);

impl Cut {
    /// That of the stream whose request is answered here. An HTTP/1.1 connection has none: it ends when nothing can be written.
    pub fn of_this_stream() -> Self {
        Self(THIS.try_with(Clone::clone).ok())
    }

    /// Ends it, if it has not ended.
    pub fn cut(&self) {
        if let Some(stream) = &self.0 {
            stream.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_stream_that_is_cut_is_dropped_and_another_goes_on() {
        let begin = || {
            let ((tell, told), (held, gone)) = (oneshot::channel(), oneshot::channel::<()>());
            Streams.execute(async move {
                let _held = held;
                let _ = tell.send(Cut::of_this_stream());
                std::future::pending::<()>().await;
            });
            (told, gone)
        };
        let ((first, gone), (other, mut goes_on)) = (begin(), begin());
        let (first, _other) = (first.await.unwrap(), other.await.unwrap());
        first.cut();
        assert!(gone.await.is_err() && goes_on.try_recv() == Err(oneshot::error::TryRecvError::Empty));
        // Where there is no stream there is nothing to cut.
        Cut::of_this_stream().cut();
    }
}
