//! How a check says what is wrong.

/// What is wrong, when something is.
pub type Check = Result<(), String>;

/// Fails with a message unless the condition holds.
macro_rules! demand {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+));
        }
    };
}
pub(crate) use demand;
