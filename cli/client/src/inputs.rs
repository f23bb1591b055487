//! From what a person typed to named items.
//!
//! | typed | items | their paths |
//! |---|---|---|
//! | a file | it | its base name |
//! | a directory | every file below it | the path below the directory |
//! | a pattern (`'texts/**/*.txt'`) | every file it matches | the path below the pattern's fixed part |
//! | a list of files | each of them | the path as listed; the base name of an absolute or climbing one |
//! | a file of lines | every line that is not empty | `line-000001.txt`, numbered as in the file |
//!
//! Nothing is left out in silence: what cannot be an item is an error that names it.

mod lines;
mod pattern;
mod walk;

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs, io,
    path::{Component, Path, PathBuf},
};

use bytes::Bytes;
use longshore_proto::path::{self, BadPath};

use crate::{Kind, escape};

/// One input: the item's path and where its bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Relative path of plain components, unique among the inputs of a job.
    pub path: String,
    /// Where its bytes are.
    pub source: Source,
}

/// Where the bytes of an input are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In a regular file (or behind a link to one).
    File(PathBuf),
    /// At hand.
    Bytes(Bytes),
}

impl Source {
    /// For error messages, escaped.
    pub fn shown(&self) -> String {
        match self {
            Source::File(path) => escape::path(path),
            Source::Bytes(_) => "a line of a file".to_owned(),
        }
    }
}

/// What was typed cannot be turned into items.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// A file or directory cannot be read, or is not there.
    #[error("cannot read {}", escape::path(path))]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A directory with no file in it.
    #[error("directory {} has no file in it", escape::path(path))]
    EmptyDirectory {
        /// Which.
        path: PathBuf,
    },
    /// A pattern that matches no file.
    #[error("pattern {} matches no file", escape::bytes_line(pattern.as_encoded_bytes()))]
    NoMatch {
        /// As typed.
        pattern: std::ffi::OsString,
    },
    /// A pattern that is none.
    #[error("{} is no pattern", escape::line(pattern))]
    BadPattern {
        /// As typed.
        pattern: String,
        /// What is wrong with it.
        source: globset::Error,
    },
    /// Not a regular file.
    #[error("{} is {what}, not a regular file", escape::path(path))]
    NotAFile {
        /// Which.
        path: PathBuf,
        /// What it is instead.
        what: &'static str,
    },
    /// A name that no item can have.
    #[error("{} cannot be an input: {reason}", escape::bytes_line(path.as_os_str().as_encoded_bytes()))]
    BadName {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        reason: BadPath,
    },
    /// Two inputs would be the same item.
    #[error("two inputs would both be item {}: {first} and {second}", escape::line(path))]
    Duplicate {
        /// The item's path.
        path: String,
        /// Where the first comes from.
        first: String,
        /// Where the second comes from.
        second: String,
    },
    /// A list or a file of lines with nothing in it.
    #[error("{name} lists nothing")]
    EmptyList {
        /// Its name, escaped.
        name: String,
    },
    /// A list or a file of lines that is too long to be held in memory.
    #[error("{name} is longer than {limit} bytes")]
    TooLong {
        /// Its name, escaped.
        name: String,
        /// The limit in bytes.
        limit: u64,
    },
}

impl InputError {
    /// Whose move it is: always the caller's.
    pub fn kind(&self) -> Kind {
        Kind::Refused
    }

    /// The next thing to do, where there is an obvious one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            InputError::Duplicate { .. } => {
                Some("name their directory, or quote the pattern, and each keeps its path below it")
            }
            InputError::NotAFile { what: "a link to a directory", .. } => {
                Some("name the directory it leads to as an input of its own")
            }
            InputError::NotAFile { what: "a directory", .. } => Some("list files only, as `find DIR -type f` does"),
            _ => None,
        }
    }
}

/// Collects inputs in the order they are named.
#[derive(Debug, Default)]
pub struct Collector {
    inputs: Vec<Input>,
}

