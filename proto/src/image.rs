//! The name of an image: what its registry knows it by.

use std::fmt;

use bytes::Bytes;
use data_encoding::HEXLOWER;

/// Name of its algorithm, before a digest's digits.
const SHA256: &str = "sha256:";

/// SHA-256 of an image's manifest, or of the index of its manifests for several architectures. Messages carry it as 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageDigest(pub [u8; 32]);

impl ImageDigest {
    /// Reads `sha256:` and 64 hexadecimal digits in lower case; `None` when it is something else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = HEXLOWER.decode(text.strip_prefix(SHA256)?.as_bytes()).ok()?;
        bytes.try_into().map(Self).ok()
    }

    /// From a message; `None` when there is none, or something else.
    #[must_use]
    pub fn from_wire(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().map(Self).ok()
    }

    /// As messages carry it.
    #[must_use]
    pub fn to_wire(self) -> Bytes {
        Bytes::copy_from_slice(&self.0)
    }
}

impl fmt::Display for ImageDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SHA256}{}", HEXLOWER.encode(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_it_is_written() {
        let digest = ImageDigest([0x5a; 32]);
        assert_eq!(ImageDigest::parse(&digest.to_string()), Some(digest));
        for other in ["", "sha256:", "5a5a", "sha512:00", &format!("sha256:{}", "g".repeat(64))] {
            assert_eq!(ImageDigest::parse(other), None, "{other:?}");
        }
        assert_eq!(ImageDigest::from_wire(&digest.to_wire()), Some(digest));
        assert_eq!(ImageDigest::from_wire(&[]), None);
    }
}
