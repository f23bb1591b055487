//! What is wrong with a request.

/// What is wrong with a request, in words for the one who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

/// What was checked, or why it is refused.
pub type Checked<T = ()> = Result<T, Invalid>;

/// Refuses what does not hold.
pub fn ensure(holds: bool, message: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(Invalid(message())) }
}
