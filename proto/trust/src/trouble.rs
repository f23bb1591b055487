//! Why two ends do not trust each other, in words that tell people what to do.

use std::{io, time::Duration};

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible, pki_types::UnixTime};

use crate::{cluster::Cluster, pin::Pin};

/// What every certificate's beginning is set back by: clocks that differ by less than this never show.
pub const BACKDATED: Duration = Duration::from_secs(3_600);

/// Why a connection to a coordinator was given up. Nothing of ours was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Its key is another one: it was set up anew, it is another machine, or somebody is in between.
    #[error("another coordinator is there: its key is {}…, and the token is for {}…", found.short(), expected.short())]
    AnotherCoordinator {
        /// That the token names.
        expected: Pin,
        /// That was shown.
        found: Pin,
    },
    /// It is of another cluster than the one this worker has joined.
    #[error("what is there is not the coordinator of cluster {cluster}, which was joined{}", shown(*found))]
    NotOfCluster {
        /// That was joined.
        cluster: Cluster,
        /// The key that was shown.
        found: Option<Pin>,
    },
    /// It speaks TLS, and is no coordinator.
    #[error("what is there shows no certificate of a coordinator of Longshore's")]
    NoCluster,
    /// Our clock is behind, or the coordinator's ahead.
    #[error("the clock of this machine is {} or more behind the coordinator's", apart(*by))]
    ClockBehind {
        /// By so much, at least.
        by: Duration,
    },
    /// Our clock is ahead, or the coordinator's behind.
    #[error("the coordinator's certificate has ended {} ago by the clock of this machine, which is ahead", apart(*by))]
    ClockAhead {
        /// By so much, at least.
        by: Duration,
    },
    /// It does not speak TLS.
    #[error("what is there does not speak TLS")]
    PlainText,
    /// It has hung up instead of shaking hands.
    #[error("what is there has hung up before it showed who it is")]
    HungUp,
    /// It speaks an older TLS only.
    #[error("what is there does not speak TLS 1.3")]
    OlderTls,
    /// It does not accept the certificate that was shown, or none.
    #[error("the coordinator does not accept this worker's certificate ({0})")]
    Refused(&'static str),
    /// Anything else.
    #[error("no secure connection can be made: {0}")]
    Other(String),
}

impl Trouble {
    /// Of what rustls says.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        match error {
            Error::InvalidCertificate(CertificateError::Other(other)) => match other.0.downcast_ref::<Self>() {
                Some(trouble) => trouble.clone(),
                None => Self::Other(error.to_string()),
            },
            Error::InvalidCertificate(error) => Self::of_certificate(error),
            Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => {
                Self::PlainText
            }
            Error::PeerIncompatible(PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig)
            | Error::AlertReceived(AlertDescription::ProtocolVersion) => Self::OlderTls,
            Error::PeerIncompatible(_) => Self::OlderTls,
            Error::AlertReceived(alert) => Self::of_alert(*alert),
            other => Self::Other(other.to_string()),
        }
    }

    /// Of what stands among the causes of an error, if TLS is why.
    #[must_use]
    pub fn among(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        if let Some(trouble) = error.downcast_ref::<Self>() {
            return Some(trouble.clone());
        }
        if let Some(error) = error.downcast_ref::<Error>() {
            return Some(Self::of(error));
        }
        // An IO error is the same as what it was made of: that is no source of it.
        if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref)
            && let Some(found) = Self::among(inner)
        {
            return Some(found);
        }
        error.source().and_then(Self::among)
    }

    /// Of a handshake that has failed.
    #[must_use]
    pub fn of_handshake(error: &io::Error) -> Option<Self> {
        Self::among(error).or_else(|| (error.kind() == io::ErrorKind::UnexpectedEof).then_some(Self::HungUp))
    }

    fn of_certificate(error: &CertificateError) -> Self {
        match error {
            CertificateError::NotValidYetContext { time, not_before } => {
                Self::ClockBehind { by: since(*time, *not_before) + BACKDATED }
            }
            CertificateError::ExpiredContext { time, not_after } => Self::ClockAhead { by: since(*not_after, *time) },
            CertificateError::BadEncoding
            | CertificateError::InvalidPurpose
            | CertificateError::InvalidPurposeContext { .. }
            | CertificateError::NotValidForName
            | CertificateError::NotValidForNameContext { .. } => Self::NoCluster,
            other => Self::Other(other.to_string()),
        }
    }

    fn of_alert(alert: AlertDescription) -> Self {
        match alert {
            AlertDescription::CertificateExpired => Self::Refused("it ended too long ago"),
            AlertDescription::CertificateRevoked => Self::Refused("it was revoked"),
            AlertDescription::UnknownCA => Self::Refused("it is of another cluster"),
            AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::DecryptError
            | AlertDescription::AccessDenied => Self::Refused("it is not good"),
            other => Self::Other(format!("it was ended by the other end ({other:?})")),
        }
    }
}

fn shown(found: Option<Pin>) -> String {
    found.map(|pin| format!(" (its key is {}…)", pin.short())).unwrap_or_default()
}

fn since(earlier: UnixTime, later: UnixTime) -> Duration {
    Duration::from_secs(later.as_secs().saturating_sub(earlier.as_secs()))
}

/// A time in words, to the minute: nobody sets a clock by seconds here.
fn apart(by: Duration) -> String {
    let minutes = by.as_secs().div_ceil(60).max(1);
    humantime::format_duration(Duration::from_secs(minutes * 60)).to_string()
}
