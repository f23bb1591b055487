//! What the blobs must hold, kept in the commits of what refers to them: so the next start can tell what is lost.

use longshore_blobs::{Hash, Holding};
use longshore_store::{Op, Reader};
use prost::Message;

use super::{
    convert::decode,
    error::{LoadError, Malformed},
    keys::{LARGE_BLOB, PACK},
    scan::entries,
    v1,
};

/// Keeps it.
pub fn put(holding: &Holding) -> Op {
    let value = match *holding {
        Holding::Pack { bytes, damaged, .. } => v1::Pack { bytes, damaged }.encode_to_vec(),
        Holding::File { size, .. } => v1::LargeBlob { bytes: size }.encode_to_vec(),
    };
    Op::Put(key(holding), value)
}

/// Expects it no more.
pub fn delete(holding: &Holding) -> Op {
    Op::Delete(key(holding))
}

/// All that must be there.
///
/// # Errors
/// When an entry cannot be read or is not understood.
pub fn load(reader: &dyn Reader) -> Result<Vec<Holding>, LoadError> {
    let kept = [PACK, LARGE_BLOB].into_iter().flat_map(|kind| entries(reader, kind));
    kept.map(|entry| entry.map_err(LoadError::from).and_then(|(key, value)| understand(&key, value))).collect()
}

fn key(holding: &Holding) -> Vec<u8> {
    match holding {
        Holding::Pack { number, .. } => [&[PACK], number.to_be_bytes().as_slice()].concat(),
        Holding::File { digest, .. } => [&[LARGE_BLOB], digest.as_bytes().as_slice()].concat(),
    }
}

fn understand(key: &[u8], value: Vec<u8>) -> Result<Holding, LoadError> {
    let nothing = || LoadError::malformed(key, Malformed::Key);
    match key {
        [PACK, number @ ..] => {
            let v1::Pack { bytes, damaged } = decode(key, value)?;
            let number = number.try_into().map(u32::from_be_bytes).map_err(|_| nothing())?;
            Ok(Holding::Pack { number, bytes, damaged })
        }
        [LARGE_BLOB, digest @ ..] => {
            let v1::LargeBlob { bytes: size } = decode(key, value)?;
            let digest = Hash::from_slice(digest).map_err(|_| nothing())?;
            Ok(Holding::File { digest, size })
        }
        _ => Err(nothing()),
    }
}

#[cfg(test)]
mod tests {
    use longshore_store::{Batch, Epoch, MemoryDisk, Store};

    use super::*;

    #[test]
    fn what_was_put_is_loaded_until_it_is_deleted() {
        let file = |n: u32| Holding::File { digest: blake3::hash(&n.to_be_bytes()), size: u64::from(n) << 20 };
        let pack = |number| Holding::Pack { number, bytes: u64::from(number), damaged: number % 2 };
        let mut store = MemoryDisk::new().open();
        let mut commit = |ops: Vec<Op>| store.commit(Epoch::default(), &Batch { ops }).unwrap();
        commit((0..1_500).map(|n| put(&file(n))).chain([300, 7, 1 << 17].map(|n| put(&pack(n)))).collect());
        commit(vec![put(&Holding::Pack { number: 7, bytes: 9, damaged: 0 }), delete(&pack(300)), delete(&file(3))]);
        let loaded = load(&*store.reader()).unwrap();
        let packs = [Holding::Pack { number: 7, bytes: 9, damaged: 0 }, pack(1 << 17)];
        assert_eq!(&loaded[..2], &packs, "packs first, in order");
        assert_eq!(loaded.len(), 2 + 1_499);
        assert!(loaded.contains(&file(0)) && loaded.contains(&file(1_499)) && !loaded.contains(&file(3)));
    }

    #[test]
    fn a_key_that_names_nothing_is_said_to_be_wrong() {
        for key in [b"p123".as_slice(), b"pppppp", b"l", b"x"] {
            assert!(understand(key, Vec::new()).is_err());
        }
    }
}
