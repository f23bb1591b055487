//! Where an authority's key is kept: in a directory of its own, beside the data and not in it, so that a backup of the data
//! does not take it along.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use longshore_local::{PrivateDir, PrivateDirError};
use longshore_trust::{Clock, Cluster, Pin};

use crate::authority::{Authority, AuthorityError};

/// The key and the certificates: one file, so that they are there together or not at all.
const FILE: &str = "authority.pem";

/// It on its way.
const ASIDE: &str = "authority.pem.new";

/// The key that secrets are sealed with. Others read and write it; it is kept beside the authority's.
pub const SECRETS_KEY: &str = "secrets.key";

/// It on its way.
pub const SECRETS_KEY_ASIDE: &str = "secrets.key.new";

/// Mode of whatever holds a key.
const MODE: u32 = 0o600;

/// Why there is no authority.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The directory cannot be used.
    #[error("the directory of the authority's key cannot be used")]
    Directory(#[from] PrivateDirError),
    /// What the store knows of is gone.
    #[error(
        "the key of this cluster's authority ({}…) is not in {}: workers and tokens of other machines trust it and no other",
        pin.short(), dir.display()
    )]
    Missing {
        /// Where it should be.
        dir: PathBuf,
        /// Its pin.
        pin: Pin,
    },
    /// It is another's.
    #[error(
        "the authority's key in {} is {}…, and that of this cluster is {}…: the keys are of another cluster, or the data is",
        path.display(), found.short(), expected.short()
    )]
    Other {
        /// Where it is.
        path: PathBuf,
        /// What it is.
        found: Pin,
        /// What it should be.
        expected: Pin,
    },
    /// It cannot be read.
    #[error("the authority's key in {} cannot be used", path.display())]
    Damaged {
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: AuthorityError,
    },
    /// None can be made.
    #[error("no authority can be made")]
    Make(#[source] AuthorityError),
    /// Its file cannot be read or written.
    #[error("cannot use {}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl KeysError {
    /// The next thing to do, where there is one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Directory(error) => error.hint(),
            error if error.is_loss() => Some(
                "restore the directory of keys from its own backup, or name another with --keys DIR; --new-authority makes \
                 a new key instead, and then every worker of another machine has to join again and every token be made anew"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    /// Whether a new authority would help.
    #[must_use]
    pub fn is_loss(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Other { .. } | Self::Damaged { .. })
    }
}

/// What the store keeps of its authority, to recognise it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// The cluster.
    pub cluster: Cluster,
    /// Of the authority's key.
    pub pin: Pin,
    /// Whether anybody has been told of it: a token was made, or a member.
    pub is_trusted: bool,
}

/// An authority, and whether it is a new one in place of another that somebody trusts.
#[derive(Debug)]
pub struct Opened {
    /// It.
    pub authority: Authority,
    /// Whether every worker has to join again.
    pub replaces: bool,
}

/// Whether something of this name is kept in such a directory.
#[must_use]
pub fn is_key_file(name: &str) -> bool {
    [FILE, ASIDE, SECRETS_KEY, SECRETS_KEY_ASIDE].contains(&name)
        || name.starts_with("authority-") && name.ends_with(".old")
}

/// Opens the authority whose key is in `dir`, or makes one where none is needed to be there. With `make_new` also where
/// the one that should be there is not, or another is: that one is put aside and not removed.
///
/// # Errors
/// When it is missing, another's or damaged; when the directory cannot be used.
pub fn open(dir: &Path, kept: Option<Kept>, make_new: bool, clock: Clock) -> Result<Opened, KeysError> {
    let private = PrivateDir::open(dir, is_key_file)?;
    if let Some(mode) = private.mended() {
        tracing::warn!(dir = %dir.display(), "others could look into the directory of keys (mode {mode:o}): closed to them");
    }
    let dir = private.path().to_owned();
    let path = dir.join(FILE);
    let found = read(&path, &clock).and_then(|found| expect(&dir, found, kept));
    match found {
        Ok(Some(authority)) => return Ok(Opened { authority, replaces: false }),
        Ok(None) => {}
        Err(error) if error.is_loss() && make_new => put_aside(&path)?,
        Err(error) => return Err(error),
    }
    let authority = Authority::make(clock).map_err(KeysError::Make)?;
    let io = |path: PathBuf| move |source| KeysError::Io { path, source };
    write(&dir, authority.to_pem().as_bytes()).map_err(io(path))?;
    private.into_handle().sync_all().map_err(io(dir))?;
    Ok(Opened { authority, replaces: kept.is_some_and(|kept| kept.is_trusted) })
}

/// The authority that is there, if one is.
fn read(path: &Path, clock: &Clock) -> Result<Option<Authority>, KeysError> {
    let damaged = |source| KeysError::Damaged { path: path.to_owned(), source };
    match fs::read_to_string(path) {
        Ok(text) => Authority::from_pem(&text, clock.clone()).map(Some).map_err(damaged),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(KeysError::Io { path: path.to_owned(), source }),
    }
}

