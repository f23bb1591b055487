//! Directories that nobody but their owner can look into, whatever the umask.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::OFlags,
    process::{getegid, geteuid},
};

/// Mode of a private directory, and of those above it that are made on the way.
const PRIVATE: u32 = 0o700;
const ABOVE: u32 = 0o755;

/// Every bit that lets anybody but the owner in, and those that let them write.
const OTHERS: u32 = 0o077;
const OTHERS_WRITE: u32 = 0o022;

/// With it, only their owners rename or remove the entries of a directory.
const STICKY: u32 = 0o1000;

/// Why a directory cannot be used as a private one.
#[derive(Debug, thiserror::Error)]
pub enum PrivateDirError {
    /// It is somebody else's.
    #[error("{} belongs to {}, not to {}, as whom this runs", dir.display(), shown(*owner), shown(*me))]
    NotOurs {
        /// The directory.
        dir: PathBuf,
        /// Number of the user it belongs to.
        owner: u32,
        /// Number of the user we are.
        me: u32,
    },
    /// Others can write to a directory above it.
    #[error(
        "others can write to {} (mode {mode:o}), and so put something else in the place of {}",
        above.display(), dir.display()
    )]
    Replaceable {
        /// The directory.
        dir: PathBuf,
        /// A directory above it.
        above: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A directory above it is somebody else's.
    #[error("{} belongs to {}, who could put something else in the place of {}", above.display(), shown(*owner), dir.display())]
    Below {
        /// The directory.
        dir: PathBuf,
        /// A directory above it.
        above: PathBuf,
        /// Number of the user it belongs to.
        owner: u32,
    },
    /// It holds other things, and to close it would close those.
    #[error("{} holds other things too, such as {entry:?}, and others can get at it (mode {mode:o})", dir.display())]
    Shared {
        /// The directory.
        dir: PathBuf,
        /// One of the things.
        entry: OsString,
        /// Its mode.
        mode: u32,
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

impl PrivateDirError {
    /// The next thing to do, where there is one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Replaceable { above, .. } => {
                Some(format!("`chmod go-w {}`, or choose a place that only you can write to", above.display()))
            }
            Self::Shared { dir, .. } => {
                Some(format!("`chmod 700 {}` if it is yours alone, or name a directory of its own", dir.display()))
            }
            Self::NotOurs { .. } | Self::Below { .. } => {
                Some("choose another place, or run this as the user whose place it is".to_owned())
            }
            Self::Io { .. } => None,
        }
    }
}

fn shown(number: u32) -> String {
    if number == 0 { "root".to_owned() } else { format!("user {number}") }
}

/// A directory that only we can look into, below others in which nobody can put something else in its place.
#[derive(Debug)]
pub struct PrivateDir {
    path: PathBuf,
    handle: File,
    mended: Option<u32>,
}

impl PrivateDir {
    /// Opens a directory, or makes it with all above it. One that others can look into is closed to them, see
    /// [`PrivateDir::mended`], if there is nothing in it but what `is_ours`.
    ///
    /// # Errors
    /// When it belongs to another user, others could replace it, or it holds other things and is open to others: before
    /// anything was changed. When it cannot be made.
    pub fn open(dir: &Path, is_ours: impl Fn(&str) -> bool) -> Result<Self, PrivateDirError> {
        let (path, handle, mode) = open_ours(dir)?;
        let others = mode & OTHERS != 0;
        if others && let Some(entry) = other_thing(dir, is_ours)? {
            return Err(PrivateDirError::Shared { dir: dir.to_owned(), entry, mode });
        }
        if mode & 0o777 != PRIVATE {
            handle.set_permissions(Permissions::from_mode(PRIVATE)).map_err(failed(dir))?;
        }
        Ok(Self { path, handle, mended: others.then_some(mode) })
    }

