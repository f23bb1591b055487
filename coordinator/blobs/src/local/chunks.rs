//! Reading a blob in chunks, verified as a whole at its end.

use std::{fs::File, io::Read, sync::Arc};

use blake3::{Hash, Hasher};
use bytes::Bytes;

use super::inner::Inner;
use crate::GetError;

/// An iterator over a blob's bytes; see [`crate::BlobStore::read_chunks`]. After an error it has ended.
#[derive(Debug)]
pub(crate) struct Chunks {
    source: Source,
    chunk_bytes: usize,
}

#[derive(Debug)]
enum Source {
    /// Verified already.
    Packed(Bytes),
    File(Box<Reading>),
    Ended,
}

#[derive(Debug)]
struct Reading {
    inner: Arc<Inner>,
    digest: Hash,
    file: File,
    hasher: Hasher,
}

impl Chunks {
    pub(crate) fn packed(data: Bytes, chunk_bytes: usize) -> Self {
        Self { source: Source::Packed(data), chunk_bytes: chunk_bytes.max(1) }
    }

    pub(crate) fn file(inner: Arc<Inner>, digest: Hash, file: File, chunk_bytes: usize) -> Self {
        let reading = Reading { inner, digest, file, hasher: Hasher::new() };
        Self { source: Source::File(Box::new(reading)), chunk_bytes: chunk_bytes.max(1) }
    }
}

impl Iterator for Chunks {
    type Item = Result<Bytes, GetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = match &mut self.source {
            Source::Packed(rest) if !rest.is_empty() => Some(Ok(rest.split_to(self.chunk_bytes.min(rest.len())))),
            Source::File(reading) => reading.next(self.chunk_bytes),
            Source::Packed(_) | Source::Ended => None,
        };
        if !matches!(item, Some(Ok(_))) {
            self.source = Source::Ended;
        }
        item
    }
}

impl Reading {
    fn next(&mut self, chunk_bytes: usize) -> Option<Result<Bytes, GetError>> {
        let mut chunk = Vec::with_capacity(chunk_bytes);
        match (&mut self.file).take(chunk_bytes as u64).read_to_end(&mut chunk) {
            Ok(0) if self.hasher.finalize() == self.digest => {
                self.inner.note_seen(&self.digest);
                None
            }
            Ok(0) => Some(Err(self.inner.note_damaged(&self.digest))),
            Ok(_) => {
                self.hasher.update(&chunk);
                Some(Ok(chunk.into()))
            }
            Err(source) => Some(Err(self.inner.read_error(&self.digest, source))),
        }
    }
}
