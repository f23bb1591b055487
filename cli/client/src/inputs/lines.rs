//! Lists of paths, and files whose lines are the items.

use std::{
    ffi::OsStr,
    io::{self, Read},
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

/// The paths of a list, ended by NUL if it has any, else by line ends. Empty lines are passed over.
pub(super) fn paths(list: impl Read, name: &str) -> Result<Vec<PathBuf>, InputError> {
    let text = read(list, name)?;
    let end = if text.contains(&0) { 0 } else { b'\n' };
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

/// One input for each line that is not empty. It keeps its line end, so that it is a text file as POSIX has it.
pub(super) fn items(file: impl Read, name: &str) -> Result<Vec<Input>, InputError> {
    let text = Bytes::from(read(file, name)?);
    let mut items = Vec::new();
    let mut start = 0;
    for (index, line) in text.split_inclusive(|&byte| byte == b'\n').enumerate() {
        if !line.trim_ascii().is_empty() {
            items.push(Input {
                path: format!("line-{:0DIGITS$}.txt", index + 1),
                source: Source::Bytes(text.slice(start..start + line.len())),
            });
        }
        start += line.len();
    }
    match items.is_empty() {
        true => Err(InputError::EmptyList { name: name.to_owned() }),
        false => Ok(items),
    }
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
