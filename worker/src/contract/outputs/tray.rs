//! Where the outputs of one run at a time lie: a directory the inside can write to, and a file for its standard output.
//!
//! Both are used again for later runs as long as they are found as they were made: to make and remove them for each item
//! costs a file system several times as much as the item's bytes. The directory belongs to the user that the run is, and is
//! closed to everybody else, so a run reaches the outputs of no other, whatever names it knows; whatever its owner can leave
//! on it beside files (its mode, attributes, flags, times) is looked for. The file for standard output has no name inside at
//! all. It is opened anew for each run, so that nothing a run does to its descriptor (`O_NONBLOCK`, its position) is there
//! for the next.

use std::{
    fs::{File, Permissions},
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{FileExt, MetadataExt, PermissionsExt},
    },
};

use bytes::Bytes;
use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_NOW, Uid, fchmod, fchown, fstat, futimens, mkdirat,
    openat, statat,
};
use rustix::io::Errno;

use super::marks::{self, Flags};
use crate::{contract::yard::Yard, work::OwnedFile};

/// For the run's user, and us.
const DIR_MODE: Mode = Mode::from_raw_mode(0o700);

/// For programs that open `/dev/stdout`.
const FILE_MODE: u32 = 0o666;

/// A place for the outputs of one run at a time.
#[derive(Debug)]
pub(crate) struct Tray {
    /// The directory's name below the sandbox's outputs.
    pub(super) name: String,
    pub(super) dir: OwnedFd,
    /// What the directory is.
    identity: Identity,
    /// Its times, as far as we know.
    times: Times,
    /// Whose it is; nothing is ours.
    owner: Option<(u32, u32)>,
    inside: String,
    spool: Option<Spool>,
    /// The run's standard output goes to the spool, and is an output.
    pub(super) spooled: bool,
    /// Everything the run left in the directory was taken out.
    pub(super) emptied: bool,
}

/// Device, inode, mode, size, flags and attributes of a directory.
type Identity = (u64, u64, u32, i64, Flags, usize);

/// Times of reading and writing, in nanoseconds.
type Times = ((i64, u64), (i64, u64));

/// The file for standard output.
#[derive(Debug)]
struct Spool {
    file: File,
    /// Where it is, on the file system of the blobs.
    owned: OwnedFile,
    attributes: usize,
}

impl Tray {
    /// Makes a directory below a sandbox's outputs, `inside` as the inside calls them.
    pub(super) fn make(outputs: &OwnedFd, inside: &str) -> io::Result<Self> {
        let name = uuid::Uuid::new_v4().simple().to_string();
        mkdirat(outputs, &name, DIR_MODE)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // That we read it is to be no time of it: else it would have to be set anew after each run.
        let dir = match openat(outputs, &name, flags | OFlags::NOATIME, Mode::empty()) {
            Err(Errno::PERM) => openat(outputs, &name, flags, Mode::empty())?,
            opened => opened?,
        };
        // Whatever our umask is.
        fchmod(&dir, DIR_MODE)?;
        let stat = fstat(&dir)?;
        let (identity, times) = (identity(&stat, &dir), times(&stat));
        let inside = format!("{inside}/{name}");
        Ok(Self { name, dir, identity, times, owner: None, inside, spool: None, spooled: false, emptied: false })
    }

    /// The directory, as the inside sees it.
    pub(crate) fn path(&self) -> &str {
        &self.inside
    }

