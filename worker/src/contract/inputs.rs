//! Inputs on their way in: one directory per run below a sandbox's inputs, which the inside can only read.
//!
//! ```text
//! in/NAME/photo.jpg              one input, under its own name
//! in/NAME/parts/000000-a.txt …   many parts, in order of their names
//! in/NAME/manifest.json          what the parts are
//! in/NAME/joined                 all parts one after the other, where the command reads them as standard input
//! ```
//!
//! A run's directory belongs to the user that the run is, and is closed to everybody else: a run reaches neither the inputs
//! that wait for later ones nor those of earlier ones. Until its run begins it is whoever's was there before, and nobody of
//! that user lives.
//!
//! The directories are used again for later runs, and so is the file of a small input, renamed and written anew: to make
//! and remove a file for each item costs a journalling file system several times as much (ext4 steps over every inode
//! freed within the last minute). Nobody has the file open by then, and nobody inside can write to it. Large inputs are
//! hard links to the cache's files where the inside has a read-only mount, and copies where it has not. A program is always
//! a file of its own: the cache's are none, and what somebody has open for writing cannot be executed.

use std::{
    fs::File,
    io::{self, Write},
    os::{fd::OwnedFd, unix::fs::FileExt},
    path::Path,
    sync::Arc,
};

use longshore_proto::{
    bounds::COMPONENT_BYTES,
    v1::{Missing, NamedBlob},
};
use rustix::{
    fs::{
        AtFlags, CWD, Gid, Mode, OFlags, Uid, chmodat, chownat, fchmod, linkat, mkdirat, openat, renameat, statat,
        unlinkat,
    },
    io::Errno,
};

use super::{
    arguments, manifest,
    names::{base_name, open_directory, shortened},
};
use crate::cache::Blob;

const PARTS: &str = "parts";

/// Digits of a directory's number, mostly.
const DIGITS: usize = 6;

const MANIFEST: &str = "manifest.json";
const JOINED: &str = "joined";
const FILE_MODE: Mode = Mode::from_raw_mode(0o444);
const PROGRAM_MODE: Mode = Mode::from_raw_mode(0o555);
/// For parts: it lies in a directory that is closed.
const DIR_MODE: Mode = Mode::from_raw_mode(0o755);
const RUN_MODE: Mode = Mode::from_raw_mode(0o700);

/// The input directories of one sandbox.
pub(crate) struct InputDirs {
    parent: Arc<Parent>,
    inside: String,
    free: Vec<RunDir>,
    /// Directories there have been.
    made: u64,
    /// Whether directories are used again.
    again: bool,
}

/// The directory of all of them, shared with the thread that stages large inputs.
struct Parent {
    dir: OwnedFd,
    /// The inside cannot write here, so a hard link to a cached file is safe.
    read_only: bool,
}

/// A directory for one run at a time.
#[derive(Debug)]
struct RunDir {
    name: String,
    /// The only thing in it between runs.
    kept: Option<Kept>,
}

/// A small input's file.
#[derive(Debug)]
struct Kept {
    file: File,
    name: String,
    size: usize,
}

/// What to put in a directory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// The inputs, in order.
    pub inputs: &'a [NamedBlob],
    /// Name for a single input.
    pub name: &'a str,
    /// Whether they are parts.
    pub gather: bool,
    /// What is not among the parts of a gather stage; nothing for a merge, which is told of what is there.
    pub missing: Option<&'a Missing>,
    /// Parts only: how they lie.
    pub parts: Parts,
}

/// How parts lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parts {
    /// Each as a file of a directory.
    pub laid: bool,
    /// All of them in one file.
    pub joined: bool,
    /// What they are, as a file.
    pub manifest: bool,
}

impl Wanted<'_> {
    fn is_program(&self, at: usize) -> bool {
        self.inputs.get(at).is_some_and(|input| input.executable)
    }
}

/// Inputs that are in place.
#[derive(Debug)]
pub(crate) struct Staged {
    dir: RunDir,
    /// Files to remove after the run, below the directory.
    files: Vec<String>,
    parts: bool,
    /// The inside's path of `{in}`, if there is one.
    pub(crate) input: Option<String>,
    /// Bytes that the paths of parts take as arguments.
    pub(crate) argument_bytes: u64,
    /// The inside's path of `{manifest}`.
    pub(crate) manifest: Option<String>,
    /// What standard input is read from, if it is: below the directory of all inputs.
    pub(crate) stdin: String,
}

impl InputDirs {
    /// Opens a sandbox's input directory. Directories are used `again` only where each run is a user of its own.
    pub(crate) fn open(host: &Path, inside: &str, read_only: bool, again: bool) -> io::Result<Self> {
        let parent = Parent { dir: open_directory(host)?, read_only };
        Ok(Self { parent: Arc::new(parent), inside: inside.to_owned(), free: Vec::new(), made: 0, again })
    }

