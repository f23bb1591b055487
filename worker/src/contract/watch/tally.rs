//! How much is in directories that somebody hostile may be changing meanwhile.
//!
//! A directory is reached through a descriptor opened before anything ran, and everything in it beneath that: no link is
//! followed and no mount entered. One descriptor is open for each level, and the work ends at the first bound that is passed,
//! so it takes no more time and memory than what is allowed.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, Dir, FileType, FsWord, Mode, OFlags, ResolveFlags, Stat, fstatfs, openat2, statat};

/// Most directories in each other, the outermost included.
pub(super) const DEPTH: usize = 128;

/// What the inside can lead nowhere else with.
const BENEATH: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);

/// File systems set room aside behind the end of a file that grows, which goes when it is closed: only beyond so much, in all
/// files together, is it what somebody asked for.
const SET_ASIDE: u64 = 64 << 20;

/// The kernel's number of XFS, which sets as much again aside.
const XFS: FsWord = 0x5846_5342;

/// How much there may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    /// On the disk, in bytes.
    pub bytes: u64,
    /// Size of one file, in bytes.
    pub file_bytes: u64,
    /// Names of what is no directory.
    pub files: usize,
    /// Directories.
    pub dirs: usize,
}

/// The bound that was passed, and how much was seen by then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Beyond {
    Bytes(u64),
    File {
        name: String,
        bytes: u64,
    },
    Files(usize),
    Dirs(usize),
    /// Open files, or whatever else is to be looked through to find those without a name.
    Held(usize),
    Depth,
}

/// What was counted so far.
#[derive(Debug)]
pub(super) struct Tally {
    most: Most,
    pub(super) bytes: u64,
    files: usize,
    dirs: usize,
    /// Room set aside that is still forgiven, in bytes.
    forgiven: u64,
    /// Whether as much again is.
    doubled: bool,
}

impl Tally {
    pub(super) fn new(most: Most) -> Self {
        Self { most, bytes: 0, files: 0, dirs: 0, forgiven: SET_ASIDE, doubled: false }
    }

    /// Counts an open file.
    pub(super) fn file(&mut self, stat: &Stat, name: &[u8]) -> Result<(), Beyond> {
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        if size > self.most.file_bytes {
            return Err(Beyond::File { name: String::from_utf8_lossy(name).into_owned(), bytes: size });
        }
        self.files += 1;
        if self.files > self.most.files {
            return Err(Beyond::Files(self.files));
        }
        // Other names of a file are in the same place, and are counted too.
        #[allow(clippy::useless_conversion, reason = "its width depends on the machine")]
        let names = u64::from(stat.st_nlink).max(1);
        let written = blocks(stat).min(size.next_multiple_of(4_096)) / names;
        let beyond = (blocks(stat) / names).saturating_sub(written);
        if self.doubled {
            self.forgiven = self.forgiven.saturating_add(written);
        }
        let forgiven = beyond.min(self.forgiven);
        self.forgiven -= forgiven;
        self.take(written.saturating_add(beyond - forgiven))
    }

    /// Counts everything in a directory. What goes while it is looked at is not missed; what cannot be looked into, by a
    /// worker that is not root, is not seen.
    pub(super) fn directory(&mut self, dir: impl AsFd) -> Result<(), Beyond> {
        self.doubled |= is_xfs(&dir);
        let Ok(dir) = Dir::read_from(dir) else { return Ok(()) };
        let mut levels = vec![dir];
        while let Some(level) = levels.last_mut() {
            match level.read() {
                Some(Ok(entry)) if matches!(entry.file_name().to_bytes(), b"." | b"..") => {}
                Some(Ok(entry)) => {
                    if let Some(inner) = self.entry(level, entry.file_name())? {
                        if levels.len() == DEPTH {
                            return Err(Beyond::Depth);
                        }
                        levels.push(inner);
                    }
                }
                // Removed meanwhile, or cannot be read: nothing more is seen of it.
                Some(Err(_)) | None => drop(levels.pop()),
            }
        }
        Ok(())
    }

