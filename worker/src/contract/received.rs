//! Where the bytes of a server's answer go: into memory for a query, into memory or a file for a stage.

use std::{fs::File, io::Write, os::unix::fs::OpenOptionsExt, sync::Arc};

use bytes::{Bytes, BytesMut};
use longshore_proto::SMALL_BLOB_BYTES;
use longshore_root::{Account, Filling};
use tokio::time::Instant;

use super::{
    http::{Sink, Untaken},
    yard::Yard,
};
use crate::work::{Content, Output, OwnedFile};

/// The answer to a query, in memory that is the query's.
pub(crate) struct InRoom {
    filling: Filling,
    until: Instant,
}

impl InRoom {
    /// Nothing yet; room is waited for until then.
    pub(crate) fn new(account: &Account, until: Instant) -> Self {
        Self { filling: Filling::new(account), until }
    }

    /// What has come.
    pub(crate) fn whole(self) -> Bytes {
        self.filling.whole()
    }
}

impl Sink for InRoom {
    async fn expect(&mut self, bytes: u64) -> Result<(), Untaken> {
        Ok(self.filling.expect(bytes, self.until).await?)
    }

    async fn take(&mut self, piece: Bytes) -> Result<(), Untaken> {
        Ok(self.filling.push(piece, self.until).await?)
    }
}

/// All bytes in memory. One piece, the common case, is not copied.
#[derive(Debug, Default)]
struct InMemory {
    first: Bytes,
    rest: BytesMut,
}

impl InMemory {
    /// What has come.
    fn whole(self) -> Bytes {
        if self.rest.is_empty() { self.first } else { self.rest.freeze() }
    }

    fn push(&mut self, piece: Bytes) {
        match (self.first.is_empty(), self.rest.is_empty()) {
            (true, true) => self.first = piece,
            (false, true) => {
                self.rest.extend_from_slice(&std::mem::take(&mut self.first));
                self.rest.extend_from_slice(&piece);
            }
            (_, false) => self.rest.extend_from_slice(&piece),
        }
    }

    fn len(&self) -> usize {
        self.first.len() + self.rest.len()
    }
}

/// Bytes in memory, until there are too many for that: then in a file. Hashed on the way.
pub(crate) struct AsOutput<'a> {
    yard: &'a Yard,
    size: u64,
    hasher: blake3::Hasher,
    bytes: InMemory,
    file: Option<(File, OwnedFile)>,
}

impl<'a> AsOutput<'a> {
    /// Nothing yet; a file would lie in this yard.
    pub(crate) fn new(yard: &'a Yard) -> Self {
        Self { yard, size: 0, hasher: blake3::Hasher::new(), bytes: InMemory::default(), file: None }
    }

    /// What has come, as the output of this path.
    pub(crate) fn into_output(self, path: &str) -> Output {
        let content = match self.file {
            Some((_, owned)) => Content::File(Arc::new(owned)),
            None => Content::Inline(self.bytes.whole()),
        };
        Output {
            path: path.to_owned(),
            digest: Some(self.hasher.finalize()),
            size: self.size,
            executable: false,
            content,
        }
    }
}

impl Sink for AsOutput<'_> {
    async fn take(&mut self, piece: Bytes) -> Result<(), Untaken> {
        self.size += piece.len() as u64;
        self.hasher.update(&piece);
        if let Some((file, _)) = &mut self.file {
            return Ok(file.write_all(&piece)?);
        }
        self.bytes.push(piece);
        if self.bytes.len() > SMALL_BLOB_BYTES {
            let path = self.yard.new_file();
            let mut file = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
            let owned = OwnedFile::new(path);
            file.write_all(&std::mem::take(&mut self.bytes).whole())?;
            self.file = Some((file, owned));
        }
        Ok(())
    }
}
