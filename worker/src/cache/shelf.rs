//! The cache's files: which are here, which are in use, and which go first when room is needed.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use longshore_proto::namespace;

use super::blob::{CachedFile, FetchError};

/// Suffix of files that are being written.
const TEMPORARY: &str = "part";

/// Whose blob, and which. On the disk that is `DIGEST`, or `NAMESPACE/DIGEST`; no namespace's name is as long as a digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// Empty for the namespace that nobody names.
    pub namespace: Arc<str>,
    pub digest: blake3::Hash,
}

/// All files of a cache, and the room they take.
pub(super) struct Shelf {
    dir: PathBuf,
    max_bytes: u64,
    bytes: u64,
    /// Grows with each use; the smallest was used longest ago.
    clock: u64,
    files: HashMap<Key, Entry>,
    by_use: BTreeMap<u64, Key>,
    temporaries: u64,
}

struct Entry {
    path: Arc<Path>,
    size: u64,
    used: u64,
    state: State,
    /// Shared with every [`CachedFile`]: more than one owner means in use.
    in_use: Arc<()>,
}

#[derive(PartialEq, Eq)]
enum State {
    /// Being written: its room is taken, and it cannot be evicted.
    Reserved,
    /// From an earlier life.
    Unverified,
    Ready,
}

/// What the shelf says of a blob.
pub(super) enum Lookup {
    Ready(CachedFile),
    /// Here since an earlier life, to be verified before use.
    Unverified(CachedFile),
    Absent,
}

/// Where a blob shall be written, and where it then goes.
pub(super) struct Place {
    pub temporary: PathBuf,
    pub path: PathBuf,
}

impl Shelf {
    pub(super) fn open(dir: &Path, max_bytes: u64) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let mut shelf = Self {
            dir: dir.to_path_buf(),
            max_bytes,
            bytes: 0,
            clock: 0,
            files: HashMap::new(),
            by_use: BTreeMap::new(),
            temporaries: 0,
        };
        for (_, key, size) in shelf.left_behind()? {
            shelf.insert(key, size, State::Unverified);
        }
        shelf.evict_down_to(max_bytes);
        Ok(shelf)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Files of an earlier life, oldest first. Others are removed, the unfinished among them.
    fn left_behind(&self) -> io::Result<Vec<(SystemTime, Key, u64)>> {
        let mut found = Vec::new();
        left_in(&self.dir, &"".into(), &mut found)?;
        for entry in std::fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            if let Some(name) = name.to_str().filter(|name| namespace::check(name).is_ok())
                && entry.file_type()?.is_dir()
            {
                left_in(&entry.path(), &name.into(), &mut found)?;
            }
        }
        found.sort_by_key(|(modified, ..)| *modified);
        Ok(found)
    }

    /// Finds a file and marks it as used now.
    pub(super) fn look_up(&mut self, key: &Key, size: u64) -> Lookup {
        self.clock += 1;
        let Some(entry) = self.files.get_mut(key) else { return Lookup::Absent };
        if entry.state == State::Reserved || entry.size != size {
            return Lookup::Absent;
        }
        self.by_use.remove(&entry.used);
        entry.used = self.clock;
        self.by_use.insert(entry.used, key.clone());
        let file = CachedFile { path: Arc::clone(&entry.path), _in_use: Arc::clone(&entry.in_use) };
        match entry.state {
            State::Ready => Lookup::Ready(file),
            _ => Lookup::Unverified(file),
        }
    }

    /// Takes room for a blob that will be written, evicting what was used longest ago.
    pub(super) fn reserve(&mut self, key: &Key, size: u64) -> Result<Place, FetchError> {
        let digest = key.digest;
        // A file of that name but another size is not the blob.
        self.remove(key);
        self.evict_down_to(self.max_bytes.saturating_sub(size));
        if self.bytes.saturating_add(size) > self.max_bytes {
            return Err(FetchError::NoRoom { digest, size, bound: self.max_bytes, in_use: self.bytes });
        }
        let path = self.path(key);
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).map_err(|cause| FetchError::Disk { digest, cause: Arc::new(cause) })?;
        }
        self.insert(key.clone(), size, State::Reserved);
        self.temporaries += 1;
        let temporary = self.dir.join(format!("{}.{TEMPORARY}", self.temporaries));
        Ok(Place { temporary, path })
    }

    /// A reserved file has been written.
    pub(super) fn fill(&mut self, key: &Key) -> CachedFile {
        let entry = self.files.get_mut(key).expect("a reserved entry is only removed by its own transfer");
        entry.state = State::Ready;
        CachedFile { path: Arc::clone(&entry.path), _in_use: Arc::clone(&entry.in_use) }
    }

    /// An unverified file is what it should be.
    pub(super) fn verified(&mut self, key: &Key) {
        if let Some(entry) = self.files.get_mut(key) {
            entry.state = State::Ready;
        }
    }

    /// Forgets a file and removes it.
    pub(super) fn remove(&mut self, key: &Key) {
        let Some(entry) = self.files.remove(key) else { return };
        self.by_use.remove(&entry.used);
        self.bytes -= entry.size;
        if entry.state != State::Reserved {
            let _ = std::fs::remove_file(&entry.path);
        }
    }

    fn insert(&mut self, key: Key, size: u64, state: State) {
        self.clock += 1;
        self.bytes += size;
        self.by_use.insert(self.clock, key.clone());
        let entry = Entry { path: self.path(&key).into(), size, used: self.clock, state, in_use: Arc::new(()) };
        self.files.insert(key, entry);
    }

    fn evict_down_to(&mut self, bytes: u64) {
        let mut after = 0;
        while self.bytes > bytes {
            let oldest = self.by_use.range(after..).find(|(_, key)| self.is_idle(key));
            let Some((used, key)) = oldest.map(|(used, key)| (*used, key.clone())) else { return };
            self.remove(&key);
            after = used + 1;
        }
    }

    fn is_idle(&self, key: &Key) -> bool {
        self.files.get(key).is_some_and(|entry| entry.state != State::Reserved && Arc::strong_count(&entry.in_use) == 1)
    }

    fn path(&self, key: &Key) -> PathBuf {
        // Without a name that is the directory itself.
        self.dir.join(&*key.namespace).join(key.digest.to_hex().as_str())
    }
}

/// Finds the files of a namespace that an earlier life left in its directory, and removes what else is there.
fn left_in(dir: &Path, namespace: &Arc<str>, found: &mut Vec<(SystemTime, Key, u64)>) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let digest = entry.file_name().to_str().and_then(|name| blake3::Hash::from_hex(name).ok());
        match digest {
            Some(digest) if metadata.is_file() => {
                let key = Key { namespace: Arc::clone(namespace), digest };
                found.push((metadata.modified()?, key, metadata.len()));
            }
            _ => {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
    Ok(())
}
