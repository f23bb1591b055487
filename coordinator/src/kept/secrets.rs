//! Secrets as kept messages, and back. Sealed bytes take more than one entry may have, so they are cut.

use longshore_core::{Sealed, SecretRecord};
use longshore_store::{Batch, MAX_VALUE_BYTES, Reader};
use prost::Message;

use super::{
    convert::decode,
    error::{LoadError, Malformed},
    keys::{secret_key, secret_of, secret_part_key},
    v1,
};
use crate::limits;

/// Bytes of one part.
const PART_BYTES: usize = MAX_VALUE_BYTES;

/// Parts of the longest value, with room for what sealing adds.
const PARTS: u16 = (limits::SECRET_BYTES / PART_BYTES) as u16 + 1;

/// Adds a secret to a batch. Of what was sealed before nothing stays.
pub fn put(batch: &mut Batch, secret: SecretRecord) {
    let SecretRecord { name, version, sealed } = secret;
    let bytes = sealed.as_ref().map_or(&[][..], |sealed| &sealed.bytes);
    let mut chunks = bytes.chunks(PART_BYTES);
    for part in 0..PARTS {
        match chunks.next() {
            Some(chunk) => batch.put(secret_part_key(&name, part), chunk.to_vec()),
            None => batch.delete(secret_part_key(&name, part)),
        }
    }
    let sealed = sealed.as_ref().map(|Sealed { bytes, key, size, put_ms, by }| v1::Sealed {
        parts: u32::try_from(bytes.len().div_ceil(PART_BYTES)).unwrap_or(u32::MAX),
        key: key.to_vec().into(),
        size: *size,
        put_ms: *put_ms,
        by: by.clone(),
    });
    batch.put(secret_key(&name), v1::Secret { version, sealed }.encode_to_vec());
}

/// The secret whose entry this is.
///
/// # Errors
/// When the entry is not understood, or a part of it is missing.
pub fn read(reader: &dyn Reader, key: &[u8], value: Vec<u8>) -> Result<SecretRecord, LoadError> {
    let name = secret_of(key)?;
    let v1::Secret { version, sealed } = decode(key, value)?;
    let malformed = |field| LoadError::malformed(key, Malformed::Missing { field });
    if version == 0 {
        return Err(malformed("version"));
    }
    let Some(v1::Sealed { parts, key: sealed_with, size, put_ms, by }) = sealed else {
        return Ok(SecretRecord { name, version, sealed: None });
    };
    let sealed_with = sealed_with[..].try_into().map_err(|_| malformed("key"))?;
    let mut bytes = Vec::new();
    for part in 0..u16::try_from(parts).ok().filter(|parts| *parts <= PARTS).ok_or_else(|| malformed("parts"))? {
        bytes.extend(reader.get(&secret_part_key(&name, part))?.ok_or_else(|| malformed("part"))?);
    }
    Ok(SecretRecord { name, version, sealed: Some(Sealed { bytes: bytes.into(), key: sealed_with, size, put_ms, by }) })
}

#[cfg(test)]
mod tests {
    use longshore_core::{Namespace, Record, SecretName};
    use longshore_store::{Epoch, MemoryDisk, Store};

    use super::*;
    use crate::kept::records;

    fn secret(namespace: &str, name: &str, version: u64, bytes: Option<usize>) -> SecretRecord {
        let name = SecretName { namespace: Namespace::named(namespace), name: name.to_owned() };
        let sealed = bytes.map(|bytes| Sealed {
            bytes: (0..bytes).map(|at| (at % 251) as u8 ^ version as u8).collect(),
            key: [9; 8],
            size: 3,
            put_ms: 5,
            by: "ann".to_owned(),
        });
        SecretRecord { name, version, sealed }
    }

    #[test]
    fn secrets_of_any_length_come_back_and_leave_nothing_when_they_are_replaced_or_removed() {
        let mut store = MemoryDisk::new().open();
        let mut keep = |records: &[SecretRecord]| {
            let mut batch = Batch::new();
            records.iter().for_each(|record| put(&mut batch, record.clone()));
            store.commit(Epoch::default(), &batch).unwrap();
            let reader = store.reader();
            let found: Vec<SecretRecord> = records::load(&*reader)
                .map(|record| match record.unwrap() {
                    Record::Secret(secret) => secret,
                    other => panic!("{other:?}"),
                })
                .collect();
            (found, reader.scan(b"y", None, 1_000).unwrap().len())
        };
        let longest = limits::SECRET_BYTES + 40;
        // The second name begins like the first, and goes on as the first's parts do.
        let other = secret("default", "db\0\0", 1, Some(PART_BYTES));
        for bytes in [1, PART_BYTES, PART_BYTES + 1, longest] {
            let db = secret("default", "db", bytes as u64, Some(bytes));
            let (found, parts) = keep(&[other.clone(), db.clone()]);
            assert_eq!((found, parts), (vec![db, other.clone()], 1 + bytes.div_ceil(PART_BYTES)), "{bytes}");
        }
        let gone = secret("default", "db", 7, None);
        assert_eq!(keep(std::slice::from_ref(&gone)), (vec![gone.clone(), other.clone()], 1));
        let theirs = secret("vision", "db", 1, Some(10));
        assert_eq!(keep(std::slice::from_ref(&theirs)).0, [gone, other, theirs]);
    }

    #[test]
    fn a_secret_without_what_it_must_have_is_refused() {
        let store = MemoryDisk::new().open();
        let reader = store.reader();
        let sealed = v1::Sealed { parts: 1, key: vec![1; 8].into(), ..v1::Sealed::default() };
        for (spoilt, field) in [
            (v1::Secret { version: 0, sealed: None }, "version"),
            (v1::Secret { version: 1, sealed: Some(v1::Sealed { key: vec![1; 7].into(), ..sealed.clone() }) }, "key"),
            (v1::Secret { version: 1, sealed: Some(v1::Sealed { parts: 99, ..sealed.clone() }) }, "parts"),
            (v1::Secret { version: 1, sealed: Some(sealed) }, "part"),
        ] {
            let error = read(&*reader, b"xdb", spoilt.encode_to_vec()).unwrap_err();
            assert!(crate::error::chain(&error).contains(&format!("its {field} is missing")), "{error:?}");
        }
    }
}
