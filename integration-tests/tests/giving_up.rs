//! Clients that give up, one or many at once: their work ends with them, and nobody else notices.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
};

use bytes::Bytes;
use futures_util::future::join_all;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request,
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use integration_tests::real::{Server, TestEnv, ask, until};

const QUERY: &str = "/v1/services/frail/query";

fn deploy(env: &TestEnv, up: &Server, more: &str) {
    let built = env!("CARGO_BIN_EXE_longshore-test-frail");
    let program = std::env::var("CARGO_BIN_EXE_longshore-test-frail").unwrap_or_else(|_| built.to_owned());
    let image = env.image();
    let leaf = format!("leaf: {{ image: {image}, command: ['{program}', socket], interface: http, {more} }}");
    env.write("frail.yaml", format!("name: frail\n{leaf}\nrequest: {{ deadline: 50s }}\n"));
    up.cli(&["service", "deploy", "frail.yaml"]).exits(0);
}

/// How many clients `awaited` and how many have `gone`, as the leaf knows.
fn counted(up: &Server, what: &str) -> usize {
    ask(up, QUERY, what).body.parse().unwrap()
}

/// A request by HTTP/1.1 that is under way.
fn begin(up: &Server, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(up.address.trim_start_matches("http://")).unwrap();
    let (token, length) = (up.token(), text.len());
    let head = format!(
        "POST {QUERY} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-length: {length}\r\n\r\n{text}"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

/// What a client no longer waits for its leaf is told at once, over HTTP and gRPC.
fn work_ends_with_its_client(env: &TestEnv, up: &Server) {
    deploy(env, up, "concurrency: 8");
    let clients: Vec<TcpStream> = (0..3).map(|_| begin(up, "await 40000")).collect();
    let typed = up.begin(&["query", "frail", "-d", "await 40000"]);
    until("all to be at work", || (counted(up, "awaited") == 4).then_some(()));
    for client in &clients {
        client.shutdown(Shutdown::Both).unwrap();
    }
    until("three to have gone", || (counted(up, "gone") == 3).then_some(()));
    typed.interrupt();
    until("the fourth to have gone", || (counted(up, "gone") == 4).then_some(()));
}

#[test]
fn a_client_that_goes_takes_its_work_along() {
    let env = TestEnv::process();
    let up = env.up();
    work_ends_with_its_client(&env, &up);
}

#[test]
fn also_where_the_work_is_another_processs() {
    let env = TestEnv::process();
    let coordinator = env.coordinator();
    let _worker = env.worker("w", &coordinator);
    coordinator.until_workers(1);
    work_ends_with_its_client(&env, &coordinator);
}

type Client = SendRequest<Full<Bytes>>;

async fn connect(up: &Server<'_>) -> Client {
    let stream = tokio::net::TcpStream::connect(up.address.trim_start_matches("http://")).await.unwrap();
    let (client, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    client
}

fn request(up: &Server, token: &str, text: &'static str) -> Request<Full<Bytes>> {
    let request = Request::post(format!("{}{QUERY}", up.address)).header("authorization", format!("Bearer {token}"));
    request.body(Full::new(Bytes::from_static(text.as_bytes()))).unwrap()
}

/// Asks over a connection that others use too.
async fn asked(client: &Client, request: Request<Full<Bytes>>) -> (u16, Bytes) {
    let answer = client.clone().send_request(request).await.expect("the connection goes on");
    (answer.status().as_u16(), answer.into_body().collect().await.unwrap().to_bytes())
}

/// A thousand queries at a time that are given up together: somebody else's on the same connection, over the same tunnel, is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_that_give_up_at_once_cost_nobody_else_an_answer() {
    let env = TestEnv::process();
    let coordinator = env.coordinator();
    let worker = env.worker("w", &coordinator);
    let (env, up) = (&env, &coordinator);
    tokio::task::block_in_place(|| {
        up.until_workers(1);
        deploy(env, up, "concurrency: 200, replicas: 2");
    });
    let (token, client) = (up.token(), connect(up).await);
    let neighbour = asked(&client, request(up, &token, "work 4000"));
    let storms = async {
        for _ in 0..4 {
            let queries: Vec<_> =
                (0..1_000).map(|_| client.clone().send_request(request(up, &token, "await 40000"))).collect();
            let storm = join_all(queries);
            // Until some have reached their leaves, and this one is answered beside them.
            tokio::select! {
                _ = storm => panic!("nobody answers them all"),
                (status, _) = asked(&client, request(up, &token, "who")) => assert!([200, 429].contains(&status), "{status}"),
            }
        }
    };
    let ((status, _), ()) = tokio::join!(neighbour, storms);
    assert_eq!(status, 200);
    // What was under way has ended, so that there is room again; over the same connection still.
    while asked(&client, request(up, &token, "who")).await.0 != 200 {}
    tokio::task::block_in_place(|| {
        assert!(!worker.log().contains("stream for queries has ended"), "{}", worker.log());
        assert_eq!(ask(up, QUERY, "who").status, 200);
    });
}

/// One stream of a connection that is not read costs the others nothing.
#[test]
fn what_comes_after_an_unread_answer_is_answered() {
    let env = TestEnv::process();
    let up = env.up();
    deploy(&env, &up, "concurrency: 8");
    let mut unread = begin(&up, "large 30000000");
    let mut head = [0; 12];
    unread.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    assert_eq!(ask(&up, QUERY, "large 3000000").body.len(), 3_000_000);
}
