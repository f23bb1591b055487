//! Ways to a coordinator with TLS, and to whoever stands in its place.

use longshore_authority::{Authority, Presented, Request, server};
use longshore_local::{Token as LocalToken, TokenSource};
use longshore_trust::{Identity, Key, Pin, SharedIdentity, Token, TokenKind};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::*;

fn authority() -> Arc<Authority> {
    Arc::new(Authority::make(system_clock()).unwrap())
}

async fn listener() -> (String, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (format!("https://{}", listener.local_addr().unwrap()), listener)
}

/// A coordinator that lets one in; what it has heard when that one is gone.
async fn coordinator(authority: &Arc<Authority>) -> (String, JoinHandle<(Vec<u8>, Option<Presented>)>) {
    let (address, listener) = listener().await;
    let acceptor = TlsAcceptor::from(server(Arc::clone(authority), None).unwrap());
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut heard = Vec::new();
        let Ok(mut stream): Result<TlsStream<_>, _> = acceptor.accept(stream).await else { return (heard, None) };
        let shown = stream.get_ref().1.peer_certificates().and_then(|chain| Presented::of(&chain[0]));
        let _ = stream.read_to_end(&mut heard).await;
        (heard, shown)
    });
    (address, serving)
}

fn person(pin: Pin) -> Credentials {
    let token = Token::new(TokenKind::Person, pin).reveal();
    Credentials::Token(TokenSource::Text(LocalToken::parse(&token).unwrap()))
}

#[tokio::test]
async fn a_persons_token_leads_to_its_coordinator_and_is_shown_there() {
    let authority = authority();
    let (address, serving) = coordinator(&authority).await;
    let way = Way::to(&address, person(authority.pin())).unwrap();
    assert!(way.header().unwrap().to_str().unwrap().starts_with("Bearer LST1-") && !way.is_here());
    assert_eq!(way.host(), "https://coordinator.longshore.internal");
    let mut stream = way.connect().await.unwrap();
    stream.write_all(b"asked").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(serving.await.unwrap(), (b"asked".to_vec(), None));
}

#[tokio::test]
async fn a_member_shows_its_certificate() {
    let authority = authority();
    let key = Arc::new(Key::new().unwrap());
    let request = Request::read(&key.request().unwrap()).unwrap();
    let signed = authority
        .sign_worker(&request, uuid::Uuid::new_v4(), std::time::Duration::from_secs(86_400 * u64::from(1u32)))
        .unwrap();
    let identity = Identity::new(key, signed.chain, authority.roots().clone()).unwrap();
    let (address, serving) = coordinator(&authority).await;
    let way = Way::to(&address, Credentials::Member(SharedIdentity::new(identity))).unwrap();
    assert!(way.header().is_none());
    way.connect().await.unwrap().shutdown().await.unwrap();
    assert_eq!(serving.await.unwrap().1.unwrap().serial, signed.serial);
}

#[tokio::test]
async fn another_coordinator_hears_nothing() {
    let (authority, other) = (self::authority(), self::authority());
    let (address, serving) = coordinator(&other).await;
    let refused = Way::to(&address, person(authority.pin())).unwrap().connect().await.unwrap_err();
    let expected = Trouble::AnotherCoordinator { expected: authority.pin(), found: other.pin() };
    let WayError::Trouble { source, .. } = &refused else { panic!("{refused:?}") };
    assert!(*source == expected && refused.is_refusal() && refused.hint().is_some());
    assert_eq!(serving.await.unwrap(), (Vec::new(), None));
}

#[tokio::test]
async fn without_a_pin_nobody_is_called() {
    let (address, listener) = listener().await;
    let local = TokenSource::Text(LocalToken::new());
    let join = Token::new(TokenKind::Join, Pin([7; 32])).reveal();
    let join = TokenSource::Text(LocalToken::parse(&join).unwrap());
    let gone = TokenSource::File("/no/such/file".into());
    for (credentials, why) in [
        (Credentials::User, "nothing"),
        (Credentials::Token(local), "no token of Longshore's for other machines"),
        (Credentials::Token(join), "a token of a person (LST1-…) is needed"),
        (Credentials::Token(gone), "cannot be read"),
    ] {
        for address in [address.as_str(), "192.0.2.1:7077"] {
            let refused = Way::to(address, credentials.clone()).unwrap().connect().await.unwrap_err();
            let WayError::Unpinned { source, .. } = &refused else { panic!("{refused:?}") };
            assert!(source.to_string().contains(why), "{source}");
            assert!(refused.is_refusal() && refused.hint().unwrap().contains("longshore login"));
        }
    }
    // Whoever is first in line now would not be if somebody had called before.
    let own = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (_, first) = listener.accept().await.unwrap();
    assert_eq!(first, own.local_addr().unwrap(), "somebody was called");
}

#[tokio::test]
async fn whoever_does_not_speak_tls_is_told_apart_from_nobody() {
    let authority = authority();
    let trouble = async |answer: &'static [u8]| {
        let (address, listener) = listener().await;
        let answering = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut hello = [0; 64];
            stream.read_exact(&mut hello).await.unwrap();
            stream.write_all(answer).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
        });
        let refused = Way::to(&address, person(authority.pin())).unwrap().connect().await.unwrap_err();
        answering.await.unwrap();
        refused
    };
    let plain = trouble(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    assert!(matches!(plain, WayError::Trouble { source: Trouble::PlainText, .. }) && plain.is_refusal(), "{plain:?}");
    let gone = trouble(b"").await;
    assert!(matches!(gone, WayError::Trouble { source: Trouble::HungUp, .. }) && !gone.is_refusal(), "{gone:?}");
    let (address, listener) = listener().await;
    drop(listener);
    let nobody = Way::to(&address, person(authority.pin())).unwrap().connect().await.unwrap_err();
    assert!(matches!(nobody, WayError::Nobody { .. }) && !nobody.is_refusal(), "{nobody:?}");
}

#[test]
fn a_name_is_spoken_to_in_tls_by_whoever_knows_whom_to_trust() {
    for (address, secure) in
        [("host:1", true), ("localhost:1", false), ("http://host:1", false), ("https://[::1]:1", true)]
    {
        let way = Way::to(address, person(Pin([1; 32]))).unwrap();
        assert_eq!(matches!(way.0, Kind::Secure(_)), secure, "{address}");
    }
    assert!(matches!(Way::to("host:1", None).unwrap().0, Kind::Local(_)));
    let token = TokenSource::Text(LocalToken::new());
    assert!(matches!(Way::to("host:1", Some(token)).unwrap().0, Kind::Local(_)));
    assert!(matches!(Way::to("192.0.2.1:1", None).unwrap().0, Kind::Secure(_)));
}
