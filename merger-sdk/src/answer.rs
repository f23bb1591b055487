//! What a leaf or a merge answers: bytes that are there, or that are written piece by piece.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use longshore_contract::header;
use serde::Serialize;

use crate::error::AnswerError;
use crate::pieces::Pieces;

/// A successful answer: bytes and what kind of bytes they are.
#[derive(Debug)]
pub struct Answer {
    body: Content,
    content_type: Cow<'static, str>,
    encoding: Option<Cow<'static, str>>,
    share: Option<Share>,
    /// How many parts it was made of, where these are not all.
    parts: Option<u32>,
}

/// Code that writes an answer.
pub(crate) type Write = Box<dyn FnOnce(&mut Pieces) -> Result<(), AnswerError> + Send>;

/// The bytes of an answer.
pub(crate) enum Content {
    Whole(Bytes),
    Written(Write),
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(bytes) => bytes.fmt(f),
            Self::Written(_) => f.write_str("to be written"),
        }
    }
}

/// So much of so much, and what is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Share {
    answered: u64,
    of: u64,
    missing: String,
}

impl Answer {
    /// An answer of plain bytes (`application/octet-stream`).
    pub fn bytes(body: impl Into<Bytes>) -> Self {
        Self::of(body.into(), "application/octet-stream")
    }

    /// An answer of text.
    pub fn text(body: impl Into<String>) -> Self {
        Self::of(Bytes::from(body.into()), "text/plain; charset=utf-8")
    }

    /// An answer in JSON.
    ///
    /// # Errors
    /// [`AnswerError::Failed`] when the value cannot be written as JSON (a map whose keys are not strings, for one).
    pub fn json<T: Serialize>(value: &T) -> Result<Self, AnswerError> {
        let body = serde_json::to_vec(value)
            .map_err(|error| AnswerError::Failed(format!("the answer cannot be written as JSON: {error}")))?;
        Ok(Self::of(Bytes::from(body), "application/json"))
    }

    fn of(body: Bytes, content_type: &'static str) -> Self {
        Self { body: Content::Whole(body), content_type: content_type.into(), encoding: None, share: None, parts: None }
    }

    /// An answer that is sent while it is written (`application/octet-stream`, unless [`Answer::with_type`] says otherwise): for one
    /// that is large, or of which the beginning is there long before the end. `write` runs where leaves and merges do, after they
    /// have returned this.
    ///
    /// What it says of itself is sent with its first piece. When `write` fails before that, it is as if the leaf had failed; after it
    /// the answer is cut, and whoever asked takes it for none.
    pub fn written(write: impl FnOnce(&mut Pieces) -> Result<(), AnswerError> + Send + 'static) -> Self {
        Self { body: Content::Written(Box::new(write)), ..Self::bytes(Bytes::new()) }
    }

    /// The same with another media type. One that no header can carry is not sent.
    #[must_use]
    pub fn with_type(self, content_type: impl Into<Cow<'static, str>>) -> Self {
        Self { content_type: content_type.into(), ..self }
    }

    /// The same, encoded like this (`gzip`). One that no header can carry is not sent.
    #[must_use]
    pub fn with_encoding(self, encoding: impl Into<Cow<'static, str>>) -> Self {
        Self { encoding: Some(encoding.into()), ..self }
    }

    /// The same, as an answer that has only so much of what it should have, in whatever the caller counts: documents of a shard,
    /// parts that a merge was given. It is sent with status 206, and never taken for a whole one; as much as all of it is no part.
    #[must_use]
    pub fn partial(self, answered: u64, of: u64, missing: impl Into<String>) -> Self {
        let share = (answered < of).then(|| Share { answered, of, missing: missing.into() });
        Self { share, ..self }
    }

    /// The same, made of the first so many parts of those that were to come.
    pub(crate) fn of_parts(self, parts: u32) -> Self {
        Self { parts: Some(parts), ..self }
    }

    /// The HTTP status sent with it.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        if self.share.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK }
    }

    /// What its headers say.
    pub(crate) fn head(&self) -> HeaderMap {
        let share = self.share.as_ref();
        let amount = share.map(|share| format!("{}/{}", share.answered, share.of));
        // Words in other letters are not for headers.
        let words = |share: &Share| {
            share.missing.chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' }).take(512).collect()
        };
        let missing: Option<String> = share.map(words);
        let parts = self.parts.map(|parts| parts.to_string());
        let said = [
            (header::PARTS, parts.as_deref()),
            (CONTENT_TYPE.as_str(), Some(&*self.content_type)),
            (CONTENT_ENCODING.as_str(), self.encoding.as_deref()),
            (header::COVERAGE, amount.as_deref()),
            (header::MISSING, missing.as_deref().filter(|missing| !missing.is_empty())),
        ];
        let mut head = HeaderMap::new();
        for (name, value) in said {
            if let Some(Ok(value)) = value.map(HeaderValue::from_str) {
                head.insert(name, value);
            }
        }
        head
    }

    /// The bytes; none of an answer that is still to be written.
    pub fn body(&self) -> &Bytes {
        static NONE: Bytes = Bytes::new();
        match &self.body {
            Content::Whole(bytes) => bytes,
            Content::Written(_) => &NONE,
        }
    }

    /// The media type sent with them.
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    pub(crate) fn into_content(self) -> Content {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_with_less_than_all_says_so() {
        let half = Answer::text("half").partial(1, 2, "chapter 2: \u{e9}\n");
        assert_eq!(
            (half.status(), &half.head()["longshore-coverage"]),
            (StatusCode::PARTIAL_CONTENT, &HeaderValue::from_static("1/2"))
        );
        assert_eq!(half.head()["longshore-missing"], "chapter 2: ??");
        let all = Answer::text("all").partial(2, 2, "");
        assert_eq!((all.status(), all.head().len()), (StatusCode::OK, 1));
        assert_eq!(Answer::text("early").of_parts(3).head()["longshore-parts"], "3");
    }

    #[test]
    fn its_type_and_encoding_are_sent_where_a_header_can_carry_them() {
        let head = Answer::bytes("x").with_type("text/csv").with_encoding("gzip").head();
        assert_eq!(
            (&head[CONTENT_TYPE], &head[CONTENT_ENCODING]),
            (&HeaderValue::from_static("text/csv"), &HeaderValue::from_static("gzip"))
        );
        assert!(Answer::bytes("x").with_type("a\r\nb: c").head().is_empty());
    }
}
