//! The one directory outputs are written below.
//!
//! Every directory on the way is opened by itself, from the one before, refusing links (`O_NOFOLLOW`): whatever stands in
//! the directory, nothing is written outside it. A file is written under a name of its own and renamed when whole.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, RenameFlags},
    io::Errno,
};
use uuid::Uuid;

use crate::{aims::Protected, escape};

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Something could not be written below the directory.
#[derive(Debug, thiserror::Error)]
pub enum OutDirError {
    /// The directory cannot be made or opened.
    #[error("cannot open output directory {}", escape::path(path))]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A link or another thing that is no directory stands where a directory is needed.
    #[error("{} is in the way: {what}", escape::path(path))]
    InTheWay {
        /// Where.
        path: PathBuf,
        /// What is wrong with what stands there.
        what: &'static str,
    },
    /// A file or directory cannot be written.
    #[error("cannot write {}", escape::path(path))]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A file's place below the directory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// Must have passed [`path::check`](crate::path::check).
    pub path: &'a str,
    /// Whether it is a program: then whoever may read it may also execute it.
    pub executable: bool,
}

/// A directory that outputs are written below. Clones write below the same directory.
#[derive(Debug)]
pub struct OutDir {
    root: Arc<OwnedFd>,
    shown: PathBuf,
    /// Temporary names: the first part is this value's own, the second counts. They are short: the names of many files
    /// pass through the same directory.
    temporaries: (u64, u64),
    /// The directory written to last; outputs come in order of path, so it is mostly the right one.
    last: Option<(String, Arc<OwnedFd>)>,
    /// What is not replaced.
    protected: Arc<Protected>,
}

impl OutDir {
    /// Opens `path`, and makes it and its parents if need be. `path` itself may lead through links: it is the user's.
    pub fn open(path: &Path) -> Result<OutDir, OutDirError> {
        let failed = |source: io::Error| OutDirError::Open { path: path.to_owned(), source };
        std::fs::create_dir_all(path).map_err(failed)?;
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty()).map_err(|e| failed(e.into()))?;
        Ok(OutDir::new(Arc::new(root), path.to_owned()))
    }

    fn new(root: Arc<OwnedFd>, shown: PathBuf) -> OutDir {
        let (temporaries, protected) = ((Uuid::new_v4().as_u64_pair().0, 0), Arc::default());
        OutDir { root, shown, temporaries, last: None, protected }
    }

    /// Replaces none of these.
    pub fn protecting(self, protected: Protected) -> OutDir {
        OutDir { protected: Arc::new(protected), ..self }
    }

    /// Refuses an output that would replace what is protected.
    pub(crate) fn ensure_unprotected(&self, path: &str) -> Result<(), OutDirError> {
        match self.protected.has(path) {
            true => Err(in_the_way(&self.shown.join(path), "it is an input of this job, which no output replaces")),
            false => Ok(()),
        }
    }

    /// Begins a file. It appears in its place when committed.
    pub(crate) fn create(&mut self, place: Place<'_>) -> Result<OutFile, OutDirError> {
        let (parent, name) = place.parts();
        let parent = self.parent(parent)?;
        check_target(&parent, name, &self.shown.join(place.path))?;
        self.begin(parent, place)
    }

    /// A whole file at once.
    pub(crate) fn put(&mut self, place: Place<'_>, bytes: &[u8]) -> Result<(), OutDirError> {
        let parent = self.parent(place.parts().0)?;
        let mut file = self.begin(parent, place)?;
        file.write(bytes)?;
        file.commit()
    }

    fn begin(&mut self, parent: Arc<OwnedFd>, place: Place<'_>) -> Result<OutFile, OutDirError> {
        let (name, shown) = (place.parts().1.to_owned(), self.shown.join(place.path));
        let (own, count) = &mut self.temporaries;
        *count += 1;
        let temporary = format!(".longshore-{own:x}-{count}.part");
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // As the umask lets them be.
        let mode = Mode::from_raw_mode(if place.executable { 0o777 } else { 0o666 });
        match rustix::fs::openat(&parent, &temporary, flags, mode) {
            Ok(file) => Ok(OutFile { file: file.into(), parent, temporary, name, shown, committed: false }),
            Err(error) => Err(write_error(&shown, error)),
        }
    }

    fn parent(&mut self, path: &str) -> Result<Arc<OwnedFd>, OutDirError> {
        if path.is_empty() {
            return Ok(self.root.clone());
        }
        if let Some((_, directory)) = self.last.as_ref().filter(|(last, _)| last == path) {
            return Ok(directory.clone());
        }
        let (mut directory, mut shown) = (self.root.clone(), self.shown.clone());
        for component in path.split('/') {
            shown.push(component);
            directory = Arc::new(enter(&directory, component, &shown)?);
        }
        self.last = Some((path.to_owned(), directory.clone()));
        Ok(directory)
    }
}

