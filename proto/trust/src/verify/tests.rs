//! Both ends of handshakes in one thread: the coordinator that is meant, and whoever stands in its place.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    PublicKeyData as _,
};
use rustls::{
    ClientConfig, ClientConnection, ServerConfig, ServerConnection,
    pki_types::PrivateKeyDer,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
    time_provider::TimeProvider,
    version::TLS13,
};

use super::*;
use crate::{
    client::{self, system_clock},
    cluster::SNI,
    identity::{Identity, Key},
    trouble::BACKDATED,
};

/// An authority and the coordinator it has made a certificate for.
struct World {
    cluster: Cluster,
    authority: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
}

impl World {
    fn new() -> Self {
        Self::with(Cluster::new(), KeyPair::generate().unwrap())
    }

    /// Somebody may call themselves by the name of another.
    fn with(cluster: Cluster, key: KeyPair) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(&cluster.to_string());
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let root = params.self_signed(&key).unwrap().der().clone();
        Self { cluster, authority: Issuer::new(params, key), root }
    }

    fn pin(&self) -> Pin {
        Pin::of_key(&self.authority.key().subject_public_key_info())
    }

    fn sign(&self, change: impl FnOnce(&mut CertificateParams), key: &KeyPair) -> CertificateDer<'static> {
        let mut params = CertificateParams::new([self.cluster.host()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.not_before = (std::time::SystemTime::now() - BACKDATED).into();
        change(&mut params);
        params.signed_by(key, &self.authority).unwrap().der().clone()
    }

    /// What a coordinator shows.
    fn coordinator(&self) -> Shown {
        let key = KeyPair::generate().unwrap();
        let leaf = self.sign(|_| (), &key);
        Shown { chain: vec![leaf, self.root.clone()], key }
    }

    fn member(&self) -> SharedIdentity {
        let key = Key::new().unwrap();
        let leaf =
            self.sign(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth], key.pair());
        SharedIdentity::new(
            Identity::new(key.into(), vec![leaf], Roots::new(vec![self.root.clone()]).unwrap()).unwrap(),
        )
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

/// What an end shows, with the key it has.
struct Shown {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// A server that shows it. Whether the key fits is not looked at.
fn server(shown: &Shown) -> ServerConnection {
    let key = PrivateKeyDer::Pkcs8(shown.key.serialized_der().to_vec().into());
    let signing = rustls::crypto::ring::sign::any_ecdsa_type(&key).unwrap();
    let config = ServerConfig::builder_with_provider(client::provider())
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Always(Arc::new(CertifiedKey::new(shown.chain.clone(), signing)))));
    ServerConnection::new(Arc::new(config)).unwrap()
}

/// The handshake, and what the client makes of it. With it the bytes that the client sent after its first flight.
fn shake(config: Arc<ClientConfig>, server: &mut ServerConnection) -> (Result<(), Error>, Vec<u8>) {
    let mut client = ClientConnection::new(config, SNI.try_into().unwrap()).unwrap();
    let mut sent = Vec::new();
    // Whatever it would say, it is ready to be said.
    std::io::Write::write_all(&mut client.writer(), b"canary").unwrap();
    while client.is_handshaking() || client.wants_write() {
        let mut flight = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut flight).unwrap();
        }
        sent.extend_from_slice(&flight);
        server.read_tls(&mut &flight[..]).unwrap();
        let _ = server.process_new_packets();
        let mut answer = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut answer).unwrap();
        }
        if answer.is_empty() {
            break;
        }
        client.read_tls(&mut &answer[..]).unwrap();
        if let Err(error) = client.process_new_packets() {
            return (Err(error), sent);
        }
    }
    (Ok(()), sent)
}

fn trouble(trusted: Trusted, shown: &Shown) -> Option<Trouble> {
    let mut server = server(shown);
    let (shaken, _) = shake(client::config(trusted, system_clock()), &mut server);
    let mut heard = Vec::new();
    let _ = std::io::Read::read_to_end(&mut server.reader(), &mut heard);
    assert_eq!(heard == b"canary", shaken.is_ok(), "whoever is not trusted is told nothing");
    shaken.err().map(|error| Trouble::of(&error))
}

