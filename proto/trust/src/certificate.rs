//! What is read in a certificate (RFC 5280). Whether to believe it is another matter.

use rustls::pki_types::CertificateDer;
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use crate::pin::Pin;

/// A certificate that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no certificate that can be read")]
pub struct CertificateError;

/// What stands in a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Of the key it is for.
    pub key: Pin,
    /// From when on it is valid, in seconds of Unix time; 0 for anything before 1970.
    pub not_before: u64,
    /// Until when it is valid, in seconds of Unix time; 0 for anything before 1970.
    pub not_after: u64,
    /// Its number at whoever signed it, without leading zeros.
    pub serial: Vec<u8>,
    /// The common name of its subject, where there is exactly one.
    pub name: Option<String>,
}

impl Certificate {
    /// Reads one.
    ///
    /// # Errors
    /// When it is none, or something follows it.
    pub fn read(der: &CertificateDer<'_>) -> Result<Self, CertificateError> {
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| CertificateError)?;
        if !rest.is_empty() {
            return Err(CertificateError);
        }
        let seconds = |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).unwrap_or(0);
        let mut names = parsed.subject().iter_common_name();
        let name = match (names.next(), names.next()) {
            (Some(only), None) => only.as_str().ok().map(str::to_owned),
            _ => None,
        };
        Ok(Self {
            key: Pin::of_key(parsed.public_key().raw),
            not_before: seconds(parsed.validity().not_before),
            not_after: seconds(parsed.validity().not_after),
            serial: parsed.raw_serial().iter().copied().skip_while(|byte| *byte == 0).collect(),
            name,
        })
    }

    /// How long it is valid, in seconds.
    #[must_use]
    pub fn life(&self) -> u64 {
        self.not_after.saturating_sub(self.not_before)
    }
}
