//! Many parts as one body, `multipart/mixed` (RFC 2046, section 5.1), for gather stages and merges.
//!
//! Each part says its place, its shard, its name and its length, so a reader need not wait for the next boundary. The
//! body's whole length is known before the first byte is sent.

use std::io;

use bytes::{Bytes, BytesMut};
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use http::{HeaderMap, HeaderValue, header};
use longshore_contract::header as named;

use super::body::{Body, Pieces, coming, streamed};
use crate::cache::Blob;

/// One part.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// The shard it is the answer of; for a gather stage its place.
    pub shard: u64,
    /// The path it has come from.
    pub name: String,
    /// Bytes of the blob.
    pub size: u64,
    pub blob: Blob,
    /// What is said of its bytes.
    pub said: HeaderMap,
}

/// A body of parts.
pub(super) struct Multipart {
    pub body: Body,
    /// Its length in bytes.
    pub length: u64,
    pub content_type: HeaderValue,
}

impl Multipart {
    /// Writes the parts down in their order.
    pub(super) fn of(parts: Vec<Part>) -> Self {
        let boundary = uuid::Uuid::new_v4().simple().to_string();
        let end = Bytes::from(format!("\r\n--{boundary}--\r\n"));
        let mut length = end.len() as u64;
        let mut written = Vec::with_capacity(parts.len());
        for (index, part) in parts.into_iter().enumerate() {
            let head = head(&boundary, index, &part);
            length += head.len() as u64 + part.size;
            written.push((head, Pieces::of(part.blob)));
        }
        let ok = |bytes| std::iter::once(Ok::<_, io::Error>(bytes));
        let pieces = written.into_iter().flat_map(move |(head, content)| ok(head).chain(content)).chain(ok(end));
        Self { body: streamed(pieces), length, content_type: content_type(&boundary) }
    }
}

/// Parts that are still to come, one after the other.
pub(crate) type Coming = BoxStream<'static, io::Result<Part>>;

/// A body of parts that are sent as they come. Its length is not known.
pub(super) fn of_coming(parts: Coming) -> (Body, HeaderValue) {
    let boundary = uuid::Uuid::new_v4().simple().to_string();
    let content_type = content_type(&boundary);
    let end = Bytes::from(format!("\r\n--{boundary}--\r\n"));
    let pieces = parts.enumerate().flat_map(move |(index, part)| {
        let pieces: Vec<io::Result<Bytes>> = match part {
            Ok(part) => {
                let head = head(&boundary, index, &part);
                std::iter::once(Ok(head)).chain(Pieces::of(part.blob)).collect()
            }
            Err(error) => vec![Err(error)],
        };
        stream::iter(pieces)
    });
    (coming(pieces.chain(stream::iter([Ok(end)]))), content_type)
}

/// What comes before a part's bytes. The first part's begins the body: the empty preamble is allowed.
fn head(boundary: &str, index: usize, part: &Part) -> Bytes {
    // Paths have no control characters, so no path can end the header.
    let name: String = part.name.chars().filter(|character| !character.is_control()).collect();
    let (place, shard, path, size) = (named::INDEX, named::SHARD, named::NAME, header::CONTENT_LENGTH);
    let head = format!(
        "\r\n--{boundary}\r\n{place}: {index}\r\n{shard}: {}\r\n{path}: {name}\r\n{size}: {}\r\n",
        part.shard, part.size
    );
    let mut head = BytesMut::from(head.as_bytes());
    for (name, value) in &part.said {
        // No value of a header can end its line.
        for bytes in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(bytes);
        }
    }
    head.extend_from_slice(b"\r\n");
    head.freeze()
}

fn content_type(boundary: &str) -> HeaderValue {
    HeaderValue::try_from(format!("multipart/mixed; boundary={boundary}"))
        .expect("a boundary is made of hexadecimal digits")
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn part(shard: u64, name: &str, text: &'static str) -> Part {
        let blob = Blob::Bytes(Bytes::from_static(text.as_bytes()));
        Part { shard, name: name.to_owned(), size: text.len() as u64, blob, said: HeaderMap::new() }
    }

    #[tokio::test]
    async fn a_body_has_every_part_with_its_head_and_is_as_long_as_it_says() {
        let mut csv = part(7, "b\nx: y", "");
        csv.said.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv"));
        let multipart = Multipart::of(vec![part(0, "a", "one"), csv]);
        let content_type = multipart.content_type.to_str().unwrap().to_owned();
        let boundary = content_type.strip_prefix("multipart/mixed; boundary=").unwrap();
        let bytes = multipart.body.collect().await.unwrap().to_bytes();
        assert_eq!(bytes.len() as u64, multipart.length);
        let first = "longshore-index: 0\r\nlongshore-shard: 0\r\nlongshore-name: a\r\ncontent-length: 3\r\n\r\none";
        let second = "longshore-index: 1\r\nlongshore-shard: 7\r\nlongshore-name: bx: y\r\ncontent-length: 0\r\ncontent-type: text/csv\r\n\r\n";
        let body = format!("\r\n--{boundary}\r\n{first}\r\n--{boundary}\r\n{second}\r\n--{boundary}--\r\n");
        assert_eq!(String::from_utf8(bytes.to_vec()).unwrap(), body);
    }

    #[tokio::test]
    async fn parts_that_come_make_the_same_body_and_one_that_is_cut_has_no_end() {
        let come = [part(3, "c", "three"), part(0, "a", "")];
        let (body, content_type) = of_coming(Box::pin(stream::iter(come.clone().map(Ok))));
        let bytes = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        let whole = Multipart::of(come.to_vec());
        let boundary = |kind: &HeaderValue| kind.to_str().unwrap().rsplit('=').next().unwrap().to_owned();
        let expected = String::from_utf8(whole.body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        assert_eq!(bytes.replace(&boundary(&content_type), &boundary(&whole.content_type)), expected);
        let cut = stream::iter([Ok(part(0, "a", "one")), Err(io::Error::other("the query is over"))]);
        assert!(of_coming(Box::pin(cut)).0.collect().await.is_err());
    }

    #[tokio::test]
    async fn a_body_without_parts_is_its_end() {
        let multipart = Multipart::of(Vec::new());
        let bytes = multipart.body.collect().await.unwrap().to_bytes();
        assert_eq!(bytes.len() as u64, multipart.length);
        assert!(bytes.starts_with(b"\r\n--") && bytes.ends_with(b"--\r\n"));
    }
}