#[test]
fn the_coordinator_of_the_pinned_authority_is_trusted_whatever_was_dialled() {
    let world = World::new();
    assert_eq!(trouble(Trusted::Pin(world.pin()), &world.coordinator()), None);
    assert_eq!(trouble(Trusted::Identity(world.member()), &world.coordinator()), None);
}

#[test]
fn an_authority_of_the_same_name_with_another_key_is_another_coordinator() {
    let world = World::new();
    let other = World::with(world.cluster, KeyPair::generate().unwrap());
    let (expected, found) = (world.pin(), other.pin());
    let pinned = trouble(Trusted::Pin(expected), &other.coordinator());
    assert_eq!(pinned, Some(Trouble::AnotherCoordinator { expected, found }));
    // What it signs is not what the member's root has signed.
    let member = trouble(Trusted::Identity(world.member()), &other.coordinator());
    assert_eq!(member, Some(Trouble::NotOfCluster { cluster: world.cluster, found: Some(found) }));
    // Also if it sends the true one along.
    let mut mixed = other.coordinator();
    mixed.chain.push(world.root.clone());
    assert!(trouble(Trusted::Pin(expected), &mixed).is_some());
    let elsewhere = World::new();
    let member = trouble(Trusted::Identity(world.member()), &elsewhere.coordinator());
    let of = Trouble::NotOfCluster { cluster: world.cluster, found: Some(elsewhere.pin()) };
    assert_eq!(member, Some(of));
}

#[test]
fn a_certificate_that_was_seen_is_nothing_without_its_key() {
    let world = World::new();
    let replayed = Shown { key: KeyPair::generate().unwrap(), ..world.coordinator() };
    for trusted in [Trusted::Pin(world.pin()), Trusted::Identity(world.member())] {
        assert!(trouble(trusted, &replayed).is_some());
    }
}

#[test]
fn a_member_or_another_server_of_the_cluster_is_no_coordinator() {
    let world = World::new();
    let key = KeyPair::generate().unwrap();
    let as_client =
        |params: &mut CertificateParams| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let as_other = |params: &mut CertificateParams| params.subject_alt_names.clear();
    for leaf in [world.sign(as_client, &key), world.sign(as_other, &key)] {
        let key = KeyPair::from_pem(&key.serialize_pem()).unwrap();
        let shown = Shown { chain: vec![leaf, world.root.clone()], key };
        assert_eq!(trouble(Trusted::Pin(world.pin()), &shown), Some(Trouble::NoCluster));
    }
}

#[test]
fn a_chain_without_its_authority_or_of_no_cluster_is_said_to_be_so() {
    let world = World::new();
    let mut alone = world.coordinator();
    alone.chain.truncate(1);
    assert!(matches!(trouble(Trusted::Pin(world.pin()), &alone), Some(Trouble::AnotherCoordinator { .. })));
    let mut params = CertificateParams::new(["example.org".to_owned()]).unwrap();
    params.distinguished_name = named("example.org");
    let key = KeyPair::generate().unwrap();
    let site = Shown { chain: vec![params.self_signed(&key).unwrap().der().clone()], key };
    let pin = Pin::of_key(&site.key.subject_public_key_info());
    assert_eq!(trouble(Trusted::Pin(pin), &site), Some(Trouble::NoCluster));
}

#[derive(Debug)]
struct At(u64);

impl TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0)))
    }
}

