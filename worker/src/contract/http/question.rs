//! What is asked of a server as a request: `POST /` with the input as body, or all parts as `multipart/mixed`.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use longshore_contract::header as named;

use super::{
    body::{Body, whole},
    multipart::{Coming, Multipart, Part, of_coming},
};
use crate::{
    cache::Blob,
    contract::placeholders::{Fixed, Item},
};

const TIMEOUT_MS: HeaderName = HeaderName::from_static(named::TIMEOUT_MS);
const SHARDS: HeaderName = HeaderName::from_static(named::SHARDS);
const STREAMED: HeaderName = HeaderName::from_static(named::STREAMED);
const INDEX: HeaderName = HeaderName::from_static(named::INDEX);
const ATTEMPT: HeaderName = HeaderName::from_static(named::ATTEMPT);
const NAME: HeaderName = HeaderName::from_static(named::NAME);
const JOB: HeaderName = HeaderName::from_static(named::JOB);

/// Room for all headers of a request, so that they are not moved.
const HEADERS: usize = 11;

/// One request. What it says besides its bytes is what a process of interface `files` finds as variables.
#[derive(Debug, Clone)]
pub(crate) struct Question<'a> {
    pub item: Item<'a>,
    pub fixed: Fixed<'a>,
    /// How long the answer is waited for; none is as long as it takes.
    pub within: Option<Duration>,
    /// What whoever asks says besides.
    pub said: HeaderMap,
    pub content: Content,
}

/// The bytes of a request.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// One input of so many bytes.
    One(Blob, u64),
    /// Parts, for gather stages and merges.
    Parts(Vec<Part>),
    /// Parts that are still to come, for a merge that takes them up one by one.
    Coming(Again),
}

/// Parts that are still to come, from the first whenever they are asked for.
#[derive(Clone)]
pub(crate) struct Again(pub Arc<dyn Fn() -> Coming + Send + Sync>);

impl fmt::Debug for Again {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("parts that come")
    }
}

impl Question<'_> {
    /// The request. It names no host.
    pub(crate) fn request(self) -> Request<Body> {
        let mut headers = self.headers();
        let body = match self.content {
            Content::One(blob, size) => {
                headers.insert(header::CONTENT_LENGTH, size.into());
                whole(blob)
            }
            Content::Parts(parts) => {
                let Multipart { body, length, content_type } = Multipart::of(parts);
                headers.insert(header::CONTENT_LENGTH, length.into());
                headers.insert(header::CONTENT_TYPE, content_type);
                body
            }
            Content::Coming(parts) => {
                let (body, content_type) = of_coming((parts.0)());
                headers.insert(header::CONTENT_TYPE, content_type);
                headers.insert(STREAMED, HeaderValue::from_static("true"));
                body
            }
        };
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.headers_mut() = headers;
        request
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(HEADERS + self.said.len());
        headers.extend(self.said.clone());
        headers.insert(INDEX, self.item.index.into());
        headers.insert(ATTEMPT, self.item.attempt.into());
        // A service knows how many there should be; of a gather stage all are here.
        let shards = self.fixed.shards.map(u64::from).or(match &self.content {
            Content::Parts(parts) => Some(parts.len() as u64),
            Content::One(..) | Content::Coming(_) => None,
        });
        if let Some(shards) = shards {
            headers.insert(SHARDS, shards.into());
        }
        if let Some(within) = self.within {
            headers.insert(TIMEOUT_MS, u64::try_from(within.as_millis()).unwrap_or(u64::MAX).into());
        }
        // Names are UTF-8 and sent as they are; one that no header can carry is left out.
        for (name, value) in [(NAME, self.item.name), (JOB, self.fixed.job)] {
            if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
                headers.insert(name, value);
            }
        }
        headers
    }
}
