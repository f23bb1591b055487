//! From what a person typed to named items.
//!
//! | typed | items | their paths |
//! |---|---|---|
//! | a file | it | its base name |
//! | a directory | every file below it | the path below the directory |
//! | a pattern (`'texts/**/*.txt'`) | every file it matches | the path below the pattern's fixed part |
//! | a list of files | each of them | the path as listed; the base name of an absolute or climbing one |
//! | a file of lines | every line that is not empty, or so many of them | `line-000001.txt`, numbered as in the file; `lines-000001-000100.txt` |
//! | a file of JSON lines | every line that is not empty | `line-000001.json` |
//!
//! Nothing is left out in silence: what cannot be an item is an error that names it.

mod error;
mod input;
mod lines;
mod looks;
mod name;
mod pattern;
mod unusable;
mod walk;

use std::{
    ffi::OsStr,
    fs, io,
    num::NonZeroUsize,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

pub(crate) use self::name::listed_name;
pub use self::{
    error::InputError,
    input::{Input, Source},
    unusable::{LeftOut, Told},
};
use self::{error::read_error, looks::Looks, name::base_name};

/// Collects inputs in the order they are named.
#[derive(Debug, Default)]
pub struct Collector {
    inputs: Vec<Input>,
    looks: Looks,
}

impl Collector {
    /// With nothing in it.
    pub fn new() -> Collector {
        Collector::default()
    }

    /// Leaves out files that cannot be used, and counts them there, instead of ending with the first.
    pub fn skipping(mut self, left_out: LeftOut) -> Collector {
        self.looks.left_out = Some(left_out);
        self
    }

    /// Does not look into this directory, where it is found below another: outputs are written to it.
    pub fn apart_from(mut self, directory: &Path) -> Collector {
        self.looks.apart = fs::metadata(directory).ok().map(|found| (found.dev(), found.ino()));
        self
    }

    /// Where the directory of outputs was found among the inputs, and left out.
    pub fn found_apart(&self) -> Option<PathBuf> {
        self.looks.found_apart.borrow().clone()
    }

    /// Adds a file, a directory or a pattern. What exists under the very name is taken as that, even if the name could
    /// be a pattern.
    pub fn argument(&mut self, argument: &OsStr) -> Result<(), InputError> {
        let path = Path::new(argument);
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.directory(path),
            Ok(metadata) => self.file(path, base_name(path), &metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound && pattern::is_pattern(argument) => {
                self.inputs.extend(pattern::expand(argument, &self.looks)?);
                Ok(())
            }
            Err(source) => self.looks.skip(read_error(path, source)),
        }
    }

    /// Adds the files of a list, one path a line (or each ended by a NUL byte, if there is any). `name` is for errors.
    pub fn list(&mut self, list: impl io::Read, name: &str) -> Result<(), InputError> {
        for path in lines::paths(list, name)? {
            match fs::metadata(&path) {
                Ok(metadata) => self.file(&path, listed_name(&path), &metadata)?,
                Err(source) => self.looks.skip(read_error(&path, source))?,
            }
        }
        Ok(())
    }

    /// Adds the lines of `file` that are not empty, with their line ends, so many to an input.
    pub fn each_line(&mut self, file: impl io::Read, name: &str, together: NonZeroUsize) -> Result<(), InputError> {
        self.inputs.extend(lines::items(file, name, together)?);
        Ok(())
    }

    /// Adds each line of `file` that is not empty, which is to be JSON.
    pub fn each_json(&mut self, file: impl io::Read, name: &str) -> Result<(), InputError> {
        self.inputs.extend(lines::items(file, name, NonZeroUsize::MIN)?.into_iter().map(|mut line| {
            line.path.truncate(line.path.len() - "txt".len());
            line.path.push_str("json");
            line
        }));
        Ok(())
    }

    /// All inputs, or the first two that would be the same item.
    pub fn finish(self) -> Result<Vec<Input>, InputError> {
        let order = in_order_of_trees(&self.inputs);
        for two in order.windows(2) {
            let (first, second) = (&self.inputs[two[0].min(two[1])], &self.inputs[two[0].max(two[1])]);
            if first.path == second.path {
                return Err(InputError::Duplicate {
                    path: first.path.clone(),
                    first: first.source.shown(),
                    second: second.source.shown(),
                });
            }
        }
        Ok(self.inputs)
    }

    fn directory(&mut self, path: &Path) -> Result<(), InputError> {
        let found = walk::files(path, walk::Everything, &self.looks)?;
        if found.is_empty() && self.looks.left_out.is_none() {
            return Err(InputError::EmptyDirectory { path: path.to_owned() });
        }
        self.inputs.extend(found);
        Ok(())
    }

    fn file(
        &mut self,
        path: &Path,
        item: Result<String, InputError>,
        metadata: &fs::Metadata,
    ) -> Result<(), InputError> {
        if !metadata.is_file() {
            let what = walk::what(metadata.file_type());
            return self.looks.skip(InputError::NotAFile { path: path.to_owned(), what });
        }
        match item {
            Ok(item) => self.inputs.push(Input { path: item, source: Source::File(path.to_owned()) }),
            Err(bad_name) => self.looks.skip(bad_name)?,
        }
        Ok(())
    }
}

/// Places of inputs in an order in which whatever lies below a path comes right behind it.
pub(crate) fn in_order_of_trees(inputs: &[Input]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..inputs.len()).collect();
    order.sort_unstable_by(|one, other| {
        let components = |at: &usize| inputs[*at].path.split('/');
        components(one).cmp(components(other)).then(one.cmp(other))
    });
    order
}

/// The path inside of a file that is sent along under this name.
pub(crate) fn item_path(name: &Path) -> Result<String, InputError> {
    name::item_path(name, name)
}

#[cfg(test)]
mod tests;