    /// Gives staged inputs to the user that the run will be.
    pub(crate) fn give(&self, staged: &Staged, owner: (u32, u32)) -> io::Result<()> {
        let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
        Ok(chownat(&self.parent.dir, &staged.dir.name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Bytes that the paths of parts take as arguments once they lie here.
    pub(crate) fn argument_bytes(&self, wanted: &Wanted<'_>) -> u64 {
        if !wanted.gather || !wanted.parts.laid {
            return 0;
        }
        arguments::bytes(&format!("{}/{:DIGITS$}/{PARTS}", self.inside, 0), &part_names(wanted.inputs))
    }

    /// Stages inputs at once, if all of them have travelled along.
    pub(crate) fn stage_small(&mut self, wanted: &Wanted<'_>) -> Option<io::Result<Staged>> {
        let blobs: Option<Vec<Blob>> =
            wanted.inputs.iter().map(|input| input.inline.clone().map(Blob::Bytes)).collect();
        Some(self.stage(wanted, &blobs?))
    }

    fn stage(&mut self, wanted: &Wanted<'_>, blobs: &[Blob]) -> io::Result<Staged> {
        let dir = self.take()?;
        self.parent.stage(&self.inside, dir, wanted, blobs)
    }

    /// Takes a directory, and what to stage into it with on another thread.
    pub(crate) fn stager(
        &mut self,
    ) -> io::Result<impl FnOnce(&Wanted<'_>, &[Blob]) -> io::Result<Staged> + Send + 'static> {
        let dir = self.take()?;
        let (parent, inside) = (Arc::clone(&self.parent), self.inside.clone());
        Ok(move |wanted: &Wanted<'_>, blobs: &[Blob]| parent.stage(&inside, dir, wanted, blobs))
    }

    /// Removes a run's inputs, or leaves the file of a small one to be used again. A directory that cannot be emptied is
    /// not used again.
    pub(crate) fn clear(&mut self, mut staged: Staged) {
        if self.parent.clear(&staged).is_err() {
            return;
        }
        if self.again {
            return self.free.push(staged.dir);
        }
        // What cannot be removed now goes with the sandbox.
        let _ = self.parent.remove_kept(&mut staged.dir);
        let _ = unlinkat(&self.parent.dir, &staged.dir.name, AtFlags::REMOVEDIR);
    }

    fn take(&mut self) -> io::Result<RunDir> {
        if let Some(dir) = self.free.pop() {
            return Ok(dir);
        }
        loop {
            // Short, as it is part of the path of each part.
            let name = self.made.to_string();
            self.made += 1;
            match self.parent.make_dir(&name, RUN_MODE) {
                // Runs of a container that has several at once have directories side by side.
                Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
                made => return made.map(|()| RunDir { name, kept: None }),
            }
        }
    }
}

impl Parent {
    fn stage(&self, inside: &str, dir: RunDir, wanted: &Wanted<'_>, blobs: &[Blob]) -> io::Result<Staged> {
        let base = format!("{inside}/{}", dir.name);
        let input = format!("{base}/{}", if wanted.gather { PARTS } else { wanted.name });
        let mut staged = Staged {
            files: Vec::new(),
            parts: wanted.gather && wanted.parts.laid,
            manifest: (wanted.gather && wanted.parts.manifest).then(|| format!("{base}/{MANIFEST}")),
            stdin: format!("{}/{}", dir.name, if wanted.gather { JOINED } else { wanted.name }),
            input: (!wanted.gather || wanted.parts.laid).then_some(input),
            argument_bytes: 0,
            dir,
        };
        let done = match blobs {
            _ if wanted.gather => self.put_parts(&mut staged, wanted, blobs),
            [Blob::Bytes(bytes)] if !wanted.is_program(0) => self.put_small(&mut staged.dir, wanted.name, bytes),
            [blob] => self.put(&mut staged, wanted.name.to_owned(), blob, wanted.is_program(0)),
            _ => Err(io::Error::other("an item has exactly one input")),
        };
        if let Err(cause) = done {
            // The directory stays out of use either way.
            let _ = self.clear(&staged);
            return Err(cause);
        }
        Ok(staged)
    }

    /// Writes a small input into the directory's file, new or used.
    fn put_small(&self, dir: &mut RunDir, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut kept = match dir.kept.take() {
            Some(kept) => kept,
            None => Kept { file: self.create(&dir.name, name, FILE_MODE)?, name: name.to_owned(), size: 0 },
        };
        if kept.name != name {
            let path = |name: &str| format!("{}/{name}", dir.name);
            renameat(&self.dir, path(&kept.name), &self.dir, path(name))?;
            name.clone_into(&mut kept.name);
        }
        kept.file.write_all_at(bytes, 0)?;
        if kept.size > bytes.len() {
            kept.file.set_len(bytes.len() as u64)?;
        }
        kept.size = bytes.len();
        dir.kept = Some(kept);
        Ok(())
    }

    fn remove_kept(&self, dir: &mut RunDir) -> io::Result<()> {
        if let Some(kept) = dir.kept.take() {
            unlinkat(&self.dir, format!("{}/{}", dir.name, kept.name), AtFlags::empty())?;
        }
        Ok(())
    }

    fn put_parts(&self, staged: &mut Staged, wanted: &Wanted<'_>, blobs: &[Blob]) -> io::Result<()> {
        self.remove_kept(&mut staged.dir)?;
        let names = part_names(wanted.inputs);
        if let Some(directory) = staged.input.as_deref() {
            staged.argument_bytes = arguments::bytes(directory, &names);
            self.make_dir(&format!("{}/{PARTS}", staged.dir.name), DIR_MODE)?;
            for (at, (name, blob)) in names.iter().zip(blobs).enumerate() {
                self.put(staged, format!("{PARTS}/{name}"), blob, wanted.is_program(at))?;
            }
        }
        if wanted.parts.manifest {
            let manifest = manifest::of(wanted.inputs, &names, wanted.missing)?;
            self.put(staged, MANIFEST.to_owned(), &Blob::Bytes(manifest.into()), false)?;
        }
        if wanted.parts.joined {
            staged.files.push(JOINED.to_owned());
            let mut file = self.create(&staged.dir.name, JOINED, FILE_MODE)?;
            for blob in blobs {
                append(&mut file, blob)?;
            }
        }
        Ok(())
    }

    fn put(&self, staged: &mut Staged, name: String, blob: &Blob, program: bool) -> io::Result<()> {
        self.remove_kept(&mut staged.dir)?;
        let linked = match blob {
            Blob::File(cached) if self.read_only && !program => self.link(cached.path(), &staged.dir.name, &name)?,
            _ => false,
        };
        if !linked {
            let mode = if program { PROGRAM_MODE } else { FILE_MODE };
            append(&mut self.create(&staged.dir.name, &name, mode)?, blob)?;
        }
        staged.files.push(name);
        Ok(())
    }

    /// False when the file system does not want another link here: then a copy it is.
    fn link(&self, from: &Path, dir: &str, name: &str) -> io::Result<bool> {
        match linkat(CWD, from, &self.dir, format!("{dir}/{name}"), AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::XDEV | Errno::MLINK | Errno::PERM | Errno::OPNOTSUPP) => Ok(false),
            Err(cause) => Err(cause.into()),
        }
    }

    fn create(&self, dir: &str, name: &str, mode: Mode) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&self.dir, format!("{dir}/{name}"), flags, mode)?;
        // Whatever our umask is, the inside may run as anybody and must be able to read it.
        fchmod(&file, mode)?;
        Ok(file.into())
    }

    fn make_dir(&self, path: &str, mode: Mode) -> io::Result<()> {
        mkdirat(&self.dir, path, mode)?;
        if statat(&self.dir, path, AtFlags::SYMLINK_NOFOLLOW)?.st_mode & 0o777 != mode.as_raw_mode() {
            chmodat(&self.dir, path, mode, AtFlags::empty())?;
        }
        Ok(())
    }

    fn clear(&self, staged: &Staged) -> io::Result<()> {
        let dir = &staged.dir.name;
        for file in &staged.files {
            unlinkat(&self.dir, format!("{dir}/{file}"), AtFlags::empty())?;
        }
        if staged.parts {
            unlinkat(&self.dir, format!("{dir}/{PARTS}"), AtFlags::REMOVEDIR)?;
        }
        Ok(())
    }
}

fn append(file: &mut File, blob: &Blob) -> io::Result<()> {
    match blob {
        Blob::Bytes(bytes) => file.write_all(bytes),
        // Within the kernel, and without copying where the file system can share blocks.
        Blob::File(cached) => io::copy(&mut File::open(cached.path())?, file).map(|_| ()),
    }
}

/// Names of parts: sorted by name they are in order, however many there are.
fn part_names(parts: &[NamedBlob]) -> Vec<String> {
    let digits = parts.len().saturating_sub(1).to_string().len().max(6);
    let name = |(index, part): (usize, &NamedBlob)| {
        let base = shortened(base_name(&part.path), COMPONENT_BYTES - digits - 1);
        format!("{index:0digits$}-{base}")
    };
    parts.iter().enumerate().map(name).collect()
}

#[cfg(test)]
mod tests;