    /// Counts one entry; answers it opened, if it is a directory.
    fn entry(&mut self, level: &Dir, name: &std::ffi::CStr) -> Result<Option<Dir>, Beyond> {
        let Ok(fd) = level.fd() else { return Ok(None) };
        let Ok(stat) = statat(fd, name, AtFlags::SYMLINK_NOFOLLOW) else { return Ok(None) };
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return self.file(&stat, name.to_bytes()).map(|()| None);
        }
        self.dirs += 1;
        if self.dirs > self.most.dirs {
            return Err(Beyond::Dirs(self.dirs));
        }
        self.take(blocks(&stat))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = openat2(fd, name, flags, Mode::empty(), BENEATH);
        Ok(opened.ok().and_then(|inner| Dir::new(inner).ok()))
    }

    fn take(&mut self, bytes: u64) -> Result<(), Beyond> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.most.bytes { Err(Beyond::Bytes(self.bytes)) } else { Ok(()) }
    }
}

fn is_xfs(dir: impl AsFd) -> bool {
    fstatfs(dir).is_ok_and(|known| known.f_type == XFS)
}

fn blocks(stat: &Stat) -> u64 {
    u64::try_from(stat.st_blocks).unwrap_or_default().saturating_mul(512)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, path::Path};

    use super::*;

    const PLENTY: Most = Most { bytes: u64::MAX, file_bytes: u64::MAX, files: usize::MAX, dirs: usize::MAX };

    fn tally(dir: &Path, most: Most) -> Result<Tally, Beyond> {
        let mut tally = Tally::new(most);
        tally.directory(fs::File::open(dir).unwrap())?;
        Ok(tally)
    }

    #[test]
    fn what_is_on_the_disk_counts_once_and_holes_do_not() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("inner")).unwrap();
        fs::write(dir.path().join("inner/file"), vec![1; 100_000]).unwrap();
        fs::hard_link(dir.path().join("inner/file"), dir.path().join("again")).unwrap();
        fs::File::create(dir.path().join("hole")).unwrap().set_len(1 << 40).unwrap();
        let counted = tally(dir.path(), PLENTY).unwrap();
        assert!((100_000..130_000).contains(&counted.bytes), "{}", counted.bytes);
        assert_eq!((counted.files, counted.dirs), (3, 1));
    }

    #[test]
    fn room_set_aside_is_forgiven_once_and_not_for_each_file() {
        let dir = tempfile::tempdir().unwrap();
        let set_aside = |name: &str| {
            let file = fs::File::create(dir.path().join(name)).unwrap();
            rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, 16 << 20)
        };
        if set_aside("0").is_err() {
            eprintln!("skipped: this file system sets no room aside");
            return;
        }
        assert!(tally(dir.path(), PLENTY).unwrap().bytes < 1 << 20);
        (1..10).for_each(|number| set_aside(&number.to_string()).unwrap());
        let counted = tally(dir.path(), PLENTY).unwrap().bytes;
        assert!(counted >= (160 << 20) - SET_ASIDE, "{counted}");
    }

    #[test]
    fn links_are_not_followed() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(outside.path().join("large"), vec![1; 1 << 20]).unwrap();
        symlink(outside.path(), dir.path().join("there")).unwrap();
        symlink(outside.path().join("large"), dir.path().join("large")).unwrap();
        assert!(tally(dir.path(), PLENTY).unwrap().bytes < 1 << 20);
    }

    #[test]
    fn each_bound_ends_it_and_says_how_much() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..20 {
            fs::write(dir.path().join(number.to_string()), vec![1; 10_000]).unwrap();
        }
        fs::create_dir_all(dir.path().join("a/b/c")).unwrap();
        assert_eq!(tally(dir.path(), Most { files: 19, ..PLENTY }).unwrap_err(), Beyond::Files(20));
        assert_eq!(tally(dir.path(), Most { dirs: 2, ..PLENTY }).unwrap_err(), Beyond::Dirs(3));
        assert!(matches!(tally(dir.path(), Most { bytes: 100_000, ..PLENTY }), Err(Beyond::Bytes(100_001..))));
        assert!(matches!(
            tally(dir.path(), Most { file_bytes: 9_999, ..PLENTY }),
            Err(Beyond::File { bytes: 10_000, .. })
        ));
    }

    #[test]
    fn directories_in_each_other_end_somewhere() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("d/".repeat(DEPTH - 1))).unwrap();
        assert!(tally(dir.path(), PLENTY).is_ok());
        fs::create_dir_all(dir.path().join("d/".repeat(DEPTH))).unwrap();
        assert_eq!(tally(dir.path(), PLENTY).unwrap_err(), Beyond::Depth);
    }
}
