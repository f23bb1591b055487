//! An answer while it is written: pieces that go out as they come, never faster than they are read.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;

use crate::deadline::Deadline;
use crate::error::AnswerError;

/// Pieces that may wait to be sent.
const WAITING: usize = 4;

/// What is written by [`io::Write`] goes out when so much has come together.
const TOGETHER: usize = 16 << 10;

/// Where an answer is written to (see [`Answer::written`](crate::Answer::written)).
///
/// [`Pieces::send`] waits as long as the reader is slow. By [`io::Write`] small writes go out together; what is left does at the end, or
/// with [`flush`](io::Write::flush).
#[derive(Debug)]
pub struct Pieces {
    out: mpsc::Sender<Bytes>,
    together: BytesMut,
    deadline: Deadline,
}

impl Pieces {
    pub(crate) fn new(deadline: Deadline) -> (Self, mpsc::Receiver<Bytes>) {
        let (out, pieces) = mpsc::channel(WAITING);
        (Self { out, together: BytesMut::new(), deadline }, pieces)
    }

    /// Sends a piece, after what was written before. One that is empty is none.
    ///
    /// # Errors
    /// [`AnswerError::Late`] when nobody waits for it any more: whoever writes stops then.
    pub fn send(&mut self, piece: impl Into<Bytes>) -> Result<(), AnswerError> {
        self.send_together()?;
        self.send_piece(piece.into())
    }

    /// True once nobody waits for the answer: the time is over or the caller has hung up.
    pub fn abandoned(&self) -> bool {
        self.deadline.abandoned()
    }

    /// What is left goes out.
    pub(crate) fn end(mut self) -> Result<(), AnswerError> {
        self.send_together()
    }

    fn send_together(&mut self) -> Result<(), AnswerError> {
        let together = self.together.split().freeze();
        self.send_piece(together)
    }

    fn send_piece(&self, piece: Bytes) -> Result<(), AnswerError> {
        if self.abandoned() {
            return Err(AnswerError::Late);
        }
        if piece.is_empty() {
            return Ok(());
        }
        self.out.blocking_send(piece).map_err(|_| AnswerError::Late)
    }
}

impl io::Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.together.extend_from_slice(bytes);
        if self.together.len() >= TOGETHER {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send_together().map_err(|late| io::Error::new(io::ErrorKind::BrokenPipe, late))
    }
}
