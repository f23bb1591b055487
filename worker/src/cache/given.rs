//! A few blobs that are there already, in memory.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::{Blob, FetchBlobs, FetchError};

/// Blobs that were brought before anything runs: there are no others.
#[derive(Debug, Default)]
pub struct Given(HashMap<[u8; 32], Bytes>);

impl Given {
    /// One more, by its digest, which is believed.
    pub fn add(&mut self, digest: [u8; 32], bytes: Bytes) {
        self.0.insert(digest, bytes);
    }
}

impl FetchBlobs for Given {
    fn fetch(&self, _: &Arc<str>, digest: blake3::Hash, _: u64) -> BoxFuture<'_, Result<Blob, FetchError>> {
        let found = self.0.get(digest.as_bytes()).cloned();
        Box::pin(async move { found.map(Blob::Bytes).ok_or(FetchError::Missing { digest }) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_given_is_there_and_nothing_else() {
        let mut given = Given::default();
        let (here, other) = (blake3::hash(b"here"), blake3::hash(b"other"));
        given.add(*here.as_bytes(), Bytes::from_static(b"here"));
        let nobody = "".into();
        assert!(matches!(given.fetch(&nobody, here, 4).await, Ok(Blob::Bytes(bytes)) if bytes == b"here"[..]));
        assert!(matches!(given.fetch(&nobody, other, 5).await, Err(FetchError::Missing { digest }) if digest == other));
    }
}
