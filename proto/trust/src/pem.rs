//! Certificates as files hold them (RFC 7468).

use rustls::pki_types::{
    CertificateDer,
    pem::{self, PemObject},
};

/// Why a file has no certificates.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    /// It is damaged.
    #[error("this is not PEM")]
    Malformed(#[source] pem::Error),
    /// There is none in it.
    #[error("there is no certificate in it")]
    Empty,
}

/// All certificates of a text, at least one.
///
/// # Errors
/// When there is none, or the text is damaged.
pub fn certificates_from_pem(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match found.map_err(PemError::Malformed)? {
        none if none.is_empty() => Err(PemError::Empty),
        some => Ok(some),
    }
}

/// Certificates as text, in their order.
#[must_use]
pub fn certificates_to_pem(certificates: &[CertificateDer<'_>]) -> String {
    certificates.iter().map(|certificate| encode("CERTIFICATE", certificate)).collect()
}

fn encode(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    let body = data_encoding::BASE64.encode(der);
    for line in body.as_bytes().chunks(64) {
        text.extend(line.iter().copied().map(char::from));
        text.push('\n');
    }
    text + "-----END " + label + "-----\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_come_back_in_their_order() {
        let some = [vec![1; 1], vec![2; 48], vec![3; 500]].map(CertificateDer::from);
        assert_eq!(certificates_from_pem(certificates_to_pem(&some).as_bytes()).unwrap(), some);
    }

    #[test]
    fn a_text_without_any_is_an_error() {
        assert!(matches!(certificates_from_pem(b"nothing"), Err(PemError::Empty)));
        assert!(matches!(certificates_from_pem(b""), Err(PemError::Empty)));
        let torn = b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
        assert!(matches!(certificates_from_pem(torn), Err(PemError::Malformed(_))));
    }
}
