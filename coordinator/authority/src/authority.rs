//! The authority itself: a key, and certificates that it signs. What stands in them is decided here alone.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use longshore_trust::{
    BACKDATED, Certificate, Clock, Cluster, Key, KeyError, PemError, Pin, Roots, RootsError, certificates_from_pem,
    certificates_to_pem, pki_types::CertificateDer,
};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SerialNumber,
};
use rustls::sign::CertifiedKey;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::request::Request;

/// How long an authority lasts. Nobody is told anew whom to trust before.
const AUTHORITY_LIFE: Duration = Duration::from_secs(3_653 * 86_400);

/// How long the coordinator's own certificate lasts. It is made anew long before.
pub const SERVER_LIFE: Duration = Duration::from_secs(90 * 86_400);

/// Why an authority cannot be made, read, or sign.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A key cannot be made or used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// There are no certificates in it.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// They are not those of an authority of ours.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// The certificate beside a key is not for it.
    #[error("the authority's key does not fit its certificate")]
    OtherKey,
    /// It cannot be signed.
    #[error("a certificate cannot be signed")]
    Sign(#[source] rcgen::Error),
    /// The clock does not say what the time is.
    #[error("the clock does not say what the time is")]
    NoTime,
}

/// A certificate that was signed for a member.
#[derive(Debug, Clone)]
pub struct Signed {
    /// It, and what has signed it.
    pub chain: Vec<CertificateDer<'static>>,
    /// Of the member's key.
    pub key: Pin,
    /// Its number, which no other has.
    pub serial: u128,
    /// Until when it is good, in milliseconds of Unix time by the coordinator's clock.
    pub expires_ms: u64,
}

/// A certificate authority: the root of one cluster.
pub struct Authority {
    key: Key,
    issuer: Issuer<'static, KeyPair>,
    roots: Roots,
    clock: Clock,
}

impl Authority {
    /// A new one, of a new cluster.
    ///
    /// # Errors
    /// When the system has no random bytes or no time.
    pub fn make(clock: Clock) -> Result<Self, AuthorityError> {
        let (key, cluster) = (Key::new()?, Cluster::new());
        let mut params = CertificateParams::default();
        params.distinguished_name = named(&cluster.to_string());
        // It signs members and coordinators, which sign nothing.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.serial_number = Some(serial(new_serial()));
        let now = time(&clock)?;
        (params.not_before, params.not_after) = (earlier(now).into(), (now + AUTHORITY_LIFE).into());
        let certificate = params.self_signed(key.pair()).map_err(AuthorityError::Sign)?.der().clone();
        Self::of(key, vec![certificate], clock)
    }

    /// From a text with its key and its certificates.
    ///
    /// # Errors
    /// When they are damaged or do not fit.
    pub fn from_pem(text: &str, clock: Clock) -> Result<Self, AuthorityError> {
        Self::of(Key::from_pem(text)?, certificates_from_pem(text.as_bytes())?, clock)
    }

    fn of(key: Key, certificates: Vec<CertificateDer<'static>>, clock: Clock) -> Result<Self, AuthorityError> {
        let roots = Roots::new(certificates)?;
        let own = roots.certificates().last().ok_or(AuthorityError::OtherKey)?;
        if Certificate::read(own).map(|own| own.key) != Ok(key.pin()) {
            return Err(AuthorityError::OtherKey);
        }
        let pair = Key::from_pem(&key.to_pem())?.into_pair();
        let issuer = Issuer::from_ca_cert_der(own, pair).map_err(AuthorityError::Sign)?;
        Ok(Self { key, issuer, roots, clock })
    }

    /// Its key and its certificates as text, to be kept where only the coordinator's user reads it. Wiped when it goes.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.key.to_pem().as_str().to_owned() + &certificates_to_pem(self.roots.certificates()))
    }

    /// Whose it is.
    #[must_use]
    pub fn cluster(&self) -> Cluster {
        self.roots.cluster()
    }

    /// Of its key: what tokens carry.
    #[must_use]
    pub fn pin(&self) -> Pin {
        self.key.pin()
    }

    /// All that is trusted in this cluster.
    #[must_use]
    pub fn roots(&self) -> &Roots {
        &self.roots
    }

    /// By what it tells the time.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// A certificate for a worker, good for so long from now, to show who it is and for nothing else. But for the key
    /// nothing is taken from the request.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn sign_worker(&self, request: &Request, worker: Uuid, life: Duration) -> Result<Signed, AuthorityError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(&worker.to_string());
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params, request.public(), life)
    }

    /// A new certificate for the coordinator itself, with a new key and what has signed it.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn sign_server(&self) -> Result<CertifiedKey, AuthorityError> {
        let key = Key::new()?;
        let mut params = CertificateParams::new([self.cluster().host()]).map_err(AuthorityError::Sign)?;
        params.distinguished_name = named("coordinator");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let signed = self.sign(params, key.pair(), SERVER_LIFE)?;
        Ok(key.certified(signed.chain)?)
    }

    /// Signs what is to stand in a certificate; the rest is the same for all.
    fn sign(
        &self,
        mut params: CertificateParams,
        key: &impl PublicKeyData,
        life: Duration,
    ) -> Result<Signed, AuthorityError> {
        let (now, number) = (time(&self.clock)?, new_serial());
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(serial(number));
        (params.not_before, params.not_after) = (earlier(now).into(), (now + life).into());
        let certificate = params.signed_by(key, &self.issuer).map_err(AuthorityError::Sign)?.der().clone();
        let until = (now + life).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let own = self.roots.certificates().last().cloned();
        Ok(Signed {
            chain: std::iter::once(certificate).chain(own).collect(),
            key: Pin::of_key(&key.subject_public_key_info()),
            serial: number,
            expires_ms: u64::try_from(until.as_millis()).unwrap_or(u64::MAX),
        })
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({}, {:?})", self.cluster(), self.pin())
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

/// 128 bits by which a certificate is told apart (RFC 5280, section 4.1.2.2: positive), always written in 16
/// bytes.
fn new_serial() -> u128 {
    rand::random::<u128>() >> 1 | 1 << 126
}

fn serial(number: u128) -> SerialNumber {
    SerialNumber::from_slice(&number.to_be_bytes())
}

/// Whole seconds, which is what stands in certificates.
fn time(clock: &Clock) -> Result<SystemTime, AuthorityError> {
    let now = clock.current_time().ok_or(AuthorityError::NoTime)?;
    Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_secs()))
}

fn earlier(now: SystemTime) -> SystemTime {
    now.checked_sub(BACKDATED).unwrap_or(now)
}

#[cfg(test)]
mod tests;
