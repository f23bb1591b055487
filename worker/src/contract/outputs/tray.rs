//! Where the outputs of one run at a time lie: a directory the inside can write to, and a file for its standard output.
//!
//! Both are used again for later runs as long as they are found as they were made: to make and remove them for each item
//! costs a file system several times as much as the item's bytes. The directory's name cannot be guessed, and its parent
//! not be listed by an inside that runs as another user than ours: so a run does not find that of another, whose outputs
//! may not be collected yet. Runs of another job get others. The file for standard output has no name inside at all. It is opened anew for each run, so
//! that nothing a run does to its descriptor (`O_NONBLOCK`, its position) is there for the next.

use std::{
    fs::{File, Permissions},
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{FileExt, MetadataExt, PermissionsExt},
    },
};

use bytes::Bytes;
use rustix::fs::{AtFlags, Mode, OFlags, Stat, fchmod, fstat, mkdirat, openat, statat};

use crate::{contract::yard::Yard, work::OwnedFile};

/// Whoever the inside runs as shall be able to write.
const DIR_MODE: Mode = Mode::from_raw_mode(0o777);

/// For programs that open `/dev/stdout`.
const FILE_MODE: u32 = 0o666;

/// A place for the outputs of one run at a time.
#[derive(Debug)]
pub(crate) struct Tray {
    /// The directory's name below the sandbox's outputs.
    pub(super) name: String,
    pub(super) dir: OwnedFd,
    /// Device, inode and mode of the directory.
    identity: (u64, u64, u32),
    inside: String,
    spool: Option<Spool>,
    /// The run's standard output goes to the spool, and is an output.
    pub(super) spooled: bool,
    /// Everything the run left in the directory was taken out.
    pub(super) emptied: bool,
}

/// The file for standard output.
#[derive(Debug)]
struct Spool {
    file: File,
    /// Where it is, on the file system of the blobs.
    owned: OwnedFile,
}

impl Tray {
    /// Makes a directory below a sandbox's outputs, `inside` as the inside calls them.
    pub(super) fn make(outputs: &OwnedFd, inside: &str) -> io::Result<Self> {
        let name = uuid::Uuid::new_v4().simple().to_string();
        mkdirat(outputs, &name, DIR_MODE)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = openat(outputs, &name, flags, Mode::empty())?;
        // Whatever our umask is.
        fchmod(&dir, DIR_MODE)?;
        let identity = identity(&fstat(&dir)?);
        let inside = format!("{inside}/{name}");
        Ok(Self { name, dir, identity, inside, spool: None, spooled: false, emptied: false })
    }

    /// The directory, as the inside sees it.
    pub(crate) fn path(&self) -> &str {
        &self.inside
    }

    /// Begins with another run: its standard output goes to the descriptor, if it is to be an output.
    pub(super) fn begin(&mut self, spooled: bool, yard: &Yard) -> io::Result<Option<OwnedFd>> {
        self.emptied = false;
        self.spooled = spooled;
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
        Ok(bytes.into())
    }

    /// A large standard output: the file itself, ours alone from now on.
    pub(super) fn take_spool(&mut self) -> io::Result<OwnedFile> {
        let Some(Spool { file, owned }) = self.spool.take() else { return Err(io::ErrorKind::NotFound.into()) };
        file.set_permissions(Permissions::from_mode(0o600))?;
        Ok(owned)
    }

    /// Whether the next run would find what this one found.
    pub(super) fn is_as_made(&self, outputs: &OwnedFd) -> bool {
        let found = || statat(outputs, &self.name, AtFlags::SYMLINK_NOFOLLOW);
        self.emptied && found().is_ok_and(|stat| identity(&stat) == self.identity)
    }
}

fn identity(stat: &Stat) -> (u64, u64, u32) {
    (stat.st_dev, stat.st_ino, stat.st_mode)
}

impl Spool {
    fn make(yard: &Yard) -> io::Result<Self> {
        let path = yard.new_file();
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        let owned = OwnedFile::new(path);
        if file.metadata()?.mode() & 0o7777 != FILE_MODE {
            file.set_permissions(Permissions::from_mode(FILE_MODE))?;
        }
        Ok(Self { file, owned })
    }
}
