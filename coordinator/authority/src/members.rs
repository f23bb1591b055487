//! Whose certificate is good: what a connection shows of who is at its other end.
//!
//! A certificate is optional here; what may be done without one, the gate decides. One that has expired is let through for a
//! while, so that a worker that slept for a season can ask for another: that it is expired is told on, and good for nothing
//! else.

use std::{sync::Arc, time::Duration};

use longshore_trust::{Certificate, Roots, pki_types::CertificateDer};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::CryptoProvider,
    pki_types::UnixTime,
    server::{
        VerifierBuilderError, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};

/// How long after its end a certificate can be renewed: half a year in a cupboard.
pub const GRACE: Duration = Duration::from_secs(180 * 86_400);

/// What a connection has shown. The other end has the key; that it is still a member, and whether the certificate has
/// expired, is for others to look up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Presented {
    /// SHA-256 of the key (its SubjectPublicKeyInfo).
    pub key: [u8; 32],
    /// End of the certificate, in milliseconds of Unix time.
    pub expires_ms: u64,
    /// Number of the certificate.
    pub serial: u128,
}

impl Presented {
    /// What this certificate says.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let read = Certificate::read(certificate).ok()?;
        let mut serial = [0; 16];
        // Ours have no more.
        let at = serial.len().checked_sub(read.serial.len())?;
        serial[at..].copy_from_slice(&read.serial);
        Some(Self {
            key: read.key.0,
            expires_ms: read.not_after.saturating_mul(1_000),
            serial: u128::from_be_bytes(serial),
        })
    }
}

/// Lets in whoever shows a certificate of the cluster's, or none.
#[derive(Debug)]
pub struct MemberVerifier(Arc<dyn ClientCertVerifier>);

impl MemberVerifier {
    /// Of the cluster of these roots.
    ///
    /// # Errors
    /// When there are no roots, which cannot be.
    pub fn new(roots: &Roots, provider: Arc<CryptoProvider>) -> Result<Self, VerifierBuilderError> {
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots.store()), provider);
        // Its subjects are told as a hint: a browser does not ask for certificates of others then.
        Ok(Self(verifier.allow_unauthenticated().build()?))
    }
}

impl ClientCertVerifier for MemberVerifier {
    fn offer_client_auth(&self) -> bool {
        self.0.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let read = Certificate::read(end_entity).map_err(|_| CertificateError::BadEncoding)?;
        let ended = now.as_secs().saturating_sub(read.not_after);
        // As it was at its end; everything else holds as ever.
        let at = match ended {
            1.. if ended <= GRACE.as_secs() => UnixTime::since_unix_epoch(Duration::from_secs(read.not_after)),
            _ => now,
        };
        self.0.verify_client_cert(end_entity, intermediates, at)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