/// The authority that was found, if it is the one that is meant; none where none has to be there.
fn expect(dir: &Path, found: Option<Authority>, kept: Option<Kept>) -> Result<Option<Authority>, KeysError> {
    match (found, kept) {
        (Some(found), Some(kept)) if found.pin() != kept.pin => {
            Err(KeysError::Other { path: dir.join(FILE), found: found.pin(), expected: kept.pin })
        }
        (None, Some(kept)) if kept.is_trusted => Err(KeysError::Missing { dir: dir.to_owned(), pin: kept.pin }),
        (found, _) => Ok(found),
    }
}

/// Gives what is there another name: a key that somebody may still need is not thrown away.
fn put_aside(path: &Path) -> Result<(), KeysError> {
    if !path.exists() {
        return Ok(());
    }
    let aside = path.with_file_name(format!("authority-{:08x}.old", rand::random::<u32>()));
    fs::rename(path, aside).map_err(|source| KeysError::Io { path: path.to_owned(), source })
}

/// It is there whole or not at all, also after a power cut.
fn write(dir: &Path, text: &[u8]) -> io::Result<()> {
    let aside = dir.join(ASIDE);
    let _ = fs::remove_file(&aside);
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&aside)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(aside, dir.join(FILE))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use longshore_trust::system_clock;

    use super::*;

    fn open_in(dir: &Path, kept: Option<Kept>, make_new: bool) -> Result<Opened, KeysError> {
        open(&dir.join("keys"), kept, make_new, system_clock())
    }

    fn kept(authority: &Authority, is_trusted: bool) -> Kept {
        Kept { cluster: authority.cluster(), pin: authority.pin(), is_trusted }
    }

    #[test]
    fn an_authority_is_made_once_and_only_its_user_reads_it() {
        let base = tempfile::tempdir().unwrap();
        let first = open_in(base.path(), None, false).unwrap();
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(base.path().join("keys")), 0o700);
        assert_eq!(mode(base.path().join("keys").join(FILE)), MODE);
        for known in [None, Some(kept(&first.authority, true))] {
            // Whatever is asked for, the one that fits stays.
            let again = open_in(base.path(), known, true).unwrap();
            assert_eq!((again.authority.pin(), again.replaces), (first.authority.pin(), false));
            assert_eq!(again.authority.cluster(), first.authority.cluster());
        }
        assert!(fs::read_dir(base.path().join("keys")).unwrap().count() == 1);
    }

    #[test]
    fn keys_that_are_missing_matter_once_somebody_trusts_them() {
        let base = tempfile::tempdir().unwrap();
        let first = open_in(base.path(), None, false).unwrap().authority;
        fs::remove_file(base.path().join("keys").join(FILE)).unwrap();
        let refused = open_in(base.path(), Some(kept(&first, true)), false).unwrap_err();
        assert!(matches!(refused, KeysError::Missing { .. }) && refused.is_loss(), "{refused}");
        assert!(refused.to_string().contains(&first.pin().short()));
        let new = open_in(base.path(), Some(kept(&first, false)), false).unwrap();
        assert!(new.authority.pin() != first.pin() && !new.replaces);
        fs::remove_file(base.path().join("keys").join(FILE)).unwrap();
        let new = open_in(base.path(), Some(kept(&first, true)), true).unwrap();
        assert!(new.replaces && new.authority.cluster() != first.cluster());
    }

    #[test]
    fn keys_of_another_cluster_or_damaged_ones_are_refused_and_never_thrown_away() {
        let base = tempfile::tempdir().unwrap();
        let first = open_in(base.path(), None, false).unwrap().authority;
        let path = base.path().join("keys").join(FILE);
        let other = Kept { pin: Pin([7; 32]), ..kept(&first, true) };
        let refused = open_in(base.path(), Some(other), false).unwrap_err();
        assert!(matches!(refused, KeysError::Other { .. }), "{refused}");
        let text = fs::read_to_string(&path).unwrap();
        assert!(open_in(base.path(), Some(other), true).unwrap().replaces);
        let aside = |text: &str| {
            let entries = fs::read_dir(base.path().join("keys")).unwrap().map(|entry| entry.unwrap().path());
            entries
                .filter(|path| is_key_file(path.file_name().unwrap().to_str().unwrap()))
                .any(|path| path.extension().unwrap() == "old" && fs::read_to_string(path).unwrap() == text)
        };
        assert!(aside(&text));
        for torn in ["", "-----BEGIN", &text[..text.len() / 2], &text[text.len() / 3..]] {
            fs::write(&path, torn).unwrap();
            let refused = open_in(base.path(), None, false).unwrap_err();
            assert!(matches!(refused, KeysError::Damaged { .. }) && refused.is_loss(), "{refused}");
            assert_eq!(fs::read_to_string(&path).unwrap(), torn);
        }
        open_in(base.path(), None, true).unwrap();
        assert!(aside(&text[text.len() / 3..]));
    }
}
