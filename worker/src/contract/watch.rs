//! While a run goes on: what it has written so far is looked at, ten times a second, and a run over a bound is ended.
//!
//! The kernel bounds each file (RLIMIT_FSIZE), and nothing but us all of them together. A look costs a walk, so it is made on
//! a thread that may block, a slow one less often, and a run that is over within a tick is never looked at: what it left is
//! judged afterwards anyway.

use std::{
    io,
    os::fd::OwnedFd,
    sync::Arc,
    time::{Duration, Instant},
};

use longshore_proto::{
    bounds::OUTPUTS,
    v1::{Failure, FailureClass},
};
use rustix::{
    fs::{FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2, stat},
    process::Pid,
};
use tokio::{task::spawn_blocking, time::sleep};

use self::{
    nameless::Nameless,
    tally::{Beyond, DEPTH, Most, Tally},
};
use super::{
    amount,
    failures::failure,
    outputs::{Limits, Tray},
};

mod nameless;
mod tally;

/// How often is looked, while looks are quick.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// How often at least.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// After a look comes a pause of so many times as long.
const PAUSE_FACTOR: u32 = 10;

/// Most files in temporary places, and as many directories: a look at them takes half a second or so.
const TEMPORARY_FILES: usize = 500_000;

/// What engines give each container files of their own for.
const FILES_OF_ENGINE: [&str; 3] = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];

/// The temporary places of one container, with how much may be in them.
#[derive(Debug, Clone)]
pub(crate) struct Temporary {
    dirs: Arc<[OwnedFd]>,
    /// All together, in bytes.
    most_bytes: u64,
    /// The sandbox's first process, by its number outside: those below it may hold files that have no name.
    first: Option<Pid>,
    /// Devices of the file systems that the places are on.
    devices: Arc<[u64]>,
    /// Files of the engine's that whoever is root inside can write, over a layer that can be written.
    of_engine: Arc<[OwnedFd]>,
}

/// What is looked at in one look.
#[derive(Debug)]
pub(crate) struct Sight {
    temporary: Temporary,
    outputs: Option<Outputs>,
}

/// What a run has left so far.
#[derive(Debug)]
struct Outputs {
    dir: OwnedFd,
    stdout: Option<OwnedFd>,
    limits: Limits,
}

impl Temporary {
    /// Directories opened before anything ran, for so many bytes together, of the sandbox with this first process.
    pub(crate) fn new(dirs: Vec<OwnedFd>, most_bytes: u64, first: Option<Pid>) -> Self {
        let mut devices: Vec<u64> = dirs.iter().filter_map(|dir| Some(fstat(dir).ok()?.st_dev)).collect();
        // A layer's files are known inside by another device than outside.
        devices
            .extend(first.and_then(|first| Some(stat(format!("/proc/{}/root", first.as_raw_nonzero())).ok()?.st_dev)));
        devices.sort_unstable();
        devices.dedup();
        let of_engine = first.map(files_of_engine).unwrap_or_default().into();
        Self { dirs: dirs.into(), most_bytes, first, devices: devices.into(), of_engine }
    }

    /// These alone: for a server, whose answers are bounded as they come.
    pub(crate) fn sight(&self) -> Sight {
        Sight { temporary: self.clone(), outputs: None }
    }

    /// These, and what a run leaves in its tray.
    pub(crate) fn sight_with(&self, tray: &Tray, limits: Limits) -> io::Result<Sight> {
        let (dir, stdout) = tray.to_look_at()?;
        Ok(Sight { temporary: self.clone(), outputs: Some(Outputs { dir, stdout, limits }) })
    }

    /// Looks at these until there is too much in them.
    pub(crate) async fn over(&self) -> Failure {
        over(|| Ok(self.sight())).await
    }
}

/// Looks until something is over its bound; answers what. Where nothing changes, looks become rarer.
pub(crate) async fn over(mut sight: impl FnMut() -> io::Result<Sight>) -> Failure {
    let (mut pause, mut before) = (TICK, 0);
    loop {
        sleep(pause).await;
        // Without descriptors the next look will do.
        let Ok(sight) = sight() else { continue };
        let begun = Instant::now();
        match spawn_blocking(move || sight.look()).await {
            Ok(Err(failure)) => return failure,
            Ok(Ok(bytes)) => {
                pause = if bytes == before { (pause * 2).min(LONGEST_PAUSE) } else { TICK };
                pause = pause.max(pause_after(begun.elapsed()));
                before = bytes;
            }
            Err(_) => pause = LONGEST_PAUSE,
        }
    }
}

/// How long to wait after a look that took so long.
pub(crate) fn pause_after(took: Duration) -> Duration {
    (took * PAUSE_FACTOR).clamp(TICK, LONGEST_PAUSE)
}

impl Sight {
    /// Looks; answers how many bytes there are. Takes as long as the disk does.
    ///
    /// # Errors
    /// When there is too much of something: then the run is to be ended, and has failed so.
    pub(crate) fn look(&self) -> Result<u64, Failure> {
        let ended = |words: String| failure(FailureClass::Output, format!("ended while it ran: {words}"));
        let temporary = self.temporary.look().map_err(ended)?;
        let outputs = self.outputs.as_ref().map_or(Ok(0), Outputs::look).map_err(ended)?;
        Ok(temporary.saturating_add(outputs))
    }
}

