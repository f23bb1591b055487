//! The directory: `packs/`, `files/ab/<hex>`, `temp/`, `lock`; paths, first creation and clean-up.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use blake3::Hash;
use rustix::fs::{FlockOperation, flock};

use crate::OpenError;

/// Mode of directories: blobs are what users bring and get.
const PRIVATE: u32 = 0o700;

/// The directory's lock, held as long as this lives.
#[derive(Debug)]
pub(crate) struct DirLock(File);

impl Drop for DirLock {
    fn drop(&mut self) {
        // Closing is not enough: a child being started at this moment may hold a copy of the descriptor.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// Where things lie below the directory.
#[derive(Debug)]
pub(crate) struct Layout {
    dir: PathBuf,
}

impl Layout {
    /// Where things would lie below this directory.
    pub(crate) fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// Makes what is missing, takes the lock, removes what unfinished writers left. The lock is held as long as the file
    /// returned is open.
    pub(crate) fn open(dir: &Path) -> Result<(Self, DirLock), OpenError> {
        let layout = Self::at(dir);
        fs::DirBuilder::new().recursive(true).mode(PRIVATE).create(dir).map_err(failed("create", dir))?;
        close(dir)?;
        let lock = layout.lock()?;
        for name in ["packs", "files", "temp"] {
            make_dir(&dir.join(name))?;
        }
        for first in 0..=255 {
            make_dir(&layout.files_dir(first))?;
        }
        layout.sync_names()?;
        layout.clear_temp()?;
        Ok((layout, lock))
    }

    /// The digests that the files of large blobs are named by.
    pub(crate) fn file_digests(&self) -> Result<Vec<Hash>, OpenError> {
        let mut digests = Vec::new();
        for first in 0..=255 {
            let dir = self.files_dir(first);
            for entry in entries(&dir)? {
                let name = entry.map_err(failed("read", &dir))?.file_name();
                digests.extend(name.to_str().and_then(|name| Hash::from_hex(name).ok()));
            }
        }
        Ok(digests)
    }

    /// Makes every name durable: also those that a process gave just before it was killed, which are seen as held.
    fn sync_names(&self) -> Result<(), OpenError> {
        let parent = self.dir.parent().unwrap_or(&self.dir).to_owned();
        let above = [self.packs(), self.dir.join("files"), self.dir.clone(), parent];
        // Where there are no names there is nothing to sync; a young directory opens the faster.
        let is_empty = |dir: &PathBuf| fs::read_dir(dir).is_ok_and(|mut names| names.next().is_none());
        let files = (0..=255).map(|first| self.files_dir(first)).filter(|dir| !is_empty(dir));
        files.chain(above).try_for_each(|dir| sync_dir(&dir).map_err(failed("sync", &dir)))
    }

    fn lock(&self) -> Result<DirLock, OpenError> {
        let path = self.dir.join("lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(failed("create", &path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(DirLock(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::InUse { dir: self.dir.clone() }),
            Err(error) => Err(failed("lock", &path)(error.into())),
        }
    }

    fn clear_temp(&self) -> Result<(), OpenError> {
        let temp = self.temp();
        for entry in fs::read_dir(&temp).map_err(failed("read", &temp))? {
            let path = entry.map_err(failed("read", &temp))?.path();
            fs::remove_file(&path).map_err(failed("remove", &path))?;
        }
        Ok(())
    }

    /// The numbers of the packs, ascending.
    pub(crate) fn pack_numbers(&self) -> Result<Vec<u32>, OpenError> {
        let packs = self.packs();
        let mut numbers = Vec::new();
        for entry in entries(&packs)? {
            let name = entry.map_err(failed("read", &packs))?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".pack")?.parse::<u32>().ok());
            numbers.extend(number);
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    pub(crate) fn packs(&self) -> PathBuf {
        self.dir.join("packs")
    }

    pub(crate) fn pack(&self, number: u32) -> PathBuf {
        self.packs().join(format!("{number:010}.pack"))
    }

    /// Where a full pack's listing is kept.
    pub(crate) fn listing(&self, number: u32) -> PathBuf {
        self.pack(number).with_extension("list")
    }

    pub(crate) fn temp(&self) -> PathBuf {
        self.dir.join("temp")
    }

    /// The directory of files whose digest begins with this byte.
    pub(crate) fn files_dir(&self, first: u8) -> PathBuf {
        self.dir.join("files").join(format!("{first:02x}"))
    }

    /// The file of a large blob.
    pub(crate) fn file(&self, digest: &Hash) -> PathBuf {
        self.files_dir(digest.as_bytes()[0]).join(digest.to_hex().as_str())
    }
}

/// What is in a directory; nothing when it is not there.
fn entries(dir: &Path) -> Result<impl Iterator<Item = io::Result<fs::DirEntry>>, OpenError> {
    match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None.into_iter().flatten()),
        entries => Ok(Some(entries.map_err(failed("read", dir))?).into_iter().flatten()),
    }
}

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir)?.sync_all()
}

/// Closes a directory to others that an earlier version has made: somebody may stand in it.
fn close(dir: &Path) -> Result<(), OpenError> {
    let metadata = fs::metadata(dir).map_err(failed("look at", dir))?;
    if metadata.is_dir() && metadata.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(dir, fs::Permissions::from_mode(PRIVATE)).map_err(failed("close", dir))?;
    }
    Ok(())
}

fn make_dir(dir: &Path) -> Result<(), OpenError> {
    match fs::DirBuilder::new().mode(PRIVATE).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => close(dir),
        Err(error) => Err(failed("create", dir)(error)),
        Ok(()) => Ok(()),
    }
}

/// Turns an error into one that says what was being done to which path.
pub(crate) fn failed(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io { doing, path: path.clone(), source }
}
