//! Lists of inputs, read once and kept at hand while their items are given out.

use std::sync::Arc;

use bytes::Bytes;
use longshore_core::Namespace;
use longshore_proto::{Digest, v1::NamedBlob};
use prost::Message;

use super::{
    cache::{self, Cache, HasSize},
    error::CatalogError,
    messages::{LIST, Messages},
};

/// Bytes of lists at hand: enough for the items that many workers are given at about the same time.
const BYTES: usize = 32 << 20;

/// Bytes of a list as clients make them.
const USUAL_BYTES: usize = 64 << 10;

/// A list whose entries are decoded when they are asked for. On the wire it is a
/// [`BlobList`](longshore_proto::v1::BlobList): a message inside another is written as its bytes.
#[derive(Clone, PartialEq, Message)]
pub struct List {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    entries: Vec<Bytes>,
}

impl List {
    /// One entry, if there are so many.
    pub fn entry(&self, at: usize) -> Option<Result<NamedBlob, prost::DecodeError>> {
        self.entries.get(at).map(|entry| NamedBlob::decode(entry.clone()))
    }
}

impl HasSize for List {
    fn size_bytes(&self) -> usize {
        self.entries.iter().map(|entry| entry.len() + size_of::<Bytes>()).sum()
    }
}

/// The lists read last, of all namespaces: each is at hand for its own alone.
pub struct Lists {
    kept: Cache<(Namespace, Digest), List>,
}

impl Default for Lists {
    fn default() -> Self {
        Self { kept: cache::of_bytes(BYTES, USUAL_BYTES) }
    }
}

impl Lists {
    /// The list of that digest in a room, read if it is not at hand.
    pub fn get(&self, room: &Messages, digest: Digest) -> Result<Arc<List>, CatalogError> {
        let key = (room.namespace().clone(), digest);
        self.kept.get_or_insert_with(&key, || room.get(digest, LIST).map(Arc::new))
    }
}

#[cfg(test)]
mod tests {
    use longshore_proto::v1::BlobList;

    use super::{super::messages::tests::messages, *};

    fn blob_list() -> BlobList {
        let blob = |number: u64| NamedBlob {
            path: format!("dir/{number}"),
            digest: Bytes::from(vec![7; 32]),
            size: number,
            executable: false,
            inline: None,
            origin: String::new(),
        };
        BlobList { blobs: (0..300).map(blob).collect() }
    }

    #[test]
    fn a_blob_list_is_read_entry_by_entry() {
        let list = List::decode(Bytes::from(blob_list().encode_to_vec())).unwrap();
        for (at, blob) in blob_list().blobs.iter().enumerate() {
            assert_eq!(list.entry(at).unwrap().unwrap(), *blob);
        }
        assert!(list.entry(300).is_none());
    }

    #[test]
    fn a_list_is_read_once_and_one_that_cannot_be_read_is_asked_for_again() {
        let (_dir, messages) = messages();
        let lists = Lists::default();
        let digest = Digest::of(&blob_list().encode_to_vec());
        assert!(lists.get(&messages, digest).is_err());
        messages.put(&blob_list()).unwrap();
        let list = lists.get(&messages, digest).unwrap();
        assert!(Arc::ptr_eq(&list, &lists.get(&messages, digest).unwrap()));
        let empty = longshore_blobs::MemoryBlobs::default();
        let other = Messages::new(Namespace::named("other"), Arc::new(empty));
        assert!(lists.get(&other, digest).is_err(), "what is at hand for one room is not for another");
    }
}
