//! Putting a blob whose size is not known beforehand.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use blake3::{Hash, Hasher};

use super::inner::Inner;
use crate::{BlobWriter, MAX_SMALL_BYTES, PutError};

const READ_ONLY: u32 = 0o444;
const BUFFER_BYTES: usize = 256 << 10;

/// A blob being written. Its bytes stay in memory while they fit a pack; beyond that they go to a temporary file, which is
/// removed when the writer is dropped unfinished.
#[derive(Debug)]
pub(crate) struct Writer {
    inner: Arc<Inner>,
    hasher: Hasher,
    size: u64,
    small: Vec<u8>,
    large: Option<Temp>,
}

impl Writer {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self { inner, hasher: Hasher::new(), size: 0, small: Vec::new(), large: None }
    }
}

impl BlobWriter for Writer {
    fn write(&mut self, data: &[u8]) -> Result<(), PutError> {
        self.hasher.update(data);
        self.size += data.len() as u64;
        if self.large.is_none() && self.size <= MAX_SMALL_BYTES as u64 {
            self.small.extend_from_slice(data);
            return Ok(());
        }
        if self.large.is_none() {
            let mut temp = Temp::create(self.inner.temp_path())?;
            temp.write(&std::mem::take(&mut self.small))?;
            self.large = Some(temp);
        }
        self.large.as_mut().map_or(Ok(()), |temp| temp.write(data))
    }

    fn size_bytes(&self) -> u64 {
        self.size
    }

    fn finish(self: Box<Self>, expected: Option<Hash>) -> Result<(Hash, bool), PutError> {
        let digest = self.hasher.finalize();
        check(expected, digest)?;
        let new = match self.large {
            None => append_durably(&self.inner, &digest, &self.small)?,
            Some(temp) => {
                seal(&temp.file, &temp.path)?;
                self.inner.publish(&temp.path, &digest, self.size)?
            }
        };
        Ok((digest, new))
    }
}

/// A file in `temp/`. What still has that name when it is dropped is removed.
#[derive(Debug)]
struct Temp {
    file: File,
    path: PathBuf,
}

impl Temp {
    fn create(path: PathBuf) -> Result<Self, PutError> {
        let made = File::options().write(true).create_new(true).mode(0o600).open(&path);
        let file = made.map_err(|error| PutError::io("create", &path, error))?;
        Ok(Self { file, path })
    }

    fn write(&mut self, data: &[u8]) -> Result<(), PutError> {
        self.file.write_all(data).map_err(|error| PutError::io("write", &self.path, error))
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        // After a rename the name is gone: that is the good case.
        let _ = fs::remove_file(&self.path);
    }
}

/// Appends a small blob and makes it durable; whether it was new.
pub(crate) fn append_durably(inner: &Inner, digest: &Hash, data: &[u8]) -> Result<bool, PutError> {
    let new = inner.append(&[(digest, data)])?.blobs == 1;
    inner.durability.sync().map_err(|error| PutError::io("sync", inner.layout.packs(), error))?;
    Ok(new)
}

/// Whether the bytes are those that were told.
pub(crate) fn check(expected: Option<Hash>, found: Hash) -> Result<(), PutError> {
    match expected {
        Some(expected) if expected != found => Err(PutError::Mismatch { expected, found }),
        _ => Ok(()),
    }
}

/// Makes a file read-only and durable.
pub(crate) fn seal(file: &File, path: &Path) -> Result<(), PutError> {
    file.set_permissions(Permissions::from_mode(READ_ONLY)).map_err(|error| PutError::io("protect", path, error))?;
    file.sync_all().map_err(|error| PutError::io("sync", path, error))
}

/// Digest and size of what a file holds from where it stands.
pub(crate) fn hash(file: &mut File) -> io::Result<(Hash, u64)> {
    let mut hasher = Hasher::new();
    let mut reader = io::BufReader::with_capacity(BUFFER_BYTES, file);
    let size = io::copy(&mut reader, &mut hasher)?;
    Ok((hasher.finalize(), size))
}
