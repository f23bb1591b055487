//! Lists of inputs, read once and kept at hand while their items are given out.

use std::{collections::VecDeque, sync::Arc};

use blake3::Hash;
use bytes::Bytes;
use longshore_proto::v1::NamedBlob;
use prost::Message;

/// Bytes of lists at hand, beside one more: enough for the items that many workers are given at about the same time.
const BYTES: usize = 32 << 20;

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

/// The lists read last.
#[derive(Default)]
pub struct Lists {
    /// The least recently used first.
    kept: VecDeque<(Hash, usize, Arc<List>)>,
    bytes: usize,
}

impl Lists {
    /// The list of that digest, if it is at hand.
    pub fn get(&mut self, digest: &Hash) -> Option<Arc<List>> {
        let at = self.kept.iter().rposition(|(known, ..)| known == digest)?;
        let kept = self.kept.remove(at)?;
        let list = Arc::clone(&kept.2);
        self.kept.push_back(kept);
        Some(list)
    }

    /// Keeps a list whose blob has so many bytes.
    pub fn keep(&mut self, digest: Hash, blob_bytes: usize, list: Arc<List>) {
        let bytes = blob_bytes + list.entries.len() * size_of::<Bytes>();
        while self.bytes > BYTES
            && let Some((_, bytes, _)) = self.kept.pop_front()
        {
            self.bytes -= bytes;
        }
        self.bytes += bytes;
        self.kept.push_back((digest, bytes, list));
    }
}

#[cfg(test)]
mod tests {
    use longshore_proto::v1::BlobList;

    use super::*;

    #[test]
    fn a_blob_list_is_read_entry_by_entry() {
        let blob = |number: u64| NamedBlob {
            path: format!("dir/{number}"),
            digest: Bytes::from(vec![7; 32]),
            size: number,
            inline: None,
        };
        let whole = BlobList { blobs: (0..300).map(blob).collect() };
        let list = List::decode(Bytes::from(whole.encode_to_vec())).unwrap();
        for (at, blob) in whole.blobs.iter().enumerate() {
            assert_eq!(list.entry(at).unwrap().unwrap(), *blob);
        }
        assert!(list.entry(300).is_none());
    }

    #[test]
    fn what_was_used_last_stays() {
        let mut lists = Lists::default();
        let digest = |number: u8| blake3::hash(&[number]);
        for number in 0..9 {
            lists.keep(digest(number), BYTES / 4, Arc::default());
            assert!(lists.get(&digest(0)).is_some(), "{number}");
        }
        assert!(lists.get(&digest(1)).is_none());
        assert!(lists.get(&digest(8)).is_some());
    }
}
