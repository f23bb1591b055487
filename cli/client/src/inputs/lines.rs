//! Lists of paths, and files whose lines are the items.
//!
//! A file every line of which ends in CRLF is one of Windows: its lines end in LF here. A byte order mark at its beginning is left
//! out too.

use std::{
    ffi::OsStr,
    io::{self, Read},
    num::NonZeroUsize,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use bytes::Bytes;

use super::{
    error::{InputError, read_error},
    input::{Input, Source},
};

/// Largest list or file of lines, in bytes: they are held in memory, ten million lines of a hundred bytes.
const MAX_BYTES: u64 = 1024 * 1024 * 1024;

/// Digits of a line's number; more lines take more digits, and sort after.
const DIGITS: usize = 6;

/// What Windows puts before text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The paths of a list, ended by NUL if it has any, else by line ends. Empty lines are passed over.
pub(super) fn paths(list: impl Read, name: &str) -> Result<Vec<PathBuf>, InputError> {
    let mut text = read(list, name)?;
    let end = if text.contains(&0) { 0 } else { b'\n' };
    if end == b'\n' {
        text = plain(text);
    }
    let paths: Vec<PathBuf> = text
        .split(|&byte| byte == end)
        .filter(|path| !path.is_empty())
        .map(|path| PathBuf::from(OsStr::from_bytes(path)))
        .collect();
    match paths.is_empty() {
        true => Err(InputError::EmptyList { name: name.to_owned() }),
        false => Ok(paths),
    }
}

/// One input for each so many lines that are not empty. Each keeps its line end, so that it is a text file as POSIX has it.
pub(super) fn items(file: impl Read, name: &str, together: NonZeroUsize) -> Result<Vec<Input>, InputError> {
    let text = Bytes::from(plain(read(file, name)?));
    let mut lines = Vec::new();
    let mut start = 0;
    for (index, line) in text.split_inclusive(|&byte| byte == b'\n').enumerate() {
        if !line.trim_ascii().is_empty() {
            lines.push((index + 1, start..start + line.len()));
        }
        start += line.len();
    }
    if lines.is_empty() {
        return Err(InputError::EmptyList { name: name.to_owned() });
    }
    if together.get() == 1 {
        let item = |(number, range)| Input {
            path: format!("line-{number:0DIGITS$}.txt"),
            source: Source::Bytes(text.slice(range)),
        };
        return Ok(lines.into_iter().map(item).collect());
    }
    let batch = |lines: &[(usize, std::ops::Range<usize>)]| {
        let (first, last) = (&lines[0], &lines[lines.len() - 1]);
        let whole = lines.windows(2).all(|two| two[0].1.end == two[1].1.start);
        let bytes = match whole {
            true => text.slice(first.1.start..last.1.end),
            // Empty lines lie between.
            false => lines.iter().flat_map(|(_, range)| &text[range.clone()]).copied().collect(),
        };
        Input { path: format!("lines-{:0DIGITS$}-{:0DIGITS$}.txt", first.0, last.0), source: Source::Bytes(bytes) }
    };
    Ok(lines.chunks(together.get()).map(batch).collect())
}

/// The text without what Windows adds to it.
fn plain(mut text: Vec<u8>) -> Vec<u8> {
    if text.starts_with(BYTE_ORDER_MARK) {
        text.drain(..BYTE_ORDER_MARK.len());
    }
    let mut ended = text.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n")).peekable();
    let of_windows = ended.peek().is_some() && ended.all(|line| line.ends_with(b"\r\n"));
    if of_windows {
        let mut plain = Vec::with_capacity(text.len());
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            match line.strip_suffix(b"\r\n") {
                Some(line) => plain.extend(line.iter().chain(b"\n")),
                // The last line, which has no end.
                None => plain.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line)),
            }
        }
        return plain;
    }
    text
}

fn read(from: impl Read, name: &str) -> Result<Vec<u8>, InputError> {
    let mut text = Vec::new();
    let read = from.take(MAX_BYTES + 1).read_to_end(&mut text);
    read.map_err(|source: io::Error| read_error(Path::new(name), source))?;
    match text.len() as u64 > MAX_BYTES {
        true => Err(InputError::TooLong { name: name.to_owned(), limit: MAX_BYTES }),
        false => Ok(text),
    }
}
