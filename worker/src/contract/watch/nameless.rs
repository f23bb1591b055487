//! Files that were removed and are still held open: no walk finds them, and they fill a disk like any other.
//!
//! They are found where they are held: among the descriptors of all processes below a sandbox's first. What a process has only
//! mapped, or has sent to another that did not take it yet, is not seen, and nor is anything by a worker that may not look.
//! More than can be looked through is too much: else what is held could hide behind what is not.

use std::{collections::HashSet, ffi::CStr};

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, FsWord, Mode, OFlags, Stat, openat, readlinkat, statat, statfs},
    process::Pid,
};

use super::tally::Beyond;

/// Most descriptors of files that count, and of anything and processes, looked at in one look.
const MOST: Most = Most { files: 50_000, anything: 1_000_000 };

/// The kernel's number of FUSE, whose files keep their number of names when they have none any more.
const FUSE: FsWord = 0x6573_5546;

/// How much is looked at in one look.
#[derive(Debug, Clone, Copy)]
struct Most {
    files: usize,
    anything: usize,
}

/// What was found of one sandbox.
pub(super) struct Nameless<'a> {
    /// Devices of the file systems that count.
    devices: &'a [u64],
    seen: HashSet<(u64, u64)>,
    most: Most,
    files: usize,
    anything: usize,
}

impl<'a> Nameless<'a> {
    /// Of files on these devices.
    pub(super) fn on(devices: &'a [u64]) -> Self {
        Self { devices, seen: HashSet::new(), most: MOST, files: 0, anything: 0 }
    }

    /// Hands every such file that processes below the first one hold to `take`, once.
    ///
    /// # Errors
    /// That of `take`, or when more is held than can be looked through: then nothing more is looked at.
    pub(super) fn below(mut self, first: Pid, mut take: impl FnMut(&Stat) -> Result<(), Beyond>) -> Result<(), Beyond> {
        let mut pids = children(first.as_raw_nonzero().get());
        while let Some(pid) = pids.pop() {
            self.held_by(pid, &mut take)?;
            self.passed()?;
            pids.extend(children(pid));
        }
        Ok(())
    }

    fn held_by(&mut self, pid: i32, take: &mut impl FnMut(&Stat) -> Result<(), Beyond>) -> Result<(), Beyond> {
        // It may have ended meanwhile.
        let Some(mut descriptors) = directory(&format!("/proc/{pid}/fd")) else { return Ok(()) };
        while let Some(Ok(entry)) = descriptors.read() {
            self.passed()?;
            let Some(stat) = self.file(&descriptors, entry.file_name()) else { continue };
            self.files += 1;
            if self.files > self.most.files {
                return Err(Beyond::Held(self.files));
            }
            let gone = stat.st_nlink == 0 || was_removed(pid, &descriptors, entry.file_name());
            if gone && self.seen.insert((stat.st_dev, stat.st_ino)) {
                take(&stat)?;
            }
        }
        Ok(())
    }

    fn passed(&mut self) -> Result<(), Beyond> {
        self.anything += 1;
        if self.anything > self.most.anything { Err(Beyond::Held(self.anything)) } else { Ok(()) }
    }

    /// The file behind a descriptor, if it is on a disk that counts.
    fn file(&self, descriptors: &Dir, name: &CStr) -> Option<Stat> {
        let stat = statat(descriptors.fd().ok()?, name, AtFlags::empty()).ok()?;
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        (is_file && self.devices.contains(&stat.st_dev)).then_some(stat)
    }
}

/// Whether the file behind a descriptor was removed although it is said to have a name. Elsewhere than on FUSE it has: the
/// descriptor's was removed, and a walk finds another.
fn was_removed(pid: i32, descriptors: &Dir, name: &CStr) -> bool {
    let path = descriptors.fd().and_then(|fd| readlinkat(fd, name, Vec::new()));
    path.is_ok_and(|path| path.to_bytes().ends_with(b" (deleted)"))
        && statfs(format!("/proc/{pid}/fd/{}", name.to_string_lossy())).is_ok_and(|known| known.f_type == FUSE)
}

/// The processes that threads of this one have started and that were not collected yet.
fn children(pid: i32) -> Vec<i32> {
    let mut all = Vec::new();
    let Some(mut threads) = directory(&format!("/proc/{pid}/task")) else { return all };
    while let Some(Ok(entry)) = threads.read() {
        let thread = entry.file_name().to_string_lossy();
        let listed = std::fs::read_to_string(format!("/proc/{pid}/task/{thread}/children")).unwrap_or_default();
        all.extend(listed.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
    }
    all
}

fn directory(path: &str) -> Option<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty()).ok().and_then(|fd| Dir::new(fd).ok())
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{BufRead, BufReader},
        os::unix::fs::MetadataExt,
        path::Path,
        process::{Child, Command, Stdio},
    };

    use super::*;

    /// A process that holds a removed file of three bytes open, behind this many descriptors of other things.
    struct Holder(Child);

    impl Holder {
        fn of(dir: &Path, others: &str) -> Self {
            let script = format!("{others}; exec 3>f; printf abc >&3; rm f; echo ready; read end");
            let mut command = Command::new("sh");
            command
                .args(["-c", &script])
                .current_dir(dir)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null());
            let mut child = command.spawn().unwrap();
            let mut said = String::new();
            BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
            assert_eq!(said, "ready\n");
            Self(child)
        }

        /// What is found of it alone.
        fn found(&self, dir: &Path, most: Most) -> Result<Vec<i64>, Beyond> {
            let devices = [fs::metadata(dir).unwrap().dev()];
            let mut nameless = Nameless { most, ..Nameless::on(&devices) };
            let mut sizes = Vec::new();
            nameless.held_by(self.0.id().try_into().unwrap(), &mut |file| {
                sizes.push(file.st_size);
                Ok(())
            })?;
            Ok(sizes)
        }
    }

    impl Drop for Holder {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn what_is_no_file_of_ours_does_not_hide_what_is() {
        let dir = tempfile::tempdir().unwrap();
        let holder = Holder::of(dir.path(), "exec 4</dev/null 5</dev/null 6</dev/null 7</dev/null");
        assert_eq!(holder.found(dir.path(), Most { files: 1, ..MOST }).unwrap(), [3]);
    }

    #[test]
    fn more_than_can_be_looked_through_is_too_much() {
        let dir = tempfile::tempdir().unwrap();
        let holder = Holder::of(dir.path(), "echo > g; exec 4<g 5<g 6<g 7<g");
        assert_eq!(holder.found(dir.path(), MOST).unwrap(), [3]);
        assert!(matches!(holder.found(dir.path(), Most { files: 3, ..MOST }), Err(Beyond::Held(4))));
        assert!(matches!(holder.found(dir.path(), Most { anything: 3, ..MOST }), Err(Beyond::Held(4))));
    }
}
