//! What stands in certificates, whatever was asked for.

use std::sync::Arc;

use longshore_trust::system_clock;
use proptest::prelude::*;
use rcgen::{PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SanType};
use rustls::pki_types::UnixTime;

use super::*;
use crate::{members::Presented, request::RequestError};

#[derive(Debug)]
struct At(u64);

impl longshore_trust::rustls::time_provider::TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0)))
    }
}

fn authority() -> Authority {
    Authority::make(system_clock()).unwrap()
}

/// Everything that a certificate says beside key, number and times, as text: no word of it may come from a request.
fn words(certificate: &CertificateDer<'_>) -> String {
    String::from_utf8_lossy(certificate).into_owned()
}

#[test]
fn a_members_certificate_says_who_it_is_and_for_how_long_and_nothing_else() {
    let now = 1_800_000_000;
    let authority = Authority::make(Arc::new(At(now))).unwrap();
    let (key, worker) = (Key::new().unwrap(), Uuid::new_v4());
    let request = Request::read(&key.request().unwrap()).unwrap();
    assert_eq!(request.key(), key.pin());
    let signed =
        authority.sign_worker(&request, worker, std::time::Duration::from_secs(86_400 * u64::from(30u32))).unwrap();
    let read = Certificate::read(&signed.chain[0]).unwrap();
    assert_eq!(read.name, Some(worker.to_string()));
    assert_eq!((read.key, signed.key), (key.pin(), key.pin()));
    assert_eq!((read.not_before, read.not_after), (now - 3_600, now + 30 * 86_400));
    assert_eq!(signed.expires_ms, read.not_after * 1_000);
    let presented = Presented::of(&signed.chain[0]).unwrap();
    assert_eq!(presented, Presented { key: key.pin().0, expires_ms: signed.expires_ms, serial: signed.serial });
    assert_eq!(signed.chain[1..], *authority.roots().certificates());
    let again =
        authority.sign_worker(&request, worker, std::time::Duration::from_secs(86_400 * u64::from(30u32))).unwrap();
    assert_ne!(again.serial, signed.serial);
}

#[test]
fn a_request_that_asks_for_more_gets_no_more() {
    let authority = authority();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([authority.cluster().host(), "example.org".to_owned()]).unwrap();
    params.subject_alt_names.push(SanType::IpAddress([10, 0, 0, 1].into()));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::Any];
    params.distinguished_name = named("another worker's id");
    let asked = params.serialize_request(&key).unwrap();
    let worker = Uuid::new_v4();
    let request = Request::read(asked.der()).unwrap();
    let signed =
        authority.sign_worker(&request, worker, std::time::Duration::from_secs(86_400 * u64::from(30u32))).unwrap();
    let said = words(&signed.chain[0]);
    for word in ["example.org", "another worker", "longshore.internal"] {
        assert!(!said.contains(word), "{word}");
    }
    assert_eq!(Certificate::read(&signed.chain[0]).unwrap().name, Some(worker.to_string()));
    let plain = Request::read(&Key::new().unwrap().request().unwrap()).unwrap();
    let plain =
        authority.sign_worker(&plain, worker, std::time::Duration::from_secs(86_400 * u64::from(30u32))).unwrap();
    assert!(signed.chain[0].len().abs_diff(plain.chain[0].len()) < 4, "no extension more");
}

#[test]
fn a_request_is_refused_unless_its_own_key_on_p_256_has_signed_it() {
    let good = Key::new().unwrap().request().unwrap();
    Request::read(&good).unwrap();
    // One bit of the key, one of the signature.
    for at in [good.len() / 2, good.len() - 5] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(Request::read(&bad).is_err(), "{at}");
    }
    for algorithm in [&PKCS_ED25519, &PKCS_ECDSA_P384_SHA384] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let request = CertificateParams::default().serialize_request(&key).unwrap();
        assert!(Request::read(request.der()).is_err());
    }
    assert!(matches!(Request::read(&[0; 5_000]), Err(RequestError::TooLong(5_000))));
    assert!(matches!(Request::read(b""), Err(RequestError::Malformed(_))));
}

#[test]
fn an_authority_comes_back_from_its_text_and_signs_as_before() {
    let first = authority();
    let again = Authority::from_pem(&first.to_pem(), system_clock()).unwrap();
    assert_eq!((again.pin(), again.cluster()), (first.pin(), first.cluster()));
    let request = Request::read(&Key::new().unwrap().request().unwrap()).unwrap();
    let signed =
        again.sign_worker(&request, Uuid::new_v4(), std::time::Duration::from_secs(86_400 * u64::from(1u32))).unwrap();
    assert_eq!(signed.chain[1], first.roots().certificates()[0]);
    let (one, other) = (first.to_pem(), authority().to_pem());
    let mixed =
        format!("{}{}", &one[..one.find("-----BEGIN CERT").unwrap()], &other[other.find("-----BEGIN CERT").unwrap()..]);
    assert!(matches!(Authority::from_pem(&mixed, system_clock()), Err(AuthorityError::OtherKey)));
    assert!(!format!("{first:?}").contains(&one[60..100]));
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_of_requests_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), at in 0usize..300, bit in 0u8..8) {
        let _ = Request::read(&bytes);
        let mut nearly = Key::new().unwrap().request().unwrap();
        let at = at % nearly.len();
        nearly[at] ^= 1 << bit;
        let _ = Request::read(&nearly);
        nearly.truncate(at);
        prop_assert!(Request::read(&nearly).is_err());
        let _ = (Certificate::read(&bytes.clone().into()), Presented::of(&bytes.into()));
    }
}
