//! The leaf: what answers for one shard.

use std::sync::OnceLock;

use crate::answer::Answer;
use crate::error::AnswerError;
use crate::request::Request;

/// Answers for one shard.
///
/// It is called from several threads at once, at most [`Options::threads`](crate::Options::threads). It may compute or
/// block as long as it needs; the caller's patience is [`Request::remaining`]. A panic is answered with 500 and leaves
/// the server running.
///
/// A function `fn(&Request) -> Result<Answer, AnswerError>` is a leaf too.
pub trait Leaf: Send + Sync + 'static {
    /// Answers one request.
    ///
    /// # Errors
    /// The variant of [`AnswerError`] says whether the caller should try again, and where.
    fn answer(&self, request: &Request) -> Result<Answer, AnswerError>;

    /// Whether requests should come; asked by `GET /healthz`.
    fn ready(&self) -> bool {
        true
    }
}

impl<F> Leaf for F
where
    F: Fn(&Request) -> Result<Answer, AnswerError> + Send + Sync + 'static,
{
    fn answer(&self, request: &Request) -> Result<Answer, AnswerError> {
        self(request)
    }
}

/// A leaf that is still loading what it answers from: not ready, and [`AnswerError::Busy`], until [`Loading::loaded`].
#[derive(Debug)]
pub struct Loading<L>(OnceLock<L>);

impl<L> Loading<L> {
    /// Nothing is loaded yet.
    pub fn new() -> Self {
        Self(OnceLock::new())
    }

    /// From now on `leaf` answers. Only the first call counts.
    pub fn loaded(&self, leaf: L) {
        // A second leaf is dropped: the requests under way hold references to the first.
        let _ = self.0.set(leaf);
    }
}

impl<L> Default for Loading<L> {
    fn default() -> Self {
        Self::new()
    }
}

impl<L: Leaf> Leaf for Loading<L> {
    fn answer(&self, request: &Request) -> Result<Answer, AnswerError> {
        self.0.get().ok_or(AnswerError::Busy)?.answer(request)
    }

    fn ready(&self) -> bool {
        self.0.get().is_some_and(Leaf::ready)
    }
}
