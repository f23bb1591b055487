//! The directory where coordinators leave word of themselves, each for its own user.
//!
//! The first of these that can be used: `$LONGSHORE_RUNTIME_DIR` alone, where that is set; `/run/longshore` for root;
//! `$XDG_RUNTIME_DIR/longshore` (XDG Base Directory Specification), or `/run/user/UID/longshore` where that is not set, if
//! the directory is the user's own; else `run` in the directory where the user's data is kept unless told otherwise. Never a place where others could have been first, such as
//! `/tmp`. The order is the same for those who leave word and those who look for it.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read},
    os::{
        fd::AsRawFd,
        unix::fs::{MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use rustix::{fs::OFlags, process::geteuid};

use crate::{
    private::{PrivateDir, PrivateDirError},
    user::User,
    word::Word,
};

/// More than any word left there takes, in bytes.
const FILE_BYTES: u64 = 4_096;

/// `/var/lib/longshore` for root, else `$XDG_DATA_HOME/longshore`, which is `~/.local/share/longshore` unless set: where
/// everything is kept unless told otherwise.
#[must_use]
pub fn data_dir() -> PathBuf {
    if geteuid().is_root() {
        return PathBuf::from("/var/lib/longshore");
    }
    let home = || env::home_dir().map(|home| home.join(".local/share"));
    absolute("XDG_DATA_HOME").or_else(home).unwrap_or_default().join("longshore")
}

/// A variable's path. The specification has relative ones ignored.
fn absolute(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|dir| dir.is_absolute())
}

/// Every directory that may be the one, in order.
fn candidates() -> Vec<PathBuf> {
    if let Some(told) = env::var_os("LONGSHORE_RUNTIME_DIR").filter(|told| !told.is_empty()) {
        return std::path::absolute(told).into_iter().collect();
    }
    let first = match geteuid().is_root() {
        true => Some(PathBuf::from("/run/longshore")),
        // After `su` the variable may still be that of another user; a cron job has none.
        false => [absolute("XDG_RUNTIME_DIR"), Some(session_dir())]
            .into_iter()
            .find_map(|dir| dir.filter(|dir| is_ours(dir)))
            .map(|dir| dir.join("longshore")),
    };
    first.into_iter().chain([data_dir().join("run")]).filter(|dir| dir.is_absolute()).collect()
}

/// Where a user's sessions have theirs on systems with logind.
fn session_dir() -> PathBuf {
    PathBuf::from(format!("/run/user/{}", geteuid().as_raw()))
}

fn is_ours(dir: &Path) -> bool {
    fs::metadata(dir).is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == geteuid().as_raw())
}

/// Such a directory, open: what is in it is reached through it, and paths to it may be longer than a socket's may be.
#[derive(Debug)]
pub struct RuntimeDir {
    path: PathBuf,
    dir: File,
    owner: User,
}

impl RuntimeDir {
    /// Opens or makes the first one that can be used.
    ///
    /// # Errors
    /// Why the last one cannot be.
    pub fn make() -> Result<Self, PrivateDirError> {
        let mut refused = None;
        for path in candidates() {
            match Self::make_at(&path) {
                Ok(dir) => return Ok(dir),
                Err(error) => refused = Some(error),
            }
        }
        Err(refused.unwrap_or_else(|| PrivateDirError::Io {
            dir: PathBuf::from("$XDG_RUNTIME_DIR/longshore"),
            source: io::Error::new(io::ErrorKind::NotFound, "neither XDG_RUNTIME_DIR nor HOME names a directory"),
        }))
    }

    /// Opens or makes this one.
    ///
    /// # Errors
    /// When it is somebody else's or cannot be made.
    pub fn make_at(path: &Path) -> Result<Self, PrivateDirError> {
        let opened = PrivateDir::open(path, Word::is_name)?;
        if let Some(mode) = opened.mended() {
            tracing::warn!(dir = %path.display(), "others could look into this directory (mode {mode:o}): closed to them");
        }
        let path = opened.path().to_owned();
        let dir = opened.into_handle();
        let owner = owner_of(&dir).ok_or_else(|| PrivateDirError::Io {
            dir: path.clone(),
            source: io::Error::other("it cannot be told whose it is"),
        })?;
        Ok(Self { path, dir, owner })
    }

