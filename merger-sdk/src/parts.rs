//! The parts of a request to merge, out of its `multipart/mixed` body (RFC 2046, section 5.1) as it arrives.
//!
//! A part ends at the next boundary, or before it when it says its `content-length`: then it need not wait until the
//! next leaf has answered.

use std::collections::HashSet;
use std::error::Error;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use hyper::HeaderMap;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE};
use longshore_contract::header;
use mime::Mime;
use multer::{Constraints, Field, Multipart, SizeLimit};

use crate::deadline::number;
use crate::error::AnswerError;
use crate::merge::Part;

/// Longest boundary, from RFC 2046.
const BOUNDARY_MAX_BYTES: usize = 70;

/// The boundary that the request's content type names.
pub(crate) fn boundary(headers: &HeaderMap) -> Result<String, AnswerError> {
    let refused = |why: &str| AnswerError::BadRequest(format!("{why}; wanted: multipart/mixed; boundary=…"));
    let value = headers.get(CONTENT_TYPE).ok_or_else(|| refused("the content type is missing"))?;
    let mime: Option<Mime> = value.to_str().ok().and_then(|text| text.parse().ok());
    let mime = mime.ok_or_else(|| refused("the content type cannot be read"))?;
    if mime.type_() != mime::MULTIPART {
        return Err(refused(&format!("the content type is {}", mime.essence_str())));
    }
    let boundary = mime.get_param(mime::BOUNDARY).ok_or_else(|| refused("the boundary is missing"))?;
    if boundary.as_str().is_empty() || boundary.as_str().len() > BOUNDARY_MAX_BYTES {
        return Err(refused("the boundary is empty or longer than 70 bytes"));
    }
    Ok(boundary.as_str().to_owned())
}

/// The parts of `body`, each as soon as it is there. The stream ends after the last part or the first error.
pub(crate) fn parts<S, E>(body: S, boundary: String, max_bytes: usize) -> impl Stream<Item = Result<Part, AnswerError>>
where
    S: Stream<Item = Result<Bytes, E>> + Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>> + 'static,
{
    let limit = SizeLimit::new().whole_stream(max_bytes as u64);
    let multipart = Multipart::with_constraints(body, boundary, Constraints::new().size_limit(limit));
    let reader = Reader { multipart, unfinished: None, count: 0, seen: HashSet::new(), max_bytes };
    stream::try_unfold(reader, |mut reader| async {
        let part = reader.next().await?;
        Ok(part.map(|part| (part, reader)))
    })
}

struct Reader {
    multipart: Multipart<'static>,
    /// A part already handed out whose boundary had not come yet.
    unfinished: Option<Field<'static>>,
    count: u32,
    seen: HashSet<u32>,
    max_bytes: usize,
}

impl Reader {
    async fn next(&mut self) -> Result<Option<Part>, AnswerError> {
        self.finish_previous().await?;
        let Some(field) = self.multipart.next_field().await.map_err(|error| self.refused(&error))? else {
            return Ok(None);
        };
        if field.headers().is_empty() {
            // RFC 2046 allows it, but the parser then takes the content's first lines for headers and drops them.
            return Err(AnswerError::BadRequest("a part has no header".to_owned()));
        }
        // Without the header, a part's number is its place among the parts.
        let shard = number(field.headers(), header::SHARD)?.unwrap_or(self.count);
        if !self.seen.insert(shard) {
            return Err(AnswerError::BadRequest(format!("there are two parts of shard {shard}")));
        }
        self.count = self.count.saturating_add(1);
        let content_type = field.headers().get(CONTENT_TYPE).and_then(|value| Some(value.to_str().ok()?.to_owned()));
        let bytes = self.content(field).await?;
        Ok(Some(Part { shard, bytes, content_type }))
    }

    /// Reads to the end of a part, or as far as its length says.
    async fn content(&mut self, mut field: Field<'static>) -> Result<Bytes, AnswerError> {
        let length: Option<usize> = number(field.headers(), CONTENT_LENGTH.as_str())?;
        let mut content = Content::default();
        loop {
            if length == Some(content.len()) {
                self.unfinished = Some(field);
                return Ok(content.whole());
            }
            match field.chunk().await.map_err(|error| self.refused(&error))? {
                Some(chunk) => content.push(chunk),
                None if length.is_none() => return Ok(content.whole()),
                None => return Err(wrong_length()),
            }
            if length.is_some_and(|length| content.len() > length) {
                return Err(wrong_length());
            }
        }
    }

    async fn finish_previous(&mut self) -> Result<(), AnswerError> {
        let Some(mut field) = self.unfinished.take() else {
            return Ok(());
        };
        while let Some(chunk) = field.chunk().await.map_err(|error| self.refused(&error))? {
            if !chunk.is_empty() {
                return Err(wrong_length());
            }
        }
        Ok(())
    }

    fn refused(&self, error: &multer::Error) -> AnswerError {
        match error {
            multer::Error::StreamSizeExceeded { .. } => AnswerError::TooLarge { limit_bytes: self.max_bytes },
            error => AnswerError::BadRequest(format!("the multipart body cannot be read: {error}")),
        }
    }
}

fn wrong_length() -> AnswerError {
    AnswerError::BadRequest("a part is not as long as its content-length says".to_owned())
}

/// What has come of a part; one chunk, the common case, is not copied.
#[derive(Default)]
struct Content {
    first: Bytes,
    rest: BytesMut,
}

impl Content {
    fn len(&self) -> usize {
        if self.rest.is_empty() { self.first.len() } else { self.rest.len() }
    }

    fn push(&mut self, chunk: Bytes) {
        if self.len() == 0 {
            self.first = chunk;
            return;
        }
        if self.rest.is_empty() {
            self.rest.extend_from_slice(&self.first);
        }
        self.rest.extend_from_slice(&chunk);
    }

    fn whole(self) -> Bytes {
        if self.rest.is_empty() { self.first } else { self.rest.freeze() }
    }
}

#[cfg(test)]
#[path = "parts/tests.rs"]
mod tests;
