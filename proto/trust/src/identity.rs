//! Who a worker is to coordinators of other machines: a key that never leaves it, and a certificate for it.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData as _};
use rustls::{
    SignatureScheme,
    client::ResolvesClientCert,
    crypto::ring::sign::any_ecdsa_type,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    sign::CertifiedKey,
};
use zeroize::Zeroizing;

use crate::{
    certificate::{Certificate, CertificateError},
    pin::Pin,
    roots::Roots,
};

/// A key that cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It is not one of ours.
    #[error("this is no key on the curve P-256 in PKCS #8")]
    Malformed(#[source] rcgen::Error),
    /// None can be made.
    #[error("no key can be made")]
    Made(#[source] rcgen::Error),
    /// What asks for a certificate cannot be signed.
    #[error("the request for a certificate cannot be signed")]
    Request(#[source] rcgen::Error),
    /// It cannot be used for TLS.
    #[error("the key cannot be used")]
    Unusable(#[source] rustls::Error),
}

/// A private key on the curve P-256. Never shown.
pub struct Key(KeyPair);

impl Key {
    /// A new one.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn new() -> Result<Self, KeyError> {
        KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map(Self).map_err(KeyError::Made)
    }

    /// From PEM (PKCS #8, RFC 5958).
    ///
    /// # Errors
    /// When it is damaged or another kind of key.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        KeyPair::from_pkcs8_pem_and_sign_algo(text, &PKCS_ECDSA_P256_SHA256).map(Self).map_err(KeyError::Malformed)
    }

    /// As PEM.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.serialize_pem())
    }

    /// By what others recognise it.
    #[must_use]
    pub fn pin(&self) -> Pin {
        Pin::of_key(&self.0.subject_public_key_info())
    }

    /// A request for a certificate (PKCS #10, RFC 2986) that says nothing but the public key, and proves that we have the
    /// private one: whatever else is to stand in the certificate, the coordinator decides.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn request(&self) -> Result<Vec<u8>, KeyError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&self.0).map_err(KeyError::Request)?;
        Ok(request.der().to_vec())
    }

    /// To sign certificates with.
    #[must_use]
    pub fn pair(&self) -> &KeyPair {
        &self.0
    }

    /// The same, for good.
    #[must_use]
    pub fn into_pair(self) -> KeyPair {
        self.0
    }

    /// With certificates for it, as TLS takes it.
    ///
    /// # Errors
    /// When the key cannot be used.
    pub fn certified(&self, chain: Vec<CertificateDer<'static>>) -> Result<CertifiedKey, KeyError> {
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.0.serialized_der()));
        Ok(CertifiedKey::new(chain, any_ecdsa_type(&der).map_err(KeyError::Unusable)?))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", self.pin())
    }
}

/// Why key, certificate and roots make no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The certificate cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// There is none.
    #[error("there is no certificate")]
    NoCertificate,
    /// It is for another key.
    #[error("the certificate is for another key")]
    OtherKey,
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// A key, certificates for it, and the roots of its cluster.
#[derive(Debug)]
pub struct Identity {
    key: Arc<Key>,
    certificate: Certificate,
    roots: Roots,
    certified: Arc<CertifiedKey>,
}

impl Identity {
    /// Of a key and the certificates that were signed for it, its own first.
    ///
    /// # Errors
    /// When they are not for the key.
    pub fn new(key: Arc<Key>, chain: Vec<CertificateDer<'static>>, roots: Roots) -> Result<Self, IdentityError> {
        let certificate = Certificate::read(chain.first().ok_or(IdentityError::NoCertificate)?)?;
        if certificate.key != key.pin() {
            return Err(IdentityError::OtherKey);
        }
        let certified = Arc::new(key.certified(chain)?);
        Ok(Self { key, certificate, roots, certified })
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &Arc<Key> {
        &self.key
    }

    /// What stands in its own certificate.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// All its certificates, its own first.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.certified.cert
    }

    /// Whom it trusts.
    #[must_use]
    pub fn roots(&self) -> &Roots {
        &self.roots
    }
}

/// An identity as it is now: it is renewed while connections are made with it.
#[derive(Debug, Clone)]
pub struct SharedIdentity(Arc<RwLock<Arc<Identity>>>);

impl SharedIdentity {
    /// With the first one.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(identity))))
    }

    /// As it is now.
    #[must_use]
    pub fn get(&self) -> Arc<Identity> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on, for the next connection, it is this.
    pub fn set(&self, identity: Identity) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(identity);
    }
}

impl ResolvesClientCert for SharedIdentity {
    fn resolve(&self, _hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let certified = Arc::clone(&self.get().certified);
        certified.key.choose_scheme(schemes).is_some().then_some(certified)
    }

    fn has_certs(&self) -> bool {
        true
    }
}
