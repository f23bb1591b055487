//! The worker's own directory: who it is, and that nobody else uses it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};
use uuid::Uuid;

/// A worker's directory, locked for as long as this lives.
#[derive(Debug)]
pub struct Home {
    id: Uuid,
    dir: PathBuf,
    _lock: File,
}

/// Why a directory cannot be a worker's home.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Another worker lives there.
    #[error("{} is in use by another worker; give this one its own with --data", .0.display())]
    InUse(PathBuf),
    /// It cannot be used.
    #[error("cannot use {}", path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Home {
    /// Opens or makes the directory, locks it, and reads or makes the worker's id.
    ///
    /// # Errors
    /// When it is in use or cannot be written.
    pub fn open(dir: &Path) -> Result<Self, HomeError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| HomeError::Io { path, source }
        };
        fs::create_dir_all(dir).map_err(io(dir))?;
        // Docker wants absolute paths, and the working directory may change.
        let dir = fs::canonicalize(dir).map_err(io(dir))?;
        let path = dir.join("worker-id");
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(io(&path))?;
        if let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            return Err(match io::Error::from(error) {
                held if held.kind() == io::ErrorKind::WouldBlock => HomeError::InUse(dir),
                source => HomeError::Io { path, source },
            });
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(io(&path))?;
        let id = match Uuid::parse_str(text.trim()) {
            Ok(id) => id,
            Err(_) => {
                // New, or torn by a power cut: containers of the id before carry labels nobody looks for any more, but
                // a torn id was never used to start one.
                let id = Uuid::new_v4();
                file.set_len(0).map_err(io(&path))?;
                file.write_all(id.to_string().as_bytes()).map_err(io(&path))?;
                file.sync_all().map_err(io(&path))?;
                id
            }
        };
        Ok(Self { id, dir, _lock: file })
    }

    /// The worker's id, for as long as the directory lives.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The directory, absolute.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}
