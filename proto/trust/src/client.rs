//! TLS as those who call set it up: 1.3 and nothing else (RFC 8446).

use std::sync::Arc;

use rustls::{
    ClientConfig,
    client::Resumption,
    crypto::{CryptoProvider, ring},
    time_provider::{DefaultTimeProvider, TimeProvider},
    version::TLS13,
};

use crate::verify::{CoordinatorVerifier, Trusted};

/// What the time is. Told, so that tests can tell another.
pub type Clock = Arc<dyn TimeProvider>;

/// The system's clock.
#[must_use]
pub fn system_clock() -> Clock {
    Arc::new(DefaultTimeProvider)
}

/// The cryptography of both ends, named wherever it is used: with a default for the process, a second library that wants
/// another one would be a panic. AES-128 goes first, which is strong enough and the cheapest where there are large blobs.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    provider.cipher_suites.sort_by_key(|suite| *suite != ring::cipher_suite::TLS13_AES_128_GCM_SHA256);
    Arc::new(provider)
}

/// For connections to a coordinator that is trusted in this way, over which HTTP/2 is spoken. Sessions are not resumed: a
/// new connection is to show the certificate of now. Nothing is sent before the handshake is over (no early data).
///
/// # Panics
/// Never: the provider has what TLS 1.3 needs.
#[must_use]
pub fn config(trusted: Trusted, clock: Clock) -> Arc<ClientConfig> {
    let provider = provider();
    let builder = ClientConfig::builder_with_details(Arc::clone(&provider), clock)
        .with_protocol_versions(&[&TLS13])
        .expect("ring's suites are of TLS 1.3");
    let verifier = CoordinatorVerifier::new(trusted.clone(), provider);
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match trusted {
        Trusted::Pin(_) => builder.with_no_client_auth(),
        Trusted::Identity(identity) => builder.with_client_cert_resolver(Arc::new(identity)),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = Resumption::disabled();
    Arc::new(config)
}
