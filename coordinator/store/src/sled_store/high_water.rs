//! The high-water mark: the newest acknowledged commit, kept outside of the database.
//!
//! A database that was rolled back or lost its tail looks perfectly well from within. The mark is written after a commit is
//! durable, so it is never ahead of a sound store; a store that is behind it has lost something. Two slots in different
//! sectors are written in turn, so that a torn write leaves the other.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, Instant},
};

use super::last::Mark;

const MAGIC: [u8; 4] = *b"LSHW";
const SLOT_STRIDE: u64 = 4096;
const SLOT_BYTES: usize = 48;
/// The mark may be this much older than the newest commit.
const INTERVAL: Duration = Duration::from_secs(1);

/// The open file.
#[derive(Debug)]
pub(crate) struct HighWater {
    file: File,
    slot: u64,
    kept: Mark,
    kept_at: Option<Instant>,
}

impl HighWater {
    /// Makes the file, with the given mark in both slots, durable up to its name.
    pub(crate) fn create(path: &Path, mark: Mark) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
        for slot in 0..2 {
            file.write_all_at(&encode(mark), slot * SLOT_STRIDE)?;
        }
        file.sync_all()?;
        Ok(Self { file, slot: 0, kept: mark, kept_at: None })
    }

    /// Opens the file; `None` when it is missing or neither slot is sound.
    pub(crate) fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::options().read(true).write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let newest = (0..2).filter_map(|slot| Some((read(&file, slot)?, slot))).max_by_key(|(mark, _)| mark.seq);
        Ok(newest.map(|(kept, slot)| Self { file, slot: 1 - slot, kept, kept_at: None }))
    }

    /// The newest mark that is kept.
    pub(crate) fn kept(&self) -> Mark {
        self.kept
    }

    /// Whether the mark was kept so long ago that it should be again.
    pub(crate) fn is_due(&self) -> bool {
        self.kept_at.is_none_or(|at| at.elapsed() >= INTERVAL)
    }

    /// Keeps the mark, durably, if it is another.
    pub(crate) fn keep(&mut self, mark: Mark) -> io::Result<()> {
        if mark == self.kept {
            return Ok(());
        }
        self.file.write_all_at(&encode(mark), self.slot * SLOT_STRIDE)?;
        self.file.sync_data()?;
        self.slot = 1 - self.slot;
        self.kept = mark;
        self.kept_at = Some(Instant::now());
        Ok(())
    }
}

fn encode(mark: Mark) -> [u8; SLOT_BYTES] {
    let mut slot = [0; SLOT_BYTES];
    slot[..4].copy_from_slice(&MAGIC);
    slot[4..12].copy_from_slice(&mark.seq.to_be_bytes());
    slot[12..44].copy_from_slice(&mark.chain);
    let crc = crc32c::crc32c(&slot[..44]);
    slot[44..].copy_from_slice(&crc.to_be_bytes());
    slot
}

fn read(file: &File, slot: u64) -> Option<Mark> {
    let mut bytes = [0; SLOT_BYTES];
    file.read_exact_at(&mut bytes, slot * SLOT_STRIDE).ok()?;
    let seq = bytes[4..12].try_into().ok()?;
    let chain = bytes[12..44].try_into().ok()?;
    let mark = Mark { seq: u64::from_be_bytes(seq), chain };
    (encode(mark) == bytes).then_some(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(seq: u64) -> Mark {
        Mark { seq, chain: [seq as u8; 32] }
    }

    #[test]
    fn the_newest_mark_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("high-water");
        let mut water = HighWater::create(&path, mark(0)).unwrap();
        for seq in 1..=5 {
            water.keep(mark(seq)).unwrap();
            assert_eq!(HighWater::open(&path).unwrap().unwrap().kept(), mark(seq));
        }
    }

    #[test]
    fn a_torn_slot_leaves_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("high-water");
        let mut water = HighWater::create(&path, mark(0)).unwrap();
        water.keep(mark(1)).unwrap();
        let torn = water.slot;
        water.keep(mark(2)).unwrap();
        water.file.write_all_at(&[0; 20], torn * SLOT_STRIDE + 28).unwrap();
        let mut water = HighWater::open(&path).unwrap().unwrap();
        assert_eq!(water.kept(), mark(1));
        water.keep(mark(3)).unwrap();
        assert_eq!(HighWater::open(&path).unwrap().unwrap().kept(), mark(3));
    }

    #[test]
    fn a_mark_just_kept_is_not_due() {
        let dir = tempfile::tempdir().unwrap();
        let mut water = HighWater::create(&dir.path().join("high-water"), mark(0)).unwrap();
        assert!(water.is_due());
        water.keep(mark(1)).unwrap();
        assert!(!water.is_due());
    }

    #[test]
    fn no_file_and_no_sound_slot_are_no_mark() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("high-water");
        assert!(HighWater::open(&path).unwrap().is_none());
        std::fs::write(&path, [0; 8192]).unwrap();
        assert!(HighWater::open(&path).unwrap().is_none());
    }
}
