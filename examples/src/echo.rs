//! The smallest leaf: it answers every request with its own body.

use merger_sdk::{Answer, AnswerError, Request, ServeError};

/// Answers with the request's own body.
///
/// # Errors
/// Never.
pub fn echo(request: &Request) -> Result<Answer, AnswerError> {
    Ok(Answer::bytes(request.body().clone()))
}

/// Serves it.
///
/// # Errors
/// When the server cannot listen.
pub fn serve() -> Result<(), ServeError> {
    merger_sdk::serve_leaf(echo)
}
