//! Whose the images are that this worker has pulled: what one namespace's credentials brought here is not another's.
//!
//! It is known by the engine's id of an image, which names its bytes. It is written down before such a pull begins, so that a
//! crash in the middle does not make an image of nobody's of it; what cannot be read back makes every image one of others'.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use longshore_proto::namespace;
use serde::{Deserialize, Serialize};

/// Most images that are remembered to be everybody's; one that is forgotten is asked for again.
const EVERYBODYS: usize = 4_096;

/// Whose an image is, as seen by one who asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It was had for nothing, or with the worker's own credentials, or by the asker: it is the asker's.
    Own,
    /// It was pulled with the credentials of others alone.
    Others,
    /// It was there before, or somebody else has pulled it.
    Unknown,
}

/// Who has shown that they may have an image.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whose<'a> {
    /// Whoever works on this worker.
    Everybody,
    /// This namespace.
    Namespace(&'a str),
}

/// What is remembered.
pub(super) struct Pulled {
    path: Option<PathBuf>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    /// What was remembered before cannot be read: images that are not named here may be anybody's.
    lost: bool,
    /// By the engine's id.
    everybodys: BTreeSet<String>,
    /// Namespaces by the engine's id.
    private: BTreeMap<String, BTreeSet<String>>,
    /// Repositories of which something is or was being pulled with a namespace's credentials.
    pulling: BTreeSet<String>,
}

impl Pulled {
    /// What was remembered in this file, if it is there.
    pub(super) fn open(path: Option<&Path>) -> Self {
        let kept = path.map_or_else(Kept::default, |path| match read(path) {
            Ok(kept) => kept,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Kept::default(),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "whose the images are here is not known: all are asked for anew");
                Kept { lost: true, ..Kept::default() }
            }
        });
        Self { path: path.map(Path::to_owned), kept: Mutex::new(kept) }
    }

    /// Whose this image of that repository is to a namespace.
    pub(super) fn standing(&self, id: &str, repository: &str, namespace: &str) -> Standing {
        let kept = self.lock();
        if kept.everybodys.contains(id) {
            return Standing::Own;
        }
        match kept.private.get(id) {
            Some(namespaces) if namespaces.contains(named(namespace)) => Standing::Own,
            Some(_) => Standing::Others,
            None if kept.lost || kept.pulling.contains(repository) => Standing::Others,
            None => Standing::Unknown,
        }
    }

    /// Something of this repository is about to be pulled with a namespace's credentials.
    pub(super) fn begin(&self, repository: &str) -> io::Result<()> {
        self.change(|kept| kept.pulling.insert(repository.to_owned()))
    }

    /// Somebody has shown that they may have this image.
    pub(super) fn note(&self, id: &str, whose: Whose<'_>) -> io::Result<()> {
        self.change(|kept| match whose {
            Whose::Everybody => {
                if kept.everybodys.len() >= EVERYBODYS {
                    kept.everybodys.pop_first();
                }
                kept.private.remove(id);
                kept.everybodys.insert(id.to_owned())
            }
            Whose::Namespace(_) if kept.everybodys.contains(id) => false,
            Whose::Namespace(namespace) => {
                kept.private.entry(id.to_owned()).or_default().insert(named(namespace).to_owned())
            }
        })
    }

    /// Keeps a change, where there is one.
    fn change(&self, change: impl FnOnce(&mut Kept) -> bool) -> io::Result<()> {
        let mut kept = self.lock();
        match (change(&mut kept), &self.path) {
            (true, Some(path)) => write(path, &kept),
            _ => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn named(namespace: &str) -> &str {
    if namespace.is_empty() { namespace::DEFAULT } else { namespace }
}

fn read(path: &Path) -> io::Result<Kept> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

/// It is there whole or as it was, also after a power cut.
fn write(path: &Path, kept: &Kept) -> io::Result<()> {
    let aside = path.with_extension("json.new");
    let mut file = File::create(&aside)?;
    file.write_all(&serde_json::to_vec(kept)?)?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "";

    #[test]
    fn an_image_is_of_whoever_has_shown_that_they_may_have_it() {
        let pulled = Pulled::open(None);
        let standing = |namespace| pulled.standing("one", "r/a", namespace);
        assert_eq!(standing(OURS), Standing::Unknown);
        pulled.note("one", Whose::Namespace("vision")).unwrap();
        assert_eq!(
            (standing("vision"), standing("audio"), standing(OURS)),
            (Standing::Own, Standing::Others, Standing::Others)
        );
        pulled.note("one", Whose::Namespace(OURS)).unwrap();
        assert_eq!(
            (standing(OURS), standing("default"), standing("audio")),
            (Standing::Own, Standing::Own, Standing::Others)
        );
        pulled.note("one", Whose::Everybody).unwrap();
        pulled.note("one", Whose::Namespace("vision")).unwrap();
        assert_eq!((standing("vision"), standing("audio")), (Standing::Own, Standing::Own));
    }

    #[test]
    fn it_is_known_in_the_next_life_and_nothing_is_known_of_what_cannot_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pulled.json");
        let pulled = Pulled::open(Some(&path));
        pulled.note("one", Whose::Namespace("vision")).unwrap();
        pulled.note("all", Whose::Everybody).unwrap();
        pulled.begin("r/a").unwrap();
        let next = Pulled::open(Some(&path));
        assert_eq!(*pulled.lock(), *next.lock());
        assert_eq!(next.standing("new", "r/a", "vision"), Standing::Others, "it was being pulled at the crash");
        assert_eq!(next.standing("new", "r/b", "vision"), Standing::Unknown);
        fs::write(&path, "{").unwrap();
        let lost = Pulled::open(Some(&path));
        assert_eq!(lost.standing("new", "r/b", OURS), Standing::Others);
        lost.note("new", Whose::Everybody).unwrap();
        let after = Pulled::open(Some(&path));
        assert_eq!(
            (after.standing("new", "r/b", OURS), after.standing("two", "r/b", OURS)),
            (Standing::Own, Standing::Others)
        );
    }
}
