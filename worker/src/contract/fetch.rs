//! The inputs of one run or request, from wherever they are.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use longshore_proto::v1::{Failure, NamedBlob};

use super::failures;
use crate::cache::{Blob, FetchBlobs};

/// Inputs of one attempt that are fetched at once.
const FETCHES: usize = 16;

/// All inputs, in order, of the blobs of a namespace.
pub(crate) async fn all(
    inputs: &[NamedBlob],
    namespace: &Arc<str>,
    blobs: &Arc<dyn FetchBlobs>,
) -> Result<Vec<Blob>, Failure> {
    let fetch = |input| one(input, Arc::clone(namespace), Arc::clone(blobs));
    stream::iter(inputs.to_vec()).map(fetch).buffered(FETCHES).try_collect().await
}

async fn one(input: NamedBlob, namespace: Arc<str>, blobs: Arc<dyn FetchBlobs>) -> Result<Blob, Failure> {
    if let Some(bytes) = input.inline {
        return Ok(Blob::Bytes(bytes));
    }
    let digest = blake3::Hash::from_slice(&input.digest).map_err(|_| {
        let cause = std::io::Error::other("its digest is not 32 bytes long");
        failures::of_disk(&format!("input \"{}\"", input.path.escape_debug()), &cause)
    })?;
    let fetched = blobs.fetch(&namespace, digest, input.size).await;
    fetched.map_err(|error| failures::of_fetch(&input.path, &error))
}
