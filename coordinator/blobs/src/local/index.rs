//! Where each packed blob lies, and which blobs are files: at most 57 bytes of memory for a packed blob, and 39 for a
//! file, whatever the fill of the tables.

use std::collections::{HashMap, HashSet};

use blake3::Hash;

/// A digest's first 16 bytes. Finding two blobs that share them takes about 2⁶⁴ digests, and all that would be won is that
/// the second of one's own two blobs reads as damaged; another's blob cannot be met (2¹²⁸).
type Name = [u8; 16];

const LEN_BITS: u32 = 17;
const OFFSET_BITS: u32 = 29;
/// The highest pack number that fits: 64 TiB of packs.
pub(crate) const MAX_PACK: u32 = (1 << (64 - LEN_BITS - OFFSET_BITS)) - 1;

/// A record in a pack, in 8 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(u64);

impl Place {
    /// The record at `offset` of pack `pack` that holds `len` bytes.
    pub(crate) fn new(pack: u32, offset: u64, len: usize) -> Self {
        debug_assert!(pack <= MAX_PACK && offset < 1 << OFFSET_BITS && len < 1 << LEN_BITS);
        Self(u64::from(pack) << (OFFSET_BITS + LEN_BITS) | offset << LEN_BITS | len as u64)
    }

    /// The pack's number.
    pub(crate) fn pack(self) -> u32 {
        (self.0 >> (OFFSET_BITS + LEN_BITS)) as u32
    }

    /// Where the record begins.
    pub(crate) fn offset(self) -> u64 {
        (self.0 >> LEN_BITS) & ((1 << OFFSET_BITS) - 1)
    }

    /// The blob's size.
    pub(crate) fn len(self) -> usize {
        (self.0 & ((1 << LEN_BITS) - 1)) as usize
    }
}

/// Places by digest, and which blobs are files.
#[derive(Debug, Default)]
pub(crate) struct Index {
    places: HashMap<Name, Place>,
    files: HashSet<Name>,
}

impl Index {
    /// Where the blob lies.
    pub(crate) fn get(&self, digest: &Hash) -> Option<Place> {
        self.places.get(&name(digest)).copied()
    }

    /// Notes where the blob lies; a later place of the same blob replaces the earlier one.
    pub(crate) fn insert(&mut self, digest: &Hash, place: Place) {
        self.places.insert(name(digest), place);
    }

    /// Whether the blob may be a file. Saves asking the file system for every blob that is not held.
    pub(crate) fn may_be_file(&self, digest: &Hash) -> bool {
        self.files.contains(&name(digest))
    }

    /// Notes that the blob is a file.
    pub(crate) fn insert_file(&mut self, digest: &Hash) {
        self.files.insert(name(digest));
    }
}

fn name(digest: &Hash) -> Name {
    let mut name = Name::default();
    name.copy_from_slice(&digest.as_bytes()[..16]);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_keeps_its_extremes() {
        for (pack, offset, len) in [(0, 0, 0), (MAX_PACK, (1 << OFFSET_BITS) - 1, 1 << 16), (7, 1, 65_536)] {
            let place = Place::new(pack, offset, len);
            assert_eq!((place.pack(), place.offset(), place.len()), (pack, offset, len));
        }
    }

    #[test]
    fn an_entry_takes_at_most_64_bytes() {
        // The table doubles at a fill of 7/8 and spends one byte of its own on each place.
        let entry = size_of::<(Name, Place)>() + 1;
        assert!(entry * 16 / 7 <= 64, "{entry}");
    }

    #[test]
    fn a_later_place_replaces_the_earlier() {
        let mut index = Index::default();
        let digest = blake3::hash(b"x");
        index.insert(&digest, Place::new(1, 0, 10));
        index.insert(&digest, Place::new(2, 0, 10));
        assert_eq!(index.get(&digest), Some(Place::new(2, 0, 10)));
    }
}
