//! Both ends of handshakes in one thread: a coordinator's TLS, and whoever comes.

use std::{
    io::{Read as _, Write as _},
    time::Duration,
};

use longshore_trust::{
    Clock, Identity, Key, Pin, SNI, SharedIdentity, Trouble, Trusted, config, pki_types::ServerName,
};
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, Error, ProtocolVersion, ServerConnection, pki_types::UnixTime,
    time_provider::TimeProvider,
};
use uuid::Uuid;

use super::*;
use crate::{
    members::{GRACE, Presented},
    request::Request,
};

const DAY: u64 = 86_400;

/// A clock that can be set.
#[derive(Debug)]
struct Hands(std::sync::atomic::AtomicU64);

impl Hands {
    fn at(seconds: u64) -> Arc<Self> {
        Arc::new(Self(seconds.into()))
    }

    fn set(&self, seconds: u64) {
        self.0.store(seconds, std::sync::atomic::Ordering::Relaxed);
    }
}

impl TimeProvider for Hands {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0.load(std::sync::atomic::Ordering::Relaxed))))
    }
}

const NOW: u64 = 1_800_000_000;

struct World {
    hands: Arc<Hands>,
    authority: Arc<Authority>,
    server: Server,
}

fn world() -> World {
    let hands = Hands::at(NOW);
    let clock: Clock = Arc::clone(&hands) as Clock;
    let authority = Arc::new(Authority::make(clock).unwrap());
    let server = server(Arc::clone(&authority), None).unwrap();
    World { hands, authority, server }
}

impl World {
    fn member(&self, days: u32) -> SharedIdentity {
        let key = Arc::new(Key::new().unwrap());
        let request = Request::read(&key.request().unwrap()).unwrap();
        let signed = self
            .authority
            .sign_worker(&request, Uuid::new_v4(), std::time::Duration::from_secs(86_400 * u64::from(days)))
            .unwrap();
        SharedIdentity::new(Identity::new(key, signed.chain, self.authority.roots().clone()).unwrap())
    }

    fn clock(&self) -> Clock {
        Arc::clone(&self.hands) as Clock
    }

    fn come(&self, trusted: Trusted) -> Met {
        meet(config(trusted, self.clock()), Arc::clone(&self.server), SNI)
    }
}

/// How a handshake ended for both.
#[derive(Debug)]
struct Met {
    client: Result<(), Error>,
    server: Result<(), Error>,
    presented: Option<Presented>,
    own: Vec<u8>,
    protocol: Option<Vec<u8>>,
    tickets: u32,
}

fn meet(client: Arc<ClientConfig>, server: Server, name: &'static str) -> Met {
    let mut client = ClientConnection::new(client, ServerName::try_from(name).unwrap()).unwrap();
    let mut server = ServerConnection::new(server).unwrap();
    let (mut of_client, mut of_server) = (Ok(()), Ok(()));
    client.writer().write_all(b"hello").unwrap();
    for _ in 0..8 {
        let mut flight = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut flight).unwrap();
        }
        server.read_tls(&mut &flight[..]).unwrap();
        of_server = of_server.and(server.process_new_packets().map(drop));
        let mut answer = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut answer).unwrap();
        }
        client.read_tls(&mut &answer[..]).unwrap();
        of_client = of_client.and(client.process_new_packets().map(drop));
    }
    let mut heard = Vec::new();
    let _ = server.reader().read_to_end(&mut heard);
    assert_eq!(heard == b"hello", of_client.is_ok() && of_server.is_ok());
    let shown = server.peer_certificates().and_then(|chain| Presented::of(chain.first()?));
    Met {
        client: of_client,
        server: of_server,
        presented: shown,
        own: client.peer_certificates().map(|chain| chain[0].to_vec()).unwrap_or_default(),
        protocol: server.alpn_protocol().map(<[u8]>::to_vec),
        tickets: client.tls13_tickets_received(),
    }
}

#[test]
fn whoever_knows_the_pin_comes_in_without_a_certificate_and_a_member_with_one() {
    let world = world();
    let met = world.come(Trusted::Pin(world.authority.pin()));
    assert!(met.client.is_ok() && met.server.is_ok() && met.presented.is_none(), "{met:?}");
    assert_eq!((met.protocol.as_deref(), met.tickets), (Some(&b"h2"[..]), 0));
    let member = world.member(30);
    let met = world.come(Trusted::Identity(member.clone()));
    let identity = member.get();
    assert_eq!(met.presented.unwrap().key, identity.key().pin().0);
    assert_eq!(met.presented.unwrap().expires_ms, identity.certificate().not_after * 1_000);
}

