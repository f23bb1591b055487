//! What a leaf or a merge answers, and the ways it can fail; one place maps them to HTTP.

use bytes::Bytes;
use hyper::StatusCode;
use serde::Serialize;

/// A successful answer: bytes and what kind of bytes they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    body: Bytes,
    content_type: &'static str,
}

impl Answer {
    /// An answer of plain bytes (`application/octet-stream`).
    pub fn bytes(body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), content_type: "application/octet-stream" }
    }

    /// An answer of text.
    pub fn text(body: impl Into<String>) -> Self {
        Self { body: Bytes::from(body.into()), content_type: "text/plain; charset=utf-8" }
    }

    /// An answer in JSON.
    ///
    /// # Errors
    /// [`AnswerError::Failed`] when the value cannot be written as JSON (a map whose keys are not strings, for one).
    pub fn json<T: Serialize>(value: &T) -> Result<Self, AnswerError> {
        let body = serde_json::to_vec(value)
            .map_err(|error| AnswerError::Failed(format!("the answer cannot be written as JSON: {error}")))?;
        Ok(Self { body: Bytes::from(body), content_type: "application/json" })
    }

    /// The bytes.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The media type sent with them.
    pub fn content_type(&self) -> &'static str {
        self.content_type
    }

    pub(crate) fn into_body(self) -> Bytes {
        self.body
    }
}

impl From<Vec<u8>> for Answer {
    fn from(body: Vec<u8>) -> Self {
        Self::bytes(body)
    }
}

impl From<Bytes> for Answer {
    fn from(body: Bytes) -> Self {
        Self::bytes(body)
    }
}

impl From<String> for Answer {
    fn from(body: String) -> Self {
        Self::text(body)
    }
}

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
