//! Hashing inputs on blocking threads.

use std::{
    fs::File,
    io,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::{
    Digest, UploadError,
    inputs::{Input, Source},
    upload::Tracker,
};

/// Threads that read and hash. Two keep a disk busy while leaving cores to the containers on the same machine.
const THREADS: usize = 2;

/// An input's digest and size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hashed {
    pub digest: Digest,
    pub size: u64,
}

/// Hashes the inputs of `range`; the answer is in their order.
pub(crate) async fn hash(
    inputs: Arc<Vec<Input>>,
    range: Range<usize>,
    tracker: Arc<Tracker>,
) -> Result<Vec<Hashed>, UploadError> {
    let next = Arc::new(AtomicUsize::new(range.start));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (inputs, next, tracker) = (inputs.clone(), next.clone(), tracker.clone());
            tokio::task::spawn_blocking(move || hash_some(&inputs, range.end, &next, &tracker))
        })
        .collect();
    let mut all = Vec::with_capacity(range.len());
    for thread in threads {
        all.extend(thread.await.map_err(|_| UploadError::Stopped)??);
    }
    all.sort_unstable_by_key(|&(index, _)| index);
    Ok(all.into_iter().map(|(_, hashed)| hashed).collect())
}

/// One thread's share: whichever input comes next, until none is left.
fn hash_some(
    inputs: &[Input],
    end: usize,
    next: &AtomicUsize,
    tracker: &Tracker,
) -> Result<Vec<(usize, Hashed)>, UploadError> {
    let mut done = Vec::new();
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        if index >= end {
            return Ok(done);
        }
        let hashed = match hash_source(&inputs[index].source) {
            Ok(hashed) => hashed,
            Err(source) => {
                // The other thread need not go on.
                next.store(end, Ordering::Relaxed);
                return Err(UploadError::read(&inputs[index].source, source));
            }
        };
        tracker.hashed(hashed.size);
        done.push((index, hashed));
    }
}

fn hash_source(source: &Source) -> io::Result<Hashed> {
    match source {
        Source::Bytes(bytes) => Ok(Hashed { digest: Digest::of(bytes), size: bytes.len() as u64 }),
        Source::File(path) => {
            let mut hasher = blake3::Hasher::new();
            hasher.update_reader(File::open(path)?)?;
            Ok(Hashed { digest: hasher.finalize().into(), size: hasher.count() })
        }
    }
}
