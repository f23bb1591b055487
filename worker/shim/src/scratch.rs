//! Empties the scratch directories between runs.
//!
//! Any depth takes the same two descriptors and no recursion: a directory found below a scratch directory is moved up
//! into it, level by level, until everything has come up and gone. Nothing is followed: names are removed relative to
//! directories that were opened as such.

use std::ffi::{CStr, OsStr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, RawDir, RenameFlags, SeekFrom, chmodat, openat, renameat_with, seek, unlinkat,
};
use rustix::io::{self, Errno};

/// Longest time spent on emptying after one run; then the container is dirty and not used again.
const LIMIT: Duration = Duration::from_secs(10);

/// Bytes of names read at once.
const NAMES_BYTES: usize = 16 * 1024;

/// How directories are opened.
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The directories a run may leave things in, held open: the way to them is walked once.
pub struct Scratch {
    roots: Vec<OwnedFd>,
    names: Vec<u8>,
    inner_names: Vec<u8>,
    moved: u64,
    /// When emptying must be over; set when there is something to remove.
    limit: Option<Instant>,
}

/// What a look through a directory found.
#[derive(PartialEq, Eq)]
enum Found {
    Nothing,
    Something,
}

impl Scratch {
    /// Opens the directories in `joined`, separated by `:`.
    ///
    /// # Errors
    /// When one is not there.
    pub fn open(joined: &OsStr) -> io::Result<Self> {
        let paths = joined.as_bytes().split(|byte| *byte == b':').filter(|path| !path.is_empty());
        // A link may lead there: nobody else has done anything here yet.
        let follow = DIRECTORY.difference(OFlags::NOFOLLOW);
        let roots = paths.map(|path| openat(CWD, path, follow, Mode::empty())).collect::<io::Result<_>>()?;
        Ok(Self { roots, names: Vec::new(), inner_names: Vec::new(), moved: 0, limit: None })
    }

    /// Removes everything in them. False when something could not be removed.
    pub fn empty(&mut self) -> bool {
        self.limit = None;
        let roots = std::mem::take(&mut self.roots);
        let emptied = roots.iter().all(|root| self.empty_one(root).is_ok());
        self.roots = roots;
        emptied
    }

    fn empty_one(&mut self, root: &OwnedFd) -> io::Result<()> {
        loop {
            // Read from the beginning for each look, as a directory that changes while it is read may hide entries.
            seek(root, SeekFrom::Start(0))?;
            if self.look(root)? == Found::Nothing {
                return Ok(());
            }
        }
    }

    /// Removes the files of `root` and brings up what its directories hold.
    fn look(&mut self, root: &OwnedFd) -> io::Result<Found> {
        let mut names = std::mem::take(&mut self.names);
        names.reserve(NAMES_BYTES);
        let mut found = Found::Nothing;
        let mut entries = RawDir::new(root, names.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name();
            if !is_own(name) {
                found = Found::Something;
                self.remove(root, name)?;
            }
        }
        self.names = names;
        Ok(found)
    }

    fn remove(&mut self, root: &OwnedFd, name: &CStr) -> io::Result<()> {
        self.in_time()?;
        if unlink(root, name)? {
            return Ok(());
        }
        let directory = open_inner(root, name)?;
        self.lift(root, &directory)?;
        match unlinkat(root, name, AtFlags::REMOVEDIR) {
            // Entries hid while the directory changed: the next look finds them.
            Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
            other => other,
        }
    }

    /// Removes the files of `directory` and moves its directories into `root`.
    fn lift(&mut self, root: &OwnedFd, directory: &OwnedFd) -> io::Result<()> {
        let mut names = std::mem::take(&mut self.inner_names);
        names.reserve(NAMES_BYTES);
        let mut entries = RawDir::new(directory, names.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name();
            self.in_time()?;
            if !is_own(name) && !unlink(directory, name)? {
                self.move_up(directory, name, root)?;
            }
        }
        self.inner_names = names;
        Ok(())
    }

    fn in_time(&mut self) -> io::Result<()> {
        let now = Instant::now();
        if now > *self.limit.get_or_insert(now + LIMIT) {
            return Err(Errno::TIMEDOUT);
        }
        Ok(())
    }

