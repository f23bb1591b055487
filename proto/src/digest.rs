//! The name of a blob: the BLAKE3 hash of its bytes.

use std::{fmt, str::FromStr};

use bytes::Bytes;

use crate::DIGEST_BYTES;

/// A BLAKE3 hash of 32 bytes. Messages carry it as bytes of any number; whoever takes one in makes it one of these first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; DIGEST_BYTES]);

/// These bytes, or this text, are no digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a digest has {DIGEST_BYTES} bytes, or twice as many hexadecimal digits")]
pub struct NoDigest;

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        blake3::hash(bytes).into()
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; DIGEST_BYTES] {
        &self.0
    }

    /// As messages carry it.
    #[must_use]
    pub fn to_wire(self) -> Bytes {
        Bytes::copy_from_slice(&self.0)
    }
}

impl TryFrom<&[u8]> for Digest {
    type Error = NoDigest;

    fn try_from(bytes: &[u8]) -> Result<Self, NoDigest> {
        bytes.try_into().map(Self).map_err(|_| NoDigest)
    }
}

impl TryFrom<&Bytes> for Digest {
    type Error = NoDigest;

    fn try_from(bytes: &Bytes) -> Result<Self, NoDigest> {
        bytes.as_ref().try_into()
    }
}

impl From<[u8; DIGEST_BYTES]> for Digest {
    fn from(bytes: [u8; DIGEST_BYTES]) -> Self {
        Self(bytes)
    }
}

impl From<Digest> for [u8; DIGEST_BYTES] {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl From<blake3::Hash> for Digest {
    fn from(hash: blake3::Hash) -> Self {
        Self(*hash.as_bytes())
    }
}

impl From<Digest> for blake3::Hash {
    fn from(digest: Digest) -> Self {
        Self::from_bytes(digest.0)
    }
}

impl FromStr for Digest {
    type Err = NoDigest;

    /// Reads hexadecimal digits, upper or lower case.
    fn from_str(text: &str) -> Result<Self, NoDigest> {
        blake3::Hash::from_hex(text).map(Self::from).map_err(|_| NoDigest)
    }
}

impl fmt::Display for Digest {
    /// As lower-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_the_same_as_bytes_as_digits_and_as_a_hash() {
        let digest = Digest::of(b"some bytes");
        assert_eq!(Digest::try_from(&digest.to_wire()), Ok(digest));
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!(digest.to_string().to_uppercase().parse(), Ok(digest));
        assert_eq!(blake3::Hash::from(digest), blake3::hash(b"some bytes"));
        assert_eq!(Digest::from(*digest.as_bytes()), digest);
    }

    #[test]
    fn bytes_of_another_number_are_no_digest() {
        for count in [0, 1, 31, 33, 64] {
            assert_eq!(Digest::try_from(&vec![7; count][..]), Err(NoDigest), "{count}");
        }
    }

    #[test]
    fn other_text_is_no_digest() {
        let digits = Digest::of(b"").to_string();
        for text in ["", &digits[1..], &format!("{digits}0"), &digits.replace(|c: char| c.is_ascii_digit(), "g")] {
            assert_eq!(text.parse::<Digest>(), Err(NoDigest), "{text}");
        }
    }
}
