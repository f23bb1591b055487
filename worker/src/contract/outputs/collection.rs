//! The walk over what a run left: everything is opened, judged, and taken out.

use std::{
    collections::{HashMap, HashSet},
    ffi::CStr,
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use bytes::Bytes;
use longshore_proto::bounds::{OUTPUTS, PATH_BYTES, SMALL_BLOB_BYTES};
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags, SeekFrom, Stat, fstat, openat2, seek, statat, unlinkat,
};
use rustix::io::Errno;

use super::{
    error::{CollectError, io_trouble, kind_name, refused, shown, too_large, too_many, too_much, trouble, unreadable},
    links::{Link, Links},
    notes::{self, Tally},
    tray::Tray,
};
use crate::{
    contract::{names::base_name, yard::Yard},
    work::{Content, Output, OwnedFile},
};

mod linked;

/// Most directories above a file, below the run's own.
pub(super) const DEPTH: usize = 32;

/// Most bytes of one attempt that stay in memory; further small files stay files.
pub(super) const INLINE_BYTES: usize = 2 << 20;

/// The bit of a file's mode by which its owner may execute it.
const EXECUTABLE: u32 = 0o100;

/// No `..` out of the directory, no symbolic link of any kind, no other file system.
const BENEATH: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);

/// How much one attempt may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Largest file, in bytes.
    pub file_bytes: u64,
    /// All files together, in bytes.
    pub total_bytes: u64,
    /// Number of files; at most [`OUTPUTS`].
    pub files: usize,
}

/// What was collected of one run.
#[derive(Debug)]
pub(crate) struct Collected {
    /// Sorted by path.
    pub outputs: Vec<Output>,
    /// Lines for its log, about what is no output; mostly none.
    pub notes: String,
}

/// What is being collected of one run.
struct Collection<'a> {
    yard: &'a Yard,
    limits: Limits,
    /// Directory the outputs' paths begin with; empty or ending in a slash.
    prefix: &'a str,
    /// Directories below the run's own, in the order they were found.
    dirs: Vec<String>,
    outputs: Vec<Output>,
    policy: Links,
    /// Symbolic links that are yet to be worked out.
    links: Vec<Link>,
    /// Files that had other names when they were found, by device and inode.
    several: HashMap<(u64, u64), Several>,
    /// First names of those that are yet to be taken.
    waiting: HashSet<String>,
    skipped_links: Tally,
    empty_dirs: Tally,
    inline_bytes: usize,
    total_bytes: u64,
    /// Every file taken is out of the run's directory.
    emptied: bool,
}

/// A file with several names.
#[derive(Debug)]
struct Several {
    /// Its outputs so far.
    places: Vec<usize>,
    /// It is still there under the first of its names, and its bytes are yet to be taken: once everything is counted, and the
    /// other names are gone, so that it need not be copied.
    waits: bool,
}

/// Takes everything a run left in its tray, sorted by path; see [`OutputDirs::collect`](super::OutputDirs::collect).
pub(super) fn collect(
    tray: &mut Tray,
    item: &str,
    (limits, policy): (Limits, Links),
    yard: &Yard,
    buffer: &mut [MaybeUninit<u8>],
) -> Result<Collected, CollectError> {
    tray.emptied = false;
    let mut collection = Collection {
        yard,
        limits,
        prefix: item.rfind('/').map_or("", |slash| &item[..=slash]),
        dirs: Vec::new(),
        outputs: Vec::new(),
        policy,
        links: Vec::new(),
        several: HashMap::new(),
        waiting: HashSet::new(),
        skipped_links: Tally::default(),
        empty_dirs: Tally::default(),
        inline_bytes: 0,
        total_bytes: 0,
        emptied: true,
    };
    if tray.spooled {
        collection.take_spool(tray, base_name(item))?;
    }
    collection.walk(&tray.dir, buffer)?;
    if !collection.waiting.is_empty() {
        collection.take_waiting(&tray.dir)?;
    }
    if !collection.links.is_empty() {
        collection.follow_links(tray)?;
    }
    let notes = notes::lines(&collection.empty_dirs, &collection.skipped_links);
    let Collection { dirs, mut outputs, emptied, .. } = collection;
    outputs.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    if let Some(twice) = outputs.windows(2).find(|pair| pair[0].path == pair[1].path) {
        let name = shown(&twice[0].path);
        return Err(refused(format!("{name} is both a file and where standard output goes")));
    }
    let gone = dirs.iter().rev().all(|below| remove_dir(&tray.dir, below).is_ok());
    tray.emptied = emptied && gone;
    Ok(Collected { outputs, notes })
}