    /// Begins with another run, which is this user (nothing is ours): its standard output goes to the descriptor, if it is to be
    /// an output.
    pub(super) fn begin(
        &mut self,
        spooled: bool,
        owner: Option<(u32, u32)>,
        yard: &Yard,
    ) -> io::Result<Option<OwnedFd>> {
        self.emptied = false;
        self.spooled = spooled;
        if let Some((uid, gid)) = owner.filter(|_| owner != self.owner) {
            fchown(&self.dir, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
            self.owner = owner;
        }
        if !spooled {
            return Ok(None);
        }
        let spool = match self.spool.take() {
            Some(spool) => spool,
            None => Spool::make(yard)?,
        };
        let (spool, opened) = match File::options().write(true).open(spool.owned.path()) {
            Ok(opened) => (spool, opened),
            // An inside that runs as our own user may have changed its mode.
            Err(_) => {
                let fresh = Spool::make(yard)?;
                let opened = File::options().write(true).open(fresh.owned.path())?;
                (fresh, opened)
            }
        };
        self.spool = Some(spool);
        Ok(Some(opened.into()))
    }

    /// The directory, and the file of standard output where that is an output: to look at while the run goes on.
    pub(in crate::contract) fn to_look_at(&self) -> io::Result<(OwnedFd, Option<OwnedFd>)> {
        let spool = self.spool.as_ref().filter(|_| self.spooled);
        let spool = spool.map(|spool| spool.file.try_clone()).transpose()?;
        Ok((self.dir.try_clone()?, spool.map(OwnedFd::from)))
    }

    /// What standard output came to.
    pub(super) fn spool_stat(&self) -> io::Result<Stat> {
        match &self.spool {
            Some(spool) => Ok(fstat(&spool.file)?),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// The bytes of a small standard output; the file is as new afterwards.
    pub(super) fn read_spool(&mut self, stat: &Stat) -> io::Result<Bytes> {
        let Some(spool) = &self.spool else { return Err(io::ErrorKind::NotFound.into()) };
        let size = usize::try_from(stat.st_size).map_err(io::Error::other)?;
        let mut bytes = vec![0; size];
        spool.file.read_exact_at(&mut bytes, 0)?;
        match size {
            // Room that was taken beyond the end of an empty file does not go by truncating it.
            0 if stat.st_blocks > 0 => self.spool = None,
            0 => {}
            _ => spool.file.set_len(0)?,
        }
        // Whoever may write to it may also leave attributes on it.
        if self.spool.as_ref().is_some_and(|spool| marks::attributes(&spool.file) != spool.attributes) {
            self.spool = None;
        }
        Ok(bytes.into())
    }

    /// A large standard output: the file itself, ours alone from now on.
    pub(super) fn take_spool(&mut self) -> io::Result<OwnedFile> {
        let Some(Spool { file, owned, .. }) = self.spool.take() else { return Err(io::ErrorKind::NotFound.into()) };
        file.set_permissions(Permissions::from_mode(0o600))?;
        Ok(owned)
    }

    /// Whether the next run would find what this one found.
    pub(super) fn is_as_made(&mut self, outputs: &OwnedFd) -> bool {
        self.emptied && self.looks_as_made(outputs).unwrap_or(false)
    }

    fn looks_as_made(&mut self, outputs: &OwnedFd) -> io::Result<bool> {
        let stat = statat(outputs, &self.name, AtFlags::SYMLINK_NOFOLLOW)?;
        if identity(&stat, &self.dir) != self.identity {
            return Ok(false);
        }
        if times(&stat) != self.times {
            let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
            futimens(&self.dir, &Timestamps { last_access: now, last_modification: now })?;
            self.times = times(&fstat(&self.dir)?);
        }
        Ok(true)
    }
}

fn identity(stat: &Stat, dir: &OwnedFd) -> Identity {
    (stat.st_dev, stat.st_ino, stat.st_mode, stat.st_size, marks::flags(dir), marks::attributes(dir))
}

fn times(stat: &Stat) -> Times {
    ((stat.st_atime, stat.st_atime_nsec), (stat.st_mtime, stat.st_mtime_nsec))
}

impl Spool {
    fn make(yard: &Yard) -> io::Result<Self> {
        let path = yard.new_file();
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        let owned = OwnedFile::new(path);
        if file.metadata()?.mode() & 0o7777 != FILE_MODE {
            file.set_permissions(Permissions::from_mode(FILE_MODE))?;
        }
        let attributes = marks::attributes(&file);
        Ok(Self { file, owned, attributes })
    }
}
