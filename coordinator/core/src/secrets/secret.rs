//! What is kept of a secret.

use std::{fmt, sync::Arc};

use crate::ids::Namespace;

/// A secret's name in its namespace.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretName {
    /// Whose it is.
    pub namespace: Namespace,
    /// What it is called there.
    pub name: String,
}

/// As those who look after the coordinator read it. Whoever asks in a namespace is told the name alone.
impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_default() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

impl fmt::Debug for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretName({self})")
    }
}

/// The newest value of a secret, which only whoever has the key can open.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The value, sealed. Not looked into here.
    pub bytes: Arc<[u8]>,
    /// Which key it was sealed with: not the key.
    pub key: [u8; 8],
    /// Bytes of the value itself.
    pub size: u32,
    /// Unix milliseconds.
    pub put_ms: u64,
    /// By whom, for people.
    pub by: String,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.bytes.len())
    }
}

/// A secret, or that there was one: a version is never used again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRecord {
    /// Its name.
    pub name: SecretName,
    /// Counts the values that the name ever had; at least 1.
    pub version: u64,
    /// The newest of them; `None` once the secret is removed.
    pub sealed: Option<Sealed>,
}
