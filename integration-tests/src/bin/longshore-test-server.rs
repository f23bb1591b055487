//! A small server for stages and leaves of interface `http`: it answers with what it was sent, in capitals.
//!
//! An input that begins with `bad` is refused; one that begins with `busy` finds it busy the first time; of one that begins with `half` the
//! answer says that it is half of one; one that begins with `headers` is answered with some headers of the request.

use std::sync::atomic::{AtomicBool, Ordering};

use merger_sdk::{Answer, AnswerError, Request, ServeError};

fn main() -> Result<(), ServeError> {
    let busy_before = AtomicBool::new(false);
    merger_sdk::serve_leaf(move |request: &Request| {
        let text = request.text()?;
        if text.starts_with("bad") {
            return Err(AnswerError::BadRequest("it begins with bad".to_owned()));
        }
        if text.starts_with("busy") && !busy_before.swap(true, Ordering::SeqCst) {
            return Err(AnswerError::Busy);
        }
        if text.starts_with("half") {
            return Ok(Answer::text("HALF ").partial(1, 2, "the other half"));
        }
        if text.starts_with("headers") {
            let said = |name| request.header(name).unwrap_or("-").to_owned();
            let headers = ["content-type", "content-encoding", "traceparent", "cookie"].map(said);
            return Ok(Answer::text(headers.join(" ")).with_type("text/x-headers").with_encoding("identity"));
        }
        Ok(Answer::text(text.to_uppercase()))
    })
}
