//! A small server for stages and leaves of interface `http`: it answers with what it was sent, in capitals.
//!
//! An input that begins with `bad` is refused; one that begins with `busy` finds it busy the first time.

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
        Ok(Answer::text(text.to_uppercase()))
    })
}
