//! Reading and hashing inputs on blocking threads, a run of them at a time.
//!
//! Small inputs are read once: their bytes stay at hand until it is known whether they are wanted. Large ones are only
//! hashed, and read again when they are.

use std::{
    fs::{File, Metadata},
    io::{self, Read as _},
    ops::Range,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use longshore_proto::{Digest, SMALL_BLOB_BYTES};
use rustix::{buffer::spare_capacity, fs::OFlags};
use tokio::sync::mpsc;

use super::{error::UploadError, progress::Tracker};
use crate::inputs::{Input, LeftOut, Source};

/// Threads that read and hash. Two keep a disk busy while leaving cores to the containers on the same machine.
const THREADS: usize = 2;

/// Inputs read together, at most: 4 MiB of small ones.
const RUN: usize = 64;

/// No run has inputs from before and from behind a multiple of this.
pub(super) const STRETCH: usize = 512;

/// Runs that wait for their turn to be uploaded.
const AHEAD: usize = 4;

/// Bytes of a run that most runs have room in.
const RUN_BYTES: usize = 256 << 10;

/// Bytes of a large input hashed at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// What is known of an input once it was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hashed {
    pub digest: Digest,
    pub size: u64,
    /// Its owner may execute it.
    pub executable: bool,
}

/// The bit of a file's mode by which its owner may execute it.
const EXECUTABLE: u32 = 0o100;

/// Inputs that follow one another, read.
#[derive(Debug)]
pub(super) struct Run {
    /// Index of the first.
    pub start: usize,
    /// Each with its bytes, if it is small; nothing for one that is left out.
    pub inputs: Vec<Option<(Hashed, Option<Bytes>)>>,
}

/// Reads all inputs. Runs come in about the order of the inputs; after an error nothing more is read.
pub(super) fn start(
    inputs: Arc<Vec<Input>>,
    left_out: Option<LeftOut>,
    tracker: Arc<Tracker>,
) -> mpsc::Receiver<Result<Run, UploadError>> {
    let (out, runs) = mpsc::channel(AHEAD);
    let next = Arc::new(Next(Mutex::new(0)));
    for _ in 0..THREADS {
        let (inputs, next, tracker, out) = (inputs.clone(), next.clone(), tracker.clone(), out.clone());
        let left_out = left_out.clone();
        tokio::task::spawn_blocking(move || {
            while let Some(range) = next.take(inputs.len()) {
                let run = read_run(range.start, &inputs[range], left_out.as_ref(), &tracker);
                let failed = run.is_err();
                if failed {
                    next.stop(inputs.len());
                }
                if out.blocking_send(run).is_err() || failed {
                    return;
                }
            }
        });
    }
    runs
}

/// Where the next run starts.
struct Next(Mutex<usize>);

impl Next {
    /// The next run, of `inputs` in all. Runs get shorter towards the end, so that the threads end together: a few large
    /// inputs are shared between them too.
    fn take(&self, inputs: usize) -> Option<Range<usize>> {
        let mut next = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let start = *next;
        let share = ((inputs - start) / (4 * THREADS)).clamp(1, RUN);
        *next = inputs.min(start + share.min(STRETCH - start % STRETCH));
        (start < inputs).then_some(start..*next)
    }

    /// Nothing more is to be read.
    fn stop(&self, inputs: usize) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = inputs;
    }
}