impl Place<'_> {
    /// Its directory and its name there.
    fn parts(&self) -> (&str, &str) {
        self.path.rsplit_once('/').unwrap_or(("", self.path))
    }
}

impl Clone for OutDir {
    fn clone(&self) -> OutDir {
        OutDir { protected: self.protected.clone(), ..OutDir::new(self.root.clone(), self.shown.clone()) }
    }
}

/// Opens the directory `name` of `parent`, and makes it if it is not there.
fn enter(parent: &OwnedFd, name: &str, shown: &Path) -> Result<OwnedFd, OutDirError> {
    match rustix::fs::openat(parent, name, DIRECTORY, Mode::empty()) {
        Err(Errno::NOENT) => {}
        opened => return opened.map_err(|error| enter_error(shown, error)),
    }
    match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o777)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(write_error(shown, error)),
    }
    rustix::fs::openat(parent, name, DIRECTORY, Mode::empty()).map_err(|error| enter_error(shown, error))
}

fn enter_error(shown: &Path, error: Errno) -> OutDirError {
    match error {
        // Linux says ENOTDIR also for a link under O_DIRECTORY | O_NOFOLLOW.
        Errno::LOOP | Errno::NOTDIR => in_the_way(shown, "a directory is needed there, and links are not followed"),
        error => write_error(shown, error),
    }
}

/// As `cp` does, a regular file is replaced; anything else stays.
fn check_target(parent: &OwnedFd, name: &str, shown: &Path) -> Result<(), OutDirError> {
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(write_error(shown, error)),
        Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(()),
            FileType::Directory => Err(in_the_way(shown, "it is a directory, and the output a file")),
            FileType::Symlink => Err(in_the_way(shown, "it is a link, and links are not followed or replaced")),
            _ => Err(in_the_way(shown, "it is not a regular file")),
        },
    }
}

fn in_the_way(shown: &Path, what: &'static str) -> OutDirError {
    OutDirError::InTheWay { path: shown.to_owned(), what }
}

fn write_error(shown: &Path, error: Errno) -> OutDirError {
    OutDirError::Write { path: shown.to_owned(), source: error.into() }
}

/// A file under way. Dropped before it is committed, it leaves nothing.
#[derive(Debug)]
pub(crate) struct OutFile {
    file: File,
    parent: Arc<OwnedFd>,
    temporary: String,
    name: String,
    shown: PathBuf,
    committed: bool,
}

impl OutFile {
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), OutDirError> {
        self.file.write_all(bytes).map_err(|source| OutDirError::Write { path: self.shown.clone(), source })
    }

    /// Puts the file in place under its own name.
    pub fn commit(mut self) -> Result<(), OutDirError> {
        let (parent, temporary, name) = (&self.parent, &self.temporary, &self.name);
        let renamed = match rustix::fs::renameat_with(parent, temporary, parent, name, RenameFlags::NOREPLACE) {
            // Something is there, or the file system cannot tell.
            Err(Errno::EXIST | Errno::INVAL | Errno::NOSYS) => {
                // A race after this look cannot lead outside: rename replaces a link, it does not follow it.
                check_target(parent, name, &self.shown)?;
                rustix::fs::renameat(parent, temporary, parent, name)
            }
            renamed => renamed,
        };
        renamed.map_err(|error| write_error(&self.shown, error))?;
        self.committed = true;
        Ok(())
    }
}

