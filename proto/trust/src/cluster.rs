//! The name of a cluster, which is what certificates are verified for: never an address that somebody dialled.

use std::{fmt, str::FromStr};

use rustls::pki_types::ServerName;
use uuid::Uuid;

/// The domain all our names are below. It is nobody's: `.internal` is set apart for private use.
const DOMAIN: &str = "longshore.internal";

/// What every client of ours sends as the server's name. It tells nobody which cluster is called; the server's certificate
/// is verified for [`Cluster::server_name`], whatever was sent.
pub const SNI: &str = "coordinator.longshore.internal";

/// Whether a server name (as sent in a TLS handshake) is one of ours, as opposed to one of a web site.
#[must_use]
pub fn is_internal(name: &str) -> bool {
    let name = name.as_bytes();
    let Some(at) = name.len().checked_sub(DOMAIN.len()) else { return false };
    name[at..].eq_ignore_ascii_case(DOMAIN.as_bytes()) && (at == 0 || name[at - 1] == b'.')
}

/// A cluster: one coordinator's certificate authority and all who trust it. The id stands in the authority's subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cluster(pub Uuid);

/// A text that names no cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not the id of a cluster")]
pub struct NoCluster;

impl Cluster {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        Self(Uuid::new_v4())
    }

    /// The only name its coordinator's certificate is for.
    #[must_use]
    pub fn host(&self) -> String {
        format!("coordinator.{self}.{DOMAIN}")
    }

    /// The same, as it is verified.
    ///
    /// # Panics
    /// Never: it is made of letters, digits, hyphens and dots.
    #[must_use]
    pub fn server_name(&self) -> ServerName<'static> {
        ServerName::try_from(self.host()).expect("ids and words of letters make a DNS name")
    }
}

impl Default for Cluster {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl FromStr for Cluster {
    type Err = NoCluster;

    fn from_str(text: &str) -> Result<Self, NoCluster> {
        Uuid::parse_str(text).map(Self).map_err(|_| NoCluster)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_below_our_domain_are_ours_and_others_are_not() {
        let cluster = Cluster::new();
        for ours in [SNI, "longshore.internal", "Coordinator.LONGSHORE.internal", &cluster.host()] {
            assert!(is_internal(ours), "{ours}");
        }
        for other in ["", "internal", "example.org", "notlongshore.internal", "longshore.internal.example.org"] {
            assert!(!is_internal(other), "{other}");
        }
    }

    #[test]
    fn a_cluster_is_read_as_it_is_shown() {
        let cluster = Cluster::new();
        assert_eq!(cluster.to_string().parse(), Ok(cluster));
        assert_eq!("a coordinator".parse::<Cluster>(), Err(NoCluster));
        assert!(matches!(cluster.server_name(), ServerName::DnsName(_)));
    }
}
