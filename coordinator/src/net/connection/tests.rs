//! Connections whose other end does not do as it should.

use std::{path::Path, sync::Arc};

use axum::{Router, routing::any};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::header;
use longshore_core::{TokenId, TokenKind, TokenRecord, TokenRole, TokenTerms};
use longshore_local::{Entrance, RuntimeDir};
use longshore_trust::{self as trust, Pin};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::*;
use crate::{
    members::register::Register,
    net::{
        gate::{Gate, Via},
        stack,
    },
};

/// Long for something that should be at once, and short for somebody who waits for a test.
const SOON: Duration = Duration::from_secs(30);

/// Everything is answered without an end, until nobody is there to hear it.
struct World {
    register: Arc<Register>,
    token: trust::Token,
    entrance: Entrance,
    listener: TcpListener,
    _dir: tempfile::TempDir,
}

async fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let run = RuntimeDir::make_at(&Path::new(dir.path()).join("run")).unwrap();
    let entrance = Entrance::open_in(run, ([127, 0, 0, 1], 7).into()).unwrap();
    let token = trust::Token::new(trust::TokenKind::Person, Pin([7; 32]));
    let id = TokenId(token.id().0);
    let terms =
        TokenTerms { kind: TokenKind::Person { role: TokenRole::Read }, name: String::new(), namespaces: vec![] };
    let secret = token.secret_digest().0;
    let register = Arc::new(Register::default());
    register.show_token(id, Some(TokenRecord { id, secret, terms, used: 0, created_ms: 1, expires_ms: 0 }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    World { register, token, entrance, listener, _dir: dir }
}

impl World {
    /// A new connection, served until the task is over.
    async fn connect(&self) -> (TcpStream, JoinHandle<()>) {
        let endless = |_: Request<Body>| async {
            let chunks = stream::repeat(Bytes::from_static(&[0; 1 << 16]));
            Response::new(Body::from_stream(chunks.map(Ok::<_, Infallible>)))
        };
        let gate = Gate::of(&self.entrance, Arc::clone(&self.register), Arc::default());
        let make = MakeConnection::new(stack::before(Router::new().fallback(any(endless)), gate));
        let client = TcpStream::connect(self.listener.local_addr().unwrap()).await.unwrap();
        let (arrived, _) = self.listener.accept().await.unwrap();
        (client, tokio::spawn(serve::<TcpListener>(arrived, Peer::new(Via::Port), make)))
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", *self.token.reveal())
    }

    fn remove_token(&self) {
        self.register.show_token(TokenId(self.token.id().0), None);
    }
}

#[tokio::test]
async fn a_connection_ends_with_its_token_also_when_nothing_of_the_answer_is_taken() {
    let world = world().await;
    let (mut client, served) = world.connect().await;
    let asked = format!(
        "POST /longshore.v1.Jobs/List HTTP/1.1\r\nhost: localhost\r\nauthorization: {}\r\ncontent-length: 0\r\n\r\n",
        world.bearer()
    );
    client.write_all(asked.as_bytes()).await.unwrap();
    let mut begin = [0; 12];
    client.read_exact(&mut begin).await.unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200");
    assert!(!served.is_finished());
    world.remove_token();
    timeout(SOON, served).await.expect("it is served still").unwrap();
}

#[tokio::test]
async fn streams_of_http2_end_with_their_token_also_when_their_window_stays_shut() {
    let world = world().await;
    let (client, served) = world.connect().await;
    let (mut ask, connection) = hyper::client::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new())
        .initial_stream_window_size(0)
        .handshake(TokioIo::new(client))
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let asked = Request::post("http://localhost/longshore.v1.Jobs/List").header(header::AUTHORIZATION, world.bearer());
    let answer = ask.send_request(asked.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    world.remove_token();
    timeout(SOON, served).await.expect("it is served still").unwrap();
    // The other end sees that it is over.
    let _ = timeout(SOON, connection).await.expect("it is open still").unwrap();
    drop(answer);
}

#[tokio::test]
async fn a_connection_on_which_nobody_was_known_does_not_end_with_anybody() {
    let world = world().await;
    let (mut client, served) = world.connect().await;
    client.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut begin = [0; 12];
    client.read_exact(&mut begin).await.unwrap();
    world.remove_token();
    let more = timeout(Duration::from_millis(50), async { while client.read(&mut begin).await.unwrap() > 0 {} });
    assert!(more.await.is_err() && !served.is_finished());
    served.abort();
}
