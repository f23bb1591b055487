//! The vault: the secrets as they are kept, and the key to them.
//!
//! What it has is durable: the driver alone changes it, when the records are kept.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use longshore_core::{Ledger, Namespace, Sealed, SecretName, SecretRecord};
use zeroize::Zeroizing;

use super::{
    key::{Key, KeyError},
    seal,
};

/// A secret cannot be given to anybody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unopened {
    /// There is none.
    #[error("there is no secret {0:?} in this namespace: `longshore secret put {0}` makes it")]
    NotThere(String),
    /// It was sealed with a key that is not here.
    #[error(
        "secret {name:?} (version {version}) is sealed with a key that is not here: restore the directory of keys (secrets.key) \
         and start the coordinator again, or `longshore secret put {name}` anew"
    )]
    NoKey {
        /// Its name.
        name: String,
        /// Its version.
        version: u64,
    },
    /// It was changed where it is kept.
    #[error("what is kept of secret {name:?} (version {version}) is damaged: `longshore secret put {name}` anew")]
    Damaged {
        /// Its name.
        name: String,
        /// Its version.
        version: u64,
    },
}

/// A secret that was opened.
pub struct Opened {
    /// Its version.
    pub version: u64,
    /// Its value.
    pub value: Zeroizing<Vec<u8>>,
}

/// All secrets that have a value.
pub struct Vault {
    /// Of keys.
    dir: PathBuf,
    key: Mutex<Option<Arc<Key>>>,
    secrets: RwLock<HashMap<SecretName, SecretRecord>>,
}

impl Vault {
    /// With the key in the directory of keys, if there is one. One that is damaged opens nothing, which is said now and of every
    /// secret; it keeps nobody from working without.
    pub fn open(dir: &Path) -> Self {
        let key = Key::read(dir).unwrap_or_else(|error| {
            tracing::error!(error = crate::error::chain(&error), "no secret can be used");
            None
        });
        Self { dir: dir.to_owned(), key: Mutex::new(key.map(Arc::new)), secrets: RwLock::default() }
    }

    /// Takes in what was kept, before anything is served.
    pub fn load(&self, ledger: &Ledger) {
        ledger.secrets().for_each(|secret| self.show(&secret.name, Some(secret.clone())));
        let mut sealed_away =
            ledger.secrets().filter(|secret| !self.is_usable(secret) && secret.sealed.is_some()).peekable();
        if sealed_away.peek().is_some() {
            let names: Vec<_> = sealed_away.map(|secret| secret.name.to_string()).collect();
            tracing::error!(
                keys = %self.dir.display(),
                secrets = names.join(", "),
                "these secrets are sealed with a key that is not here, and what needs them fails: restore secrets.key, or put them anew"
            );
        }
    }

    /// A secret is like this now.
    pub fn show(&self, name: &SecretName, record: Option<SecretRecord>) {
        let mut secrets = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
        match record.filter(|record| record.sealed.is_some()) {
            Some(record) => drop(secrets.insert(name.clone(), record)),
            None => drop(secrets.remove(name)),
        }
    }

