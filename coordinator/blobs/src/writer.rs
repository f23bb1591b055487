//! Putting a blob whose size is not known beforehand, and taking over a file as a blob.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use blake3::{Hash, Hasher};
use rustix::fs::OFlags;

use crate::{MAX_SMALL_BYTES, PutError, blobs::Inner};

const READ_ONLY: u32 = 0o444;
const BUFFER_BYTES: usize = 256 << 10;

/// Bytes a file that is taken over may take up beyond its size.
const SLACK_BYTES: u64 = 1 << 20;

/// A blob being written. Its bytes stay in memory while they fit a pack; beyond that they go to a temporary file, which is
/// removed when the writer is dropped unfinished.
#[derive(Debug)]
pub struct Writer {
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

    /// Adds bytes.
    ///
    /// # Errors
    /// When they cannot be written; the writer can then only be dropped.
    pub fn write(&mut self, data: &[u8]) -> Result<(), PutError> {
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

    /// Bytes written so far.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.size
    }

    /// Makes the blob durable and visible, unless it is held already; returns its digest and whether it was new.
    ///
    /// # Errors
    /// When the bytes do not have the expected digest, or cannot be written or synced. Nothing is kept then.
    pub fn finish(self, expected: Option<Hash>) -> Result<(Hash, bool), PutError> {
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

impl Write for Writer {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        Writer::write(self, data).map_err(io::Error::other)?;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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

/// See [`crate::Blobs::adopt_file`].
pub(crate) fn adopt(inner: &Inner, path: &Path, expected: Option<Hash>) -> Result<(Hash, bool), PutError> {
    // Moved aside first, so that nobody can put another file under the name between looking and taking.
    let aside = inner.temp_path();
    fs::rename(path, &aside).map_err(|error| PutError::io("take over", path, error))?;
    let adopted = adopt_aside(inner, path, &aside, expected);
    if adopted.is_err()
        && let Err(error) = fs::rename(&aside, path)
    {
        tracing::warn!(path = %path.display(), %error, "a file that was not taken over could not be put back");
    }
    adopted
}

/// See [`crate::Blobs::adopt_link`].
pub(crate) fn adopt_link(inner: &Inner, path: &Path, file: &File) -> Result<Hash, PutError> {
    let aside = Aside(inner.temp_path());
    fs::hard_link(path, &aside.0).map_err(|error| PutError::io("link", path, error))?;
    let failed = |doing| move |error| PutError::io(doing, path, error);
    let identity = |metadata: &fs::Metadata| (metadata.dev(), metadata.ino());
    let told = file.metadata().map_err(failed("look at"))?;
    let found = fs::symlink_metadata(&aside.0).map_err(failed("look at"))?;
    let refused = || PutError::NotAPlainFile { path: path.to_owned() };
    // Whoever owns it could make it writable again. Room taken beyond its end would stay taken.
    let ours = found.uid() == rustix::process::geteuid().as_raw();
    let lean = found.blocks() * 512 <= found.len() + SLACK_BYTES;
    if !found.is_file() || identity(&found) != identity(&told) || !ours || !lean {
        return Err(refused());
    }
    // Read through a descriptor of our own: the position of the other is shared.
    let mut file = File::open(&aside.0).map_err(failed("open"))?;
    let (digest, size) = hash(&mut file).map_err(failed("read"))?;
    if size <= MAX_SMALL_BYTES as u64 {
        let data = fs::read(&aside.0).map_err(failed("read"))?;
        check(Some(digest), blake3::hash(&data))?;
        append_durably(inner, &digest, &data)?;
        return Ok(digest);
    }
    // Its own name, and the one just made; a third can only be the blob's, when it was taken over before.
    let taken_before =
        || fs::symlink_metadata(inner.layout.file(&digest)).is_ok_and(|it| identity(&it) == identity(&told));
    if found.nlink() > 2 && !taken_before() {
        return Err(refused());
    }
    seal(&file, path)?;
    inner.publish(&aside.0, &digest, size)?;
    Ok(digest)
}

/// A name in `temp/` that goes when this does, if it is still there.
struct Aside(PathBuf);

impl Drop for Aside {
    fn drop(&mut self) {
        // After a rename the name is gone: that is the good case.
        let _ = fs::remove_file(&self.0);
    }
}

fn adopt_aside(inner: &Inner, path: &Path, aside: &Path, expected: Option<Hash>) -> Result<(Hash, bool), PutError> {
    let failed = |doing| move |error| PutError::io(doing, path, error);
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
    let mut file = File::options().read(true).custom_flags(flags).open(aside).map_err(failed("open"))?;
    let metadata = file.metadata().map_err(failed("look at"))?;
    if !metadata.is_file() || metadata.nlink() != 1 {
        return Err(PutError::NotAPlainFile { path: path.to_owned() });
    }
    if metadata.len() <= MAX_SMALL_BYTES as u64 {
        let data = fs::read(aside).map_err(failed("read"))?;
        let digest = blake3::hash(&data);
        check(expected, digest)?;
        let new = append_durably(inner, &digest, &data)?;
        fs::remove_file(aside).map_err(failed("remove"))?;
        return Ok((digest, new));
    }
    let (digest, size) = hash(&mut file).map_err(failed("read"))?;
    check(expected, digest)?;
    seal(&file, path)?;
    Ok((digest, inner.publish(aside, &digest, size)?))
}

fn append_durably(inner: &Inner, digest: &Hash, data: &[u8]) -> Result<bool, PutError> {
    let new = inner.append(&[(digest, data)])?.blobs == 1;
    inner.durability.sync().map_err(|error| PutError::io("sync", inner.layout.packs(), error))?;
    Ok(new)
}

fn check(expected: Option<Hash>, found: Hash) -> Result<(), PutError> {
    match expected {
        Some(expected) if expected != found => Err(PutError::Mismatch { expected, found }),
        _ => Ok(()),
    }
}

fn seal(file: &File, path: &Path) -> Result<(), PutError> {
    file.set_permissions(Permissions::from_mode(READ_ONLY)).map_err(|error| PutError::io("protect", path, error))?;
    file.sync_all().map_err(|error| PutError::io("sync", path, error))
}

pub(crate) fn hash(file: &mut File) -> io::Result<(Hash, u64)> {
    let mut hasher = Hasher::new();
    let mut reader = io::BufReader::with_capacity(BUFFER_BYTES, file);
    let size = io::copy(&mut reader, &mut hasher)?;
    Ok((hasher.finalize(), size))
}
