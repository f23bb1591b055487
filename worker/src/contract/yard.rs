//! Directories nobody else reaches: large outputs wait here for their upload, and refuse for its removal.
//!
//! ```text
//! DIR/LIFE/slots/…      the sandboxes' directories
//! DIR/LIFE/staging/…    large outputs
//! DIR/LIFE/trash/…      what a thread of ours removes, one entry after the other
//! ```
//!
//! Each life of a worker has its own; what an earlier one left is refuse. Moving aside is one system call, whatever a
//! hostile run left; removing follows at leisure, without recursion and with two descriptors open, however deep it is:
//! directories in a directory are moved up beside it, and wait their turn.

use std::{
    ffi::CStr,
    fs::Permissions,
    io,
    mem::MaybeUninit,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::fs::{DirBuilderExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use rustix::{
    fs::{
        AtFlags, CWD, FileType, Mode, OFlags, RawDir, RenameFlags, Stat, fchmod, openat, renameat_with, statat,
        unlinkat,
    },
    io::Errno,
};
use tracing::warn;

use super::{names::open_directory, room::Room};
use crate::work::OwnedFile;

/// Bytes of directory entries read at a time while removing.
const ENTRIES_BUFFER: usize = 64 << 10;

/// Longest wait for the sweeper at the end.
const CLOSING: Duration = Duration::from_secs(5);

/// Most passes over one directory: somebody may still be filling it.
const PASSES: usize = 100;

/// The directories of one life of a worker.
pub(crate) struct Yard {
    slots: PathBuf,
    staging_path: PathBuf,
    staging: OwnedFd,
    trash: Arc<OwnedFd>,
    numbers: AtomicU64,
    room: Room,
    life: PathBuf,
    /// Orders for the sweeper's thread; gone once the yard is closed.
    sweeper: Mutex<Option<mpsc::Sender<u64>>>,
    /// Hangs up when the thread has done its last order.
    swept: Mutex<mpsc::Receiver<()>>,
}

impl Yard {
    /// Makes the directories below `dir` and begins to remove what earlier lives left there.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        let mut private = std::fs::DirBuilder::new();
        private.recursive(true).mode(0o700);
        private.create(dir)?;
        let dir = std::path::absolute(dir)?;
        let life = uuid::Uuid::new_v4().simple().to_string();
        let [slots, staging, trash] = ["slots", "staging", "trash"].map(|name| dir.join(&life).join(name));
        for path in [&slots, &staging, &trash] {
            private.create(path)?;
        }
        let trash = Arc::new(open_directory(&trash)?);
        let (sweeper, orders) = mpsc::channel();
        let (end, swept) = mpsc::channel();
        let theirs = Arc::clone(&trash);
        thread::Builder::new().name("sweeper".into()).spawn(move || {
            sweep(&theirs, &orders);
            drop(end);
        })?;
        let yard = Self {
            slots,
            staging: open_directory(&staging)?,
            staging_path: staging,
            trash,
            numbers: AtomicU64::new(0),
            room: Room::new(open_directory(&dir)?, dir.clone()),
            life: dir.join(&life),
            sweeper: Mutex::new(Some(sweeper)),
            swept: Mutex::new(swept),
        };
        yard.throw_away_earlier(&dir, &life)?;
        Ok(yard)
    }

    fn throw_away_earlier(&self, dir: &Path, life: &str) -> io::Result<()> {
        let parent = open_directory(dir)?;
        for entry in std::fs::read_dir(dir)? {
            let name = entry?.file_name();
            if name != life {
                self.throw_away(&parent, &name)?;
            }
        }
        Ok(())
    }

    /// The room on its disk.
    pub(crate) fn room(&self) -> &Room {
        &self.room
    }

    /// A new directory for a sandbox, mode 0700.
    pub(crate) fn slot_dir(&self) -> io::Result<PathBuf> {
        let path = self.slots.join(self.number().to_string());
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(path)
    }

    /// Removes a sandbox's directory, later.
    pub(crate) fn remove_slot_dir(&self, path: &Path) -> io::Result<()> {
        self.throw_away(CWD, path)
    }

    /// A name for a new file in the staging directory.
    pub(crate) fn new_file(&self) -> PathBuf {
        self.staging_path.join(self.number().to_string())
    }

    /// Moves a file in, and tells what was moved.
    pub(in crate::contract) fn take_in(&self, dir: &OwnedFd, name: &CStr) -> io::Result<(OwnedFile, Stat)> {
        let number = self.number().to_string();
        renameat_with(dir, name, &self.staging, &number, RenameFlags::NOREPLACE)?;
        let owned = OwnedFile::new(self.staging_path.join(&number));
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let stat = statat(&self.staging, &number, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
            // Ours alone from now on, and without set-user-id bits. Not ours to change when we are not root: no matter.
            let file = openat(&self.staging, &number, flags, Mode::empty())?;
            let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
            let _ = std::os::unix::fs::chown(by_descriptor(&file), Some(user), Some(group));
            let _ = std::fs::set_permissions(by_descriptor(&file), Permissions::from_mode(0o600));
        }
        Ok((owned, stat))
    }

    /// Moves a directory or file aside, to be removed later.
    pub(in crate::contract) fn throw_away(&self, dir: impl AsFd, name: impl rustix::path::Arg) -> io::Result<()> {
        let number = self.number();
        renameat_with(dir, name, &*self.trash, number.to_string(), RenameFlags::NOREPLACE)?;
        if let Some(sweeper) = &*self.sweeper.lock().unwrap_or_else(PoisonError::into_inner) {
            // The thread lives as long as this sender.
            let _ = sweeper.send(number);
        }
        Ok(())
    }

    /// Waits until everything is gone, but not for long, then removes the directories. What is left, because of a very hostile
    /// run, goes at the next start.
    pub(crate) fn close(&self) {
        for path in [&self.slots, &self.staging_path] {
            for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
                if let Err(cause) = self.throw_away(CWD, entry.path()) {
                    warn!(path = %entry.path().display(), %cause, "cannot be removed now");
                }
            }
        }
        *self.sweeper.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = swept.recv_timeout(CLOSING);
        for dir in ["slots", "staging", "trash", ""] {
            let _ = std::fs::remove_dir(self.life.join(dir));
        }
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }
}

