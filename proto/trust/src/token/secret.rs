//! The secret of a token, and what is kept of it.

use std::fmt;

use rand::Rng as _;
use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::crockford;

/// Bytes of a secret: 160 random bits need no slow hash.
pub const SECRET_BYTES: usize = 20;

/// A secret. Wiped when it goes.
#[derive(Clone)]
pub struct Secret(Zeroizing<[u8; SECRET_BYTES]>);

impl Secret {
    /// A new one.
    pub fn new() -> Self {
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        rand::rng().fill_bytes(&mut *secret);
        Self(secret)
    }

    /// From its text.
    pub fn read(text: &str) -> Option<Self> {
        crockford::decode(text).map(|secret| Self(Zeroizing::new(secret)))
    }

    /// Itself.
    pub fn bytes(&self) -> &[u8] {
        &*self.0
    }

    /// What may be kept of it.
    pub fn digest(&self) -> SecretDigest {
        SecretDigest::of(self.bytes())
    }
}

/// SHA-256 of a token's secret: enough to recognise it, useless to whoever reads it. Compared in the same time however much
/// of it is right.
#[derive(Clone, Copy)]
pub struct SecretDigest(pub [u8; 32]);

impl SecretDigest {
    /// Of a secret that somebody shows; of any length, since it may be anything.
    #[must_use]
    pub fn of(secret: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, secret).as_ref());
        Self(bytes)
    }
}

impl PartialEq for SecretDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SecretDigest {}

impl fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretDigest(…)")
    }
}
