//! Blobs in memory, for tests.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use blake3::{Hash, Hasher};
use bytes::Bytes;

use crate::{Appended, BlobStore, BlobWriter, Chunks, GetError, Holding, PutError};

/// Blobs that live as long as one of the clones does; clones are the same blobs.
#[derive(Debug, Clone, Default)]
pub struct MemoryBlobs {
    blobs: Arc<RwLock<HashMap<Hash, Bytes>>>,
}

impl MemoryBlobs {
    fn read(&self) -> RwLockReadGuard<'_, HashMap<Hash, Bytes>> {
        self.blobs.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is new.
    fn put(&self, digest: Hash, data: Bytes) -> bool {
        self.blobs.write().unwrap_or_else(PoisonError::into_inner).insert(digest, data).is_none()
    }
}

impl BlobStore for MemoryBlobs {
    fn contains(&self, digest: &Hash) -> bool {
        self.read().contains_key(digest)
    }

    fn size(&self, digest: &Hash) -> Option<u64> {
        self.read().get(digest).map(|data| data.len() as u64)
    }

    fn append_all_small(&self, blobs: &[(&Hash, &[u8])]) -> Result<Appended, PutError> {
        blobs.iter().try_for_each(|(digest, data)| PutError::check_small(digest, data))?;
        let mut new = Appended::default();
        for (digest, data) in blobs {
            if self.put(**digest, Bytes::copy_from_slice(data)) {
                new.blobs += 1;
                new.bytes += data.len() as u64;
            }
        }
        Ok(new)
    }

    fn create(&self) -> Result<Box<dyn BlobWriter>, PutError> {
        Ok(Box::new(Writer { blobs: self.clone(), hasher: Hasher::new(), data: Vec::new() }))
    }

    fn get(&self, digest: &Hash) -> Result<Bytes, GetError> {
        self.read().get(digest).cloned().ok_or(GetError::NotFound { digest: *digest })
    }

    fn read_chunks(&self, digest: &Hash, chunk_bytes: usize) -> Result<Chunks, GetError> {
        let mut rest = self.get(digest)?;
        let chunk = move || Ok(rest.split_to(chunk_bytes.max(1).min(rest.len())));
        let count = self.get(digest)?.len().div_ceil(chunk_bytes.max(1));
        Ok(Box::new(std::iter::repeat_with(chunk).take(count)))
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn checkpoint(&self) -> io::Result<Vec<Holding>> {
        Ok(Vec::new())
    }
}

#[derive(Debug)]
struct Writer {
    blobs: MemoryBlobs,
    hasher: Hasher,
    data: Vec<u8>,
}

impl BlobWriter for Writer {
    fn write(&mut self, data: &[u8]) -> Result<(), PutError> {
        self.hasher.update(data);
        self.data.extend_from_slice(data);
        Ok(())
    }

    fn size_bytes(&self) -> u64 {
        self.data.len() as u64
    }

    fn finish(self: Box<Self>, expected: Option<Hash>) -> Result<(Hash, bool), PutError> {
        let found = self.hasher.finalize();
        match expected {
            Some(expected) if expected != found => Err(PutError::Mismatch { expected, found }),
            _ => Ok((found, self.blobs.put(found, self.data.into()))),
        }
    }
}