impl Collector {
    /// With nothing in it.
    pub fn new() -> Collector {
        Collector::default()
    }

    /// Adds a file, a directory or a pattern. What exists under the very name is taken as that, even if the name could
    /// be a pattern.
    pub fn argument(&mut self, argument: &OsStr) -> Result<(), InputError> {
        let path = Path::new(argument);
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.directory(path),
            Ok(metadata) => self.file(path, base_name(path)?, &metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound && pattern::is_pattern(argument) => {
                self.inputs.extend(pattern::expand(argument)?);
                Ok(())
            }
            Err(source) => Err(read_error(path, source)),
        }
    }

    /// Adds the files of a list, one path a line (or each ended by a NUL byte, if there is any). `name` is for errors.
    pub fn list(&mut self, list: impl io::Read, name: &str) -> Result<(), InputError> {
        for path in lines::paths(list, name)? {
            let metadata = fs::metadata(&path).map_err(|source| read_error(&path, source))?;
            let item = listed_name(&path)?;
            self.file(&path, item, &metadata)?;
        }
        Ok(())
    }

    /// Adds every line of `file` that is not empty, with its line end.
    pub fn each_line(&mut self, file: impl io::Read, name: &str) -> Result<(), InputError> {
        self.inputs.extend(lines::items(file, name)?);
        Ok(())
    }

    /// All inputs, or the first two that would be the same item.
    pub fn finish(self) -> Result<Vec<Input>, InputError> {
        let mut seen: HashMap<&str, usize> = HashMap::with_capacity(self.inputs.len());
        for (index, input) in self.inputs.iter().enumerate() {
            if let Some(first) = seen.insert(&input.path, index) {
                return Err(InputError::Duplicate {
                    path: input.path.clone(),
                    first: self.inputs[first].source.shown(),
                    second: input.source.shown(),
                });
            }
        }
        drop(seen);
        Ok(self.inputs)
    }

    fn directory(&mut self, path: &Path) -> Result<(), InputError> {
        let found = walk::files(path, walk::Everything)?;
        if found.is_empty() {
            return Err(InputError::EmptyDirectory { path: path.to_owned() });
        }
        self.inputs.extend(found);
        Ok(())
    }

    fn file(&mut self, path: &Path, item: String, metadata: &fs::Metadata) -> Result<(), InputError> {
        if !metadata.is_file() {
            return Err(InputError::NotAFile { path: path.to_owned(), what: walk::what(metadata.file_type()) });
        }
        self.inputs.push(Input { path: item, source: Source::File(path.to_owned()) });
        Ok(())
    }
}

fn base_name(path: &Path) -> Result<String, InputError> {
    let name = path.file_name().ok_or_else(|| bad_name(path, BadPath::Dots))?;
    item_path(Path::new(name), path)
}

/// A listed path names its item, unless it leads out of the current directory.
fn listed_name(path: &Path) -> Result<String, InputError> {
    let plain = path.strip_prefix(".").unwrap_or(path);
    match plain.components().all(|c| matches!(c, Component::Normal(_))) {
        true => item_path(plain, path),
        false => base_name(path),
    }
}

/// The relative path `item` as an item's name; `whole` is for the error.
fn item_path(item: &Path, whole: &Path) -> Result<String, InputError> {
    let mut name = String::new();
    for component in item.components() {
        let text = component.as_os_str().to_str();
        let text = text.ok_or_else(|| bad_name(whole, BadPath::NotUtf8))?;
        if !name.is_empty() {
            name.push('/');
        }
        name.push_str(text);
    }
    match path::check(&name) {
        Ok(()) => Ok(name),
        Err(reason) => Err(bad_name(whole, reason)),
    }
}

fn bad_name(path: &Path, reason: BadPath) -> InputError {
    InputError::BadName { path: path.to_owned(), reason }
}

fn read_error(path: &Path, source: io::Error) -> InputError {
    InputError::Read { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
