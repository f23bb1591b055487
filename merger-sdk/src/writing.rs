//! The body of an answer that is still written: its pieces, and its end.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use hyper::body::{Body, Frame};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::answer::Write;
use crate::deadline::{Deadline, Waiting};
use crate::error::AnswerError;
use crate::pieces::Pieces;
use crate::pool::Pool;

/// What a request holds until its answer is sent.
pub(crate) struct Held {
    _room: OwnedSemaphorePermit,
    _waiting: Waiting,
}

impl Held {
    pub(crate) fn new(room: OwnedSemaphorePermit, waiting: Waiting) -> Self {
        Self { _room: room, _waiting: waiting }
    }
}

/// Such a body. When the code that writes it fails, or its time is over, the connection is cut: nobody takes what came for a whole answer.
pub(crate) struct Written {
    first: Option<Bytes>,
    pieces: mpsc::Receiver<Bytes>,
    /// The end of the code that writes; `None` when it was told.
    end: Option<BoxFuture<'static, Result<(), AnswerError>>>,
    _held: Held,
}

/// Begins to write; answers with the first piece, or at the end where there is none.
pub(crate) async fn begun(write: Write, pool: &Pool, deadline: Deadline, held: Held) -> Result<Written, AnswerError> {
    let (mut out, mut pieces) = Pieces::new(deadline.clone());
    let pool = pool.clone();
    let mut end: BoxFuture<'static, _> = Box::pin(async move {
        let writing = pool.run_aside(move || {
            write(&mut out)?;
            out.end()
        });
        tokio::select! {
            biased;
            ended = writing => ended,
            () = deadline.over() => Err(AnswerError::Late),
        }
    });
    tokio::select! {
        biased;
        Some(first) = pieces.recv() => Ok(Written { first: Some(first), pieces, end: Some(end), _held: held }),
        ended = &mut end => {
            ended?;
            // What it wrote last may have come together with its end.
            let first = pieces.recv().await;
            Ok(Written { first, pieces, end: None, _held: held })
        }
    }
}

impl Body for Written {
    type Data = Bytes;
    type Error = AnswerError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        // It writes only while it is polled to, and may have ended just now.
        if let Some(end) = &mut self.end
            && let Poll::Ready(ended) = end.as_mut().poll(context)
        {
            self.end = None;
            if let Err(error) = ended {
                return Poll::Ready(Some(Err(error)));
            }
        }
        match self.pieces.poll_recv(context) {
            Poll::Ready(Some(piece)) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            Poll::Ready(None) if self.end.is_none() => Poll::Ready(None),
            // No further piece: its end is waited for.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}
