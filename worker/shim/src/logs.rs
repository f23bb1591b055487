//! Bounded logs: what a process writes to a pipe, its beginning and its end.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use longshore_shim::{Log, MAX_LOG_BYTES};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::{self, Errno};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

/// Bytes read at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// Most chunks read before the loop looks at everything else again.
const BURST: usize = 8;

/// Size a pipe grows to once its process writes more than a chunk: fewer switches between writer and reader.
const FLOOD_PIPE_BYTES: usize = CHUNK_BYTES;

/// Most chunks read after all writers are dead: far more than the largest pipe the kernel allows without privilege.
const LAST_CHUNKS: usize = 256;

/// One buffer for all reading.
pub struct Chunk(Vec<u8>);

impl Chunk {
    /// Takes no memory before it is used.
    pub fn new() -> Self {
        Self(vec![0; CHUNK_BYTES])
    }
}

/// The reading end of a pipe, and what is kept of it.
///
/// The writing end is held open by its owner until all writers are dead: so the end of a process does not wake the loop
/// twice, and "nothing to read" after the last writer's death means that everything was read.
pub struct Capture {
    pipe: OwnedFd,
    kept: Kept,
    flooded: bool,
}

impl Capture {
    /// A new capture that keeps at most `log_bytes`, and the end to write to, which is left in blocking mode.
    ///
    /// # Errors
    /// When the system has no descriptor left.
    pub fn new(log_bytes: u32) -> io::Result<(Self, OwnedFd)> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        fcntl_setfl(&reader, OFlags::NONBLOCK)?;
        let capture = Self { pipe: reader, kept: Kept::new(log_bytes), flooded: false };
        Ok((capture, writer))
    }

    /// What to poll for reading.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    /// Reads what is there, but not for ever.
    pub fn read(&mut self, chunk: &mut Chunk) {
        self.read_chunks(chunk, BURST);
    }

    /// Reads the rest. False when it does not end: then a writer is alive.
    pub fn read_rest(&mut self, chunk: &mut Chunk) -> bool {
        self.read_chunks(chunk, LAST_CHUNKS)
    }

    /// What was kept.
    pub fn into_log(self) -> Log {
        self.kept.into_log()
    }

    fn read_chunks(&mut self, chunk: &mut Chunk, most: usize) -> bool {
        for _ in 0..most {
            match io::read(&self.pipe, chunk.0.as_mut_slice()) {
                Ok(0) | Err(Errno::AGAIN) => return true,
                Ok(count) => {
                    self.kept.push(&chunk.0[..count]);
                    self.widen();
                }
                // A signal; the next read tells.
                Err(Errno::INTR) => {}
                Err(_) => return true,
            }
        }
        false
    }

    fn widen(&mut self) {
        if !self.flooded && self.kept.total > CHUNK_BYTES as u64 {
            self.flooded = true;
            // Past the user's share of pipe memory it is refused, and the log is only read more slowly.
            let _ = fcntl_setpipe_size(&self.pipe, FLOOD_PIPE_BYTES);
        }
    }
}

/// The first bytes, and a ring of the last ones.
struct Kept {
    head: Vec<u8>,
    head_bytes: usize,
    tail: VecDeque<u8>,
    tail_bytes: usize,
    total: u64,
}

impl Kept {
    fn new(log_bytes: u32) -> Self {
        let bytes = log_bytes.min(MAX_LOG_BYTES) as usize;
        Self { head: Vec::new(), head_bytes: bytes / 2, tail: VecDeque::new(), tail_bytes: bytes - bytes / 2, total: 0 }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let room = self.head_bytes - self.head.len();
        let (first, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(first);
        let last = &rest[rest.len().saturating_sub(self.tail_bytes)..];
        let excess = (self.tail.len() + last.len()).saturating_sub(self.tail_bytes);
        self.tail.drain(..excess);
        self.tail.extend(last);
    }

    fn into_log(self) -> Log {
        let kept = (self.head.len() + self.tail.len()) as u64;
        Log { dropped: self.total - kept, head: self.head, tail: self.tail.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_of(log_bytes: u32, writes: &[&[u8]]) -> Log {
        let mut kept = Kept::new(log_bytes);
        for bytes in writes {
            kept.push(bytes);
        }
        kept.into_log()
    }

    #[test]
    fn what_fits_is_kept_whole() {
        let log = log_of(10, &[b"abc", b"defghij"]);
        assert_eq!((log.head, log.tail), (b"abcde".to_vec(), b"fghij".to_vec()));
        assert_eq!(log.dropped, 0);
    }

    #[test]
    fn the_middle_is_dropped_however_it_is_cut_into_writes() {
        let all: Vec<u8> = (0..=255).cycle().take(1000).collect();
        let whole = log_of(100, &[&all]);
        assert_eq!(whole.dropped, 900);
        assert_eq!(whole.head, &all[..50]);
        assert_eq!(whole.tail, &all[950..]);
        for size in [1, 7, 49, 50, 51, 333] {
            let cut: Vec<&[u8]> = all.chunks(size).collect();
            assert_eq!(log_of(100, &cut), whole, "writes of {size} bytes");
        }
    }

    #[test]
    fn a_log_of_no_bytes_only_counts() {
        let log = log_of(0, &[b"abc"]);
        assert_eq!((log.head.len(), log.tail.len(), log.dropped), (0, 0, 3));
    }

    #[test]
    fn no_log_is_larger_than_a_frame_can_carry() {
        let log = log_of(u32::MAX, &[&vec![b'x'; 1 << 20]]);
        assert_eq!(log.head.len() + log.tail.len(), MAX_LOG_BYTES as usize);
    }
}
