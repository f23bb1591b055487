//! The rooms of all namespaces but the default one: those that are there, and how one is made.

use std::{
    collections::BTreeMap,
    fs::{DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard},
};

use longshore_blobs::{LocalBlobs, PutError};
use longshore_core::Namespace;

use crate::limits;

/// Name of the default namespace's directory.
pub const DEFAULT: &str = "blobs";

/// Name of the directory of all others.
pub const OTHERS: &str = "rooms";

/// There are as many rooms as may be.
#[derive(Debug, thiserror::Error)]
#[error("there is no room for another namespace on this coordinator: ask its operator")]
pub struct NoMoreRooms;

/// See the module.
#[derive(Debug)]
pub struct Others {
    /// The data directory.
    dir: PathBuf,
    open: RwLock<BTreeMap<Namespace, Arc<LocalBlobs>>>,
    /// Held by whoever makes a room.
    making: Mutex<()>,
}

impl Others {
    /// Those that are there.
    pub fn new(dir: &Path, open: BTreeMap<Namespace, Arc<LocalBlobs>>) -> Self {
        Self { dir: dir.to_owned(), open: RwLock::new(open), making: Mutex::default() }
    }

    /// All of them.
    pub fn all(&self) -> BTreeMap<Namespace, Arc<LocalBlobs>> {
        self.read().clone()
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Namespace, Arc<LocalBlobs>>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The room, if it is there.
    pub fn found(&self, namespace: &Namespace) -> Option<Arc<LocalBlobs>> {
        self.read().get(namespace).cloned()
    }

    /// The room, made if it is not there.
    pub fn made(&self, namespace: &Namespace) -> Result<Arc<LocalBlobs>, PutError> {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(room) = self.found(namespace) {
            return Ok(room);
        }
        let path = place(&self.dir, namespace);
        let most = limits::ROOMS;
        if self.read().len() >= most {
            tracing::error!(most, %namespace, "as many namespaces have blobs as may: there is no room for another");
            return Err(PutError::Full { path, source: io::Error::other(NoMoreRooms) });
        }
        let failed = |source| PutError::Io { doing: "make", path: path.clone(), source };
        make_others(&self.dir).map_err(failed)?;
        let opened = LocalBlobs::open(&path, &[], false).map_err(|error| failed(io::Error::other(error)))?;
        let room = Arc::new(opened.blobs);
        self.open.write().unwrap_or_else(PoisonError::into_inner).insert(namespace.clone(), Arc::clone(&room));
        Ok(room)
    }
}

/// Where the blobs of a namespace are in a data directory.
pub fn place(dir: &Path, namespace: &Namespace) -> PathBuf {
    if namespace.is_default() { dir.join(DEFAULT) } else { dir.join(OTHERS).join(namespace.name()) }
}

/// The directory of all rooms but the default one; its name is durable then.
fn make_others(dir: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(dir.join(OTHERS)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(()) => File::open(dir)?.sync_all(),
    }
}
