//! Whether what presents itself is the coordinator that is meant.
//!
//! What is decided here is only which root to trust and which name to expect: for a pin the certificate of that key, which
//! the coordinator sends along, for a member the roots it was given. The rest is rustls's verifier: the chain, the name, and
//! above all the proof that the other end has the key, without which anybody could show a certificate they have seen.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use crate::{
    certificate::Certificate, cluster::Cluster, identity::SharedIdentity, pin::Pin, roots::Roots, trouble::Trouble,
};

/// How a coordinator is recognised.
#[derive(Debug, Clone)]
pub enum Trusted {
    /// By the key of its authority, which a token names.
    Pin(Pin),
    /// By the roots that a member has been given; the member's own certificate is shown.
    Identity(SharedIdentity),
}

/// Recognises one coordinator.
#[derive(Debug)]
pub struct CoordinatorVerifier {
    trusted: Trusted,
    provider: Arc<CryptoProvider>,
}

impl CoordinatorVerifier {
    /// The one that is trusted in this way.
    pub fn new(trusted: Trusted, provider: Arc<CryptoProvider>) -> Self {
        Self { trusted, provider }
    }

    /// What to trust of this chain: the roots, and the cluster they are of.
    fn roots(&self, chain: &[&CertificateDer<'_>]) -> Result<(Arc<RootCertStore>, Cluster), Trouble> {
        match &self.trusted {
            Trusted::Pin(pin) => {
                let roots = Roots::new(vec![pinned(*pin, chain)?]).map_err(|_| Trouble::NoCluster)?;
                Ok((Arc::clone(roots.store()), roots.cluster()))
            }
            Trusted::Identity(identity) => {
                let identity = identity.get();
                Ok((Arc::clone(identity.roots().store()), identity.roots().cluster()))
            }
        }
    }
}

/// The certificate of the pinned key.
fn pinned(pin: Pin, chain: &[&CertificateDer<'_>]) -> Result<CertificateDer<'static>, Trouble> {
    let mut last = None;
    for certificate in chain {
        let Ok(read) = Certificate::read(certificate) else { continue };
        if read.key == pin {
            return Ok((*certificate).clone().into_owned());
        }
        last = Some(read.key);
    }
    Err(last.map_or(Trouble::NoCluster, |found| Trouble::AnotherCoordinator { expected: pin, found }))
}

impl ServerCertVerifier for CoordinatorVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _sent: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain: Vec<_> = std::iter::once(end_entity).chain(intermediates).collect();
        let (roots, cluster) = self.roots(&chain).map_err(in_rustls)?;
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&self.provider)).build();
        let verifier = verifier.map_err(|error| Error::Other(OtherError(Arc::new(error))))?;
        let verified =
            verifier.verify_server_cert(end_entity, intermediates, &cluster.server_name(), ocsp_response, now);
        match verified {
            // An authority of the same name with another key shows as a bad signature.
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)) => {
                Err(in_rustls(Trouble::NotOfCluster { cluster, found: topmost(&chain) }))
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(rustls::PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The key of the certificate that stands for an authority, if any can be read: the last.
fn topmost(chain: &[&CertificateDer<'_>]) -> Option<Pin> {
    chain.iter().rev().find_map(|certificate| Certificate::read(certificate).ok()).map(|read| read.key)
}

/// To be found again by [`Trouble::of`].
fn in_rustls(trouble: Trouble) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(trouble))))
}

#[cfg(test)]
mod tests;