fn read_run(start: usize, inputs: &[Input], left_out: Option<&LeftOut>, tracker: &Tracker) -> Result<Run, UploadError> {
    let mut small = Vec::with_capacity(RUN_BYTES);
    let mut found = Vec::with_capacity(inputs.len());
    for input in inputs {
        let before = small.len();
        let hashed = match &input.source {
            Source::Bytes(bytes) => {
                Ok(Hashed { digest: Digest::of(bytes), size: bytes.len() as u64, executable: false })
            }
            Source::File(path) => match read_file(path, &mut small) {
                Ok(Some(hashed)) => Ok(hashed),
                Ok(None) => Err(UploadError::Changed { shown: input.source.shown() }),
                Err(error) => Err(UploadError::read(&input.source, error)),
            },
        };
        match (hashed, left_out) {
            (Ok(hashed), _) => found.push(Some((hashed, before..small.len()))),
            (Err(unusable), None) => return Err(unusable),
            (Err(unusable), Some(left_out)) => {
                left_out.add(&unusable);
                small.truncate(before);
                found.push(None);
            }
        }
    }
    let small = Bytes::from(small);
    let at_hand = |(input, (hashed, range)): (&Input, (Hashed, Range<usize>))| match &input.source {
        Source::Bytes(bytes) => (hashed, Some(bytes.clone())),
        Source::File(_) if range.len() as u64 == hashed.size => (hashed, Some(small.slice(range))),
        Source::File(_) => (hashed, None),
    };
    let found = inputs.iter().zip(found).map(|(input, found)| Some(at_hand((input, found?))));
    let run = Run { start, inputs: found.collect() };
    tracker.hashed(inputs.len() as u64, run.inputs.iter().flatten().map(|(hashed, _)| hashed.size).sum());
    Ok(run)
}

/// Hashes a file and, if it is small, leaves its bytes behind those in `small`; `None` if it changed meanwhile.
fn read_file(path: &Path, small: &mut Vec<u8>) -> io::Result<Option<Hashed>> {
    // Whatever came in the place of the file that was found is not waited for.
    let file = File::options().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    let before = file.metadata()?;
    if !before.is_file() {
        return Err(io::Error::other("it is not a regular file any more"));
    }
    let executable = before.mode() & EXECUTABLE != 0;
    let start = small.len();
    if before.len() > SMALL_BLOB_BYTES as u64 || !read_small(&file, before.len(), small)? {
        let begun = small.split_off(start);
        let hashed = hash_large(&file, &begun, executable)?;
        return Ok(is_as_before(&before, &file.metadata()?).then_some(hashed));
    }
    let bytes = &small[start..];
    let hashed = Hashed { digest: Digest::of(bytes), size: bytes.len() as u64, executable };
    Ok(is_as_before(&before, &file.metadata()?).then_some(hashed))
}

/// Reads to the end, which is expected at `size`; false when there is more than a small blob has.
fn read_small(file: &File, size: u64, small: &mut Vec<u8>) -> io::Result<bool> {
    let start = small.len();
    loop {
        small.reserve(size as usize + 1);
        let read = rustix::io::read(file, spare_capacity(small))?;
        let bytes = small.len() - start;
        if bytes > SMALL_BLOB_BYTES {
            return Ok(false);
        }
        // A file that tells no size (as those of /proc) is read until it says that it ends.
        if read == 0 || (bytes as u64 == size && size > 0) {
            return Ok(true);
        }
    }
}

fn hash_large(mut file: &File, begun: &[u8], executable: bool) -> io::Result<Hashed> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(begun);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(Hashed { digest: hasher.finalize().into(), size: hasher.count(), executable }),
            read => hasher.update(&chunk[..read]),
        };
    }
}