impl Temporary {
    fn look(&self) -> Result<u64, String> {
        let most = Most { bytes: self.most_bytes, file_bytes: u64::MAX, files: TEMPORARY_FILES, dirs: TEMPORARY_FILES };
        let mut tally = Tally::new(most);
        let looked = self.dirs.iter().try_for_each(|dir| tally.directory(dir));
        let mut of_engine = self.of_engine.iter().filter_map(|file| fstat(file).ok());
        let looked = looked.and_then(|()| of_engine.try_for_each(|file| tally.file(&file, b"")));
        let looked = looked.and_then(|()| match self.first {
            Some(first) => Nameless::on(&self.devices).below(first, |file| tally.file(file, b"")),
            None => Ok(()),
        });
        looked.map(|()| tally.bytes).map_err(|beyond| match beyond {
            Beyond::Bytes(bytes) | Beyond::File { bytes, .. } => {
                let raise = raised("tmp_size", "--tmp-size", amount::flag(self.most_bytes.saturating_mul(2)));
                let bound = amount::bytes(self.most_bytes);
                format!("its temporary files take {} and may take {bound}; {raise}", amount::about(bytes))
            }
            Beyond::Files(number) | Beyond::Dirs(number) => {
                format!("there are {number} temporary files, and {TEMPORARY_FILES} is the most there can be")
            }
            Beyond::Held(number) => held(number),
            Beyond::Depth => too_deep("temporary directories"),
        })
    }
}

impl Outputs {
    fn look(&self) -> Result<u64, String> {
        let Limits { file_bytes, total_bytes, files } = self.limits;
        let mut tally = Tally::new(Most { bytes: total_bytes, file_bytes, files, dirs: OUTPUTS });
        let looked = self.stdout_into(&mut tally).and_then(|()| tally.directory(&self.dir));
        looked.map(|()| tally.bytes).map_err(|beyond| match beyond {
            Beyond::Bytes(bytes) => {
                let raise =
                    raised("max_total_output", "--max-total-output", amount::flag(total_bytes.saturating_mul(2)));
                let bound = amount::bytes(total_bytes);
                format!("its outputs take {} together and may take {bound}; {raise}", amount::about(bytes))
            }
            Beyond::File { name, bytes } => {
                let raise = raised("max_output", "--max-output", amount::flag(file_bytes.saturating_mul(2)));
                let (bound, size) = (amount::bytes(file_bytes), amount::about(bytes));
                format!("its output \"{}\" has {size} and may have {bound}; {raise}", name.escape_debug())
            }
            Beyond::Files(number) if files < OUTPUTS => {
                let raise = raised("max_output_files", "--max-output-files", OUTPUTS.min(files * 2).to_string());
                format!("it left {number} files and may leave {files}; {raise}")
            }
            Beyond::Files(number) => format!("it left {number} files, and {OUTPUTS} is the most there can be"),
            Beyond::Dirs(number) => format!("it left {number} directories, and {OUTPUTS} is the most there can be"),
            Beyond::Held(number) => held(number),
            Beyond::Depth => too_deep("directories of outputs"),
        })
    }

    fn stdout_into(&self, tally: &mut Tally) -> Result<(), Beyond> {
        match self.stdout.as_ref().map(fstat) {
            Some(Ok(stat)) => tally.file(&stat, b"standard output"),
            _ => Ok(()),
        }
    }
}

/// The files that an engine binds into every container from a place of its own, opened where this process sees them.
fn files_of_engine(first: Pid) -> Vec<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let root = open(format!("/proc/{}/root", first.as_raw_nonzero()), flags | OFlags::DIRECTORY, Mode::empty());
    let Ok(root) = root else { return Vec::new() };
    let opened = FILES_OF_ENGINE.iter().filter_map(|path| {
        // The image's links must not lead to the host's files.
        let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let file = openat2(&root, *path, flags | OFlags::NOFOLLOW, Mode::empty(), within).ok()?;
        let stat = fstat(&file).ok()?;
        (FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile).then_some(file)
    });
    opened.collect()
}

fn raised(key: &str, flag: &str, to: String) -> String {
    format!("`{key}: {to}` in the spec or `{flag} {to}` raises that")
}

fn held(number: usize) -> String {
    format!("its processes have more than {} open descriptors, which cannot be looked through", number - 1)
}

fn too_deep(what: &str) -> String {
    format!("its {what} are more than {DEPTH} deep")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_look_is_followed_by_a_longer_pause() {
        assert_eq!(pause_after(Duration::from_micros(50)), TICK);
        assert_eq!(pause_after(Duration::from_millis(30)), Duration::from_millis(300));
        assert_eq!(pause_after(Duration::from_secs(5)), LONGEST_PAUSE);
    }

    #[test]
    fn too_much_in_temporary_places_is_told_with_its_bound_and_how_to_raise_it() {
        let dir = tempfile::tempdir().unwrap();
        let places = [dir.path().join("a"), dir.path().join("b")];
        for place in &places {
            std::fs::create_dir(place).unwrap();
            std::fs::write(place.join("file"), vec![1; 3 << 20]).unwrap();
        }
        let open = || places.iter().map(|place| std::fs::File::open(place).unwrap().into()).collect();
        assert!(Temporary::new(open(), 8 << 20, None).sight().look().is_ok());
        let over = Temporary::new(open(), 5 << 20, None).sight().look().unwrap_err();
        assert_eq!(over.class(), FailureClass::Output);
        assert_eq!(
            over.message,
            "ended while it ran: its temporary files take 6.0 MiB and may take 5 MiB; `tmp_size: 10m` in the spec or \
             `--tmp-size 10m` raises that"
        );
    }
}