impl Drop for OutFile {
    fn drop(&mut self) {
        if !self.committed {
            // Nothing more can be done about a temporary file that cannot be removed.
            let _ = rustix::fs::unlinkat(&self.parent, &self.temporary, AtFlags::empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn plain(path: &str) -> Place<'_> {
        Place { path, executable: false }
    }

    fn put(dir: &Path, path: &str, bytes: &[u8]) -> Result<(), OutDirError> {
        let mut file = OutDir::open(dir)?.create(plain(path))?;
        file.write(bytes)?;
        file.commit()
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn directories_are_made_and_regular_files_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("new/out");
        put(&root, "a/b/c.txt", b"1").unwrap();
        put(&root, "a/b/c.txt", b"2").unwrap();
        assert_eq!(fs::read(root.join("a/b/c.txt")).unwrap(), b"2");
        assert_eq!(names(&root.join("a/b")), ["c.txt"]);
    }

    #[test]
    fn a_program_can_be_executed_by_whoever_may_read_it_and_nothing_else_can() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let mut out = OutDir::open(dir.path()).unwrap();
        for executable in [true, false, true] {
            out.put(Place { path: "x", executable }, b"#!/bin/sh").unwrap();
            let mode = fs::metadata(dir.path().join("x")).unwrap().permissions().mode();
            assert_eq!(mode & 0o111, if executable { (mode & 0o444) >> 2 } else { 0 }, "{mode:o}");
        }
    }

    #[test]
    fn a_file_that_is_not_committed_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = OutDir::open(dir.path()).unwrap().create(plain("x")).unwrap();
        file.write(b"half").unwrap();
        drop(file);
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn nothing_is_written_through_links_or_over_what_is_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let (root, outside) = (dir.path().join("out"), dir.path().join("outside"));
        fs::create_dir_all(root.join("d")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("f"), "kept").unwrap();
        symlink(&outside, root.join("link")).unwrap();
        symlink(outside.join("f"), root.join("file")).unwrap();
        fs::write(root.join("plain"), "").unwrap();
        for path in ["link/f", "file", "d", "plain/x", "link"] {
            let error = put(&root, path, b"x").unwrap_err();
            assert!(matches!(error, OutDirError::InTheWay { .. }), "{path}: {error:?}");
            let error = OutDir::open(&root).unwrap().put(plain(path), b"x").unwrap_err();
            assert!(matches!(error, OutDirError::InTheWay { .. }), "{path}: {error:?}");
        }
        assert_eq!(names(&root).len(), 4, "no temporary file is left");
        assert_eq!(fs::read(outside.join("f")).unwrap(), b"kept");
        assert_eq!(names(&outside), ["f"]);
    }

    #[test]
    fn clones_write_side_by_side() {
        let dir = tempfile::tempdir().unwrap();
        let out = OutDir::open(dir.path()).unwrap();
        std::thread::scope(|scope| {
            for lane in 0..4 {
                let mut out = out.clone();
                scope.spawn(move || {
                    for file in 0..100 {
                        out.put(plain(&format!("same/{lane}-{file}")), b"1").unwrap();
                        out.put(plain("same/all"), b"1").unwrap();
                    }
                });
            }
        });
        assert_eq!(names(&dir.path().join("same")).len(), 401);
    }

    #[test]
    fn the_directory_itself_may_be_a_link() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("real")).unwrap();
        symlink("real", dir.path().join("link")).unwrap();
        put(&dir.path().join("link"), "x", b"1").unwrap();
        assert_eq!(fs::read(dir.path().join("real/x")).unwrap(), b"1");
    }
}
