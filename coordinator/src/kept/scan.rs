//! Entries of the store by the first byte of their keys, page by page.

use longshore_store::{Entry, ReadError, Reader};

/// Entries read at a time.
const PAGE: usize = 1_000;

/// Every entry whose key begins with this byte, in order. Ends after the first error.
pub fn entries(reader: &dyn Reader, kind: u8) -> impl Iterator<Item = Result<Entry, ReadError>> {
    let mut after: Option<Vec<u8>> = None;
    let mut page = Vec::new().into_iter();
    let mut ended = false;
    std::iter::from_fn(move || {
        if let Some(entry) = page.next() {
            return Some(Ok(entry));
        }
        if ended {
            return None;
        }
        match reader.scan(&[kind], after.as_deref(), PAGE) {
            Ok(read) => {
                after = read.last().map(|(key, _)| key.clone());
                ended = after.is_none();
                page = read.into_iter();
                page.next().map(Ok)
            }
            Err(error) => {
                ended = true;
                Some(Err(error))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use longshore_store::{Batch, Epoch, MemoryDisk, Store};

    use super::*;

    #[test]
    fn entries_of_a_kind_come_in_order_however_many_there_are() {
        for count in [0, 1, 999, 1_000, 1_001, 2_500_u32] {
            let mut store = MemoryDisk::new().open();
            let mut batch = Batch::new();
            (0..count).for_each(|n| batch.put([b"k", n.to_be_bytes().as_slice()].concat(), b"".as_slice()));
            batch.put(b"j".as_slice(), b"".as_slice());
            batch.put(b"l".as_slice(), b"".as_slice());
            store.commit(Epoch::default(), &batch).unwrap();
            let reader = store.reader();
            let keys: Vec<_> = entries(&*reader, b'k').map(|entry| entry.unwrap().0).collect();
            assert!(keys.is_sorted() && keys.len() == count as usize);
        }
    }
}
