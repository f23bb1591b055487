//! Messages of the wire that are kept as blobs: submissions, specifications, lists.

use std::sync::Arc;

use bytes::Bytes;
use longshore_blobs::{BlobStore, GetError, PutError};
use longshore_proto::{Digest, SMALL_BLOB_BYTES, v1::NamedBlob};
use prost::Message;

use super::error::{self, CatalogError};

/// What an item's input is called in errors.
pub const INPUT: &str = "the item's input";

/// The blobs, for those who want messages. Everything here waits for disks.
pub struct Messages {
    blobs: Arc<dyn BlobStore>,
}

impl Messages {
    pub fn new(blobs: Arc<dyn BlobStore>) -> Self {
        Self { blobs }
    }

    /// The blobs themselves.
    pub fn blobs(&self) -> &Arc<dyn BlobStore> {
        &self.blobs
    }

    /// The bytes of a blob. `what` it is called in errors.
    pub fn bytes(&self, digest: Digest, what: &'static str) -> Result<Bytes, CatalogError> {
        self.blobs.get(&digest.into()).map_err(|source| CatalogError::Blob { what, source })
    }

    /// The message in a blob. `what` it is called in errors.
    pub fn get<T: Message + Default>(&self, digest: Digest, what: &'static str) -> Result<T, CatalogError> {
        T::decode(self.bytes(digest, what)?).map_err(|source| CatalogError::Malformed { what, source })
    }

    /// Checks that an input is here, as far as that is known without reading it: whoever is sent for it would be sent again and
    /// again.
    pub fn ensure_held(&self, blob: &NamedBlob) -> Result<(), CatalogError> {
        let digest = error::digest(&blob.digest, INPUT)?.into();
        if self.blobs.contains(&digest) {
            return Ok(());
        }
        let source = match self.blobs.size(&digest) {
            Some(_) => GetError::Damaged { digest },
            None => GetError::NotFound { digest },
        };
        Err(CatalogError::Blob { what: INPUT, source })
    }

    /// Stores a message as a blob; durable with the next commit.
    pub fn put<T: Message>(&self, message: &T) -> Result<Digest, PutError> {
        self.put_bytes(&message.encode_to_vec())
    }

    /// Stores bytes as a blob; durable with the next commit.
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<Digest, PutError> {
        let digest = blake3::hash(bytes);
        if bytes.len() <= SMALL_BLOB_BYTES {
            self.blobs.append_small(&digest, bytes)?;
        } else if !self.blobs.contains(&digest) {
            let mut writer = self.blobs.create()?;
            writer.write(bytes)?;
            writer.finish(Some(digest))?;
        }
        Ok(digest.into())
    }
}

#[cfg(test)]
pub mod tests {
    use longshore_proto::v1::{BlobList, NamedBlob};

    use super::*;

    /// Blobs in a directory of their own, which goes with them.
    pub fn messages() -> (tempfile::TempDir, Arc<Messages>) {
        let dir = tempfile::tempdir().unwrap();
        let blobs = longshore_blobs::LocalBlobs::open(dir.path().join("blobs"), &[], false).unwrap().blobs;
        (dir, Arc::new(Messages::new(Arc::new(blobs))))
    }

    #[test]
    fn small_and_large_messages_come_back() {
        let (_dir, messages) = messages();
        for count in [0, 3, 5_000] {
            let named = |at: u64| NamedBlob { path: format!("file {at}"), size: at, ..NamedBlob::default() };
            let list = BlobList { blobs: (0..count).map(named).collect() };
            let digest = messages.put(&list).unwrap();
            assert_eq!(messages.put(&list).unwrap(), digest, "a second time it is there already");
            assert_eq!(digest, Digest::of(&list.encode_to_vec()));
            assert_eq!(messages.get::<BlobList>(digest, "a list").unwrap(), list);
        }
    }

    #[test]
    fn what_is_missing_and_what_is_no_message_is_said_with_its_name() {
        let (_dir, messages) = messages();
        let missing = messages.get::<BlobList>(Digest::of(b"nothing"), "a list of files").unwrap_err();
        assert!(matches!(missing, CatalogError::Blob { .. }) && missing.to_string().contains("a list of files"));
        let digest = messages.put_bytes(b"\xff\xff\xff").unwrap();
        let malformed = messages.get::<BlobList>(digest, "a list of files").unwrap_err();
        assert!(
            matches!(malformed, CatalogError::Malformed { .. }) && malformed.to_string().contains("a list of files")
        );
    }
}
