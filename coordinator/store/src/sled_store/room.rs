//! Free space: how much there is, and a ballast file that keeps some for the day the disk is full.
//!
//! sled writes when it opens, so on a full disk a store could not even be opened to delete something. The ballast is
//! given up on the first sign of a full disk and made again when there is plenty.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

use super::{layout::Layout, options::Options};
use crate::OpenError;

/// Bytes that this process can still write on the file system of `path`.
pub(crate) fn free_bytes(path: &Path) -> io::Result<u64> {
    let fs = statvfs(path)?;
    Ok(fs.f_bavail.saturating_mul(fs.f_frsize))
}

/// Checks that there is room to open the store, giving up the ballast if that makes it so.
pub(crate) fn require(layout: &Layout, needed: u64) -> Result<(), OpenError> {
    let free = || free_bytes(&layout.dir).map_err(super::layout::failed("look at", &layout.dir));
    if free()? >= needed {
        return Ok(());
    }
    if release_ballast(layout) {
        tracing::warn!(dir = %layout.dir.display(), "the disk is nearly full: the ballast file was given up");
    }
    let free = free()?;
    if free >= needed { Ok(()) } else { Err(OpenError::NoSpace { dir: layout.dir.clone(), free, needed }) }
}

/// Makes the ballast if it is missing and the disk would still have plenty of room. It is a convenience: failing to make
/// it is only logged.
pub(crate) fn restore_ballast(layout: &Layout, options: &Options) {
    let path = layout.ballast();
    let wanted = options.ballast_bytes;
    let held = fs::metadata(&path).map_or(0, |metadata| metadata.len());
    let plenty = wanted.saturating_mul(2).saturating_add(options.commit_reserve_bytes);
    if held >= wanted || free_bytes(&layout.dir).is_ok_and(|free| free < plenty) {
        return;
    }
    if let Err(error) = allocate(&path, wanted) {
        tracing::warn!(path = %path.display(), %error, "cannot make the ballast file");
        let _ = fs::remove_file(&path);
    }
}

/// Removes the ballast; whether there was one.
pub(crate) fn release_ballast(layout: &Layout) -> bool {
    fs::remove_file(layout.ballast()).is_ok()
}

fn allocate(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = File::options().write(true).create(true).truncate(true).open(path)?;
    match fallocate(&file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => {}
        Err(rustix::io::Errno::OPNOTSUPP) => {
            let block = vec![0; 1 << 20];
            let mut left = bytes;
            while left > 0 {
                let part = left.min(block.len() as u64);
                file.write_all(&block[..part as usize])?;
                left -= part;
            }
        }
        Err(error) => return Err(error.into()),
    }
    file.sync_all()
}
