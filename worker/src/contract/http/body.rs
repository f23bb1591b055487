//! Bodies of requests: bytes that are here, and cached files piece by piece.

use std::{
    fs::File,
    io::{self, Read},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http_body_util::{BodyExt, Empty, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use longshore_proto::CHUNK_BYTES;

use crate::cache::{Blob, CachedFile};

type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// Body of a request.
pub(crate) type Body = UnsyncBoxBody<Bytes, BodyError>;

/// A body without bytes.
pub(super) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// One blob.
pub(super) fn whole(blob: Blob) -> Body {
    match blob {
        Blob::Bytes(bytes) => Full::new(bytes).map_err(|never| match never {}).boxed_unsync(),
        Blob::File(file) => streamed(Pieces::of(Blob::File(file))),
    }
}

/// Pieces one after the other, read where the request is sent.
pub(super) fn streamed(pieces: impl Iterator<Item = io::Result<Bytes>> + Send + 'static) -> Body {
    let frames = pieces.map(|piece| piece.map(Frame::data).map_err(BodyError::from));
    StreamBody::new(stream::iter(frames)).boxed_unsync()
}

/// Pieces as they come.
pub(super) fn coming(pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Body {
    StreamBody::new(pieces.map(|piece| piece.map(Frame::data).map_err(BodyError::from))).boxed_unsync()
}

/// A blob's bytes, piece by piece; none is empty. A file is opened with the first: many that wait are not all open.
pub(super) enum Pieces {
    Bytes(Bytes),
    Closed(CachedFile),
    Open(CachedFile, File),
    Ended,
}

impl Pieces {
    /// Those of a blob.
    pub(super) fn of(blob: Blob) -> Self {
        match blob {
            Blob::Bytes(bytes) if bytes.is_empty() => Self::Ended,
            Blob::Bytes(bytes) => Self::Bytes(bytes),
            Blob::File(file) => Self::Closed(file),
        }
    }
}

impl Iterator for Pieces {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<io::Result<Bytes>> {
        let (cached, mut file) = match std::mem::replace(self, Self::Ended) {
            Self::Ended => return None,
            Self::Bytes(bytes) => return Some(Ok(bytes)),
            Self::Open(cached, file) => (cached, file),
            Self::Closed(cached) => match File::open(cached.path()) {
                Ok(file) => (cached, file),
                Err(cause) => return Some(Err(cause)),
            },
        };
        let piece = read_piece(&mut file);
        match piece {
            Ok(piece) if piece.is_empty() => None,
            Ok(piece) => {
                *self = Self::Open(cached, file);
                Some(Ok(piece))
            }
            Err(cause) => Some(Err(cause)),
        }
    }
}

fn read_piece(file: &mut File) -> io::Result<Bytes> {
    let mut piece = Vec::with_capacity(CHUNK_BYTES);
    file.take(CHUNK_BYTES as u64).read_to_end(&mut piece)?;
    Ok(piece.into())
}
