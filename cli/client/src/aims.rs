//! Where outputs will go, looked at before there are any: that none of them replaces an input, or stands where another has to.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    Kind, escape,
    inputs::{Input, Source, in_order_of_trees},
};

/// What the outputs of a job will be called, as far as that is known before it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    /// As its items.
    OfItems,
    /// There is one, of this name.
    One(String),
    /// That is up to its commands.
    Unknown,
}

/// Outputs cannot go where they should.
#[derive(Debug, thiserror::Error)]
pub enum AimError {
    /// An output would be written over an input.
    #[error("the output of item {} would replace {}, which is an input", escape::line(item), escape::path(path))]
    Replaces {
        /// The item.
        item: String,
        /// The input's file.
        path: PathBuf,
    },
    /// One output is a file where another needs a directory.
    #[error(
        "the output of item {} is a file, and that of item {} lies below it",
        escape::line(file),
        escape::line(below)
    )]
    Conflict {
        /// One item.
        file: String,
        /// The other.
        below: String,
    },
    /// Something else is there already that is not replaced.
    #[error("{} is in the way of the output of item {}: {what}", escape::path(path), escape::line(item))]
    InTheWay {
        /// What.
        path: PathBuf,
        /// The item.
        item: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The inputs or the directory cannot be looked at.
    #[error("cannot look at {}", escape::path(path))]
    Look {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl AimError {
    /// Whose move it is: always the caller's.
    pub fn kind(&self) -> Kind {
        Kind::Refused
    }

    /// The next thing to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            AimError::Replaces { .. } | AimError::InTheWay { .. } => Some("name another directory with -o"),
            AimError::Conflict { .. } | AimError::Look { .. } => None,
        }
    }
}

/// Inputs that lie below the directory of outputs, by their paths below it: they are not replaced, whatever outputs are called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Protected(HashMap<PathBuf, usize>);

impl Protected {
    /// Whether an output of this path would replace one.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.0.contains_key(Path::new(path))
    }
}

/// Checks that outputs of these names can be written below `dir`; answers what must not be replaced whatever they are called.
///
/// # Errors
/// When one would replace an input, stand in the way of another, or has something in its own.
pub fn check(dir: &Path, names: &Names, inputs: &[Input]) -> Result<Protected, AimError> {
    let root = match fs::canonicalize(dir) {
        Ok(root) => Some(root),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(source) => return Err(AimError::Look { path: dir.to_owned(), source }),
    };
    let protected = root.as_deref().map(|root| below(root, inputs)).transpose()?.unwrap_or_default();
    let replaces = |item: &str| match protected.0.get(Path::new(item)).map(|at| &inputs[*at].source) {
        Some(Source::File(path)) => Err(AimError::Replaces { item: item.to_owned(), path: path.clone() }),
        _ => Ok(()),
    };
    let mut seen = Seen { root: root.as_deref(), shown: dir, last: None };
    match names {
        Names::Unknown => {}
        Names::One(name) => {
            replaces(name)?;
            seen.check(name)?;
        }
        Names::OfItems => {
            for input in inputs {
                replaces(&input.path)?;
            }
            let order = in_order_of_trees(inputs);
            for two in order.windows(2) {
                let (file, other) = (&inputs[two[0]].path, &inputs[two[1]].path);
                if other.strip_prefix(file.as_str()).is_some_and(|rest| rest.starts_with('/')) {
                    return Err(AimError::Conflict { file: file.clone(), below: other.clone() });
                }
            }
            for at in order {
                seen.check(&inputs[at].path)?;
            }
        }
    }
    Ok(protected)
}

/// What is there already.
struct Seen<'a> {
    /// Nothing if the directory itself is yet to be made.
    root: Option<&'a Path>,
    shown: &'a Path,
    /// The directory looked at last, and whether it is there.
    last: Option<(String, bool)>,
}

impl Seen<'_> {
    fn check(&mut self, item: &str) -> Result<(), AimError> {
        let Some(root) = self.root else { return Ok(()) };
        let in_the_way =
            |path: &str, what| AimError::InTheWay { path: self.shown.join(path), item: item.to_owned(), what };
        let parent = item.rsplit_once('/').map_or("", |(parent, _)| parent);
        let known = self.last.as_ref().filter(|(last, _)| last == parent).map(|(_, there)| *there);
        let there = match known {
            Some(there) => there,
            None => {
                let mut there = true;
                let ends =
                    parent.match_indices('/').map(|(at, _)| at).chain((!parent.is_empty()).then_some(parent.len()));
                for end in ends {
                    match fs::symlink_metadata(root.join(&parent[..end])) {
                        Ok(found) if found.is_dir() => {}
                        Ok(_) => return Err(in_the_way(&parent[..end], "a directory is needed there")),
                        Err(_) => {
                            there = false;
                            break;
                        }
                    }
                }
                self.last = Some((parent.to_owned(), there));
                there
            }
        };
        match fs::symlink_metadata(root.join(item)) {
            Ok(found) if there && found.is_dir() => Err(in_the_way(item, "it is a directory")),
            Ok(found) if there && !found.is_file() => Err(in_the_way(item, "it is not a regular file")),
            _ => Ok(()),
        }
    }
}

