//! Outputs on their way out: what a run left in its output directory, which must be taken for hostile.
//!
//! The directory is only reached through a descriptor opened before anything ran, and resolved beneath it: no symbolic
//! link is followed and no mount entered. Only a regular file is an output; it is judged by its open descriptor, not by its
//! path, and read through the same. A FIFO, socket or device refuses the attempt, and so does a name that is not UTF-8 or
//! has control characters, or more than the bounds below allow.
//!
//! A symbolic link stands for a file that was found beside it, worked out from names alone. A file with several names is
//! copied once and never kept: whoever has another name of it could still change it.
//!
//! Nothing of the run lives any more when its outputs are collected. In a warm slot the *next* run may, but it is another user,
//! to whom the directory is closed. Everything here also holds when somebody changes the directory meanwhile, as an inside
//! that runs as our own user could: even that cannot make us read, move or remove anything else, nor make us hang.

use std::{io, mem::MaybeUninit, os::fd::OwnedFd, path::Path, sync::Arc};

use rustix::{
    fs::{AtFlags, RawDir, SeekFrom, fstat, seek, unlinkat},
    io::Errno,
};

use super::{names::open_directory, yard::Yard};

mod collection;
mod error;
mod links;
mod marks;
mod notes;
mod tray;

pub(crate) use collection::{Collected, Limits};
pub(crate) use error::CollectError;
pub(crate) use links::Links;
pub(crate) use tray::Tray;

/// Bytes of directory entries read at a time.
const ENTRIES_BUFFER: usize = 8 << 10;

/// The outputs directory of one sandbox.
pub(crate) struct OutputDirs {
    dir: OwnedFd,
    inside: String,
    free: Vec<Tray>,
    /// As it was before anything ran.
    mode: u32,
    /// Whether trays are used again.
    again: bool,
    yard: Arc<Yard>,
    entries: Vec<MaybeUninit<u8>>,
}

impl OutputDirs {
    /// Opens a sandbox's output directory, `inside` as the inside calls it. To be called before anything runs inside. Trays are
    /// used `again` only where each run is a user of its own.
    pub(crate) fn open(host: &Path, inside: &str, yard: Arc<Yard>, again: bool) -> io::Result<Self> {
        let dir = open_directory(host)?;
        Ok(Self {
            mode: mode(&dir)?,
            dir,
            inside: inside.to_owned(),
            free: Vec::new(),
            again,
            yard,
            entries: vec![MaybeUninit::uninit(); ENTRIES_BUFFER],
        })
    }

    /// A tray for the outputs of a run that is this user (nothing is ours). With `spooled`, standard output is one of them, and
    /// goes to the descriptor.
    pub(crate) fn lay(&mut self, spooled: bool, owner: Option<(u32, u32)>) -> io::Result<(Tray, Option<OwnedFd>)> {
        let mut tray = match self.free.pop() {
            Some(tray) => tray,
            None => Tray::make(&self.dir, &self.inside)?,
        };
        match tray.begin(spooled, owner, &self.yard) {
            Ok(stdout) => Ok((tray, stdout)),
            Err(cause) => {
                // What cannot be removed now goes with the sandbox.
                let _ = self.remove(&tray);
                Err(cause)
            }
        }
    }

    /// Takes everything a run left, sorted by path. `item` is the path of the item: its directory is where the outputs
    /// go, and its name is that of standard output. `links` says what becomes of links.
    ///
    /// # Errors
    /// When there is anything that is not allowed: then nothing is an output.
    pub(crate) fn collect(
        &mut self,
        tray: &mut Tray,
        item: &str,
        (limits, links): (Limits, Links),
    ) -> Result<Collected, CollectError> {
        collection::collect(tray, item, (limits, links), &self.yard, &mut self.entries)
    }

    /// Takes a tray back after its run. What is left in one goes with it: much of that is moved aside and removed later.
    ///
    /// # Errors
    /// When that cannot be done: then the sandbox must not be used again.
    pub(crate) fn clear(&mut self, mut tray: Tray) -> io::Result<()> {
        if self.again && tray.is_as_made(&self.dir) {
            self.free.push(tray);
            return Ok(());
        }
        self.remove(&tray)?;
        if self.again { Ok(()) } else { self.look_for_leavings() }
    }

    /// Where runs are all the same user, one may own this directory too, and there is no other tray.
    fn look_for_leavings(&mut self) -> io::Result<()> {
        let is_own = |name: &std::ffi::CStr| matches!(name.to_bytes(), b"." | b"..");
        seek(&self.dir, SeekFrom::Start(0))?;
        let mut entries = RawDir::new(&self.dir, &mut self.entries);
        while let Some(entry) = entries.next() {
            if !is_own(entry?.file_name()) {
                return Err(io::Error::other("a run left something beside its own outputs"));
            }
        }
        if mode(&self.dir)? != self.mode {
            return Err(io::Error::other("a run changed the directory of outputs"));
        }
        Ok(())
    }

    fn remove(&self, tray: &Tray) -> io::Result<()> {
        match unlinkat(&self.dir, &tray.name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(_) => self.yard.throw_away(&self.dir, &tray.name),
        }
    }
}

fn mode(dir: &OwnedFd) -> io::Result<u32> {
    Ok(fstat(dir)?.st_mode)
}

#[cfg(test)]
mod tests;
