//! Outputs on their way out: what a run left in its output directory, which must be taken for hostile.
//!
//! The directory is only reached through a descriptor opened before anything ran, and resolved beneath it: no symbolic
//! link is followed and no mount entered. Only a regular file with one name is an output; it is judged by its open
//! descriptor, not by its path, and read through the same. A symbolic link, hard link, FIFO, socket or device refuses the
//! attempt, and so does a name that is not UTF-8 or has control characters, or more than the bounds below allow.
//!
//! Nothing of the run lives any more when its outputs are collected. In a warm slot the *next* run may: everything here
//! also holds when somebody changes the directory meanwhile. To find the directory of another run at all it takes a run of
//! the same job that was told its name, or an inside that runs as our own user; even those cannot make us read, move or
//! remove anything else, nor make us hang.

use std::{io, mem::MaybeUninit, os::fd::OwnedFd, path::Path, sync::Arc};

use rustix::{
    fs::{AtFlags, unlinkat},
    io::Errno,
};

use super::{names::open_directory, yard::Yard};
use crate::work::Output;

mod collection;
mod error;
mod tray;

pub(crate) use collection::Limits;
pub(crate) use error::CollectError;
pub(crate) use tray::Tray;

/// Bytes of directory entries read at a time.
const ENTRIES_BUFFER: usize = 8 << 10;

/// The outputs directory of one sandbox.
pub(crate) struct OutputDirs {
    dir: OwnedFd,
    inside: String,
    free: Vec<Tray>,
    /// Whose trays those are.
    job: [u8; 16],
    yard: Arc<Yard>,
    entries: Vec<MaybeUninit<u8>>,
}

impl OutputDirs {
    /// Opens a sandbox's output directory, `inside` as the inside calls it. To be called before anything runs inside.
    pub(crate) fn open(host: &Path, inside: &str, yard: Arc<Yard>) -> io::Result<Self> {
        Ok(Self {
            dir: open_directory(host)?,
            inside: inside.to_owned(),
            free: Vec::new(),
            job: [0; 16],
            yard,
            entries: vec![MaybeUninit::uninit(); ENTRIES_BUFFER],
        })
    }

    /// What follows is of this job. Trays that another job's runs have seen are not used again: those may know the names.
    pub(crate) fn turn_to(&mut self, job: [u8; 16]) {
        if self.job != job {
            self.job = job;
            for tray in std::mem::take(&mut self.free) {
                // What cannot be removed now goes with the sandbox.
                let _ = self.remove(&tray);
            }
        }
    }

    /// A tray for a run's outputs. With `spooled`, standard output is one of them, and goes to the descriptor.
    pub(crate) fn lay(&mut self, spooled: bool) -> io::Result<(Tray, Option<OwnedFd>)> {
        let mut tray = match self.free.pop() {
            Some(tray) => tray,
            None => Tray::make(&self.dir, &self.inside)?,
        };
        match tray.begin(spooled, &self.yard) {
            Ok(stdout) => Ok((tray, stdout)),
            Err(cause) => {
                // What cannot be removed now goes with the sandbox.
                let _ = self.remove(&tray);
                Err(cause)
            }
        }
    }

    /// Takes everything a run left, sorted by path. `item` is the path of the item: its directory is where the outputs
    /// go, and its name is that of standard output.
    ///
    /// # Errors
    /// When there is anything that is not allowed: then nothing is an output.
    pub(crate) fn collect(&mut self, tray: &mut Tray, item: &str, limits: Limits) -> Result<Vec<Output>, CollectError> {
        collection::collect(tray, item, limits, &self.yard, &mut self.entries)
    }

    /// Takes a tray back after its run. What is left in one goes with it: much of that is moved aside and removed later.
    ///
    /// # Errors
    /// When that cannot be done: then the sandbox must not be used again.
    pub(crate) fn clear(&mut self, tray: Tray) -> io::Result<()> {
        if tray.is_as_made(&self.dir) {
            self.free.push(tray);
            return Ok(());
        }
        self.remove(&tray)
    }

    fn remove(&self, tray: &Tray) -> io::Result<()> {
        match unlinkat(&self.dir, &tray.name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(_) => self.yard.throw_away(&self.dir, &tray.name),
        }
    }
}

#[cfg(test)]
mod tests;
