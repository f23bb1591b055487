//! The format of a data directory's records: what is found is read, or refused by its name.
//!
//! It stands in a file of the directory's, so that a directory of another format is left as it was: the store changes its own
//! files whenever it is opened. It stands in the store too, where programs of before the file look.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use longshore_store::{Reader, SledStore};

use super::{
    error::LoadError,
    format::{FILE, FORMAT, Found},
    keys::{EPOCH, FORMAT_KEY},
};

/// Checks that the data directory is of this format, before anything in it is opened. A new one is made one of this format,
/// durably.
///
/// # Errors
/// When it is another's: then nothing was changed. When its file cannot be read or made.
pub fn claim(dir: &Path, store: &Path) -> Result<(), LoadError> {
    if look(dir, store)? {
        return Ok(());
    }
    let path = dir.join(FILE);
    let written = File::create(&path).and_then(|mut file| {
        writeln!(file, "{FORMAT}")?;
        file.sync_all()?;
        File::open(dir)?.sync_all()
    });
    written.map_err(|source| LoadError::FormatFile { path, source })
}

/// Whether the data directory is of this format, or a new one that does not say any. Nothing is changed.
///
/// # Errors
/// When it is another's, or its file cannot be read.
pub fn look(dir: &Path, store: &Path) -> Result<bool, LoadError> {
    let path = dir.join(FILE);
    let unusable = |source| LoadError::FormatFile { path: path.clone(), source };
    let said = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        said => said.map_err(unusable)?,
    };
    if !said.is_empty() {
        let format =
            said.trim().parse().map_err(|error| unusable(io::Error::new(io::ErrorKind::InvalidData, error)))?;
        return expect(dir, Found::Said(format)).map(|()| true);
    }
    if SledStore::is_in(store) {
        return expect(dir, Found::Unsaid).map(|()| false);
    }
    Ok(false)
}

/// Checks what the store itself says: it may not be the one that was beside the file.
///
/// # Errors
/// When it is another's.
pub fn check(dir: &Path, reader: &dyn Reader) -> Result<(), LoadError> {
    let kept = reader.get(FORMAT_KEY)?.and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
    match kept {
        Some(found) => expect(dir, Found::Said(found)),
        None if reader.get(EPOCH)?.is_none() => Ok(()),
        None => expect(dir, Found::Said(1)),
    }
}

fn expect(dir: &Path, found: Found) -> Result<(), LoadError> {
    if found == Found::Said(FORMAT) { Ok(()) } else { Err(LoadError::Format { dir: dir.to_owned(), found }) }
}

#[cfg(test)]
mod tests {
    use longshore_store::{Batch, MemoryDisk, MemoryStore, Store};

    use super::*;

    #[test]
    fn another_format_in_the_store_is_named() {
        let mut store = MemoryDisk::new().open();
        let check = |store: &MemoryStore| check(Path::new("/some/data"), &*store.reader());
        assert!(check(&store).is_ok());
        let mut batch = Batch::new();
        batch.put(EPOCH, 1_u64.to_be_bytes());
        store.commit(longshore_store::Epoch::default(), &batch).unwrap();
        assert!(matches!(check(&store), Err(LoadError::Format { found: Found::Said(1), .. })));
        for (found, advice) in [(FORMAT - 1, "older version"), (FORMAT + 1, "newer version")] {
            batch.put(FORMAT_KEY, found.to_be_bytes());
            store.commit(longshore_store::Epoch::default(), &batch).unwrap();
            let error = check(&store).unwrap_err().to_string();
            assert!(error.contains(&format!("format {found},")) && error.contains(advice), "{error}");
            assert!(error.contains("/some/data"), "{error}");
        }
        batch.put(FORMAT_KEY, FORMAT.to_be_bytes());
        store.commit(longshore_store::Epoch::default(), &batch).unwrap();
        assert!(check(&store).is_ok());
    }

    #[test]
    fn a_new_directory_says_its_format_before_there_is_a_store() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("store");
        claim(dir.path(), &store).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join(FILE)).unwrap(), format!("{FORMAT}\n"));
        fs::create_dir(&store).unwrap();
        claim(dir.path(), &store).unwrap();
    }

    #[test]
    fn a_file_that_a_crash_left_empty_is_written_again() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "").unwrap();
        claim(dir.path(), &dir.path().join("store")).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join(FILE)).unwrap(), format!("{FORMAT}\n"));
    }

    #[test]
    fn another_format_of_the_directory_is_named_and_what_is_no_number_too() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("store");
        fs::create_dir(&store).unwrap();
        assert!(!look(dir.path(), &store).unwrap(), "an empty one is a new one");
        fs::write(store.join("high-water"), "").unwrap();
        let refused = || claim(dir.path(), &store).unwrap_err().to_string();
        assert!(refused().contains("format 2 or 1"), "{}", refused());
        assert!(!dir.path().join(FILE).exists());
        fs::write(dir.path().join(FILE), format!("{}\n", FORMAT + 1)).unwrap();
        assert!(refused().contains("newer version"), "{}", refused());
        fs::write(dir.path().join(FILE), "three\n").unwrap();
        assert!(refused().contains("format"), "{}", refused());
    }
}