/// Whether nobody wrote to the file between the two looks.
fn is_as_before(before: &Metadata, after: &Metadata) -> bool {
    let state = |metadata: &Metadata| {
        (metadata.len(), metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec())
    };
    state(before) == state(after)
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use super::*;

    fn of(content: &[u8]) -> (Hashed, Vec<u8>) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        let mut small = b"before".to_vec();
        let hashed = read_file(file.path(), &mut small).unwrap().unwrap();
        (hashed, small.split_off(6))
    }

    #[test]
    fn runs_cover_all_inputs_and_keep_to_their_stretch() {
        for inputs in [0, 1, 7, STRETCH, 10 * STRETCH + 100] {
            let next = Next(Mutex::new(0));
            let runs: Vec<Range<usize>> = std::iter::from_fn(|| next.take(inputs)).collect();
            assert_eq!(runs.iter().cloned().flatten().collect::<Vec<_>>(), (0..inputs).collect::<Vec<_>>());
            assert!(runs.iter().all(|run| run.len() <= RUN && run.start / STRETCH == (run.end - 1) / STRETCH));
        }
        let next = Next(Mutex::new(0));
        next.stop(1_000);
        assert_eq!(next.take(1_000), None);
    }

    #[test]
    fn small_files_are_at_hand_and_large_ones_are_hashed_only() {
        for size in [0, 1, 5_000, SMALL_BLOB_BYTES, SMALL_BLOB_BYTES + 1, 1_000_000] {
            let content: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            let (hashed, held) = of(&content);
            assert_eq!((hashed.digest, hashed.size), (Digest::of(&content), size as u64));
            assert_eq!(held, if size <= SMALL_BLOB_BYTES { &content[..] } else { &[] }, "{size}");
        }
    }

    #[test]
    fn what_its_owner_may_execute_is_a_program() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = tempfile::NamedTempFile::new().unwrap();
        for (size, mode, executable) in
            [(5, 0o755, true), (1_000_000, 0o500, true), (5, 0o644, false), (5, 0o655, false)]
        {
            file.as_file().set_len(size).unwrap();
            fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
            if let Ok(hashed) = read_file(file.path(), &mut Vec::new()) {
                assert_eq!(hashed.unwrap().executable, executable, "{mode:o}");
            }
        }
    }

    #[test]
    fn a_file_that_tells_no_size_is_read_to_its_end() {
        let path = Path::new("/proc/self/limits");
        let mut small = Vec::new();
        let hashed = read_file(path, &mut small).unwrap().unwrap();
        assert!(!small.is_empty());
        assert_eq!(hashed.digest, Digest::of(&small));
    }

    #[test]
    fn a_file_written_to_or_grown_meanwhile_is_noticed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "one").unwrap();
        let before = file.as_file().metadata().unwrap();
        assert!(is_as_before(&before, &file.as_file().metadata().unwrap()));
        fs::write(file.path(), "more").unwrap();
        assert!(!is_as_before(&before, &file.as_file().metadata().unwrap()));
    }

    #[test]
    fn a_large_file_that_is_written_to_while_it_is_read_is_noticed() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&vec![1; 1_000_000]).unwrap();
        let before = file.as_file().metadata().unwrap();
        let open = File::open(file.path()).unwrap();
        hash_large(&open, b"", false).unwrap();
        assert!(is_as_before(&before, &open.metadata().unwrap()));
        file.write_all(b"more").unwrap();
        assert!(!is_as_before(&before, &open.metadata().unwrap()));
    }

    #[test]
    fn what_cannot_be_read_is_left_out_where_that_is_wanted_and_the_end_else() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "first").unwrap();
        fs::write(dir.path().join("c"), "last").unwrap();
        let input = |name: &str| Input { path: name.to_owned(), source: Source::File(dir.path().join(name)) };
        let inputs = ["a", "b", "c"].map(input);
        let tracker = Tracker::new(3, Arc::new(|_| {}));
        assert!(matches!(read_run(0, &inputs, None, &tracker), Err(UploadError::Read { .. })));
        let left_out = LeftOut::default();
        let run = read_run(0, &inputs, Some(&left_out), &tracker).unwrap();
        let bytes: Vec<_> = run.inputs.into_iter().map(|input| input.and_then(|(_, bytes)| bytes)).collect();
        assert_eq!(bytes, [Some("first".into()), None, Some("last".into())]);
        let told = left_out.told();
        assert!(told.count == 1 && told.first[0].contains("/b") && told.first[0].contains("No such file"), "{told:?}");
    }

    #[test]
    fn what_is_no_file_any_more_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
        assert!(read_file(&path, &mut Vec::new()).is_err());
    }
}
