//! What is wrong with a word, for whoever wrote it.

/// A word that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

/// The word is taken, or it is said why not.
pub type Checked<T = ()> = Result<T, Invalid>;

impl From<Invalid> for String {
    fn from(invalid: Invalid) -> Self {
        invalid.0
    }
}
