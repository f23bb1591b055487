//! The directory: `lock`, `high-water`, `ballast`, and sled's own `db/`; who holds it; making names durable.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use crate::OpenError;

/// Where things lie below the directory.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) dir: PathBuf,
}

impl Layout {
    /// Makes the directory, for nobody else to look into and durable up to its name, and takes its lock.
    pub(crate) fn open(dir: &Path) -> Result<(Self, DirLock), OpenError> {
        let layout = Self { dir: dir.to_owned() };
        let fresh = !dir.exists();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed("create", dir))?;
        // An earlier version may have left it open to others.
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(failed("close", dir))?;
        if fresh {
            let parent = dir.parent().unwrap_or(dir);
            sync_path(parent).map_err(failed("sync", parent))?;
        }
        let lock = DirLock::take(&layout)?;
        Ok((layout, lock))
    }

    /// The directory given to sled.
    pub(crate) fn sled(&self) -> PathBuf {
        self.dir.join("db")
    }

    /// The file sled appends its log to: the one that has to be synced.
    pub(crate) fn log(&self) -> PathBuf {
        self.sled().join("db")
    }

    pub(crate) fn high_water(&self) -> PathBuf {
        self.dir.join("high-water")
    }

    pub(crate) fn ballast(&self) -> PathBuf {
        self.dir.join("ballast")
    }

    fn lock(&self) -> PathBuf {
        self.dir.join("lock")
    }

    /// Removes snapshots that a crash left half written: sled would take one for the newest and fail. The finished ones
    /// must never be removed: without them damage becomes silent loss.
    pub(crate) fn clear_torn_snapshots(&self) -> Result<(), OpenError> {
        let sled = self.sled();
        let entries = match fs::read_dir(&sled) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(failed("read", &sled))?,
        };
        for entry in entries {
            let path = entry.map_err(failed("read", &sled))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.starts_with("snap.") && name.ends_with(".generating") {
                tracing::warn!(path = %path.display(), "removing a snapshot that a crash left half written");
                fs::remove_file(&path).map_err(failed("remove", &path))?;
            }
        }
        Ok(())
    }

    /// Makes durable what sled itself never syncs: its settings file and all names.
    pub(crate) fn sync_names(&self) -> Result<(), OpenError> {
        let sled = self.sled();
        let conf = sled.join("conf");
        for path in [conf.as_path(), sled.as_path(), self.dir.as_path()] {
            sync_path(path).map_err(failed("sync", path))?;
        }
        Ok(())
    }
}

/// The lock on a directory, held until dropped.
#[derive(Debug)]
pub(crate) struct DirLock {
    file: File,
}

impl DirLock {
    fn take(layout: &Layout) -> Result<Self, OpenError> {
        let path = layout.lock();
        let opened = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = opened.map_err(failed("create", &path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(OpenError::InUse { dir: layout.dir.clone(), pid: holder(&mut file) });
            }
            Err(error) => return Err(failed("lock", &path)(error.into())),
        }
        let told = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        told.map_err(failed("write", &path))?;
        Ok(Self { file })
    }
}

impl DirLock {
    /// Keeps the directory from being opened, without changing it; `None` when it never was.
    pub(crate) fn share(layout: &Layout) -> Result<Option<Self>, OpenError> {
        let path = layout.lock();
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(failed("open", &path))?,
        };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(Some(Self { file })),
            Err(Errno::WOULDBLOCK) => Err(OpenError::InUse { dir: layout.dir.clone(), pid: holder(&mut file) }),
            Err(error) => Err(failed("lock", &path)(error.into())),
        }
    }
}

impl Drop for DirLock {
    fn drop(&mut self) {
        // Closing is not enough: a child being started at this moment may hold a copy of the descriptor.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

/// The process that wrote its number into the lock file.
fn holder(file: &mut File) -> Option<u32> {
    let mut told = String::new();
    file.take(32).read_to_string(&mut told).ok()?;
    told.trim().parse().ok()
}

/// Makes a file, or the names in a directory, durable.
pub(crate) fn sync_path(path: &Path) -> io::Result<()> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path)?.sync_all()
}

/// Turns an error into one that says what was being done to which path.
pub(crate) fn failed(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io { doing, path: path.clone(), source }
}
