//! The worker's own directory: who it is, that nobody else uses it, and which life was here before.

mod identity;
mod life;

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use longshore_local::{PrivateDir, PrivateDirError};
use longshore_trust::{Identity, Key};
use rustix::fs::{FlockOperation, flock};
use uuid::Uuid;

pub use self::identity::{IdentityError, Unfit};

/// The file with the worker's id.
const ID: &str = "worker-id";

/// A worker's directory, locked for as long as this lives.
#[derive(Debug)]
pub struct Home {
    id: Uuid,
    dir: PathBuf,
    previous: Option<Uuid>,
    lock: File,
}

/// Said at once: a process that is just being started elsewhere in this one has the lock's descriptor too, until it is another program.
impl Drop for Home {
    fn drop(&mut self) {
        // Closing it would unlock it a moment later.
        let _ = flock(&self.lock, FlockOperation::Unlock);
    }
}

/// Why a directory cannot be a worker's home.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Another worker lives there.
    #[error("{} is in use by another worker; give this one its own with --data", .0.display())]
    InUse(PathBuf),
    /// It is somebody else's, or cannot be made.
    #[error("the worker's directory cannot be used")]
    Directory(#[from] PrivateDirError),
    /// Who lived there cannot be told.
    #[error("{} does not hold the id of a worker; remove it to make this a new worker, or give it another --data", .0.display())]
    NoId(PathBuf),
    /// Who it is to other machines cannot be told or kept.
    #[error(transparent)]
    Identity(#[from] IdentityError),
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
    /// Opens or makes the directory, closes it to others, locks it, and reads or makes the worker's id.
    ///
    /// # Errors
    /// When it is in use, somebody else's, or cannot be written; when the id that is there cannot be read.
    pub fn open(dir: &Path) -> Result<Self, HomeError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| HomeError::Io { path, source }
        };
        let private = PrivateDir::open(dir, is_ours)?;
        if let Some(mode) = private.mended() {
            tracing::warn!(dir = %dir.display(), "others could look into the worker's directory (mode {mode:o}): closed to them");
        }
        // Docker wants absolute paths, and the working directory may change.
        let dir = private.path().to_owned();
        let lock = private.into_handle();
        if let Err(error) = flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            return Err(match io::Error::from(error) {
                held if held.kind() == io::ErrorKind::WouldBlock => HomeError::InUse(dir),
                source => HomeError::Io { path: dir, source },
            });
        }
        let path = dir.join(ID);
        let id = match fs::read_to_string(&path) {
            // Containers carry it: under another one nobody would look for what this worker has left.
            Ok(text) => Uuid::parse_str(text.trim()).map_err(|_| HomeError::NoId(path))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => new_id(&dir, &lock).map_err(io(&path))?,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(HomeError::NoId(path)),
            Err(source) => return Err(HomeError::Io { path, source }),
        };
        let previous = life::ended(&dir, &lock);
        Ok(Self { id, dir, previous, lock })
    }

    /// The worker's id, for as long as the directory lives.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The life that was the last to be welcome somewhere from this very directory, if that has certainly ended: it cannot
    /// be told of a directory that was copied or moved, nor after another start of the machine.
    #[must_use]
    pub fn previous(&self) -> Option<Uuid> {
        self.previous
    }

    /// This life is welcome. It is there whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written: then nothing can be told of this life later.
    pub fn keep_life(&self, life: Uuid) -> io::Result<()> {
        life::keep(&self.dir, &self.lock, life)
    }

    /// This life ends in order, and nothing it ran is left: then nobody has to be told later that it has ended.
    ///
    /// # Errors
    /// When what was kept of it cannot be removed.
    pub fn forget_life(&self, life: Uuid) -> io::Result<()> {
        life::forget(&self.dir, &self.lock, life)
    }

    /// The worker's key; made when it is asked for the first time.
    ///
    /// # Errors
    /// When it cannot be read, made or kept.
    pub fn key(&self) -> Result<Arc<Key>, HomeError> {
        Ok(identity::key(&self.dir)?)
    }

    /// Who this worker is, if it has ever joined.
    ///
    /// # Errors
    /// When what is kept cannot be read, or makes no sense.
    pub fn identity(&self) -> Result<Option<Identity>, HomeError> {
        Ok(identity::load(&self.dir)?)
    }

    /// From now on, also after a power cut, this worker is this one.
    ///
    /// # Errors
    /// When it cannot be written: then everything is as it was.
    pub fn keep_identity(&self, identity: &Identity) -> Result<(), HomeError> {
        Ok(identity::keep(&self.dir, identity)?)
    }

    /// Where it is remembered whose the images are that were pulled here.
    #[must_use]
    pub fn pulled(&self) -> PathBuf {
        self.dir.join("pulled.json")
    }

    /// The directory, absolute.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

/// What a worker keeps in its directory.
fn is_ours(name: &str) -> bool {
    const DIRECTORIES: [&str; 5] = ["cache", "replicas", "shim", "slots", "trial"];
    [ID, "worker-id.new", identity::DIR, life::FILE, life::ASIDE, "pulled.json", "pulled.json.new"].contains(&name)
        || DIRECTORIES.contains(&name)
}

/// Makes an id. It is there whole or not at all, also after a power cut.
fn new_id(dir: &Path, handle: &File) -> io::Result<Uuid> {
    let (id, aside) = (Uuid::new_v4(), dir.join("worker-id.new"));
    let mut file = File::create(&aside)?;
    file.write_all(id.to_string().as_bytes())?;
    file.sync_all()?;
    fs::rename(aside, dir.join(ID))?;
    handle.sync_all()?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_home_is_private_and_keeps_its_id() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("worker");
        let id = Home::open(&dir).unwrap().id();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(Home::open(&dir).unwrap().id(), id);
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o7777, 0o700);
    }

    #[test]
    fn what_a_trial_left_does_not_make_a_home_somebody_elses() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("worker");
        fs::create_dir_all(dir.join("trial")).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        Home::open(&dir).unwrap();
    }

    #[test]
    fn a_home_is_one_workers() {
        let base = tempfile::tempdir().unwrap();
        let first = Home::open(base.path()).unwrap();
        assert!(matches!(Home::open(base.path()), Err(HomeError::InUse(_))));
        drop(first);
        Home::open(base.path()).unwrap();
    }

    #[test]
    fn an_id_that_cannot_be_read_is_an_error_and_stays_as_it_is() {
        for torn in [&b""[..], b"0123", b"\xff\xfe", b"not an id at all, not an id at all...."] {
            let base = tempfile::tempdir().unwrap();
            fs::write(base.path().join(ID), torn).unwrap();
            let refused = Home::open(base.path()).unwrap_err();
            assert!(matches!(refused, HomeError::NoId(_)), "{refused}");
            assert!(refused.to_string().contains("worker-id does not hold the id"), "{refused}");
            assert_eq!(fs::read(base.path().join(ID)).unwrap(), torn);
        }
        let base = tempfile::tempdir().unwrap();
        fs::create_dir(base.path().join(ID)).unwrap();
        assert!(matches!(Home::open(base.path()), Err(HomeError::Io { .. })));
    }
}
