//! Why there is no answer; one place maps that to HTTP.

use std::io;

use hyper::StatusCode;

/// Why there is no answer. The variant decides what the caller does next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// This input is bad and would be bad anywhere: 400, not tried again.
    #[error("bad request: {0}")]
    BadRequest(String),
    /// The body is larger than [`Options::body_max_bytes`](crate::Options::body_max_bytes): 413, not tried again.
    #[error("the body is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The bound.
        limit_bytes: usize,
    },
    /// No room now: 503, tried on another replica.
    #[error("busy")]
    Busy,
    /// The request's time is over: 504.
    #[error("the time for this request is over")]
    Late,
    /// It went wrong here: 500, tried again.
    #[error("{0}")]
    Failed(String),
}

impl AnswerError {
    /// The HTTP status sent for it.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Late => StatusCode::GATEWAY_TIMEOUT,
            Self::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// What cannot be read or written here is this replica's trouble; that nobody reads an answer any more is nobody's.
impl From<io::Error> for AnswerError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Late,
            _ => Self::Failed(error.to_string()),
        }
    }
}
