//! What a full pack holds, kept beside it (`<number>.list`), so that opening need not read the pack itself.
//!
//! It is only a shortcut: written without a sync when a pack that takes no more blobs is gone through for the first time,
//! and believed only with a sound checksum and for a pack of the same length.

use std::{fs, io, path::Path};

use blake3::Hash;

use super::pack::Found;

const MAGIC: [u8; 4] = *b"LSL1";
const ENTRY_BYTES: usize = 40;
/// Magic and the pack's length.
const HEAD_BYTES: usize = 12;
const CRC_BYTES: usize = 4;

/// Reads the listing of a pack of this length; `None` when there is no sound one.
pub(crate) fn read(path: &Path, pack_bytes: u64) -> Option<Vec<Found>> {
    let bytes = fs::read(path).ok()?;
    let (told, crc) = bytes.split_last_chunk::<CRC_BYTES>()?;
    let (head, entries) = told.split_at_checked(HEAD_BYTES)?;
    if crc32c::crc32c(told).to_le_bytes() != *crc || *head != *self::head(pack_bytes) {
        return None;
    }
    entries.chunks(ENTRY_BYTES).map(decode).collect()
}

/// Writes the listing.
pub(crate) fn write(path: &Path, temp: &Path, pack_bytes: u64, records: &[Found]) -> io::Result<()> {
    let mut bytes = head(pack_bytes);
    for found in records {
        bytes.extend_from_slice(found.digest.as_bytes());
        bytes.extend_from_slice(&(found.offset as u32).to_le_bytes());
        bytes.extend_from_slice(&(found.size as u32).to_le_bytes());
    }
    let crc = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    fs::write(temp, bytes)?;
    fs::rename(temp, path)
}

fn head(pack_bytes: u64) -> Vec<u8> {
    [MAGIC.as_slice(), &pack_bytes.to_le_bytes()].concat()
}

fn decode(entry: &[u8]) -> Option<Found> {
    let (digest, rest) = entry.split_first_chunk::<32>()?;
    let (offset, rest) = rest.split_first_chunk::<4>()?;
    let size = u32::from_le_bytes(rest.try_into().ok()?) as usize;
    let offset = u64::from(u32::from_le_bytes(*offset));
    Some(Found { digest: Hash::from_bytes(*digest), offset, size, sound: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sound_listing_of_the_same_pack_is_believed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list");
        let records = |count: u64| -> Vec<Found> {
            let found = |n| Found { digest: blake3::hash(&[n as u8]), offset: n * 100, size: n as usize, sound: true };
            (0..count).map(found).collect()
        };
        assert_eq!(read(&path, 1000), None);
        for count in [0, 1, 10] {
            write(&path, &dir.path().join("temp"), 1000, &records(count)).unwrap();
            assert_eq!(read(&path, 1000), Some(records(count)));
            assert_eq!(read(&path, 1001), None);
        }
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut hurt = whole.clone();
            hurt[at] ^= 1;
            fs::write(&path, &hurt).unwrap();
            assert_eq!(read(&path, 1000), None, "byte {at}");
            fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(read(&path, 1000), None, "cut at {at}");
        }
    }
}
