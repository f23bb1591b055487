//! Contexts: coordinators that somebody has logged in to, by name, in one file that nobody else can read.

use std::{
    collections::BTreeMap,
    env, fmt, fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// The file's name, below the directory of the user's settings.
const FILE: &str = "longshore/contexts.toml";

/// More than any such file holds, in bytes.
const MOST_BYTES: u64 = 1 << 20;

/// What others may do with a file.
const OTHERS: u32 = 0o077;

/// Everything in the file.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contexts {
    /// The one that is used where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// By name.
    #[serde(default)]
    pub contexts: BTreeMap<String, Saved>,
}

/// One coordinator.
#[derive(Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    /// `HOST:PORT`.
    pub address: String,
    /// The token itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Or a program that prints it, with its arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_command: Option<Vec<String>>,
    /// Whose things are meant where none are named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// Without the token, which nothing is to print.
impl fmt::Debug for Saved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Saved").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Saved {
    /// Whether it says what is shown there.
    pub fn has_token(&self) -> bool {
        self.token.is_some() || self.token_command.is_some()
    }
}

/// Why contexts cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ContextsError {
    /// There is no home to keep them in.
    #[error("there is no place for contexts: neither XDG_CONFIG_HOME nor HOME is set")]
    NoHome,
    /// The file cannot be read or written.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others can read it.
    #[error("{} has tokens in it, and others can read it (mode {mode:o})", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is somebody else's.
    #[error("{} belongs to user {owner}", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// Number of that user.
        owner: u32,
    },
    /// It is not what it should be.
    #[error("{} is not understood: line {line}: {why}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where, counted from 1.
        line: usize,
        /// Why, without anything that stands there.
        why: String,
    },
    /// There is no such context.
    #[error("there is no context {0:?}")]
    Unknown(String),
    /// None was chosen.
    #[error("no context is current")]
    NoneCurrent,
}

impl ContextsError {
    /// The next thing to type, where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Open { path, .. } => Some(format!("chmod 600 {}", path.display())),
            Self::Unknown(_) => Some("longshore context ls".to_owned()),
            Self::NoneCurrent => Some("longshore context use NAME".to_owned()),
            Self::Malformed { .. } => Some("correct it, or move it away and log in anew".to_owned()),
            _ => None,
        }
    }
}

/// Where the file is.
///
/// # Errors
/// When there is no home.
pub fn file() -> Result<PathBuf, ContextsError> {
    let set = |name| env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
    let dir = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")));
    Ok(dir.ok_or(ContextsError::NoHome)?.join(FILE))
}

impl Contexts {
    /// What is in the file; nothing where there is none.
    ///
    /// # Errors
    /// When it cannot be read, others can read it, or it is not understood.
    pub fn read(path: &Path) -> Result<Self, ContextsError> {
        let failed = |source| ContextsError::Io { path: path.to_owned(), source };
        let file = match fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(failed(error)),
        };
        // Of what was opened, not of what may be there by now.
        let metadata = file.metadata().map_err(failed)?;
        let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
        if owner != rustix::process::geteuid().as_raw() {
            return Err(ContextsError::NotOurs { path: path.to_owned(), owner });
        }
        if mode & OTHERS != 0 {
            return Err(ContextsError::Open { path: path.to_owned(), mode });
        }
        let text = io::read_to_string(io::Read::take(file, MOST_BYTES)).map_err(failed)?;
        Self::parse(&text).map_err(|(line, why)| ContextsError::Malformed { path: path.to_owned(), line, why })
    }

    /// From the text of the file; or the line in which it goes wrong, and why, without a word of what stands there: it may be a
    /// token.
    fn parse(text: &str) -> Result<Self, (usize, String)> {
        toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|at| text.get(..at.start)).unwrap_or_default();
            // Where a value is shown, it is in quotes.
            let why = match error.message() {
                shown if shown.contains('"') => "it is of another kind than it should be",
                why => why,
            };
            (before.matches('\n').count() + 1, why.to_owned())
        })
    }

    /// Writes the file, for its owner alone, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), ContextsError> {
        let failed = |source| ContextsError::Io { path: path.to_owned(), source };
        let dir = path.parent().ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        let text = toml::to_string(self).map_err(io::Error::other).map_err(failed)?;
        // Made for its owner alone from the beginning.
        let mut file = tempfile::NamedTempFile::new_in(dir).map_err(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
        file.persist(path).map_err(|error| failed(error.error))?;
        Ok(())
    }

    /// The context of that name.
    ///
    /// # Errors
    /// When there is none.
    pub fn get(&self, name: &str) -> Result<&Saved, ContextsError> {
        self.contexts.get(name).ok_or_else(|| ContextsError::Unknown(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use proptest::prelude::*;

    use super::*;

    fn lab() -> Contexts {
        let saved = Saved { address: "10.0.0.7:7077".to_owned(), token: Some("LST1-x".to_owned()), ..Saved::default() };
        Contexts { current: Some("lab".to_owned()), contexts: BTreeMap::from([("lab".to_owned(), saved)]) }
    }

    #[test]
    fn what_is_written_is_for_its_owner_alone_and_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/contexts.toml");
        assert_eq!(Contexts::read(&path).unwrap(), Contexts::default());
        for contexts in [lab(), Contexts::default(), lab()] {
            contexts.write(&path).unwrap();
            assert_eq!(Contexts::read(&path).unwrap(), contexts);
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("contexts.toml");
        lab().write(&path).unwrap();
        for mode in [0o640, 0o604, 0o644, 0o620, 0o601] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let refused = Contexts::read(&path).unwrap_err();
            assert!(matches!(refused, ContextsError::Open { .. }) && refused.hint().unwrap().starts_with("chmod 600"));
        }
    }

    #[test]
    fn what_is_not_known_is_refused_with_its_line_and_without_the_token() {
        for (text, wanted) in [
            ("currant = \"lab\"\n", 1),
            ("[contexts.lab]\naddress = \"a:1\"\ntokens = \"LST1-secret\"\n", 3),
            ("[contexts.lab]\naddress = \"a:1\"\ntoken = 5\n", 3),
            ("[contexts.lab]\naddress = \"a:1\"\ntoken_command = \"LST1-secret\"\n", 3),
            ("[contexts.lab]\ntoken = \"LST1-secret\n", 2),
        ] {
            let (line, why) = Contexts::parse(text).unwrap_err();
            assert!(line == wanted && !why.contains("secret"), "{line} {why}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_understood_or_refused(text in ".{0,200}") {
            let _ = Contexts::parse(&text);
        }

        #[test]
        fn any_context_comes_back(name in ".{0,20}", address in ".{0,20}", token in proptest::option::of(".{0,20}")) {
            let saved = Saved { address, token, ..Saved::default() };
            let contexts = Contexts { current: Some(name.clone()), contexts: BTreeMap::from([(name, saved)]) };
            prop_assert_eq!(Contexts::parse(&toml::to_string(&contexts).unwrap()).unwrap(), contexts);
        }
    }
}
