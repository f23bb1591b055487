//! What is kept of the cluster's authority, so that it is recognised: never its key.

use bytes::Bytes;
use longshore_authority::Kept;
use longshore_store::{Batch, ReadError, Reader};
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

/// Has a batch forget whatever trusts an authority that is replaced: tokens name it, and certificates are signed by it.
///
/// # Errors
/// When the store cannot be read.
pub fn forget_trusting(reader: &dyn Reader, batch: &mut Batch) -> Result<(), ReadError> {
    for prefix in TRUSTING {
        for (key, _) in reader.scan(&[prefix], None, usize::MAX)? {
            batch.delete(key);
        }
    }
    Ok(())
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
    fn with_the_authority_goes_whatever_trusts_it_and_nothing_else() {
        let (cluster, pin) = (Cluster::new(), Pin([3; 32]));
        let mut store = MemoryDisk::new().open();
        let mut batch = Batch::new();
        put(&mut batch, cluster, pin);
        let keys = |prefix: u8| [[prefix, 1], [prefix, 255]];
        TRUSTING.into_iter().chain(*b"~").flat_map(keys).for_each(|key| batch.put(key, b"".to_vec()));
        store.commit(Epoch::default(), &batch).unwrap();
        let mut batch = Batch::new();
        forget_trusting(&*store.reader(), &mut batch).unwrap();
        store.commit(Epoch::default(), &batch).unwrap();
        assert_eq!(load(&*store.reader()).unwrap(), Some(Kept { cluster, pin, is_trusted: false }));
        assert_eq!(store.reader().scan(b"~", None, 9).unwrap().len(), 2);
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
