//! How a coordinator and those who call it from other machines recognise each other.
//!
//! ```text
//! a token on paper: pin, id, secret            a coordinator's certificate authority
//!        │ pin                                      │ signs
//!        ▼                                          ▼
//! verify: is the chain of that authority, for the fixed name of its cluster? ◄── server certificate
//! identity: a worker's key, its certificate, the roots it trusts ──► shown to the coordinator
//! ```
//!
//! Everything a client needs to trust a coordinator is the [`Pin`] of its authority's key, which stands in every token. What
//! was dialled does not count: addresses change, tunnels are dug; the name in the server's certificate is always the one of
//! the cluster, see [`Cluster`]. Nothing here reads or writes files or sockets, and what the time is, is told.

// A test that unwraps says where it failed.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod certificate;
mod client;
mod cluster;
mod crockford;
mod identity;
mod pem;
mod pin;
mod roots;
mod token;
mod trouble;
mod verify;

pub use certificate::{Certificate, CertificateError};
pub use client::{Clock, config, provider, system_clock};
pub use cluster::{Cluster, NoCluster, SNI, is_internal};
pub use identity::{Identity, IdentityError, Key, KeyError, SharedIdentity};
pub use pem::{PemError, certificates_from_pem, certificates_to_pem};
pub use pin::{NoPin, Pin};
pub use roots::{Roots, RootsError};
pub use rustls;
pub use rustls::pki_types;
pub use token::{NoTokenId, SecretDigest, Token, TokenError, TokenId, TokenKind};
pub use trouble::{BACKDATED, Trouble};
pub use verify::Trusted;
