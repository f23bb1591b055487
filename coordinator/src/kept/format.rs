//! The format of a store's records: what was found is read, or refused by its name.

use longshore_store::Reader;

use super::{
    error::LoadError,
    keys::{EPOCH, FORMAT, FORMAT_KEY},
};

/// Checks that the store is this format's, or new.
///
/// # Errors
/// When it is another's.
pub fn check(reader: &dyn Reader) -> Result<(), LoadError> {
    let kept = reader.get(FORMAT_KEY)?.and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
    let found = match kept {
        Some(found) => found,
        None if reader.get(EPOCH)?.is_none() => return Ok(()),
        None => 1,
    };
    if found == FORMAT { Ok(()) } else { Err(LoadError::Format { found }) }
}

#[cfg(test)]
mod tests {
    use longshore_store::{Batch, MemoryDisk, Store};

    use super::*;

    #[test]
    fn another_format_is_named() {
        let mut store = MemoryDisk::new().open();
        assert!(check(&*store.reader()).is_ok());
        let mut batch = Batch::new();
        batch.put(EPOCH, 1_u64.to_be_bytes());
        store.commit(&batch).unwrap();
        assert!(matches!(check(&*store.reader()), Err(LoadError::Format { found: 1 })));
        for (found, advice) in [(FORMAT - 1, "older version"), (FORMAT + 1, "newer version")] {
            batch.put(FORMAT_KEY, found.to_be_bytes());
            store.commit(&batch).unwrap();
            let error = check(&*store.reader()).unwrap_err().to_string();
            assert!(error.contains(&format!("format {found}, ")) && error.contains(advice), "{error}");
        }
        batch.put(FORMAT_KEY, FORMAT.to_be_bytes());
        store.commit(&batch).unwrap();
        assert!(check(&*store.reader()).is_ok());
    }
}
