//! What a worker sends to be made a member: a public key, and the proof that it has the private one.

use longshore_trust::Pin;
use rcgen::{CertificateSigningRequestParams, PKCS_ECDSA_P256_SHA256, PublicKey, PublicKeyData as _};

/// More than a request with a key on P-256 takes, in bytes: ours have about 200.
const MOST_BYTES: usize = 4_096;

/// Bytes of an uncompressed point on P-256 (SEC 1, section 2.3.3).
const POINT_BYTES: usize = 65;

/// Why a request is not one that is signed here.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// It has more bytes than any that makes sense.
    #[error("the signing request has {0} bytes, and {MOST_BYTES} are enough for any")]
    TooLong(usize),
    /// It cannot be read, or its own signature does not fit.
    #[error("the signing request makes no sense")]
    Malformed(#[source] rcgen::Error),
    /// Its key is not on P-256.
    #[error("the signing request is not for a key on the curve P-256")]
    OtherKey,
}

/// A request whose signature was found good. Nothing but the key is taken from it, whatever else it asks for.
#[derive(Debug)]
pub struct Request(PublicKey);

impl Request {
    /// Reads one (PKCS #10, RFC 2986, as DER).
    ///
    /// # Errors
    /// When it makes no sense, was signed with another key than its own, or is not for a key on P-256.
    pub fn read(der: &[u8]) -> Result<Self, RequestError> {
        if der.len() > MOST_BYTES {
            return Err(RequestError::TooLong(der.len()));
        }
        let request = CertificateSigningRequestParams::from_der(&der.into()).map_err(RequestError::Malformed)?;
        let key = request.public_key;
        if key.algorithm() != &PKCS_ECDSA_P256_SHA256 || key.der_bytes().len() != POINT_BYTES {
            return Err(RequestError::OtherKey);
        }
        Ok(Self(key))
    }

    /// By what the key is recognised.
    #[must_use]
    pub fn key(&self) -> Pin {
        Pin::of_key(&self.0.subject_public_key_info())
    }

    pub(crate) fn public(&self) -> &PublicKey {
        &self.0
    }
}