    fn move_up(&mut self, from: &OwnedFd, name: &CStr, root: &OwnedFd) -> io::Result<()> {
        loop {
            let fresh = format!(".longshore-{}", self.moved);
            self.moved += 1;
            match rename(from, name, root, &fresh) {
                Err(Errno::EXIST) => {}
                // To move a directory is to change its `..`, which takes write permission in it.
                Err(Errno::ACCESS) => {
                    chmodat(from, name, Mode::RWXU, AtFlags::empty())?;
                    return rename(from, name, root, &fresh);
                }
                other => return other,
            }
        }
    }
}

fn rename(from: &OwnedFd, name: &CStr, root: &OwnedFd, fresh: &str) -> io::Result<()> {
    renameat_with(from, name, root, fresh, RenameFlags::NOREPLACE)
}

/// Removes a file, or an empty directory. False when it is a directory with something in it.
fn unlink(parent: &OwnedFd, name: &CStr) -> io::Result<bool> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) => return Ok(true),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(errno),
    }
    match unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) => Ok(true),
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Opens a directory for removing what is in it, whatever its mode is. Every process that could swap it is dead.
fn open_inner(parent: &OwnedFd, name: &CStr) -> io::Result<OwnedFd> {
    let opened = openat(parent, name, DIRECTORY, Mode::empty());
    let usable = rustix::fs::accessat(
        parent,
        name,
        rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK,
        AtFlags::empty(),
    );
    if opened.is_ok() && usable.is_ok() {
        return opened;
    }
    chmodat(parent, name, Mode::RWXU, AtFlags::empty())?;
    openat(parent, name, DIRECTORY, Mode::empty())
}

fn is_own(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::mkdirat;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn what_a_link_points_to_stays() {
        let (scratch, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let kept = outside.path().join("kept");
        std::fs::write(&kept, "x").unwrap();
        symlink(outside.path(), scratch.path().join("directory")).unwrap();
        symlink(&kept, scratch.path().join("file")).unwrap();
        std::fs::create_dir(scratch.path().join("inner")).unwrap();
        symlink(outside.path(), scratch.path().join("inner/directory")).unwrap();
        assert!(Scratch::open(scratch.path().as_os_str()).unwrap().empty());
        assert!(kept.exists());
        assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_of_any_depth_and_mode_is_removed() {
        let scratch = tempfile::tempdir().unwrap();
        let mut at = openat(CWD, scratch.path(), DIRECTORY, Mode::empty()).unwrap();
        for depth in 0..3000 {
            std::fs::write(format!("/proc/self/fd/{}/file", fd_number(&at)), "").unwrap();
            mkdirat(&at, ".longshore-0", Mode::RWXU).unwrap();
            let next = openat(&at, ".longshore-0", DIRECTORY, Mode::empty()).unwrap();
            if depth % 100 == 0 {
                rustix::fs::fchmod(&at, Mode::RUSR | Mode::XUSR).unwrap();
            }
            at = next;
        }
        std::fs::set_permissions(scratch.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        assert!(Scratch::open(scratch.path().as_os_str()).unwrap().empty());
        assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 0);
    }

    #[test]
    fn many_names_are_removed() {
        let scratch = tempfile::tempdir().unwrap();
        for number in 0..5000 {
            std::fs::write(scratch.path().join(format!("a long name, {number}")), "").unwrap();
        }
        assert!(Scratch::open(scratch.path().as_os_str()).unwrap().empty());
        assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_that_is_gone_is_not_empty() {
        let scratch = tempfile::tempdir().unwrap();
        let gone = scratch.path().join("gone");
        assert_eq!(Scratch::open(gone.as_os_str()).err(), Some(Errno::NOENT));
        std::fs::create_dir(&gone).unwrap();
        let mut opened = Scratch::open(gone.as_os_str()).unwrap();
        std::fs::remove_dir(&gone).unwrap();
        assert!(!opened.empty());
    }

    fn fd_number(fd: &OwnedFd) -> i32 {
        std::os::fd::AsRawFd::as_raw_fd(fd)
    }
}