#[test]
fn a_member_of_another_cluster_is_refused_with_that_word() {
    let (world, other) = (world(), world());
    // It is told to trust this coordinator, and shows what another has signed.
    let theirs = other.member(30).get();
    let mixed = Identity::new(Arc::clone(theirs.key()), theirs.chain().to_vec(), world.authority.roots().clone());
    let met = world.come(Trusted::Identity(SharedIdentity::new(mixed.unwrap())));
    let Err(Error::AlertReceived(alert)) = met.client else { panic!("{met:?}") };
    assert_eq!((alert, met.presented), (AlertDescription::UnknownCA, None));
    assert_eq!(Trouble::of(&Error::AlertReceived(alert)), Trouble::Refused("it is of another cluster"));
}

#[test]
fn an_expired_member_is_let_through_for_half_a_year_and_is_seen_to_be_expired() {
    let world = world();
    let member = world.member(30);
    let end = NOW + 30 * DAY;
    for (at, comes) in [(end, true), (end + 1, true), (end + GRACE.as_secs(), true), (end + GRACE.as_secs() + 1, false)]
    {
        world.hands.set(at);
        let met = world.come(Trusted::Identity(member.clone()));
        assert_eq!(met.server.is_ok(), comes, "{at}: {met:?}");
        assert_eq!(met.presented.map(|presented| presented.expires_ms), comes.then_some(end * 1_000));
    }
}

#[test]
fn a_certificate_shown_without_its_key_is_refused() {
    let world = world();
    let (one, other) = (world.member(30).get(), Key::new().unwrap());
    #[derive(Debug)]
    struct Replayed(Arc<CertifiedKey>);
    impl rustls::client::ResolvesClientCert for Replayed {
        fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
            Some(Arc::clone(&self.0))
        }
        fn has_certs(&self) -> bool {
            true
        }
    }
    let replayed = Replayed(Arc::new(other.certified(one.chain().to_vec()).unwrap()));
    let mut client = (*config(Trusted::Pin(world.authority.pin()), world.clock())).clone();
    client.client_auth_cert_resolver = Arc::new(replayed);
    let met = meet(Arc::new(client), Arc::clone(&world.server), SNI);
    assert!(met.server.is_err() && met.presented.is_none(), "{met:?}");
}

#[test]
fn the_coordinators_certificate_is_made_anew_after_a_third_of_its_life() {
    let world = world();
    let own = |days: u64| {
        world.hands.set(NOW + days * DAY);
        let met = world.come(Trusted::Pin(world.authority.pin()));
        assert!(met.client.is_ok(), "{met:?}");
        met.own
    };
    let first = own(0);
    assert_eq!(own(29), first);
    let second = own(31);
    assert_ne!(second, first);
    assert_eq!(own(59), second);
    assert_ne!(own(800), second, "also when nobody has come for years");
    world.hands.set(NOW - 400 * DAY);
    assert_ne!(own(0), second, "also when the clock was set back");
}

#[test]
fn whoever_speaks_an_older_tls_is_refused() {
    // A hello of TLS 1.2 as other libraries send it (RFC 5246, section 7.4.1.2): ours cannot.
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    // No session, one suite, no compression, one extension: signatures.
    body.extend([0, 0, 2, 0xc0, 0x2b, 1, 0, 0, 8, 0, 13, 0, 4, 0, 2, 4, 3]);
    let length = body.len() as u8;
    let hello = [&[0x16, 3, 1, 0, length + 4, 1, 0, 0, length], &body[..]].concat();
    let world = world();
    let mut server = ServerConnection::new(Arc::clone(&world.server)).unwrap();
    server.read_tls(&mut &hello[..]).unwrap();
    let refused = server.process_new_packets().unwrap_err();
    assert!(matches!(refused, Error::PeerIncompatible(_)), "{refused:?}");
    assert_eq!(server.protocol_version(), None::<ProtocolVersion>);
    let mut plain = ServerConnection::new(Arc::clone(&world.server)).unwrap();
    plain.read_tls(&mut &b"GET / HTTP/1.1\r\n\r\n"[..]).unwrap();
    assert!(plain.process_new_packets().is_err());
}

#[test]
fn a_public_certificate_is_for_names_that_are_not_ours() {
    let dir = tempfile::tempdir().unwrap();
    let site = world();
    let key = rcgen::KeyPair::generate().unwrap();
    let public = rcgen::CertificateParams::new(["example.org".to_owned()]).unwrap().self_signed(&key).unwrap();
    let paths = ["cert", "key"].map(|name| dir.path().join(name));
    std::fs::write(&paths[0], public.pem()).unwrap();
    std::fs::write(&paths[1], key.serialize_pem()).unwrap();
    let public = PublicCertificate::open(&paths[0], &paths[1]).unwrap();
    let server = server(Arc::clone(&site.authority), Some(public)).unwrap();
    let pinned = || config(Trusted::Pin(site.authority.pin()), site.clock());
    assert!(meet(pinned(), Arc::clone(&server), SNI).client.is_ok());
    let other = meet(pinned(), server, "example.org").client.unwrap_err();
    let found = Pin::of_key(&rcgen::PublicKeyData::subject_public_key_info(&key));
    assert_eq!(Trouble::of(&other), Trouble::AnotherCoordinator { expected: site.authority.pin(), found });
}