fn by_descriptor(file: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

fn sweep(trash: &OwnedFd, orders: &mpsc::Receiver<u64>) {
    let mut sweep = Sweep { trash, buffer: vec![MaybeUninit::uninit(); ENTRIES_BUFFER], made: 0, done: 0 };
    for number in orders {
        if let Err(cause) = sweep.remove(&number.to_string()) {
            warn!(%cause, number, "refuse cannot be removed now; the next start will try again");
        }
    }
}

struct Sweep<'a> {
    trash: &'a OwnedFd,
    buffer: Vec<MaybeUninit<u8>>,
    /// Directories moved up so far; they are called `up-NUMBER`.
    made: u64,
    /// How many of them are gone.
    done: u64,
}

impl Sweep<'_> {
    fn remove(&mut self, name: &str) -> rustix::io::Result<()> {
        let mut outcome = self.remove_one(name);
        while self.done < self.made {
            let name = format!("up-{}", self.done);
            self.done += 1;
            outcome = self.remove_one(&name).and(outcome);
        }
        outcome
    }

    fn remove_one(&mut self, name: &str) -> rustix::io::Result<()> {
        match unlinkat(self.trash, name, AtFlags::empty()) {
            Err(Errno::ISDIR) => {}
            other => return other,
        }
        let dir = self.open(name)?;
        // Removing while reading may skip entries, so read until a pass finds none.
        for _ in 0..PASSES {
            if !self.empty(&dir)? {
                break;
            }
            rustix::fs::seek(&dir, rustix::fs::SeekFrom::Start(0))?;
        }
        unlinkat(self.trash, name, AtFlags::REMOVEDIR)
    }

    fn open(&self, name: &str) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(self.trash, name, flags | OFlags::RDONLY, Mode::empty()) {
            Err(Errno::ACCESS) => {
                let dir = openat(self.trash, name, flags | OFlags::PATH, Mode::empty())?;
                let _ = std::fs::set_permissions(by_descriptor(&dir), Permissions::from_mode(0o700));
                openat(self.trash, name, flags | OFlags::RDONLY, Mode::empty())
            }
            opened => opened,
        }
    }

    /// One pass over a directory; whether it had entries.
    fn empty(&mut self, dir: &OwnedFd) -> rustix::io::Result<bool> {
        let mut found = false;
        let mut entries = RawDir::new(dir.as_fd(), &mut self.buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            found = true;
            match unlinkat(dir, name, AtFlags::empty()) {
                Err(Errno::ISDIR) => {
                    self.made += 1;
                    let up = format!("up-{}", self.made - 1);
                    let moved = || renameat_with(dir, name, self.trash, &*up, RenameFlags::NOREPLACE);
                    match moved() {
                        Err(Errno::ACCESS) => {
                            // To change what is above it, one that is not root has to be allowed to write to it.
                            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::PATH;
                            let inner = openat(dir, name, flags, Mode::empty())?;
                            let _ = std::fs::set_permissions(by_descriptor(&inner), Permissions::from_mode(0o700));
                            moved()?;
                        }
                        moved => moved?,
                    }
                }
                Err(Errno::ACCESS) => {
                    // A directory of our own without write permission; the next pass tells.
                    fchmod(dir, Mode::from_raw_mode(0o700))?;
                }
                removed => removed?,
            }
        }
        Ok(found)
    }
}
