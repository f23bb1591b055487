//! What is kept of the cluster's authority, so that it is recognised: never its key.

use bytes::Bytes;
use longshore_authority::Kept;
use longshore_store::{Batch, Reader};
use longshore_trust::{Cluster, Pin};
use prost::Message;

use super::{
    convert::decode,
    error::{LoadError, Malformed},
    keys::{CLUSTER, MEMBER, TOKEN},
    v1,
};

/// First bytes of the keys of what trusts the authority: tokens and members.
const TRUSTING: [u8; 2] = [TOKEN, MEMBER];

/// What is kept of it, if it is kept.
///
/// # Errors
/// When the store cannot be read, or the entry is not understood.
pub fn load(reader: &dyn Reader) -> Result<Option<Kept>, LoadError> {
    let Some(value) = reader.get(CLUSTER)? else { return Ok(None) };
    let kept: v1::Cluster = decode(CLUSTER, value)?;
    let malformed = |why| LoadError::malformed(CLUSTER, why);
    let cluster = kept.id.parse().map_err(|_| malformed(Malformed::Missing { field: "id" }))?;
    let bytes = kept.pin.len();
    let pin = kept.pin.as_ref().try_into().map_err(|_| malformed(Malformed::Digest { field: "pin", bytes }))?;
    let mut is_trusted = false;
    for prefix in TRUSTING {
        is_trusted |= !reader.scan(&[prefix], None, 1)?.is_empty();
    }
    Ok(Some(Kept { cluster, pin: Pin(pin), is_trusted }))
}

/// Adds it to a batch.
pub fn put(batch: &mut Batch, cluster: Cluster, pin: Pin) {
    let kept = v1::Cluster { id: cluster.to_string(), pin: Bytes::copy_from_slice(&pin.0) };
    batch.put(CLUSTER, kept.encode_to_vec());
}

#[cfg(test)]
mod tests {
    use longshore_store::{Epoch, MemoryDisk, Store};

    use super::*;

    #[test]
    fn a_cluster_comes_back_and_is_trusted_once_there_is_a_token_or_a_member() {
        let (cluster, pin) = (Cluster::new(), Pin([3; 32]));
        for prefix in TRUSTING {
            let mut store = MemoryDisk::new().open();
            assert_eq!(load(&*store.reader()).unwrap(), None);
            let mut batch = Batch::new();
            put(&mut batch, cluster, pin);
            store.commit(Epoch::default(), &batch).unwrap();
            assert_eq!(load(&*store.reader()).unwrap(), Some(Kept { cluster, pin, is_trusted: false }));
            let mut batch = Batch::new();
            batch.put([&[prefix], &b"one"[..]].concat(), b"".to_vec());
            store.commit(Epoch::default(), &batch).unwrap();
            assert_eq!(load(&*store.reader()).unwrap(), Some(Kept { cluster, pin, is_trusted: true }));
        }
    }

    #[test]
    fn a_cluster_that_is_not_understood_is_named() {
        let mut store = MemoryDisk::new().open();
        let mut batch = Batch::new();
        batch.put(CLUSTER, v1::Cluster { id: "one".to_owned(), ..v1::Cluster::default() }.encode_to_vec());
        store.commit(Epoch::default(), &batch).unwrap();
        let error = load(&*store.reader()).unwrap_err();
        assert!(error.to_string().contains("entry c"), "{error}");
    }
}
