//! Directories that nobody but their owner can look into, whatever the umask.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::{fs::OFlags, process::geteuid};

/// Mode of a private directory.
const PRIVATE: u32 = 0o700;

/// Every bit that lets anybody but the owner in.
const OTHERS: u32 = 0o077;

/// Bit with which many users share a directory.
const STICKY: u32 = 0o1000;

/// Why a directory cannot be used as a private one.
#[derive(Debug, thiserror::Error)]
pub enum PrivateDirError {
    /// It is somebody else's.
    #[error(
        "{} belongs to {}, not to {}, as whom this runs",
        dir.display(), shown(*owner), shown(*me)
    )]
    NotOurs {
        /// The directory.
        dir: PathBuf,
        /// Number of the user it belongs to.
        owner: u32,
        /// Number of the user we are.
        me: u32,
    },
    /// Many users share it.
    #[error("{} is a directory that many users write to, so nothing is kept in it", dir.display())]
    Shared {
        /// The directory.
        dir: PathBuf,
    },
    /// It cannot be made or looked at.
    #[error("cannot use the directory {}", dir.display())]
    Io {
        /// The directory.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn shown(number: u32) -> String {
    if number == 0 { "root".to_owned() } else { format!("user {number}") }
}

/// A directory that only we can look into.
#[derive(Debug)]
pub struct PrivateDir {
    handle: File,
    mended: Option<u32>,
}

impl PrivateDir {
    /// Opens a directory, or makes it with all above it; those above get the usual modes. One that others can look into is
    /// closed to them, see [`PrivateDir::mended`].
    ///
    /// # Errors
    /// When it belongs to another user or many write to it, before anything was changed; when it cannot be made.
    pub fn open(dir: &Path) -> Result<Self, PrivateDirError> {
        let (handle, mode) = open_ours(dir)?;
        let others = mode & OTHERS != 0;
        if mode != PRIVATE {
            handle.set_permissions(Permissions::from_mode(PRIVATE)).map_err(failed(dir))?;
        }
        Ok(Self { handle, mended: others.then_some(mode) })
    }

    /// Opens or makes a directory in which only the entries `ours` are ours. One that has others too keeps its mode: it is a
    /// directory of its owner's, such as a home, and ours are private themselves.
    ///
    /// # Errors
    /// As [`PrivateDir::open`].
    pub fn open_around(dir: &Path, ours: &[&str]) -> Result<Self, PrivateDirError> {
        let is_ours =
            |entry: io::Result<fs::DirEntry>| entry.is_ok_and(|entry| ours.iter().any(|&our| entry.file_name() == our));
        match fs::read_dir(dir).map(|mut entries| entries.all(is_ours)) {
            Ok(false) => Ok(Self { handle: open_ours(dir)?.0, mended: None }),
            Ok(true) | Err(_) => Self::open(dir),
        }
    }

    /// The directory itself.
    #[must_use]
    pub fn into_handle(self) -> File {
        self.handle
    }

    /// The mode it had, if others could look into it until now: that is worth a word to its owner.
    #[must_use]
    pub fn mended(&self) -> Option<u32> {
        self.mended
    }
}

/// A directory of our own and its mode. Nothing that was there is changed.
fn open_ours(dir: &Path) -> Result<(File, u32), PrivateDirError> {
    let failed = failed(dir);
    let made = match DirBuilder::new().mode(PRIVATE).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let above = dir.parent().filter(|above| !above.as_os_str().is_empty());
            above.map_or(Ok(()), fs::create_dir_all).and_then(|()| DirBuilder::new().mode(PRIVATE).create(dir))
        }
        made => made,
    };
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
        _ => {}
    }
    // Anything else could make opening it wait.
    let handle =
        OpenOptions::new().read(true).custom_flags(OFlags::DIRECTORY.bits() as i32).open(dir).map_err(&failed)?;
    let metadata = handle.metadata().map_err(&failed)?;
    let (owner, me) = (metadata.uid(), geteuid().as_raw());
    if owner != me {
        return Err(PrivateDirError::NotOurs { dir: dir.to_owned(), owner, me });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & STICKY != 0 {
        return Err(PrivateDirError::Shared { dir: dir.to_owned() });
    }
    Ok((handle, mode))
}

fn failed(dir: &Path) -> impl Fn(io::Error) -> PrivateDirError + use<> {
    let dir = dir.to_owned();
    move |source| PrivateDirError::Io { dir: dir.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_is_made_is_private() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("above/data");
        let made = PrivateDir::open(&dir).unwrap();
        assert_eq!((made.mended(), mode(&dir)), (None, 0o700));
        assert_eq!(PrivateDir::open(&dir).unwrap().mended(), None);
    }

    #[test]
    fn what_others_could_read_is_mended_with_a_word() {
        let base = tempfile::tempdir().unwrap();
        for wide in [0o755, 0o710, 0o777, 0o2750] {
            set_mode(base.path(), wide);
            assert_eq!(PrivateDir::open(base.path()).unwrap().mended(), Some(wide), "{wide:o}");
            assert_eq!(mode(base.path()), 0o700);
        }
    }

    #[test]
    fn a_directory_that_many_share_is_left_alone() {
        let base = tempfile::tempdir().unwrap();
        set_mode(base.path(), 0o1777);
        for opened in [PrivateDir::open(base.path()), PrivateDir::open_around(base.path(), &[])] {
            assert!(matches!(opened, Err(PrivateDirError::Shared { .. })), "{opened:?}");
        }
        assert_eq!(mode(base.path()), 0o1777);
    }

    #[test]
    fn a_directory_with_other_things_in_it_keeps_its_mode() {
        let base = tempfile::tempdir().unwrap();
        set_mode(base.path(), 0o755);
        fs::create_dir(base.path().join("coordinator")).unwrap();
        fs::create_dir(base.path().join("letters")).unwrap();
        assert_eq!(PrivateDir::open_around(base.path(), &["coordinator"]).unwrap().mended(), None);
        assert_eq!(mode(base.path()), 0o755);
        fs::remove_dir(base.path().join("letters")).unwrap();
        assert_eq!(PrivateDir::open_around(base.path(), &["coordinator"]).unwrap().mended(), Some(0o755));
        assert_eq!(mode(base.path()), 0o700);
    }

    #[test]
    fn a_directory_of_another_user_is_refused_and_left_as_it_is() {
        if geteuid().is_root() {
            let base = tempfile::tempdir().unwrap();
            set_mode(base.path(), 0o755);
            std::os::unix::fs::chown(base.path(), Some(12_345), None).unwrap();
            let refused = PrivateDir::open(base.path()).unwrap_err();
            assert!(
                refused.to_string().ends_with("belongs to user 12345, not to root, as whom this runs"),
                "{refused}"
            );
            assert_eq!(mode(base.path()), 0o755);
        } else {
            let refused = PrivateDir::open(Path::new("/")).unwrap_err();
            assert!(refused.to_string().starts_with("/ belongs to root, not to user"), "{refused}");
        }
    }

    #[test]
    fn a_file_is_no_directory() {
        let base = tempfile::tempdir().unwrap();
        fs::write(base.path().join("file"), "").unwrap();
        assert!(matches!(PrivateDir::open(&base.path().join("file")), Err(PrivateDirError::Io { .. })));
    }
}
