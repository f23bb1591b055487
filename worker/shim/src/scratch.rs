//! Empties the scratch directories between runs.
//!
//! Any depth takes the same two descriptors and no recursion: a directory found below a scratch directory is moved up
//! into it, level by level, until everything has come up and gone. Nothing is followed: names are removed relative to
//! directories that were opened as such.

use std::ffi::{CStr, OsStr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use longshore_shim::User;
use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, RawDir, RenameFlags, SeekFrom, Stat, chmodat, fstat, fstatfs, openat, renameat_with,
    seek, unlinkat,
};
use rustix::io::{self, Errno};
use rustix::time::{ClockId, clock_gettime};

use crate::rights::AsOwner;

/// Longest time spent on emptying after one run; then the container is dirty and not used again.
const LIMIT: Duration = Duration::from_secs(10);

/// Size of an emptied directory, in bytes, from which on the container is not used again.
const LARGE: i64 = 1 << 20;

/// Bytes of names read at once.
const NAMES_BYTES: usize = 16 * 1024;

/// How directories are opened.
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The directories a run may leave things in, held open: the way to them is walked once.
pub struct Scratch {
    roots: Vec<Root>,
    names: Vec<u8>,
    inner_names: Vec<u8>,
    moved: u64,
    /// When emptying must be over; set when there is something to remove.
    limit: Option<Instant>,
}

/// Beyond what the coarsest file system keeps of a time (a second) and the kernel's own clock is behind (a tick).
const SETTLED: i64 = 2;

/// File systems that say at once when a directory has changed: ext2 to 4, XFS, Btrfs, tmpfs, overlayfs, message queues. Others
/// may tell what they once heard from another machine.
const PROMPT: [u64; 6] = [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630, 0x1980_0202];

/// When an inode changed last, by the clock of its file system: seconds and nanoseconds. Nobody can set that.
type Changed = (i64, u64);

/// One of them, and what it was before anything ran.
struct Root {
    dir: OwnedFd,
    owner: u32,
    mode: u32,
    /// Its file system says at once when it has changed.
    prompt: bool,
    /// When it had changed last as it was found empty so much later that whatever happens to it since shows in another time.
    empty_since: Option<Changed>,
}

impl Root {
    fn of(dir: OwnedFd) -> io::Result<Self> {
        let stat = fstat(&dir)?;
        let prompt =
            fstatfs(&dir).is_ok_and(|system| u64::try_from(system.f_type).is_ok_and(|kind| PROMPT.contains(&kind)));
        Ok(Self { dir, owner: stat.st_uid, mode: stat.st_mode, prompt, empty_since: None })
    }

    /// Whether it is as it was. Only its owner can have changed it.
    fn is_as_it_was(&self, stat: &Stat, user: Option<&User>) -> bool {
        user.is_none_or(|user| user.uid != self.owner) || stat.st_mode == self.mode
    }
}

fn changed(stat: &Stat) -> Changed {
    (stat.st_ctime, stat.st_ctime_nsec)
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
        let open = |path| openat(CWD, path, follow, Mode::empty()).and_then(Root::of);
        let roots = paths.map(open).collect::<io::Result<_>>()?;
        Ok(Self { roots, names: Vec::new(), inner_names: Vec::new(), moved: 0, limit: None })
    }

    /// Removes everything in them, with the rights of the user whose run left it. False when something could not be removed.
    pub fn empty(&mut self, user: Option<&User>) -> bool {
        self.limit = None;
        let mut roots = std::mem::take(&mut self.roots);
        let emptied = roots.iter_mut().all(|root| self.empty_one(root, user).is_ok());
        self.roots = roots;
        emptied
    }

    fn empty_one(&mut self, root: &mut Root, user: Option<&User>) -> io::Result<()> {
        let stat = fstat(&root.dir)?;
        if root.empty_since == Some(changed(&stat)) {
            return Ok(());
        }
        if !root.is_as_it_was(&stat, user) {
            return Err(Errno::PERM);
        }
        let left = self.empty_directory(&root.dir, user)?;
        let settled = clock_gettime(ClockId::RealtimeCoarse).tv_sec.saturating_sub(stat.st_ctime) > SETTLED;
        root.empty_since = (root.prompt && left == Found::Nothing && settled).then(|| changed(&stat));
        Ok(())
    }

    /// Answers whether there was something.
    fn empty_directory(&mut self, root: &OwnedFd, user: Option<&User>) -> io::Result<Found> {
        let mut left = Found::Nothing;
        loop {
            // Read from the beginning for each look, as a directory that changes while it is read may hide entries.
            seek(root, SeekFrom::Start(0))?;
            if self.look(root, user)? == Found::Nothing {
                break;
            }
            left = Found::Something;
        }
        // Some file systems never make a directory smaller, and later runs would wait for each look at it.
        if left == Found::Something && fstat(root)?.st_size > LARGE {
            return Err(Errno::FBIG);
        }
        Ok(left)
    }

    /// Removes the files of `root` and brings up what its directories hold.
    fn look(&mut self, root: &OwnedFd, user: Option<&User>) -> io::Result<Found> {
        // Mostly there is nothing, and nobody's rights are needed.
        let mut borrowed = None;
        let mut names = std::mem::take(&mut self.names);
        names.reserve(NAMES_BYTES);
        let mut found = Found::Nothing;
        let mut entries = RawDir::new(root, names.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name();
            if !is_own(name) {
                found = Found::Something;
                borrowed.get_or_insert_with(|| AsOwner::of(user));
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
        assert!(Scratch::open(scratch.path().as_os_str()).unwrap().empty(None));
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
        assert!(Scratch::open(scratch.path().as_os_str()).unwrap().empty(None));
        assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 0);
    }

    /// Makes the directory's last change so old that a look at it settles that it is empty: its clock is ours.
    fn looked_at_when_settled(scratch: &mut Scratch) -> bool {
        let limit = Instant::now() + Duration::from_secs(30);
        while scratch.roots.iter().any(|root| root.empty_since.is_none()) && Instant::now() < limit {
            assert!(scratch.empty(None));
            std::thread::park_timeout(Duration::from_millis(50));
        }
        scratch.roots.iter().all(|root| root.empty_since.is_some())
    }

    #[test]
    fn what_is_left_in_a_directory_that_was_long_empty_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let mut scratch = Scratch::open(directory.path().as_os_str()).unwrap();
        assert!(scratch.empty(None));
        assert_eq!(scratch.roots[0].empty_since, None, "it was made just now, and so may change without another time");
        assert!(looked_at_when_settled(&mut scratch));
        for number in 0..3 {
            std::fs::write(directory.path().join(format!("{number}")), "").unwrap();
            assert!(scratch.empty(None));
            assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0);
        }
    }

    #[test]
    fn many_names_are_removed() {
        let scratch = tempfile::tempdir().unwrap();
        for number in 0..5000 {
            std::fs::write(scratch.path().join(format!("a long name, {number}")), "").unwrap();
        }
        assert!(Scratch::open(scratch.path().as_os_str()).unwrap().empty(None));
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
        assert!(!opened.empty(None));
    }

    fn fd_number(fd: &OwnedFd) -> i32 {
        std::os::fd::AsRawFd::as_raw_fd(fd)
    }
}
