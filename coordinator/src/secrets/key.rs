//! The key that secrets are sealed with: a file in the directory of keys, made when the first secret comes.

use std::{
    fmt,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use longshore_authority::{SECRETS_KEY, SECRETS_KEY_ASIDE};
use longshore_local::PrivateDir;
use zeroize::{Zeroize as _, Zeroizing};

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// What a key is told apart by is derived for this alone (BLAKE3, key derivation).
const ID_CONTEXT: &str = "longshore 2026-11 id of a key that secrets are sealed with";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file is there and is none.
    #[error("the key of secrets {} has {bytes} bytes, not {KEY_BYTES}: restore it from the backup of the directory of keys", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// How many.
        bytes: usize,
    },
    /// It cannot be read or written.
    #[error("the key of secrets {} cannot be used", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A key.
pub struct Key(Zeroizing<[u8; KEY_BYTES]>);

impl Key {
    /// The key that is kept in the directory, if one is.
    ///
    /// # Errors
    /// When what is there is none, or cannot be read.
    pub fn read(dir: &Path) -> Result<Option<Self>, KeyError> {
        let path = dir.join(SECRETS_KEY);
        let bytes = match fs::read(&path) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(KeyError::Io { path, source }),
        };
        match bytes[..].try_into() {
            Ok(key) => Ok(Some(Self(Zeroizing::new(key)))),
            Err(_) => Err(KeyError::Damaged { path, bytes: bytes.len() }),
        }
    }

    /// A new one, which is in the directory when this returns: whole, for its owner alone, also after a power cut.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn make(dir: &Path) -> Result<Self, KeyError> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        rand::fill(&mut key[..]);
        let path = dir.join(SECRETS_KEY);
        write(dir, &path, &key[..]).map_err(|source| KeyError::Io { path, source })?;
        Ok(Self(key))
    }

    /// What it is recognised by: nothing of the key can be learned from it.
    pub fn id(&self) -> [u8; 8] {
        let mut derived = blake3::derive_key(ID_CONTEXT, &self.0[..]);
        let mut id = [0; 8];
        id.copy_from_slice(&derived[..8]);
        derived.zeroize();
        id
    }

    /// The key itself.
    pub fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

fn write(dir: &Path, path: &Path, key: &[u8]) -> io::Result<()> {
    // Made at the start; whoever has removed it since gets one for its owner alone again.
    let private = PrivateDir::open(dir, longshore_authority::is_key_file).map_err(io::Error::other)?;
    let aside = dir.join(SECRETS_KEY_ASIDE);
    let _ = fs::remove_file(&aside);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
    file.write_all(key)?;
    file.sync_all()?;
    // A link does not replace a key that another has put there meanwhile.
    fs::hard_link(&aside, path)?;
    fs::remove_file(&aside)?;
    private.into_handle().sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_alone_and_comes_back() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("keys");
        assert!(Key::read(&dir).unwrap().is_none());
        let made = Key::make(&dir).unwrap();
        let mode = fs::metadata(dir.join(SECRETS_KEY)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o600);
        let read = Key::read(&dir).unwrap().unwrap();
        assert_eq!((read.bytes(), read.id()), (made.bytes(), made.id()));
        assert!(Key::make(&dir).is_err(), "a key that is there is never replaced");
        assert_eq!(Key::read(&dir).unwrap().unwrap().bytes(), made.bytes());
        assert_eq!(format!("{made:?}"), "Key(…)");
        assert_ne!(made.id()[..], made.bytes()[..8]);
    }

    #[test]
    fn a_key_that_was_cut_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(SECRETS_KEY), [7; 31]).unwrap();
        let error = Key::read(dir.path()).unwrap_err().to_string();
        assert!(error.contains("secrets.key has 31 bytes, not 32"), "{error}");
    }
}
