//! One pack file: records one behind the other, and how they are found again after a crash or damage.
//!
//! A record is `magic u32 | size u32 | digest 32 | crc32c u32 of these` (little-endian), then the blob's bytes. The header
//! has its own checksum so that a size can be believed; the bytes are checked against the digest. A pack ends where its
//! last record ends: what follows (a torn record, zeros from a lost write) was never synced.

use std::{fs::File, io, os::unix::fs::FileExt};

use blake3::Hash;

use crate::MAX_SMALL_BYTES;

/// Bytes before a blob's own.
pub(crate) const HEADER_BYTES: usize = 44;
const MAGIC: [u8; 4] = *b"LSB1";
/// How much is read at once when going through a pack. More than two records, so that one always fits.
const WINDOW_BYTES: usize = 1 << 20;

/// Adds the record's bytes to `records`.
pub(crate) fn encode(digest: &Hash, data: &[u8], records: &mut Vec<u8>) {
    let start = records.len();
    records.extend_from_slice(&MAGIC);
    records.extend_from_slice(&(data.len() as u32).to_le_bytes());
    records.extend_from_slice(digest.as_bytes());
    let crc = crc32c::crc32c(&records[start..]);
    records.extend_from_slice(&crc.to_le_bytes());
    records.extend_from_slice(data);
}

/// Digest and size, when these bytes begin with a sound header.
fn decode(bytes: &[u8]) -> Option<(Hash, usize)> {
    let (header, _) = bytes.split_at_checked(HEADER_BYTES)?;
    let (told, crc) = header.split_at(HEADER_BYTES - 4);
    if !told.starts_with(&MAGIC) || crc32c::crc32c(told).to_le_bytes() != crc {
        return None;
    }
    let size = u32::from_le_bytes(told[4..8].try_into().ok()?) as usize;
    let digest = Hash::from_slice(&told[8..]).ok()?;
    (size <= MAX_SMALL_BYTES).then_some((digest, size))
}

/// A record found in a pack.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) digest: Hash,
    pub(crate) offset: u64,
    pub(crate) size: usize,
    /// Whether the bytes are the digest's; not looked at unless asked for.
    pub(crate) sound: bool,
}

/// What going through a pack found.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub(crate) records: Vec<Found>,
    /// Where the last record ends.
    pub(crate) end: u64,
    /// Stretches in the middle that are not records, as (offset, bytes).
    pub(crate) gaps: Vec<(u64, u64)>,
}

/// Goes through the pack. With `verify` all bytes are checked against their digests, otherwise only headers are read.
///
/// Behind a damaged header the next record is searched for; from there on records are believed only with their bytes
/// verified: a blob may contain what looks like a record, and claim the bytes behind itself.
pub(crate) fn survey(file: &File, verify: bool) -> io::Result<Survey> {
    let mut window = Window::new(file)?;
    let mut survey = Survey::default();
    let mut at = 0;
    while let Some(found) = record_at(&mut window, at, verify)? {
        at = take(&mut survey, found);
    }
    while let Some(found) = search(&mut window, at)? {
        if found.offset > at {
            survey.gaps.push((at, found.offset - at));
        }
        at = take(&mut survey, found);
    }
    Ok(survey)
}

fn take(survey: &mut Survey, found: Found) -> u64 {
    survey.end = found.offset + (HEADER_BYTES + found.size) as u64;
    survey.records.push(found);
    survey.end
}

/// The record that begins at `offset`, if a whole one does.
fn record_at(window: &mut Window<'_>, offset: u64, verify: bool) -> io::Result<Option<Found>> {
    let Some((digest, size)) = decode(window.bytes(offset, HEADER_BYTES)?) else {
        return Ok(None);
    };
    if offset + (HEADER_BYTES + size) as u64 > window.len {
        return Ok(None);
    }
    let sound = !verify || {
        let data = window.bytes(offset + HEADER_BYTES as u64, size)?;
        data.len() == size && blake3::hash(data) == digest
    };
    Ok(Some(Found { digest, offset, size, sound }))
}

/// The first sound record at or behind `from`.
fn search(window: &mut Window<'_>, mut from: u64) -> io::Result<Option<Found>> {
    while from + HEADER_BYTES as u64 <= window.len {
        let bytes = window.bytes(from, WINDOW_BYTES / 2)?;
        let Some(hit) = bytes.windows(MAGIC.len()).position(|bytes| bytes == MAGIC) else {
            from += (bytes.len().saturating_sub(MAGIC.len() - 1)).max(1) as u64;
            continue;
        };
        from += hit as u64;
        match record_at(window, from, true)? {
            Some(found) if found.sound => return Ok(Some(found)),
            _ => from += 1,
        }
    }
    Ok(None)
}

/// A stretch of the file held in memory, moved as it is asked for.
struct Window<'a> {
    file: &'a File,
    len: u64,
    start: u64,
    buffer: Vec<u8>,
}

impl<'a> Window<'a> {
    fn new(file: &'a File) -> io::Result<Self> {
        Ok(Self { file, len: file.metadata()?.len(), start: 0, buffer: Vec::new() })
    }

    /// `count` bytes from `offset`, fewer at the file's end. `count` is at most half of [`WINDOW_BYTES`].
    fn bytes(&mut self, offset: u64, count: usize) -> io::Result<&[u8]> {
        let want = (count as u64).min(self.len.saturating_sub(offset)) as usize;
        let held = offset.checked_sub(self.start).is_some_and(|skip| skip + want as u64 <= self.buffer.len() as u64);
        if !held {
            self.fill(offset)?;
        }
        let skip = (offset - self.start) as usize;
        let end = (skip + want).min(self.buffer.len());
        Ok(&self.buffer[skip..end])
    }

    fn fill(&mut self, offset: u64) -> io::Result<()> {
        let want = (WINDOW_BYTES as u64).min(self.len.saturating_sub(offset)) as usize;
        self.buffer.resize(want, 0);
        self.start = offset;
        let mut filled = 0;
        while filled < want {
            match self.file.read_at(&mut self.buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.buffer.truncate(filled);
        Ok(())
    }
}
