//! A certificate of a public authority, for browsers: they know nothing of ours.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use longshore_trust::{
    PemError, certificates_from_pem,
    pki_types::{
        PrivateKeyDer,
        pem::{self, PemObject as _},
    },
};
use rustls::{crypto::ring::sign::any_supported_type, sign::CertifiedKey};

/// How often it is looked whether the files are others: whoever renews them has days.
const LOOK: Duration = Duration::from_secs(60);

/// Why a public certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PublicError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There are no certificates in the one.
    #[error("there is no certificate that can be used in {}", path.display())]
    Certificates {
        /// Which.
        path: PathBuf,
        /// Why.
        source: PemError,
    },
    /// There is no key in the other.
    #[error("there is no private key that can be used in {}", path.display())]
    Key {
        /// Which.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// They do not fit each other, or are of a kind that is not known.
    #[error("the key in {} cannot be used for the certificate in {}", key.display(), certificate.display())]
    Unfit {
        /// The one.
        certificate: PathBuf,
        /// The other.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

/// Two files, and what was in them when that last made sense.
#[derive(Debug)]
pub struct PublicCertificate {
    certificate: PathBuf,
    key: PathBuf,
    now: Mutex<Now>,
}

#[derive(Debug)]
struct Now {
    certified: Arc<CertifiedKey>,
    /// When the files were last changed.
    changed: [Option<SystemTime>; 2],
    looked: Instant,
}

impl PublicCertificate {
    /// Of these files, in PEM: the certificate with what has signed it, and its key.
    ///
    /// # Errors
    /// When they cannot be read or do not fit each other.
    pub fn open(certificate: &Path, key: &Path) -> Result<Self, PublicError> {
        let (certificate, key) = (certificate.to_owned(), key.to_owned());
        let changed = [&certificate, &key].map(|path| changed(path));
        let certified = Arc::new(read(&certificate, &key)?);
        let now = Mutex::new(Now { certified, changed, looked: Instant::now() });
        Ok(Self { certificate, key, now })
    }

    /// As it is now. Looks after the files, but not each time.
    pub fn get(&self) -> Arc<CertifiedKey> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.looked.elapsed() >= LOOK {
            now.looked = Instant::now();
            self.look(&mut now);
        }
        Arc::clone(&now.certified)
    }

    /// Reads the files if they were changed. What makes no sense is said once, and what was there is kept.
    fn look(&self, now: &mut Now) {
        let changed = [&self.certificate, &self.key].map(|path| changed(path));
        if changed == now.changed {
            return;
        }
        now.changed = changed;
        match read(&self.certificate, &self.key) {
            Ok(certified) => {
                now.certified = Arc::new(certified);
                tracing::info!(file = %self.certificate.display(), "there is another certificate for browsers");
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "the certificate for browsers stays as it was");
            }
        }
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey, PublicError> {
    let text = |path: &Path| fs::read(path).map_err(|source| PublicError::Io { path: path.to_owned(), source });
    let chain = certificates_from_pem(&text(certificate)?)
        .map_err(|source| PublicError::Certificates { path: certificate.to_owned(), source })?;
    let private = PrivateKeyDer::from_pem_slice(&text(key)?)
        .map_err(|source| PublicError::Key { path: key.to_owned(), source })?;
    let unfit = |source| PublicError::Unfit { certificate: certificate.to_owned(), key: key.to_owned(), source };
    let certified = CertifiedKey::new(chain, any_supported_type(&private).map_err(unfit)?);
    certified.keys_match().map_err(unfit)?;
    Ok(certified)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn write(dir: &Path, name: &str, key: &KeyPair) -> [PathBuf; 2] {
        let paths = ["cert", "key"].map(|kind| dir.join(format!("{name}.{kind}")));
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().self_signed(key).unwrap();
        fs::write(&paths[0], certificate.pem()).unwrap();
        fs::write(&paths[1], key.serialize_pem()).unwrap();
        paths
    }

    /// As a minute later.
    fn look(public: &PublicCertificate) -> Arc<CertifiedKey> {
        let mut now = public.now.lock().unwrap();
        // A file system's clock may be too coarse for two changes that follow each other.
        now.changed = [None; 2];
        public.look(&mut now);
        Arc::clone(&now.certified)
    }

    #[test]
    fn other_files_are_taken_and_nonsense_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let [certificate, key] = write(dir.path(), "a", &KeyPair::generate().unwrap());
        let public = PublicCertificate::open(&certificate, &key).unwrap();
        let first = public.get();
        let [_, other] = write(dir.path(), "b", &KeyPair::generate().unwrap());
        fs::copy(dir.path().join("b.cert"), &certificate).unwrap();
        assert_eq!(look(&public).cert, first.cert, "the key does not fit yet");
        fs::copy(other, &key).unwrap();
        let second = look(&public);
        assert_ne!(second.cert, first.cert);
        fs::write(&certificate, "").unwrap();
        assert_eq!(look(&public).cert, second.cert);
        fs::remove_file(&key).unwrap();
        assert_eq!(look(&public).cert, second.cert);
    }

    #[test]
    fn what_cannot_be_used_is_refused_at_the_start_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let [certificate, key] = write(dir.path(), "a", &KeyPair::generate().unwrap());
        let [_, other] = write(dir.path(), "b", &KeyPair::generate().unwrap());
        let refused = |certificate: &Path, key: &Path| PublicCertificate::open(certificate, key).unwrap_err();
        assert!(matches!(refused(&certificate, &other), PublicError::Unfit { .. }));
        assert!(matches!(refused(&key, &key), PublicError::Certificates { .. }));
        assert!(matches!(refused(&certificate, &certificate), PublicError::Key { .. }));
        assert!(matches!(refused(&dir.path().join("none"), &key), PublicError::Io { .. }));
    }
}
