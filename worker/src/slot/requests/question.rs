//! An attempt as a request: `POST /` with the input as body, or all parts as `multipart/mixed`.

use std::{fs::File, io, io::Read};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderValue, Method, Request, header};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use longshore_contract::header as header_names;
use longshore_proto::CHUNK_BYTES;

use crate::{
    cache::{Blob, CachedFile},
    contract::{http::Body, names::base_name},
    work::Work,
};

type Piece = Result<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// The request of an attempt.
pub(super) fn request(work: &Work, inputs: &[Blob]) -> Request<Body> {
    let mut request = match inputs {
        [input] if !work.gather => {
            let mut request = Request::new(whole(input));
            let size = work.inputs.first().map_or(0, |input| input.size);
            request.headers_mut().insert(header::CONTENT_LENGTH, size.into());
            request
        }
        _ => multipart(work, inputs),
    };
    *request.method_mut() = Method::POST;
    let headers = request.headers_mut();
    headers.insert(header_names::INDEX, work.index.into());
    headers.insert(header_names::ATTEMPT, work.attempt.into());
    // Names are UTF-8 and sent as they are; one that no header can carry is left out.
    for (name, value) in [(header_names::NAME, base_name(&work.path)), (header_names::JOB, &work.job_name)] {
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            headers.insert(name, value);
        }
    }
    request
}

fn whole(input: &Blob) -> Body {
    match input {
        Blob::Bytes(bytes) => Full::new(bytes.clone()).map_err(|never| match never {}).boxed_unsync(),
        Blob::File(file) => body(stream::iter(pieces(file.clone()))),
    }
}

fn multipart(work: &Work, inputs: &[Blob]) -> Request<Body> {
    let boundary = uuid::Uuid::new_v4().simple().to_string();
    let parts: Vec<(Bytes, Blob)> = work
        .inputs
        .iter()
        .zip(inputs)
        .enumerate()
        .map(|(index, (input, blob))| (part_head(&boundary, index, &input.path, input.size), blob.clone()))
        .collect();
    let end = Bytes::from(format!("\r\n--{boundary}--\r\n"));
    let parts = stream::iter(parts).flat_map(|(head, blob)| {
        let content: Box<dyn Iterator<Item = Piece> + Send> = match blob {
            Blob::Bytes(bytes) => Box::new(std::iter::once(Ok(bytes))),
            Blob::File(file) => Box::new(pieces(file)),
        };
        stream::iter(std::iter::once(Ok(head)).chain(content))
    });
    let mut request = Request::new(body(parts.chain(stream::iter([Ok(end)]))));
    if let Ok(value) = HeaderValue::try_from(format!("multipart/mixed; boundary={boundary}")) {
        request.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    request
}

/// What comes before a part's bytes. The first part's begins the body: the empty preamble is allowed.
fn part_head(boundary: &str, index: usize, path: &str, size: u64) -> Bytes {
    // Paths have no control characters, so no path can end the header.
    let path: String = path.chars().filter(|character| !character.is_control()).collect();
    let (number, name) = (header_names::INDEX, header_names::NAME);
    format!("\r\n--{boundary}\r\n{number}: {index}\r\n{name}: {path}\r\ncontent-length: {size}\r\n\r\n").into()
}

/// A cached file, piece by piece. Read where the request is sent: a slot's thread is its own.
fn pieces(file: CachedFile) -> impl Iterator<Item = Piece> + Send {
    let mut opened: Option<io::Result<File>> = None;
    std::iter::from_fn(move || {
        let reader = opened.get_or_insert_with(|| File::open(file.path()));
        let read = match reader {
            Ok(reader) => read_piece(reader),
            Err(cause) => Err(io::Error::new(cause.kind(), cause.to_string())),
        };
        match read {
            Ok(piece) if piece.is_empty() => None,
            other => Some(other.map_err(Into::into)),
        }
    })
}

fn read_piece(file: &mut File) -> io::Result<Bytes> {
    let mut piece = Vec::with_capacity(CHUNK_BYTES);
    file.take(CHUNK_BYTES as u64).read_to_end(&mut piece)?;
    Ok(piece.into())
}

fn body(pieces: impl futures_util::Stream<Item = Piece> + Send + 'static) -> Body {
    StreamBody::new(pieces.map(|piece| piece.map(Frame::data))).boxed_unsync()
}
