//! TLS as a coordinator serves it: 1.3 and nothing else (RFC 8446).

use std::sync::{Arc, Mutex, PoisonError};

use longshore_trust::{Certificate, is_internal, provider};
use rustls::{
    ServerConfig,
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, VerifierBuilderError},
    sign::CertifiedKey,
    version::TLS13,
};

use crate::{
    authority::{Authority, AuthorityError},
    members::MemberVerifier,
    public::PublicCertificate,
};

/// Of its life, after which the coordinator's certificate is made anew: one of so many parts.
const RENEWED_AFTER: u64 = 3;

/// What a coordinator's TLS is set up with. Cheap to clone.
pub type Server = Arc<ServerConfig>;

/// TLS for a coordinator: with a certificate of its authority for everybody who trusts that, with the public one for
/// whoever asks for a name that is not one of ours. Members may show their certificate. HTTP/2 and HTTP/1.1 are spoken.
/// Sessions are not resumed: each connection shows who it is now; and nothing is taken before a handshake is over.
///
/// # Errors
/// When no certificate can be made.
pub fn server(authority: Arc<Authority>, public: Option<PublicCertificate>) -> Result<Server, ServerError> {
    let provider = provider();
    let members = MemberVerifier::new(authority.roots(), Arc::clone(&provider))?;
    let first = authority.sign_server()?;
    let shown = Shown { own: Mutex::new(Arc::new(first)), authority, public };
    let mut config = ServerConfig::builder_with_details(provider, Arc::clone(shown.authority.clock()))
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(Arc::new(members))
        .with_cert_resolver(Arc::new(shown));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// Why TLS cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// No certificate can be made.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// It is not known whom to let in.
    #[error("members cannot be recognised")]
    Members(#[from] VerifierBuilderError),
    /// The provider has not what is needed.
    #[error("TLS 1.3 cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// What is shown to whoever comes.
#[derive(Debug)]
struct Shown {
    authority: Arc<Authority>,
    own: Mutex<Arc<CertifiedKey>>,
    public: Option<PublicCertificate>,
}

impl Shown {
    /// The certificate of the authority's, made anew when it is time.
    fn own(&self) -> Arc<CertifiedKey> {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_due(&own) {
            match self.authority.sign_server() {
                Ok(made) => *own = Arc::new(made),
                // It is good for two thirds of its life yet.
                Err(error) => tracing::warn!(%error, "the coordinator's certificate cannot be made anew"),
            }
        }
        Arc::clone(&own)
    }

    /// Also when the clock was set back: then it may not be valid yet.
    fn is_due(&self, own: &CertifiedKey) -> bool {
        let Some(read) = own.cert.first().and_then(|certificate| Certificate::read(certificate).ok()) else {
            return true;
        };
        let Some(now) = self.authority.clock().current_time() else { return false };
        let now = now.as_secs();
        now < read.not_before || now - read.not_before > read.life() / RENEWED_AFTER
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        match (&self.public, hello.server_name()) {
            (Some(_), Some(name)) if is_internal(name) => Some(self.own()),
            (Some(public), _) => Some(public.get()),
            (None, _) => Some(self.own()),
        }
    }
}

#[cfg(test)]
mod tests;