/// Inputs whose files lie below the directory.
fn below(root: &Path, inputs: &[Input]) -> Result<Protected, AimError> {
    let mut found = HashMap::new();
    // Neighbours mostly lie in one directory.
    let mut last: Option<(PathBuf, PathBuf)> = None;
    for (at, input) in inputs.iter().enumerate() {
        let Source::File(path) = &input.source else { continue };
        let look = |source| AimError::Look { path: path.clone(), source };
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let real = match &last {
            Some((named, real)) if named == parent => real.clone(),
            _ => {
                let real = fs::canonicalize(parent).map_err(look)?;
                last = Some((parent.to_owned(), real.clone()));
                real
            }
        };
        let file = path.file_name().map(|name| real.join(name));
        let places = file.into_iter().flat_map(|file| {
            let target = file.is_symlink().then(|| fs::canonicalize(&file).ok()).flatten();
            [Some(file), target]
        });
        for place in places.flatten() {
            if let Ok(relative) = place.strip_prefix(root) {
                found.insert(relative.to_owned(), at);
            }
        }
    }
    Ok(Protected(found))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn world(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        dir
    }

    fn input(dir: &tempfile::TempDir, item: &str, file: &str) -> Input {
        Input { path: item.to_owned(), source: Source::File(dir.path().join(file)) }
    }

    #[test]
    fn an_output_that_would_replace_an_input_is_refused_by_both_names() {
        let dir = world(&["photos/a", "photos/b"]);
        symlink(dir.path().join("photos"), dir.path().join("link")).unwrap();
        let inputs = [input(&dir, "a", "photos/a")];
        for out in ["photos", "link", "photos/../photos"] {
            let refused = check(&dir.path().join(out), &Names::OfItems, &inputs).unwrap_err();
            assert!(matches!(refused, AimError::Replaces { .. }), "{refused}");
            assert!(refused.to_string().contains("item a") && refused.to_string().contains("photos/a"), "{refused}");
        }
        let one = |name: &str| check(&dir.path().join("photos"), &Names::One(name.to_owned()), &inputs);
        assert!(matches!(one("a"), Err(AimError::Replaces { .. })));
        assert!(one("total").unwrap().has("a") && !one("b").unwrap().has("b"), "what is no input is replaced, as ever");
    }

    #[test]
    fn an_input_behind_a_link_is_protected_where_it_is() {
        let dir = world(&["out/real"]);
        symlink("out/real", dir.path().join("a")).unwrap();
        let protected = check(&dir.path().join("out"), &Names::Unknown, &[input(&dir, "a", "a")]).unwrap();
        assert!(protected.has("real") && !protected.has("a"));
    }

    #[test]
    fn elsewhere_and_in_a_new_directory_nothing_is_in_the_way() {
        let dir = world(&["d/a", "out/a"]);
        let inputs = [input(&dir, "a", "d/a"), input(&dir, "a.b", "d/a"), input(&dir, "b/c", "d/a")];
        for out in ["out", "new/deep", "."] {
            let protected = check(&dir.path().join(out), &Names::OfItems, &inputs).unwrap();
            assert_eq!(protected.has("d/a"), out == ".");
        }
    }

    #[test]
    fn a_file_where_another_output_needs_a_directory_is_found_before_there_are_any() {
        let dir = world(&["d/x"]);
        let items = ["a", "a.b", "a-b", "a/b"].map(|item| input(&dir, item, "d/x"));
        let refused = check(&dir.path().join("new"), &Names::OfItems, &items).unwrap_err();
        assert!(matches!(&refused, AimError::Conflict { file, below } if file == "a" && below == "a/b"), "{refused}");
        check(&dir.path().join("new"), &Names::Unknown, &items).unwrap();
    }

    #[test]
    fn what_is_there_already_and_is_no_file_is_found_before_the_work() {
        let dir = world(&["in/x", "out/a/x", "out/b"]);
        symlink("b", dir.path().join("out/l")).unwrap();
        for (item, what) in
            [("a", "it is a directory"), ("b/c/d", "a directory is needed"), ("l", "not a regular file")]
        {
            let refused = check(&dir.path().join("out"), &Names::OfItems, &[input(&dir, item, "in/x")]).unwrap_err();
            assert!(refused.to_string().contains(what), "{refused}");
        }
        check(&dir.path().join("out"), &Names::OfItems, &[input(&dir, "b", "in/x"), input(&dir, "a/n/x", "in/x")])
            .unwrap();
    }
}
