//! What a worker tells whom when it joins, and what it makes of the answers.

use std::path::Path;

use longshore_authority::{Authority, Request, server};
use longshore_local::Token as LocalToken;
use longshore_trust::system_clock;
use tokio::{io::AsyncReadExt as _, net::TcpListener, task::JoinHandle};
use tokio_rustls::TlsAcceptor;

use super::*;

fn authority() -> Arc<Authority> {
    Arc::new(Authority::make(system_clock()).unwrap())
}

fn home(dir: &Path) -> Home {
    Home::open(dir).unwrap()
}

fn given(token: &Token) -> Option<TokenSource> {
    Some(TokenSource::Text(LocalToken::parse(&token.reveal()).unwrap()))
}

/// Somebody with TLS; what it has heard of the first who comes, who is hung up on.
async fn somebody(authority: &Arc<Authority>) -> (String, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    let acceptor = TlsAcceptor::from(server(Arc::clone(authority), None).unwrap());
    let hearing = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut heard = Vec::new();
        if let Ok(mut stream) = acceptor.accept(stream).await {
            let _ = stream.read_to_end(&mut heard).await;
        }
        heard
    });
    (address, hearing)
}

fn membership(authority: &Authority, key: &Key) -> v1::Membership {
    let request = Request::read(&key.request().unwrap()).unwrap();
    let signed = authority
        .sign_worker(&request, uuid::Uuid::new_v4(), std::time::Duration::from_secs(86_400 * u64::from(30u32)))
        .unwrap();
    let bytes = |der: &CertificateDer<'_>| Bytes::copy_from_slice(der);
    v1::Membership {
        chain: signed.chain.iter().map(bytes).collect(),
        roots: authority.roots().certificates().iter().map(bytes).collect(),
        cluster: authority.cluster().to_string(),
        ..v1::Membership::default()
    }
}

async fn refused(home: &Home, address: &str, token: Option<TokenSource>) -> JoinError {
    enter(home, address, token, "w").await.err().unwrap()
}

#[tokio::test]
async fn whoever_is_in_between_hears_nothing_of_the_token() {
    let (true_one, other) = (authority(), authority());
    let (address, hearing) = somebody(&other).await;
    let base = tempfile::tempdir().unwrap();
    let token = Token::new(TokenKind::Join, true_one.pin());
    let error = refused(&home(base.path()), &address, given(&token)).await;
    let JoinError::Way(WayError::Trouble { source, .. }) = &error else { panic!("{error:?}") };
    assert_eq!(*source, Trouble::AnotherCoordinator { expected: true_one.pin(), found: other.pin() });
    assert!(error.is_refusal() && error.hint().is_some());
    assert_eq!(hearing.await.unwrap(), b"");
    assert!(home(base.path()).identity().unwrap().is_none());
}

#[tokio::test]
async fn a_token_that_cannot_be_good_is_refused_before_anybody_is_called() {
    let base = tempfile::tempdir().unwrap();
    let home = home(base.path());
    let whole = Token::new(TokenKind::Join, authority().pin()).reveal();
    let text = |text: &str| Some(TokenSource::Text(LocalToken::parse(text).unwrap()));
    let persons = Token::new(TokenKind::Person, authority().pin()).reveal();
    let (found, wanted) = (TokenKind::Person, TokenKind::Join);
    for (bad, why) in [
        (persons.to_string(), TokenError::OtherKind { found, wanted }),
        (whole[..70].to_owned(), TokenError::Length { chars: 70 }),
        (whole.replacen("LSJ1", "LSJ2", 1), TokenError::Newer { version: 2 }),
        (whole.replacen("LSJ1", "LST1", 1), TokenError::Typo),
    ] {
        let error = refused(&home, "https://192.0.2.1:7077", text(&bad)).await;
        assert!(matches!(&error, JoinError::Token(found) if *found == why), "{error:?}");
        assert!(error.hint().is_some());
    }
    let gone = refused(&home, "192.0.2.1:7077", Some(TokenSource::File("/no/such/file".into()))).await;
    assert!(matches!(gone, JoinError::Unread(_)), "{gone:?}");
}

#[tokio::test]
async fn on_this_machine_nothing_has_changed() {
    let base = tempfile::tempdir().unwrap();
    let home = home(base.path());
    for token in [None, Some(TokenSource::Text(LocalToken::new()))] {
        let entered = enter(&home, "127.0.0.1:1", token, "w").await.unwrap();
        assert!(entered.identity.is_none() && entered.coordinator.is_local());
    }
    assert!(!base.path().join("identity").exists());
    let token = Token::new(TokenKind::Join, authority().pin());
    let error = refused(&home, "127.0.0.1:1", given(&token)).await;
    assert!(matches!(error, JoinError::Here { .. }) && error.hint().is_some());
}

#[test]
fn an_answer_has_to_be_of_the_cluster_and_for_the_key() {
    let (authority, other) = (authority(), authority());
    let key = Arc::new(Key::new().unwrap());
    let good = membership(&authority, &key);
    let whole = identity(&key, &good).unwrap();
    assert!(trusts(&whole, authority.pin()) && !trusts(&whole, other.pin()));
    assert_eq!(whole.chain().len(), 1);
    let renamed = v1::Membership { cluster: other.cluster().to_string(), ..good.clone() };
    assert!(matches!(identity(&key, &renamed), Err(JoinError::OtherRoots)));
    let rootless = v1::Membership { roots: Vec::new(), ..good.clone() };
    assert!(matches!(identity(&key, &rootless), Err(JoinError::Roots(_))));
    let empty = v1::Membership { chain: Vec::new(), ..good.clone() };
    assert!(matches!(identity(&key, &empty), Err(JoinError::Identity(_))));
    let others = Arc::new(Key::new().unwrap());
    assert!(matches!(identity(&others, &good), Err(JoinError::Identity(IdentityError::OtherKey))));
}

#[test]
fn every_refusal_has_words_of_its_own_and_the_next_thing_to_do() {
    let mut said = Vec::new();
    for code in [
        Code::NotFound,
        Code::DeadlineExceeded,
        Code::OutOfRange,
        Code::AlreadyExists,
        Code::PermissionDenied,
        Code::FailedPrecondition,
    ] {
        let Unjoined::Refused(error) = of_status(&Status::new(code, "so it is")) else { panic!("{code:?}") };
        assert!(error.is_refusal() && error.hint().is_some() && error.to_string().contains("so it is"), "{error}");
        said.push(error.to_string());
    }
    said.dedup();
    assert_eq!(said.len(), 6);
    // What is in the way now is not the token's fault.
    for later in [Status::unavailable("stopping"), Status::resource_exhausted("a full disk")] {
        assert!(matches!(of_status(&later), Unjoined::NotYet(_)), "{later}");
    }
    assert!(matches!(of_status(&Status::invalid_argument("no")), Unjoined::Refused(JoinError::Told(_))));
}
