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

mod error;
mod input;
mod lines;
mod name;
mod pattern;
mod walk;

use std::{collections::HashMap, ffi::OsStr, fs, io, path::Path};

pub use self::{
    error::InputError,
    input::{Input, Source},
};
use self::{
    error::read_error,
    name::{base_name, listed_name},
};

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

#[cfg(test)]
mod tests;
