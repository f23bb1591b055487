//! The pin of a key: enough to recognise it, and nothing else has to be trusted.

use std::{fmt, str::FromStr};

use ring::digest::{SHA256, digest};

use crate::crockford;

/// SHA-256 of a certificate's SubjectPublicKeyInfo (RFC 7469, section 2.4). The key is pinned and not the certificate, which
/// may be made anew.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pin(pub [u8; 32]);

impl Pin {
    /// Of a SubjectPublicKeyInfo in DER.
    #[must_use]
    pub fn of_key(spki: &[u8]) -> Self {
        let mut pin = [0; 32];
        pin.copy_from_slice(digest(&SHA256, spki).as_ref());
        Self(pin)
    }

    /// Its first eight characters: enough for people to tell pins apart.
    #[must_use]
    pub fn short(&self) -> String {
        crockford::encode(&self.0[..5])
    }
}

/// All 52 characters.
impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crockford::encode(&self.0))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pin({}…)", self.short())
    }
}

/// A text that is no pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no pin: a pin has 52 characters in base32")]
pub struct NoPin;

impl FromStr for Pin {
    type Err = NoPin;

    fn from_str(text: &str) -> Result<Self, NoPin> {
        crockford::decode(text.trim()).map(Self).ok_or(NoPin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_read_as_it_is_shown() {
        let pin = Pin::of_key(b"a key");
        assert_eq!(pin.to_string().parse(), Ok(pin));
        assert_eq!(pin.to_string().to_lowercase().parse(), Ok(pin));
        assert!(pin.to_string().starts_with(&pin.short()));
        assert_eq!(pin.short().parse::<Pin>(), Err(NoPin));
        assert_ne!(pin, Pin::of_key(b"another"));
    }
}
