//! The roots of one cluster: several while its authority changes, one otherwise.

use std::sync::Arc;

use rustls::{RootCertStore, pki_types::CertificateDer};

use crate::{
    certificate::Certificate,
    cluster::Cluster,
    pem::{PemError, certificates_from_pem, certificates_to_pem},
};

/// Roots that are kept at most: there are two while an authority is replaced.
const MOST: usize = 8;

/// Why certificates are not the roots of a cluster.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// They are not PEM.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// There are none, or more than there can be.
    #[error("{0} roots are too few or too many")]
    Count(usize),
    /// One cannot be read, or names no cluster.
    #[error("a root is not of a cluster of Longshore's")]
    NoCluster,
    /// They are of several clusters.
    #[error("the roots are of several clusters")]
    Several,
}

/// Certificates of the authorities of one cluster.
#[derive(Debug, Clone)]
pub struct Roots {
    certificates: Vec<CertificateDer<'static>>,
    cluster: Cluster,
    store: Arc<RootCertStore>,
}

impl Roots {
    /// Of these certificates.
    ///
    /// # Errors
    /// When there are none, or they are not of one cluster.
    pub fn new(certificates: Vec<CertificateDer<'static>>) -> Result<Self, RootsError> {
        if !(1..=MOST).contains(&certificates.len()) {
            return Err(RootsError::Count(certificates.len()));
        }
        let mut clusters = certificates.iter().map(cluster_of);
        let cluster = clusters.next().flatten().ok_or(RootsError::NoCluster)?;
        for other in clusters {
            match other {
                Some(other) if other == cluster => {}
                Some(_) => return Err(RootsError::Several),
                None => return Err(RootsError::NoCluster),
            }
        }
        let mut store = RootCertStore::empty();
        for certificate in &certificates {
            store.add(certificate.clone()).map_err(|_| RootsError::NoCluster)?;
        }
        Ok(Self { certificates, cluster, store: Arc::new(store) })
    }

    /// From PEM.
    ///
    /// # Errors
    /// As [`Roots::new`]; when it is not PEM.
    pub fn from_pem(text: &[u8]) -> Result<Self, RootsError> {
        Self::new(certificates_from_pem(text)?)
    }

    /// As PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        certificates_to_pem(&self.certificates)
    }

    /// All of them, the newest last.
    #[must_use]
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// Whose they are.
    #[must_use]
    pub fn cluster(&self) -> Cluster {
        self.cluster
    }

    /// As rustls takes them.
    #[must_use]
    pub fn store(&self) -> &Arc<RootCertStore> {
        &self.store
    }
}

impl PartialEq for Roots {
    fn eq(&self, other: &Self) -> bool {
        self.certificates == other.certificates
    }
}

impl Eq for Roots {}

fn cluster_of(certificate: &CertificateDer<'_>) -> Option<Cluster> {
    Certificate::read(certificate).ok()?.name?.parse().ok()
}