#[test]
fn clocks_that_are_apart_are_named_with_how_far() {
    let world = World::new();
    let key = KeyPair::generate().unwrap();
    let leaf = world.sign(|params| params.not_after = params.not_before + Duration::from_secs(86_400), &key);
    let life = Certificate::read(&leaf).unwrap();
    let shown = Shown { chain: vec![leaf, world.root.clone()], key };
    let at = |time: u64| {
        let config = client::config(Trusted::Pin(world.pin()), Arc::new(At(time)));
        shake(config, &mut server(&shown)).0.err().map(|error| Trouble::of(&error))
    };
    let hours = |hours: u64| Duration::from_secs(hours * 3_600);
    let issued = life.not_before + BACKDATED.as_secs();
    assert_eq!(at(issued - 3_500), None, "less than an hour is nothing");
    assert_eq!(at(issued - 2 * 3_600), Some(Trouble::ClockBehind { by: hours(2) }));
    assert_eq!(at(life.not_after + 2 * 3_600), Some(Trouble::ClockAhead { by: hours(2) }));
    let said = Trouble::ClockBehind { by: Duration::from_secs(3 * 3_600 + 700) }.to_string();
    assert!(said.contains("3h 12m"), "{said}");
}

#[test]
fn plain_text_and_a_hangup_are_told_apart() {
    let config = client::config(Trusted::Pin(World::new().pin()), system_clock());
    let mut client = ClientConnection::new(config, SNI.try_into().unwrap()).unwrap();
    client.read_tls(&mut &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..]).unwrap();
    let error = client.process_new_packets().unwrap_err();
    assert_eq!(Trouble::of(&error), Trouble::PlainText);
    let wrapped = std::io::Error::new(std::io::ErrorKind::InvalidData, error);
    assert_eq!(Trouble::of_handshake(&wrapped), Some(Trouble::PlainText));
    let eof = std::io::ErrorKind::UnexpectedEof.into();
    assert_eq!(Trouble::of_handshake(&eof), Some(Trouble::HungUp));
    assert_eq!(Trouble::of_handshake(&std::io::ErrorKind::ConnectionReset.into()), None);
}

#[test]
fn a_renewed_certificate_is_what_the_next_connection_shows() {
    let world = World::new();
    let shared = world.member();
    let schemes = client::provider().signature_verification_algorithms.supported_schemes();
    let shown = || rustls::client::ResolvesClientCert::resolve(&shared, &[], &schemes).unwrap().cert[0].clone();
    let before = shown();
    let renewed = world.member().get();
    let identity = Identity::new(Arc::clone(renewed.key()), renewed.chain().to_vec(), renewed.roots().clone());
    shared.set(identity.unwrap());
    assert!(shown() != before && shown() == renewed.chain()[0]);
}

#[test]
fn key_certificate_and_roots_come_back_from_their_text_and_must_fit() {
    let world = World::new();
    let identity = world.member().get();
    let key = Key::from_pem(&identity.key().to_pem()).unwrap();
    assert_eq!(key.pin(), identity.certificate().key);
    let roots = Roots::from_pem(identity.roots().to_pem().as_bytes()).unwrap();
    assert!(&roots == identity.roots() && roots.cluster() == world.cluster);
    Identity::new(Arc::new(key), identity.chain().to_vec(), roots.clone()).unwrap();
    let other = Arc::new(Key::new().unwrap());
    let refused = Identity::new(Arc::clone(&other), identity.chain().to_vec(), roots.clone()).unwrap_err();
    assert!(matches!(refused, crate::IdentityError::OtherKey));
    assert!(matches!(Identity::new(other, vec![], roots), Err(crate::IdentityError::NoCertificate)));
    assert!(Key::from_pem("no key").is_err());
    assert!(!format!("{identity:?}").contains(&identity.key().to_pem()[60..90]));
    let several = vec![world.root.clone(), World::new().root];
    assert!(matches!(Roots::new(several), Err(crate::RootsError::Several)));
    assert!(matches!(Roots::new(Vec::new()), Err(crate::RootsError::Count(0))));
}

#[test]
fn a_request_says_nothing_but_the_key() {
    let key = Key::new().unwrap();
    let request = rcgen::CertificateSigningRequestParams::from_der(&key.request().unwrap().into()).unwrap();
    assert_eq!(Pin::of_key(&request.public_key.subject_public_key_info()), key.pin());
    assert_eq!(request.params.distinguished_name, DistinguishedName::new());
    assert!(request.params.subject_alt_names.is_empty() && request.params.extended_key_usages.is_empty());
}
