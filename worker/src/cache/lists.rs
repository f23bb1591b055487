//! Lists of named blobs that are themselves kept as blobs: the parts of a large gather, the files of a shard.

use std::sync::Arc;

use longshore_proto::v1::{BlobList, BlobListRef, NamedBlob};
use prost::Message;

use super::{
    Cache, FetchBlobs,
    blob::{Blob, FetchError},
};

/// Why the entries of a list are not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListError {
    /// It is named by what is no digest.
    #[error("its digest is not 32 bytes long")]
    Digest,
    /// It cannot be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Its file cannot be read.
    #[error("it cannot be read")]
    Unreadable(#[source] std::io::Error),
    /// It is no list.
    #[error("it is no list of blobs")]
    Malformed(#[source] prost::DecodeError),
}

/// All entries of a namespace's lists, list after list.
pub(crate) async fn entries(
    blobs: &Cache,
    namespace: &Arc<str>,
    lists: &[BlobListRef],
) -> Result<Vec<NamedBlob>, ListError> {
    let mut entries = Vec::new();
    for list in lists {
        let digest = blake3::Hash::from_slice(&list.digest).map_err(|_| ListError::Digest)?;
        let bytes = match blobs.fetch(namespace, digest, list.size).await? {
            Blob::Bytes(bytes) => bytes,
            Blob::File(file) => tokio::fs::read(file.path()).await.map_err(ListError::Unreadable)?.into(),
        };
        entries.extend(BlobList::decode(bytes).map_err(ListError::Malformed)?.blobs);
    }
    Ok(entries)
}
