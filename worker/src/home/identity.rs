//! Who this worker is to coordinators of other machines, as it is kept: its key, which is made once and never leaves, and
//! the certificates it was given for it.
//!
//! The key is there before anybody is asked for a certificate: where the answer is lost, asking again with the same key is
//! answered again.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use longshore_local::{PrivateDir, PrivateDirError};
use longshore_trust::{
    Identity, IdentityError as Mismatch, Key, KeyError, PemError, Roots, RootsError, certificates_from_pem,
    certificates_to_pem,
};

/// The directory of all this, in the worker's own.
pub const DIR: &str = "identity";

/// The key, alone.
const KEY: &str = "key.pem";

/// The worker's certificate, and after it the roots it trusts: one file, so that they are there together or not at all.
const MEMBER: &str = "member.pem";

/// Mode of each of them.
const MODE: u32 = 0o600;

/// Why what is kept makes no identity.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// There are no certificates.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// There are no roots of a cluster.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// They do not fit each other.
    #[error(transparent)]
    Identity(#[from] Mismatch),
}

/// Why what is kept cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// It makes no sense.
    #[error("{} makes no sense; remove the directory it is in and join again with a new token", path.display())]
    Unfit {
        /// What.
        path: PathBuf,
        /// Why.
        source: Unfit,
    },
    /// The directory is somebody else's, or cannot be made.
    #[error("the directory of the worker's key cannot be used")]
    Directory(#[from] PrivateDirError),
    /// It cannot be read or written.
    #[error("cannot use {}", path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The key that is kept in a home; made when it is asked for the first time.
pub fn key(home: &Path) -> Result<Arc<Key>, IdentityError> {
    let path = home.join(DIR).join(KEY);
    let unfit = |source: KeyError| IdentityError::Unfit { path: path.clone(), source: source.into() };
    if let Some(text) = read(&path)? {
        return Key::from_pem(&text).map(Arc::new).map_err(unfit);
    }
    let key = Key::new().map_err(unfit)?;
    write(home, KEY, key.to_pem().as_bytes())?;
    Ok(Arc::new(key))
}

/// The identity that is kept in a home, if there is one.
pub fn load(home: &Path) -> Result<Option<Identity>, IdentityError> {
    let path = home.join(DIR).join(MEMBER);
    let Some(text) = read(&path)? else { return Ok(None) };
    let key = key(home)?;
    understand(key, &text).map(Some).map_err(|source| IdentityError::Unfit { path, source })
}

/// Keeps an identity in a home.
pub fn keep(home: &Path, identity: &Identity) -> Result<(), IdentityError> {
    let own = certificates_to_pem(&identity.chain()[..1]);
    write(home, MEMBER, (own + &identity.roots().to_pem()).as_bytes())
}

/// It is there whole or not at all.
fn write(home: &Path, name: &str, text: &[u8]) -> Result<(), IdentityError> {
    let dir = PrivateDir::open(&home.join(DIR), is_ours)?;
    let (path, aside) = (dir.path().join(name), dir.path().join(format!("{name}.new")));
    let written = || {
        let _ = fs::remove_file(&aside);
        let mut file: File = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&aside)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&aside, &path)?;
        File::open(dir.path())?.sync_all()?;
        // The directory itself may be new.
        File::open(home)?.sync_all()
    };
    written().map_err(|source| IdentityError::Io { path: path.clone(), source })
}

fn is_ours(name: &str) -> bool {
    [KEY, MEMBER].iter().any(|ours| name.strip_suffix(".new").unwrap_or(name) == *ours)
}

fn read(path: &Path) -> Result<Option<String>, IdentityError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(IdentityError::Io { path: path.to_owned(), source }),
    }
}

fn understand(key: Arc<Key>, text: &str) -> Result<Identity, Unfit> {
    let mut certificates = certificates_from_pem(text.as_bytes())?;
    let own = certificates.remove(0);
    Ok(Identity::new(key, vec![own], Roots::new(certificates)?)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use longshore_authority::{Authority, Request};
    use longshore_trust::system_clock;

    use super::*;
    use crate::home::{Home, HomeError};

    fn member(home: &Home) -> Identity {
        let authority = Authority::make(system_clock()).unwrap();
        let key = home.key().unwrap();
        let request = Request::read(&key.request().unwrap()).unwrap();
        let signed = authority
            .sign_worker(&request, home.id(), std::time::Duration::from_secs(86_400 * u64::from(30u32)))
            .unwrap();
        Identity::new(key, signed.chain, authority.roots().clone()).unwrap()
    }

    #[test]
    fn an_identity_is_kept_and_only_its_user_reads_it() {
        let base = tempfile::tempdir().unwrap();
        let home = Home::open(base.path()).unwrap();
        assert!(home.identity().unwrap().is_none() && !base.path().join(DIR).exists(), "only when it is needed");
        let member = member(&home);
        home.keep_identity(&member).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(&base.path().join(DIR)), 0o700);
        for entry in fs::read_dir(base.path().join(DIR)).unwrap() {
            assert_eq!(mode(&entry.unwrap().path()), MODE);
        }
        drop(home);
        let home = Home::open(base.path()).unwrap();
        let kept = home.identity().unwrap().unwrap();
        assert_eq!(kept.certificate(), member.certificate());
        assert!(kept.roots() == member.roots() && home.key().unwrap().pin() == member.key().pin());
        let renewed = self::member(&home);
        home.keep_identity(&renewed).unwrap();
        assert_eq!(home.identity().unwrap().unwrap().certificate(), renewed.certificate());
    }

    #[test]
    fn what_is_damaged_is_named_and_stays_as_it_is() {
        let base = tempfile::tempdir().unwrap();
        let home = Home::open(base.path()).unwrap();
        home.keep_identity(&member(&home)).unwrap();
        for (name, torn) in [(MEMBER, ""), (MEMBER, "-----BEGIN"), (KEY, "no key")] {
            let path = base.path().join(DIR).join(name);
            let before = fs::read_to_string(&path).unwrap();
            fs::write(&path, torn).unwrap();
            let refused = home.identity().unwrap_err();
            assert!(
                matches!(&refused, HomeError::Identity(IdentityError::Unfit { path: named, .. }) if *named == path),
                "{refused:?}"
            );
            assert_eq!(fs::read_to_string(&path).unwrap(), torn);
            fs::write(&path, before).unwrap();
        }
        // The certificate of another key.
        fs::remove_file(base.path().join(DIR).join(KEY)).unwrap();
        assert!(matches!(home.identity(), Err(HomeError::Identity(IdentityError::Unfit { .. }))));
    }
}
