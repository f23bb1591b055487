//! A room that is not there until something is put into it.

use std::{fs::File, io, path::Path, sync::Arc};

use bytes::Bytes;
use longshore_blobs::{
    Appended, BlobStore, BlobWriter, Chunks, GetError, Handover, Hash, Holding, LocalBlobs, PutError,
};
use longshore_core::Namespace;

use super::others::Others;

/// See the module.
#[derive(Debug)]
pub(super) struct Room {
    others: Arc<Others>,
    namespace: Namespace,
}

impl Room {
    pub(super) fn new(others: Arc<Others>, namespace: Namespace) -> Self {
        Self { others, namespace }
    }

    fn found(&self) -> Option<Arc<LocalBlobs>> {
        self.others.found(&self.namespace)
    }

    fn found_for(&self, digest: &Hash) -> Result<Arc<LocalBlobs>, GetError> {
        self.found().ok_or(GetError::NotFound { digest: *digest })
    }

    fn made(&self) -> Result<Arc<LocalBlobs>, PutError> {
        self.others.made(&self.namespace)
    }
}

impl BlobStore for Room {
    fn contains(&self, digest: &Hash) -> bool {
        self.found().is_some_and(|room| room.contains(digest))
    }

    fn size(&self, digest: &Hash) -> Option<u64> {
        self.found()?.size(digest)
    }

    fn append_all_small(&self, blobs: &[(&Hash, &[u8])]) -> Result<Appended, PutError> {
        self.made()?.append_all_small(blobs)
    }

    fn create(&self) -> Result<Box<dyn BlobWriter>, PutError> {
        self.made()?.create()
    }

    fn get(&self, digest: &Hash) -> Result<Bytes, GetError> {
        self.found_for(digest)?.get(digest)
    }

    fn read_chunks(&self, digest: &Hash, chunk_bytes: usize) -> Result<Chunks, GetError> {
        self.found_for(digest)?.read_chunks(digest, chunk_bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.found().map_or(Ok(()), |room| room.sync())
    }

    fn checkpoint(&self) -> io::Result<Vec<Holding>> {
        self.found().map_or(Ok(Vec::new()), |room| room.checkpoint())
    }

    fn handover(&self) -> Option<&dyn Handover> {
        Some(self)
    }
}

impl Handover for Room {
    fn open_large(&self, digest: &Hash) -> Result<File, GetError> {
        self.found_for(digest)?.open_large(digest)
    }

    fn open_verified(&self, digest: &Hash) -> Result<File, GetError> {
        self.found_for(digest)?.open_verified(digest)
    }

    fn adopt_link(&self, path: &Path, file: &File) -> Result<Hash, PutError> {
        self.made()?.adopt_link(path, file)
    }
}