    /// The secrets of a namespace that have a value, by name.
    pub fn all(&self, namespace: &Namespace) -> Vec<SecretRecord> {
        let secrets = self.secrets.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = secrets.values().filter(|secret| secret.name.namespace == *namespace).cloned().collect();
        drop(secrets);
        all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// A secret that has a value.
    pub fn get(&self, name: &SecretName) -> Option<SecretRecord> {
        self.secrets.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Whether the key that it is sealed with is here.
    pub fn is_usable(&self, secret: &SecretRecord) -> bool {
        let key = self.key();
        secret.sealed.as_ref().is_some_and(|sealed| key.is_some_and(|key| key.id() == sealed.key))
    }

    /// Seals a value as that version of a secret; makes the key where there is none yet. Waits for the disk then.
    ///
    /// # Errors
    /// When there is no key and none can be made.
    pub fn seal(
        &self,
        name: &SecretName,
        version: u64,
        value: &[u8],
        by: String,
        put_ms: u64,
    ) -> Result<Sealed, KeyError> {
        let key = self.key_or_make()?;
        Ok(Sealed {
            bytes: seal::seal(&key, name, version, value).into(),
            key: key.id(),
            size: u32::try_from(value.len()).unwrap_or(u32::MAX),
            put_ms,
            by,
        })
    }

    /// Opens the newest value of a secret.
    ///
    /// # Errors
    /// When there is none, or it cannot be opened.
    pub fn unseal(&self, name: &SecretName) -> Result<Opened, Unopened> {
        let not_there = || Unopened::NotThere(name.name.clone());
        let SecretRecord { version, sealed, .. } = self.get(name).ok_or_else(not_there)?;
        let sealed = sealed.ok_or_else(not_there)?;
        let name_of = || name.name.clone();
        let key = self.key().filter(|key| key.id() == sealed.key);
        let key = key.ok_or_else(|| Unopened::NoKey { name: name_of(), version })?;
        let value = seal::open(&key, name, version, &sealed.bytes);
        let value = value.map_err(|_| Unopened::Damaged { name: name_of(), version })?;
        Ok(Opened { version, value })
    }

    fn key(&self) -> Option<Arc<Key>> {
        self.key.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn key_or_make(&self) -> Result<Arc<Key>, KeyError> {
        let mut key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = &*key {
            return Ok(Arc::clone(key));
        }
        // It may have been restored meanwhile; and one that is damaged is not replaced.
        let made = match Key::read(&self.dir)? {
            Some(found) => found,
            None => Key::make(&self.dir)?,
        };
        Ok(Arc::clone(key.insert(Arc::new(made))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn db() -> SecretName {
        SecretName { namespace: Namespace::default(), name: "db".to_owned() }
    }

    fn put(vault: &Vault, version: u64, value: &[u8]) {
        let sealed = vault.seal(&db(), version, value, "ann".to_owned(), 5).unwrap();
        vault.show(&db(), Some(SecretRecord { name: db(), version, sealed: Some(sealed) }));
    }

    fn opened(vault: &Vault) -> Result<(u64, Vec<u8>), String> {
        let opened = vault.unseal(&db()).map_err(|why| why.to_string())?;
        Ok((opened.version, opened.value.to_vec()))
    }

    #[test]
    fn the_newest_value_is_told_and_that_there_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(&dir.path().join("keys"));
        assert!(!dir.path().join("keys").exists(), "looking makes nothing");
        let none = "there is no secret \"db\" in this namespace: `longshore secret put db` makes it";
        assert_eq!(opened(&vault).unwrap_err(), none);
        put(&vault, 1, b"one");
        put(&vault, 2, b"two");
        assert_eq!(opened(&vault), Ok((2, b"two".to_vec())));
        let theirs = Namespace::named("vision");
        assert_eq!((vault.all(&Namespace::default()).len(), vault.all(&theirs).len()), (1, 0));
        assert!(vault.unseal(&SecretName { namespace: theirs, ..db() }).is_err());
        vault.show(&db(), Some(SecretRecord { name: db(), version: 2, sealed: None }));
        assert_eq!(opened(&vault).unwrap_err(), none);
    }

    #[test]
    fn what_another_key_has_sealed_is_named_and_a_new_value_heals_it() {
        let [one, other] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let vault = Vault::open(one.path());
        put(&vault, 1, b"one");
        let kept = vault.get(&db()).unwrap();
        for keys in [one.path(), other.path()] {
            let vault = Vault::open(keys);
            vault.show(&db(), Some(kept.clone()));
            let is_here = keys == one.path();
            assert_eq!((vault.is_usable(&kept), opened(&vault).is_ok()), (is_here, is_here));
            if !is_here {
                assert!(opened(&vault).unwrap_err().contains("sealed with a key that is not here"));
            }
            put(&vault, 2, b"two");
            assert_eq!(opened(&vault), Ok((2, b"two".to_vec())));
        }
    }

    #[test]
    fn a_damaged_key_opens_nothing_and_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(dir.path());
        put(&vault, 1, b"one");
        let kept = vault.get(&db()).unwrap();
        let path = dir.path().join(longshore_authority::SECRETS_KEY);
        std::fs::write(&path, "torn").unwrap();
        let vault = Vault::open(dir.path());
        vault.show(&db(), Some(kept));
        assert!(opened(&vault).unwrap_err().contains("sealed with a key"));
        let refused = vault.seal(&db(), 2, b"two", String::new(), 0).unwrap_err();
        assert!(refused.to_string().contains("has 4 bytes"), "{refused}");
        assert_eq!(std::fs::read(&path).unwrap(), b"torn");
    }
}