    /// The same; but one that holds other things keeps its mode, if others cannot write to it: it is a directory of its
    /// owner's, such as a home, and what is ours in it is private itself.
    ///
    /// # Errors
    /// As [`PrivateDir::open`].
    pub fn open_around(dir: &Path, is_ours: impl Fn(&str) -> bool) -> Result<Self, PrivateDirError> {
        match Self::open(dir, is_ours) {
            Err(PrivateDirError::Shared { mode, .. }) if mode & OTHERS_WRITE == 0 => {
                let (path, handle, _) = open_ours(dir)?;
                Ok(Self { path, handle, mended: None })
            }
            opened => opened,
        }
    }

    /// Where it is, without links: nobody but root and we can change what that leads to.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
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

fn other_thing(dir: &Path, is_ours: impl Fn(&str) -> bool) -> Result<Option<OsString>, PrivateDirError> {
    for entry in fs::read_dir(dir).map_err(failed(dir))? {
        let name = entry.map_err(failed(dir))?.file_name();
        // Every file system of its own has that one.
        if !name.to_str().is_some_and(|name| name == "lost+found" || is_ours(name)) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// A directory of our own, where it is without links, and its mode. Nothing that was there is changed.
fn open_ours(dir: &Path) -> Result<(PathBuf, File, u32), PrivateDirError> {
    let failed = failed(dir);
    if !dir.exists() {
        let whole = std::path::absolute(dir).map_err(&failed)?;
        // Before anything is made: what is there already decides whether it may be.
        if let Some(above) = whole.ancestors().skip(1).find(|above| above.exists()) {
            ensure_in_place(dir, fs::canonicalize(above).map_err(&failed)?.ancestors())?;
        }
        if let Some(above) = whole.parent() {
            DirBuilder::new().recursive(true).mode(ABOVE).create(above).map_err(&failed)?;
        }
        match DirBuilder::new().mode(PRIVATE).create(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
            _ => {}
        }
    }
    let whole = fs::canonicalize(dir).map_err(&failed)?;
    // Anything but a directory could make opening it wait.
    let handle =
        OpenOptions::new().read(true).custom_flags(OFlags::DIRECTORY.bits() as i32).open(&whole).map_err(&failed)?;
    let metadata = handle.metadata().map_err(&failed)?;
    let (owner, me) = (metadata.uid(), geteuid().as_raw());
    if owner != me {
        return Err(PrivateDirError::NotOurs { dir: dir.to_owned(), owner, me });
    }
    ensure_in_place(dir, whole.ancestors().skip(1))?;
    Ok((whole, handle, metadata.mode() & 0o7777))
}

/// Nobody but root and we can put something else in the place of what is below these.
fn ensure_in_place<'a>(dir: &Path, above: impl Iterator<Item = &'a Path>) -> Result<(), PrivateDirError> {
    let (me, my_group) = (geteuid().as_raw(), getegid().as_raw());
    for above in above {
        let metadata = fs::metadata(above).map_err(failed(dir))?;
        let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
        let (dir, above) = (dir.to_owned(), above.to_owned());
        if owner != 0 && owner != me {
            return Err(PrivateDirError::Below { dir, above, owner });
        }
        // The group that a user's processes have is that user's own by the custom of most systems.
        let writers = if metadata.gid() == my_group { 0o002 } else { OTHERS_WRITE };
        if mode & writers != 0 && mode & STICKY == 0 {
            return Err(PrivateDirError::Replaceable { dir, above, mode });
        }
    }
    Ok(())
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

    fn nothing(_: &str) -> bool {
        false
    }

    #[test]
    fn what_is_made_is_private() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("above/data");
        let made = PrivateDir::open(&dir, nothing).unwrap();
        assert_eq!((made.mended(), mode(&dir)), (None, 0o700));
        assert_eq!(mode(&base.path().join("above")) & OTHERS_WRITE, 0);
        assert_eq!(PrivateDir::open(&dir, nothing).unwrap().mended(), None);
    }

    #[test]
    fn what_others_could_read_is_mended_with_a_word() {
        let base = tempfile::tempdir().unwrap();
        for wide in [0o755, 0o710, 0o777, 0o2750, 0o1777] {
            set_mode(base.path(), wide);
            assert_eq!(PrivateDir::open(base.path(), nothing).unwrap().mended(), Some(wide), "{wide:o}");
            assert_eq!(mode(base.path()), 0o700);
        }
    }

    #[test]
    fn a_directory_with_other_things_in_it_keeps_its_mode() {
        let base = tempfile::tempdir().unwrap();
        let ours = |name: &str| name == "coordinator";
        fs::create_dir(base.path().join("coordinator")).unwrap();
        fs::create_dir(base.path().join("letters")).unwrap();
        set_mode(base.path(), 0o755);
        assert_eq!(PrivateDir::open_around(base.path(), ours).unwrap().mended(), None);
        let refused = PrivateDir::open(base.path(), ours).unwrap_err();
        assert!(refused.to_string().contains("such as \"letters\""), "{refused}");
        assert_eq!(mode(base.path()), 0o755);
        for shared in [0o1777, 0o777, 0o775] {
            set_mode(base.path(), shared);
            let refused = PrivateDir::open_around(base.path(), ours).unwrap_err();
            assert!(matches!(refused, PrivateDirError::Shared { .. }), "{refused}");
            assert_eq!(mode(base.path()), shared);
        }
        fs::remove_dir(base.path().join("letters")).unwrap();
        assert_eq!(PrivateDir::open_around(base.path(), ours).unwrap().mended(), Some(0o775));
        assert_eq!(mode(base.path()), 0o700);
    }

    #[test]
    fn a_directory_that_others_could_replace_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let (above, dir) = (base.path().join("above"), base.path().join("above/below/data"));
        fs::create_dir_all(&dir).unwrap();
        set_mode(&above, 0o777);
        for dir in [&dir, &above.join("new")] {
            let refused = PrivateDir::open(dir, nothing).unwrap_err();
            assert!(matches!(refused, PrivateDirError::Replaceable { .. }), "{refused}");
        }
        set_mode(&above, 0o1777);
        PrivateDir::open(&dir, nothing).unwrap();
        std::os::unix::fs::symlink(&above, base.path().join("link")).unwrap();
        let by_link = PrivateDir::open(&base.path().join("link/below/data"), nothing).unwrap();
        assert_eq!(by_link.path(), fs::canonicalize(&dir).unwrap(), "the link is not asked again");
        set_mode(&above, 0o777);
        assert!(PrivateDir::open(&base.path().join("link/below/data"), nothing).is_err(), "wherever links lead");
        assert!(!above.join("new").exists(), "nothing is made there");
    }

    #[test]
    fn a_directory_of_another_user_is_refused_and_left_as_it_is() {
        if geteuid().is_root() {
            let base = tempfile::tempdir().unwrap();
            set_mode(base.path(), 0o755);
            std::os::unix::fs::chown(base.path(), Some(12_345), None).unwrap();
            let below = PrivateDir::open(&base.path().join("a/b"), nothing).unwrap_err();
            assert!(matches!(below, PrivateDirError::Below { owner: 12_345, .. }), "{below}");
            assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
            let refused = PrivateDir::open(base.path(), nothing).unwrap_err();
            assert!(
                refused.to_string().ends_with("belongs to user 12345, not to root, as whom this runs"),
                "{refused}"
            );
            assert_eq!(mode(base.path()), 0o755);
        } else {
            let refused = PrivateDir::open(Path::new("/"), nothing).unwrap_err();
            assert!(refused.to_string().starts_with("/ belongs to root, not to user"), "{refused}");
        }
    }

    #[test]
    fn a_file_is_no_directory() {
        let base = tempfile::tempdir().unwrap();
        fs::write(base.path().join("file"), "").unwrap();
        assert!(matches!(PrivateDir::open(&base.path().join("file"), nothing), Err(PrivateDirError::Io { .. })));
    }
}
