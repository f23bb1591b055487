//! Room on the disk that a worker's directories are on.
//!
//! Below a reserve of bytes or files a worker begins nothing, and what fails then is not believed: the command cannot have done
//! better.

use std::{
    fmt,
    os::fd::OwnedFd,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use rustix::fs::{StatVfs, StatVfsMountFlags, fstatvfs};
use tracing::{info, warn};

use super::amount;

/// What is kept free on a large disk, and as a part of a small one: a 1/PART of it.
const RESERVE_BYTES: u64 = 64 << 20;
const PART: u64 = 8;

/// Of the files a file system can have, so many are kept free: a 1/PART of them, within bounds.
const FILES_PART: u64 = 64;
const RESERVE_FILES: (u64, u64) = (64, 10_000);

/// With less than this a disk may be full in a moment: so much is written, or so many files made, between two looks.
const NEAR_BYTES: u64 = 4 << 30;
const NEAR_FILES: u64 = 100_000;

/// A look is good for so long.
const FRESH: Duration = Duration::from_millis(100);

/// What failed so soon after a shortage may have failed for it.
const RECENT: Duration = Duration::from_secs(1);

/// The room on one file system.
pub(crate) struct Room {
    dir: OwnedFd,
    path: PathBuf,
    looks: Mutex<Looks>,
}

#[derive(Default)]
struct Looks {
    last: Option<(Instant, Option<Shortage>)>,
    /// The newest shortage that was seen, and when.
    short: Option<(Instant, Shortage)>,
    /// Whether the last look found little, though enough.
    is_near: bool,
}

/// There is too little room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shortage {
    want: Want,
    path: PathBuf,
}

/// Of what there is too little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    Bytes { free: u64, reserve: u64 },
    Files { free: u64, reserve: u64 },
    Writing,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.want {
            Want::Bytes { free, reserve } => {
                let (free, reserve) = (amount::bytes(free), amount::bytes(reserve));
                write!(f, "the worker's disk is full: {free} free at {path}, {reserve} are kept")
            }
            Want::Files { free, reserve } => write!(
                f,
                "the worker's disk is full: it can have {free} more files at {path}, {reserve} are kept (`df -i` shows them)"
            ),
            Want::Writing => {
                write!(f, "the worker's disk cannot be written: the file system at {path} is mounted read-only")
            }
        }
    }
}

impl Room {
    /// That of the file system of this directory.
    pub(crate) fn new(dir: OwnedFd, path: PathBuf) -> Self {
        Self { dir, path, looks: Mutex::default() }
    }

    /// Whether there is too little now. A look that is not a tenth of a second old is not repeated.
    pub(crate) fn shortage(&self) -> Option<Shortage> {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        match &looks.last {
            Some((at, found)) if at.elapsed() < FRESH => found.clone(),
            _ => self.look(&mut looks),
        }
    }

    /// Looks now, whenever the last look was: whether there is too little, and whether there may be in a moment.
    pub(crate) fn watch(&self) -> (Option<Shortage>, bool) {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        (self.look(&mut looks), looks.is_near)
    }

    /// Whether there was too little at some time since then, or in the last second, as far as anybody has looked, or is now.
    pub(crate) fn shortage_since(&self, since: Instant) -> Option<Shortage> {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        self.look(&mut looks);
        // What was noticed a moment ago had begun before.
        let concerns = |at: Instant| at + FRESH >= since || at.elapsed() < RECENT;
        looks.short.as_ref().filter(|(at, _)| concerns(*at)).map(|(_, shortage)| shortage.clone())
    }

    fn look(&self, looks: &mut Looks) -> Option<Shortage> {
        // A file system that cannot be asked is not taken for a full one.
        let known = fstatvfs(&self.dir).ok();
        let found = known.as_ref().and_then(want).map(|want| Shortage { want, path: self.path.clone() });
        let before = looks.last.take().and_then(|(_, found)| found);
        match (&before, &found) {
            (None, Some(shortage)) => warn!("{shortage}; nothing is begun here until there is room again"),
            (Some(_), None) => info!(path = %self.path.display(), "there is room on the disk again"),
            _ => {}
        }
        let now = Instant::now();
        if let Some(shortage) = &found {
            looks.short = Some((now, shortage.clone()));
        }
        looks.is_near = known.as_ref().is_some_and(is_near);
        looks.last = Some((now, found.clone()));
        found
    }
}

