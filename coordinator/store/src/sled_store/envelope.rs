//! How a value is kept: `schema u8 | seq u64 | payload | crc32c u32` (big-endian), the checksum also over the key.
//!
//! The checksum names the key so that a value under the wrong key is damage; the seq is the commit that wrote it.

use crate::{ReadError, Value, batch::shown};

/// The schema this program writes, and the newest it reads.
pub(crate) const SCHEMA: u8 = 1;
const HEAD_BYTES: usize = 9;
const CRC_BYTES: usize = 4;

/// What an envelope holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Opened<'a> {
    pub(crate) seq: u64,
    pub(crate) payload: &'a [u8],
}

/// Puts a payload into its envelope.
pub(crate) fn seal(key: &[u8], seq: u64, payload: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(HEAD_BYTES + payload.len() + CRC_BYTES);
    sealed.push(SCHEMA);
    sealed.extend_from_slice(&seq.to_be_bytes());
    sealed.extend_from_slice(payload);
    sealed.extend_from_slice(&crc(key, &sealed).to_be_bytes());
    sealed
}

/// Checks an envelope and opens it.
pub(crate) fn open<'a>(key: &[u8], sealed: &'a [u8]) -> Result<Opened<'a>, ReadError> {
    let damaged = || ReadError::Damaged { key: shown(key) };
    let (told, told_crc) = sealed.split_last_chunk::<CRC_BYTES>().ok_or_else(damaged)?;
    let (&schema, rest) = told.split_first().ok_or_else(damaged)?;
    if crc(key, told).to_be_bytes() != *told_crc {
        return Err(damaged());
    }
    if schema > SCHEMA {
        return Err(ReadError::NewerSchema { key: shown(key), found: schema, known: SCHEMA });
    }
    let (seq, payload) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
    Ok(Opened { seq: u64::from_be_bytes(*seq), payload })
}

/// The payload alone.
pub(crate) fn payload(key: &[u8], sealed: &[u8]) -> Result<Value, ReadError> {
    open(key, sealed).map(|opened| opened.payload.to_vec())
}

/// The checksum an envelope ends with, unchecked: what the entry adds to the store's sum.
pub(crate) fn weight(sealed: &[u8]) -> u64 {
    sealed.last_chunk::<CRC_BYTES>().map_or(0, |crc| u64::from(u32::from_be_bytes(*crc)))
}

fn crc(key: &[u8], told: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens() {
        for payload in [&b""[..], b"x", &[0xff; 4096]] {
            let sealed = seal(b"key", 42, payload);
            assert_eq!(open(b"key", &sealed).unwrap(), Opened { seq: 42, payload });
        }
    }

    #[test]
    fn every_flipped_bit_is_damage() {
        let sealed = seal(b"key", 42, b"payload");
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(open(b"key", &flipped), Err(ReadError::Damaged { .. })), "bit {bit}");
        }
    }

    #[test]
    fn a_value_under_another_key_is_damage() {
        assert!(matches!(open(b"other", &seal(b"key", 1, b"v")), Err(ReadError::Damaged { .. })));
    }

    #[test]
    fn every_shorter_envelope_is_damage() {
        let sealed = seal(b"key", 42, b"payload");
        for len in 0..sealed.len() {
            assert!(matches!(open(b"key", &sealed[..len]), Err(ReadError::Damaged { .. })), "length {len}");
        }
    }

    #[test]
    fn a_newer_schema_is_named() {
        let mut sealed = seal(b"key", 1, b"v");
        sealed.truncate(sealed.len() - CRC_BYTES);
        sealed[0] = SCHEMA + 1;
        let crc = crc(b"key", &sealed).to_be_bytes();
        sealed.extend_from_slice(&crc);
        assert!(matches!(open(b"key", &sealed), Err(ReadError::NewerSchema { found: 2, known: 1, .. })));
    }
}