impl Collection<'_> {
    fn walk(&mut self, run: &OwnedFd, buffer: &mut [MaybeUninit<u8>]) -> Result<(), CollectError> {
        self.take_all(run, "", buffer)?;
        let mut next = 0;
        while let Some(below) = self.dirs.get(next).cloned() {
            let dir = open_beneath(run, &below, OFlags::DIRECTORY).map_err(|errno| unreadable(&below, errno))?;
            if !self.take_all(&dir, &format!("{below}/"), buffer)? {
                self.empty_dirs.add(&below);
            }
            next += 1;
        }
        Ok(())
    }

    /// Takes the files of one directory and notes the directories in it. False when there is nothing in it.
    fn take_all(&mut self, dir: &OwnedFd, below: &str, buffer: &mut [MaybeUninit<u8>]) -> Result<bool, CollectError> {
        let mut inner = HashSet::new();
        let first = self.taken();
        loop {
            // From the beginning: it may have been read before, and entries may hide while others are removed.
            seek(dir, SeekFrom::Start(0)).map_err(|errno| trouble("reading a directory", errno))?;
            let before = self.taken();
            self.take_once(dir, below, buffer, &mut inner)?;
            if self.taken() == before || !self.emptied {
                return Ok(self.taken() > first || !inner.is_empty());
            }
        }
    }

    /// How many entries were taken or left out so far.
    fn taken(&self) -> usize {
        self.outputs.len() + self.links.len() + self.skipped_links.count
    }

    /// One pass over a directory; `inner` are the directories found in it so far.
    fn take_once(
        &mut self,
        dir: &OwnedFd,
        below: &str,
        buffer: &mut [MaybeUninit<u8>],
        inner: &mut HashSet<String>,
    ) -> Result<(), CollectError> {
        let mut entries = RawDir::new(dir.as_fd(), buffer);
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(|errno| match errno {
                Errno::NOENT => refused("the run removed its output directory"),
                errno => trouble("reading a directory", errno),
            })?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let path = self.path(below, name)?;
            let kind = match entry.file_type() {
                // Not every file system tells.
                FileType::Unknown => kind_of(dir, name, &path)?,
                kind => kind,
            };
            match kind {
                FileType::Directory => {
                    if inner.insert(path.clone()) {
                        self.note_dir(path)?;
                    }
                }
                FileType::RegularFile => self.take_file(dir, name, path)?,
                FileType::Symlink => self.take_link(dir, name, path)?,
                kind => return Err(refused(format!("{} is {}", shown(&path), kind_name(kind)))),
            }
        }
        Ok(())
    }

    /// The entry's path below the run's directory.
    fn path(&self, below: &str, name: &CStr) -> Result<String, CollectError> {
        let Ok(name) = name.to_str() else {
            let shown = name.to_bytes().escape_ascii();
            return Err(refused(format!("the name \"{below}{shown}\" is not UTF-8")));
        };
        let path = format!("{below}{name}");
        if name.chars().any(char::is_control) {
            return Err(refused(format!("the name {} has control characters", shown(&path))));
        }
        if self.prefix.len() + path.len() > PATH_BYTES {
            return Err(refused(format!("the path {} is longer than {PATH_BYTES} bytes", shown(&path))));
        }
        Ok(path)
    }

    fn note_dir(&mut self, path: String) -> Result<(), CollectError> {
        if path.split('/').count() > DEPTH {
            return Err(refused(format!("{} is more than {DEPTH} directories deep", shown(&path))));
        }
        if self.dirs.len() == OUTPUTS {
            return Err(refused(format!("there are more than {OUTPUTS} directories")));
        }
        self.dirs.push(path);
        Ok(())
    }

    fn ensure_room(&self) -> Result<(), CollectError> {
        let most = OUTPUTS.min(self.limits.files);
        match self.taken() < most {
            true => Ok(()),
            false => Err(refused(too_many(most))),
        }
    }

    fn take_file(&mut self, dir: &OwnedFd, name: &CStr, path: String) -> Result<(), CollectError> {
        if self.waiting.contains(&path) {
            return Ok(());
        }
        self.ensure_room()?;
        // NONBLOCK: a FIFO put in its place meanwhile must not hold us up.
        let file =
            open_beneath(dir, name, OFlags::NONBLOCK | OFlags::NOCTTY).map_err(|errno| unreadable(&path, errno))?;
        let stat = fstat(&file).map_err(|errno| trouble("looking at a file", errno))?;
        let size = self.judge(&stat, &path)?;
        let executable = stat.st_mode & EXECUTABLE != 0;
        let (digest, content) = match self.take_again(&stat) {
            Some(taken) => {
                self.remove(dir, name);
                taken
            }
            None if self.fits_inline(size) => {
                let bytes = read_exactly(&file, size, &path)?;
                self.remove(dir, name);
                self.inline_bytes += bytes.len();
                (Some(blake3::hash(&bytes)), Content::Inline(bytes))
            }
            None if stat.st_nlink == 1 => (None, Content::File(Arc::new(self.move_out(dir, name, &stat, &path)?))),
            None => {
                self.waiting.insert(path.clone());
                (None, Content::Inline(Bytes::new()))
            }
        };
        self.outputs.push(Output { path: format!("{}{path}", self.prefix), digest, size, executable, content });
        Ok(())
    }

    fn remove(&mut self, dir: &OwnedFd, name: &CStr) {
        self.emptied &= unlinkat(dir, name, AtFlags::empty()).is_ok();
    }

    /// Takes what the run wrote to standard output.
    fn take_spool(&mut self, tray: &mut Tray, name: &str) -> Result<(), CollectError> {
        const DOING: &str = "taking standard output";
        let stat = tray.spool_stat().map_err(|cause| io_trouble(DOING, cause))?;
        let size = self.judge(&stat, name)?;
        let (digest, content) = if self.fits_inline(size) {
            let bytes = tray.read_spool(&stat).map_err(|cause| io_trouble(DOING, cause))?;
            self.inline_bytes += bytes.len();
            (Some(blake3::hash(&bytes)), Content::Inline(bytes))
        } else {
            let owned = tray.take_spool().map_err(|cause| io_trouble(DOING, cause))?;
            (None, Content::File(Arc::new(owned)))
        };
        self.outputs.push(Output { path: format!("{}{name}", self.prefix), digest, size, executable: false, content });
        Ok(())
    }

    /// The size of a file that is allowed to be an output.
    fn judge(&mut self, stat: &Stat, path: &str) -> Result<u64, CollectError> {
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind != FileType::RegularFile {
            return Err(refused(format!("{} is {}", shown(path), kind_name(kind))));
        }
        if stat.st_nlink != 1 && self.policy == Links::Refuse {
            return Err(refused(format!(
                "{} has several names, as hard links make them (`links: refuse`)",
                shown(path)
            )));
        }
        let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        if size > self.limits.file_bytes {
            return Err(refused(too_large(path, self.limits.file_bytes)));
        }
        self.count(size)?;
        Ok(size)
    }

    fn count(&mut self, size: u64) -> Result<(), CollectError> {
        self.total_bytes = self.total_bytes.saturating_add(size);
        if self.total_bytes > self.limits.total_bytes {
            return Err(refused(too_much(self.limits.total_bytes)));
        }
        Ok(())
    }

    fn fits_inline(&self, size: u64) -> bool {
        size <= SMALL_BLOB_BYTES as u64 && self.inline_bytes as u64 + size <= INLINE_BYTES as u64
    }

    /// Moves a file to where nobody else reaches it.
    fn move_out(&self, dir: &OwnedFd, name: &CStr, stat: &Stat, path: &str) -> Result<OwnedFile, CollectError> {
        let (owned, found) = self.yard.take_in(dir, name).map_err(|cause| io_trouble("moving a file", cause))?;
        // Something else may have been put in its place between the judgement and the move.
        let told = |stat: &Stat| (stat.st_dev, stat.st_ino, stat.st_nlink, stat.st_size);
        if told(&found) != told(stat) {
            return Err(refused(format!("{} was changed after the run", shown(path))));
        }
        Ok(owned)
    }
}

