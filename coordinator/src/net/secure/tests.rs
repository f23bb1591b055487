//! Connections by TLS as they come in: whole ones, and those that go no further.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use http::Request;
use longshore_authority::{Authority, server};
use longshore_trust::{SNI, Trouble, Trusted, config, pki_types::ServerName, system_clock};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinHandle,
    time::Instant,
};
use tokio_rustls::TlsConnector;
use tower::service_fn;

use super::*;
use crate::{
    limits,
    net::connection::{MakeConnection, serve},
};

struct World {
    authority: Arc<Authority>,
    address: std::net::SocketAddr,
    serving: JoinHandle<()>,
}

/// Serves one connection; every request is answered by how it came in.
async fn world() -> World {
    let authority = Arc::new(Authority::make(system_clock()).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut secure = Secure::new(listener, server(Arc::clone(&authority), None).unwrap());
    let serving = tokio::spawn(async move {
        let (arrived, peer) = secure.accept().await.unwrap();
        let answer = service_fn(async |request: Request<Body>| {
            let peer = request.extensions().get::<Peer>().unwrap();
            peer.is_known_now();
            Ok::<_, Infallible>(Response::new(Body::from(format!("{peer:?}"))))
        });
        serve::<Secure>(arrived, peer, MakeConnection::new(answer)).await;
    });
    World { authority, address, serving }
}

#[tokio::test]
async fn a_request_knows_that_it_came_by_tls_and_from_where() {
    let world = world().await;
    let stream = TcpStream::connect(world.address).await.unwrap();
    let from = stream.local_addr().unwrap();
    let connector = TlsConnector::from(config(Trusted::Pin(world.authority.pin()), system_clock()));
    let mut stream = connector.connect(ServerName::try_from(SNI).unwrap(), stream).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (ip, here) = (format!("from: Some({})", from.ip()), format!("here: Some({})", world.address.ip()));
    assert!(answer.contains("Tls(None)") && answer.contains(&ip) && answer.contains(&here), "{answer}");
    world.serving.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_finish_a_handshake_holds_no_place() {
    for half in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01\x00"] {
        let world = world().await;
        let began = Instant::now();
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(half).await.unwrap();
        world.serving.await.unwrap();
        assert!(began.elapsed().abs_diff(limits::HEADER_TIME) < Duration::from_secs(1), "{:?}", began.elapsed());
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert_eq!(rest, b"", "{half:?}");
    }
}

#[tokio::test]
async fn whoever_speaks_plain_text_is_told_by_an_alert_and_hung_up_on() {
    let world = world().await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    drop(stream);
    world.serving.await.unwrap();
    // An alert is a record of type 21 (RFC 8446, section 5.1).
    assert_eq!(answer.first(), Some(&21), "{answer:?}");
}

#[tokio::test]
async fn whoever_trusts_another_coordinator_leaves_before_anything_is_asked() {
    let world = world().await;
    let other = Authority::make(system_clock()).unwrap();
    let connector = TlsConnector::from(config(Trusted::Pin(other.pin()), system_clock()));
    let stream = TcpStream::connect(world.address).await.unwrap();
    let refused = connector.connect(ServerName::try_from(SNI).unwrap(), stream).await.unwrap_err();
    let (expected, found) = (other.pin(), world.authority.pin());
    assert_eq!(Trouble::of_handshake(&refused), Some(Trouble::AnotherCoordinator { expected, found }));
    world.serving.await.unwrap();
}