fn free_bytes(known: &StatVfs) -> u64 {
    known.f_bavail.saturating_mul(known.f_frsize)
}

fn want(known: &StatVfs) -> Option<Want> {
    if known.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Some(Want::Writing);
    }
    let (free, reserve) = (free_bytes(known), RESERVE_BYTES.min(known.f_blocks.saturating_mul(known.f_frsize) / PART));
    if free < reserve {
        return Some(Want::Bytes { free, reserve });
    }
    // Those that count no files say that they can have none.
    let (free, reserve) = (known.f_favail, (known.f_files / FILES_PART).clamp(RESERVE_FILES.0, RESERVE_FILES.1));
    (known.f_files > 0 && free < reserve).then_some(Want::Files { free, reserve })
}

fn is_near(known: &StatVfs) -> bool {
    free_bytes(known) < NEAR_BYTES || (known.f_files > 0 && known.f_favail < NEAR_FILES)
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::*;
    use crate::contract::names::open_directory;

    /// A small disk of the test's own; none where that is not allowed.
    struct Small(PathBuf);

    impl Small {
        fn mount(dir: &std::path::Path) -> Option<Self> {
            let options = "size=8m,nr_inodes=200";
            let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(dir).output();
            mounted.is_ok_and(|done| done.status.success()).then(|| Self(dir.to_owned()))
        }
    }

    impl Drop for Small {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg("-l").arg(&self.0).status();
            let _ = fs::remove_dir(&self.0);
        }
    }

    #[test]
    fn a_full_disk_is_noticed_and_remembered_for_what_ran_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let Some(_small) = Small::mount(dir.path()) else {
            eprintln!("skipped: only root can mount a small disk");
            return;
        };
        let room = Room::new(open_directory(dir.path()).unwrap(), dir.path().to_owned());
        let begun = Instant::now();
        assert_eq!((room.shortage(), room.shortage_since(begun)), (None, None));
        fs::write(dir.path().join("fill"), vec![1; 7_500_000]).unwrap();
        let said = room.shortage_since(begun).unwrap().to_string();
        assert!(said.contains("disk is full") && said.contains(&dir.path().display().to_string()), "{said}");
        assert!(room.shortage().is_some());
        fs::remove_file(dir.path().join("fill")).unwrap();
        assert!(room.shortage_since(begun).is_some(), "it was short since then");
        assert!(room.shortage_since(Instant::now() + FRESH * 2).is_some(), "a moment ago");
        room.looks.lock().unwrap().short.as_mut().unwrap().0 -= RECENT * 2;
        assert_eq!(room.shortage_since(Instant::now()), None, "long ago");
        assert_eq!(room.watch(), (None, true));
    }

    #[test]
    fn a_disk_that_can_have_no_more_files_or_is_read_only_is_as_good_as_full() {
        let dir = tempfile::tempdir().unwrap();
        let Some(_small) = Small::mount(dir.path()) else {
            eprintln!("skipped: only root can mount a small disk");
            return;
        };
        let room = Room::new(open_directory(dir.path()).unwrap(), dir.path().to_owned());
        let files: Vec<_> = (0..150).map(|number| dir.path().join(number.to_string())).collect();
        files.iter().for_each(|file| fs::write(file, "").unwrap());
        let said = room.watch().0.unwrap().to_string();
        assert!(said.contains("more files") && said.contains("64 are kept"), "{said}");
        files.iter().for_each(|file| fs::remove_file(file).unwrap());
        assert_eq!(room.watch().0, None);
        let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(dir.path()).status().unwrap();
        assert!(remounted.success());
        let said = room.watch().0.unwrap().to_string();
        assert!(said.contains("read-only"), "{said}");
    }
}
