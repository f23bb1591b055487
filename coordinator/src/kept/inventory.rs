//! What the blobs must hold, kept in the commits of what refers to them: so the next start can tell what is lost.

use longshore_blobs::{Hash, Holding};
use longshore_core::Namespace;
use longshore_store::{Op, Reader};
use prost::Message;

use super::{
    convert::decode,
    error::{LoadError, Malformed},
    keys::{LARGE_BLOB, PACK, key_of, namespace_before},
    scan::entries,
    v1,
};

/// Keeps it, of a namespace's blobs.
pub fn put((namespace, holding): &(Namespace, Holding)) -> Op {
    let value = match *holding {
        Holding::Pack { bytes, damaged, .. } => v1::Pack { bytes, damaged }.encode_to_vec(),
        Holding::File { size, .. } => v1::LargeBlob { bytes: size }.encode_to_vec(),
    };
    Op::Put(key(namespace, holding), value)
}

/// Expects it no more.
pub fn delete((namespace, holding): &(Namespace, Holding)) -> Op {
    Op::Delete(key(namespace, holding))
}

/// All that must be there, and of whose blobs.
///
/// # Errors
/// When an entry cannot be read or is not understood.
pub fn load(reader: &dyn Reader) -> Result<Vec<(Namespace, Holding)>, LoadError> {
    let kept = [PACK, LARGE_BLOB].into_iter().flat_map(|kind| entries(reader, kind));
    kept.map(|entry| entry.map_err(LoadError::from).and_then(|(key, value)| understand(&key, value))).collect()
}

fn key(namespace: &Namespace, holding: &Holding) -> Vec<u8> {
    match holding {
        Holding::Pack { number, .. } => key_of(PACK, namespace, &number.to_be_bytes()),
        Holding::File { digest, .. } => key_of(LARGE_BLOB, namespace, digest.as_bytes()),
    }
}

fn understand(key: &[u8], value: Vec<u8>) -> Result<(Namespace, Holding), LoadError> {
    let nothing = || LoadError::malformed(key, Malformed::Key);
    // Numbers and digests may have any bytes, but are always as long.
    let whose = |name_bytes| namespace_before(key, key.len() - name_bytes);
    match key {
        [PACK, .., a, b, c, d] => {
            let v1::Pack { bytes, damaged } = decode(key, value)?;
            Ok((whose(4)?, Holding::Pack { number: u32::from_be_bytes([*a, *b, *c, *d]), bytes, damaged }))
        }
        [LARGE_BLOB, rest @ ..] => {
            let v1::LargeBlob { bytes: size } = decode(key, value)?;
            let digest = Hash::from_bytes(*rest.last_chunk().ok_or_else(nothing)?);
            Ok((whose(32)?, Holding::File { digest, size }))
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
        let own = |holding| (Namespace::default(), holding);
        let packs = [300, 7, 1 << 17].map(|n| put(&own(pack(n))));
        commit((0..1_500).map(|n| put(&own(file(n)))).chain(packs).collect());
        let newer = own(Holding::Pack { number: 7, bytes: 9, damaged: 0 });
        commit(vec![put(&newer), delete(&own(pack(300))), delete(&own(file(3)))]);
        let loaded = load(&*store.reader()).unwrap();
        assert_eq!(&loaded[..2], &[newer, own(pack(1 << 17))], "packs first, in order");
        assert_eq!(loaded.len(), 2 + 1_499);
        let contains = |n| loaded.contains(&own(file(n)));
        assert!(contains(0) && contains(1_499) && !contains(3));
    }

    #[test]
    fn what_is_anothers_has_a_key_of_its_own_and_that_of_the_default_namespace_is_as_ever() {
        let (vision, own) = (Namespace::named("vision"), Namespace::default());
        // The bytes of a number and a digest may look like the end of a name.
        let slashes = u32::from_be_bytes(*b"//a/");
        let holdings = [
            Holding::Pack { number: slashes, bytes: 5, damaged: 0 },
            Holding::File { digest: Hash::from_bytes([b'/'; 32]), size: 7 },
        ];
        for holding in holdings {
            assert_eq!(key(&own, &holding)[1..].len(), if matches!(holding, Holding::Pack { .. }) { 4 } else { 32 });
            for whose in [&own, &vision] {
                let Op::Put(key, value) = put(&(whose.clone(), holding)) else { panic!() };
                assert_eq!(understand(&key, value).unwrap(), (whose.clone(), holding));
            }
        }
    }

    #[test]
    fn a_key_that_names_nothing_is_said_to_be_wrong() {
        for key in [b"p123".as_slice(), b"pppppp", b"p/1234", b"pNo/1234", b"l", b"x"] {
            assert!(understand(key, Vec::new()).is_err());
        }
    }
}
