//! Rooms: the blobs of each namespace, apart from those of all others.
//!
//! The default namespace's are in `blobs`, as all were before there were others; each other one's are in `rooms/NAME`, which is made
//! when something is first put there. Nothing is shared between rooms: that a blob is here already says nothing of anybody else,
//! and what a namespace takes up can be told, and taken away, by itself.

mod others;
mod room;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
    sync::{Arc, Weak},
};

use longshore_blobs::{BlobStore, Holding, LocalBlobs, MAX_CHECKPOINT, OpenError};
use longshore_core::Namespace;
use longshore_proto::namespace;

pub use self::others::{DEFAULT, NoMoreRooms, OTHERS, place};
use self::{others::Others, room::Room};

/// The blobs of a namespace cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the blobs{}", of(.namespace))]
pub struct RoomError {
    /// Whose they are.
    pub namespace: Namespace,
    /// Why.
    #[source]
    pub source: OpenError,
}

fn of(namespace: &Namespace) -> String {
    if namespace.is_default() { String::new() } else { format!(" of namespace {namespace}") }
}

/// All rooms. Cheap to clone; clones are the same rooms.
#[derive(Debug, Clone)]
pub struct Rooms {
    inner: Arc<Inner>,
}

/// The rooms, as long as somebody else has them.
#[derive(Debug, Clone)]
pub struct WeakRooms(Weak<Inner>);

impl WeakRooms {
    /// The rooms, if they are still open.
    pub fn upgrade(&self) -> Option<Rooms> {
        self.0.upgrade().map(|inner| Rooms { inner })
    }
}

#[derive(Debug)]
struct Inner {
    default: Arc<dyn BlobStore>,
    others: Arc<Others>,
}

/// What opening all rooms came to.
#[derive(Debug)]
pub struct Opened {
    /// The rooms.
    pub rooms: Rooms,
    /// What is given up for lost, and whose it was: it must not be expected at the next opening.
    pub gone: Vec<(Namespace, Holding)>,
}

impl Rooms {
    /// Opens the rooms of a data directory: those that are there, and those that must be. See [`LocalBlobs::open`].
    ///
    /// # Errors
    /// Those of the first room that cannot be opened.
    pub fn open(dir: &Path, holdings: &[(Namespace, Holding)], accept_loss: bool) -> Result<Opened, RoomError> {
        let mut gone = Vec::new();
        let mut open = |namespace: &Namespace| {
            let own = holdings.iter().filter(|(whose, _)| whose == namespace).map(|(_, holding)| *holding);
            let own: Vec<Holding> = own.collect();
            let opened = LocalBlobs::open(place(dir, namespace), &own, accept_loss);
            let opened = opened.map_err(|source| RoomError { namespace: namespace.clone(), source })?;
            gone.extend(opened.gone.into_iter().map(|holding| (namespace.clone(), holding)));
            Ok(opened.blobs)
        };
        let default = Arc::new(open(&Namespace::default())?);
        let mut others = BTreeMap::new();
        for namespace in others_in(dir, holdings)? {
            others.insert(namespace.clone(), Arc::new(open(&namespace)?));
        }
        let others = Arc::new(Others::new(dir, others));
        let rooms = Self { inner: Arc::new(Inner { default, others }) };
        Ok(Opened { rooms, gone })
    }

    /// The default namespace's room alone, over any store.
    #[cfg(test)]
    pub fn of_default(default: Arc<dyn BlobStore>) -> Self {
        let others = Arc::new(Others::new(Path::new("/nonexistent"), BTreeMap::new()));
        Self { inner: Arc::new(Inner { default, others }) }
    }

    /// For whoever shall not keep them open.
    pub fn downgrade(&self) -> WeakRooms {
        WeakRooms(Arc::downgrade(&self.inner))
    }

    /// Whether there are blobs in a data directory. Nothing is changed.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_anything_in(dir: &Path) -> Result<bool, RoomError> {
        let mut all = others_in(dir, &[])?;
        all.insert(Namespace::default());
        for namespace in all {
            let found = LocalBlobs::is_anything_in(&place(dir, &namespace));
            if found.map_err(|source| RoomError { namespace, source })? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The blobs of a namespace. Where it has none, nothing is found and nothing made until something is put.
    pub fn of(&self, namespace: &Namespace) -> Arc<dyn BlobStore> {
        if namespace.is_default() {
            return Arc::clone(&self.inner.default);
        }
        match self.inner.others.found(namespace) {
            Some(room) => room,
            None => Arc::new(Room::new(Arc::clone(&self.inner.others), namespace.clone())),
        }
    }

    /// Whether a namespace has a room: once something of it was put.
    pub fn is_there(&self, namespace: &Namespace) -> bool {
        namespace.is_default() || self.inner.others.found(namespace).is_some()
    }

    /// All that all rooms must hold from now on and have not answered before, once it is durable.
    ///
    /// # Errors
    /// As for [`BlobStore::checkpoint`].
    pub fn checkpoint(&self) -> io::Result<Vec<(Namespace, Holding)>> {
        let mut all = Vec::new();
        collect(&Namespace::default(), &*self.inner.default, &mut all)?;
        for (namespace, room) in self.inner.others.all() {
            collect(&namespace, &*room, &mut all)?;
        }
        Ok(all)
    }
}

/// All that a room holds, however much was put since it was last asked.
fn collect(namespace: &Namespace, room: &dyn BlobStore, all: &mut Vec<(Namespace, Holding)>) -> io::Result<()> {
    loop {
        let held = room.checkpoint()?;
        let count = held.len();
        all.extend(held.into_iter().map(|holding| (namespace.clone(), holding)));
        if count < MAX_CHECKPOINT {
            return Ok(());
        }
    }
}

/// The namespaces beside the default one that have a directory, or something that must be there.
pub fn others_in(dir: &Path, holdings: &[(Namespace, Holding)]) -> Result<BTreeSet<Namespace>, RoomError> {
    let dir = dir.join(OTHERS);
    let mut found: BTreeSet<Namespace> =
        holdings.iter().map(|(whose, _)| whose).filter(|whose| !whose.is_default()).cloned().collect();
    let unreadable = |source| {
        let source = OpenError::Io { doing: "read", path: dir.clone(), source };
        RoomError { namespace: Namespace::default(), source }
    };
    let entries = match fs::read_dir(&dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries.map_err(unreadable)?,
    };
    for entry in entries {
        let name = entry.map_err(unreadable)?.file_name();
        let name = name.to_str().filter(|name| namespace::check(name).is_ok() && *name != namespace::DEFAULT);
        found.extend(name.map(Namespace::named));
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
