//! Messages of the wire that are kept as blobs: submissions, specifications, lists. Those of one room.

use std::sync::Arc;

use bytes::Bytes;
use longshore_blobs::{BlobStore, GetError, PutError};
use longshore_core::Namespace;
use longshore_proto::{
    Digest, SMALL_BLOB_BYTES,
    v1::{BlobList, BlobListRef, NamedBlob, ServiceSpec},
};
use prost::Message;

use super::error::{self, CatalogError};

/// What a list is called in errors.
pub const LIST: &str = "a list of files";

/// What an item's input is called in errors.
pub const INPUT: &str = "the item's input";

/// The blobs of a namespace, for those who want messages. Everything here waits for disks.
pub struct Messages {
    namespace: Namespace,
    blobs: Arc<dyn BlobStore>,
}

impl Messages {
    pub fn new(namespace: Namespace, blobs: Arc<dyn BlobStore>) -> Self {
        Self { namespace, blobs }
    }

    /// Whose they are.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
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

    /// How large a blob is, if it is here.
    pub fn size(&self, digest: Digest) -> Option<u64> {
        self.blobs.size(&digest.into())
    }

    /// A service's specification.
    pub fn service_spec(&self, digest: Digest) -> Result<ServiceSpec, CatalogError> {
        self.get(digest, "the service's specification")
    }

    /// A list kept as a blob.
    pub fn list(&self, digest: Digest) -> Result<BlobList, CatalogError> {
        self.get(digest, LIST)
    }

    /// The entries of a list that something kept names.
    pub fn listed(&self, list: &BlobListRef) -> Result<Vec<NamedBlob>, CatalogError> {
        Ok(self.list(error::digest(&list.digest, LIST)?)?.blobs)
    }

    /// Adds the bytes of a small blob to its name. A large one is here, as far as is known.
    pub fn inline(&self, blob: &mut NamedBlob) -> Result<(), CatalogError> {
        if blob.size > SMALL_BLOB_BYTES as u64 {
            return self.ensure_held(blob);
        }
        blob.inline = Some(self.bytes(error::digest(&blob.digest, INPUT)?, INPUT)?);
        Ok(())
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
        (dir, Arc::new(Messages::new(Namespace::default(), Arc::new(blobs))))
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

    #[test]
    fn small_blobs_bring_their_bytes_and_large_ones_do_not() {
        let (_dir, messages) = messages();
        let blob = |content: &[u8]| {
            let (digest, size) = (Digest::of(content).to_wire(), content.len() as u64);
            NamedBlob { digest, size, ..NamedBlob::default() }
        };
        for (bytes, inline) in [(0, true), (SMALL_BLOB_BYTES, true), (SMALL_BLOB_BYTES + 1, false)] {
            let content = vec![7; bytes];
            assert!(messages.inline(&mut blob(&content)).unwrap_err().is_loss(), "not here yet");
            messages.put_bytes(&content).unwrap();
            assert_eq!(messages.size(Digest::of(&content)), Some(bytes as u64));
            let mut named = blob(&content);
            messages.inline(&mut named).unwrap();
            assert_eq!(named.inline.is_some_and(|bytes| bytes == content), inline, "{bytes}");
        }
        assert!(messages.inline(&mut blob(b"never put")).is_err());
    }
}