    /// Those that are there and our own; as root also that of another user, where one was told.
    pub fn all() -> impl Iterator<Item = Self> {
        candidates().into_iter().filter_map(|path| {
            let flags = OFlags::DIRECTORY.bits() as i32;
            let dir = fs::OpenOptions::new().read(true).custom_flags(flags).open(&path).ok()?;
            let owner = owner_of(&dir)?;
            let trusted = Some(owner) == User::me() || User::me() == Some(User::ROOT);
            (trusted && is_private(&dir, owner)).then_some(Self { path, dir, owner })
        })
    }

    /// Whether an entry is there, also for those who look for the directory by its name.
    #[must_use]
    pub fn has(&self, entry: &str) -> bool {
        let (here, named) = (fs::metadata(self.short(entry)), fs::metadata(self.path.join(entry)));
        matches!((here, named), (Ok(here), Ok(named)) if here.ino() == named.ino())
    }

    /// Whose it is.
    #[must_use]
    pub fn owner(&self) -> User {
        self.owner
    }

    /// What it is called.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A short path to an entry, for as long as this lives: addresses of sockets have 107 bytes at most.
    #[must_use]
    pub fn short(&self, entry: impl AsRef<OsStr>) -> PathBuf {
        within(&self.dir, entry.as_ref())
    }

    /// A small text file of the directory's owner that nobody else can read; `None` when there is none.
    #[must_use]
    pub fn read(&self, entry: &str) -> Option<String> {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
        let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(self.short(entry)).ok()?;
        let mut text = String::new();
        (is_private(&file, self.owner) && file.take(FILE_BYTES).read_to_string(&mut text).is_ok()).then_some(text)
    }

    /// Puts a small text file there that only we can read, in place of an earlier one.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn write(&self, entry: &str, text: &str) -> io::Result<()> {
        let aside = self.short(format!("{entry}.new"));
        // One that was left by a crash may have any mode.
        let _ = fs::remove_file(&aside);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
        io::Write::write_all(&mut file, text.as_bytes())?;
        fs::rename(aside, self.short(entry))
    }
}

/// Another path to what is at `path`, short enough for the address of a socket, and what has to live as long as it is used.
pub(crate) fn short_path(path: &Path) -> io::Result<(File, PathBuf)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let dir = fs::OpenOptions::new().read(true).custom_flags(OFlags::DIRECTORY.bits() as i32).open(above)?;
    let short = within(&dir, name);
    Ok((dir, short))
}

fn within(dir: &File, entry: &OsStr) -> PathBuf {
    Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(entry)
}

fn owner_of(file: &File) -> Option<User> {
    file.metadata().ok().and_then(|metadata| User::of(metadata.uid()))
}

/// Whether it is this user's, and only theirs to read.
fn is_private(file: &File, owner: User) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.uid() == owner.number() && metadata.mode() & 0o077 == 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_written_is_read_and_only_ours() {
        let base = tempfile::tempdir().unwrap();
        let dir = RuntimeDir::make_at(&base.path().join("run")).unwrap();
        dir.write("word", "first").unwrap();
        dir.write("word", "second").unwrap();
        assert_eq!(dir.read("word").as_deref(), Some("second"));
        assert_eq!(fs::metadata(base.path().join("run/word")).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_others_could_have_written_is_not_believed() {
        let base = tempfile::tempdir().unwrap();
        let dir = RuntimeDir::make_at(base.path()).unwrap();
        dir.write("word", "true").unwrap();
        std::os::unix::fs::symlink("word", base.path().join("link")).unwrap();
        assert_eq!(dir.read("link"), None);
        fs::set_permissions(base.path().join("word"), fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(dir.read("word"), None);
        assert_eq!(dir.read("none"), None);
    }
}