fn open_beneath(dir: &OwnedFd, path: impl rustix::path::Arg, more: OFlags) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | more;
    openat2(dir, path, flags, Mode::empty(), BENEATH)
}

/// Removes an empty directory below `run`; its parent is opened first, since a path would follow links.
fn remove_dir(run: &OwnedFd, below: &str) -> rustix::io::Result<()> {
    match below.rsplit_once('/') {
        None => unlinkat(run, below, AtFlags::REMOVEDIR),
        Some((parent, name)) => {
            let parent = open_beneath(run, parent, OFlags::DIRECTORY)?;
            unlinkat(&parent, name, AtFlags::REMOVEDIR)
        }
    }
}

fn read_exactly(file: &OwnedFd, size: u64, path: &str) -> Result<Bytes, CollectError> {
    if size == 0 {
        return Ok(Bytes::new());
    }
    // One byte of room more than there should be shows a file that has grown.
    let mut bytes = Vec::with_capacity(size as usize + 1);
    let read = rustix::io::read(file, rustix::buffer::spare_capacity(&mut bytes))
        .map_err(|errno| trouble("reading a file", errno))?;
    if read as u64 != size {
        return Err(refused(format!("{} changed while it was read", shown(path))));
    }
    Ok(bytes.into())
}

fn kind_of(dir: &OwnedFd, name: &CStr, path: &str) -> Result<FileType, CollectError> {
    let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|errno| unreadable(path, errno))?;
    Ok(FileType::from_raw_mode(stat.st_mode))
}
