//! Taking over a file as a blob.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use blake3::Hash;

use super::{
    inner::Inner,
    writer::{append_durably, check, hash, seal},
};
use crate::{MAX_SMALL_BYTES, PutError};

/// Bytes a file that is taken over may take up beyond its size.
const SLACK_BYTES: u64 = 1 << 20;

/// See [`crate::Handover::adopt_link`].
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
