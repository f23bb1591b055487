//! Lists of named blobs that are themselves kept as blobs: the parts of a large gather, the files of a shard.

use longshore_proto::v1::{BlobList, BlobListRef, NamedBlob};
use prost::Message;

use super::{Blob, Cache, FetchBlobs};

/// All entries, list after list.
pub(crate) async fn entries(blobs: &Cache, lists: &[BlobListRef]) -> Result<Vec<NamedBlob>, String> {
    let mut entries = Vec::new();
    for list in lists {
        let digest = blake3::Hash::from_slice(&list.digest).map_err(|_| "a digest is not 32 bytes")?;
        let bytes = match blobs.fetch(digest, list.size).await.map_err(|error| error.to_string())? {
            Blob::Bytes(bytes) => bytes,
            Blob::File(file) => tokio::fs::read(file.path()).await.map_err(|error| error.to_string())?.into(),
        };
        entries.extend(BlobList::decode(bytes).map_err(|error| error.to_string())?.blobs);
    }
    Ok(entries)
}
