//! What queries take of memory, and who is not waited for: unread answers, bodies that drip, clients that go.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use integration_tests::real::{Server, TestEnv, ask, until};
use longshore_proto::v1::{QueryRequest, QueryResponse, query_response};
use prost::Message as _;

const MIB: u64 = 1 << 20;

/// What a server has beside what queries take: code, stacks, buffers.
const ITSELF: u64 = 180 * MIB;

/// A service whose leaf is a shell's script that is told the query on standard input.
fn deploy(env: &TestEnv, up: &Server, name: &str, script: &str) {
    let leaf = format!("leaf: {{ image: {}, concurrency: 4, command: [sh, -c, '{script}'] }}", env.image());
    env.write("spec.yaml", format!("name: {name}\n{leaf}\nrequest: {{ deadline: 50s }}\n"));
    up.cli(&["service", "deploy", "spec.yaml"]).exits(0);
}

/// Sends a query and reads nothing but the head of its answer.
fn ask_unread(up: &Server, name: &str) -> (TcpStream, String) {
    let address = up.address.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    let token = up.token();
    let head = format!(
        "POST /v1/services/{name}/query HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-length: 1\r\n\r\nx"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut heard = Vec::new();
    while !heard.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        heard.push(byte[0]);
    }
    (stream, String::from_utf8(heard).unwrap())
}

fn of_60_mib_each(env: &TestEnv, up: &Server, also: Option<&Server>) {
    deploy(env, up, "large", "head -c 62914560 /dev/zero");
    deploy(env, up, "small", "echo fine");
    let asked: Vec<(TcpStream, String)> = thread::scope(|scope| {
        let asking: Vec<_> = (0..24).map(|_| scope.spawn(|| ask_unread(up, "large"))).collect();
        asking.into_iter().map(|asking| asking.join().unwrap()).collect()
    });
    let mut heads: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, head) in &asked {
        *heads.entry(head.split(' ').nth(1).unwrap()).or_default() += 1;
        if head.starts_with("HTTP/1.1 503") {
            assert!(head.contains("retry-after: 2"), "{head}");
        }
    }
    assert!(heads["200"] >= 1 && heads.keys().all(|status| ["200", "503"].contains(status)), "{heads:?}");
    for server in [Some(up), also].into_iter().flatten() {
        let most = server.most_memory();
        assert!(most < 256 * MIB + ITSELF, "{} MiB; {heads:?}", most / MIB);
    }
    assert_eq!(ask(up, "/v1/services/small/query", "x").status, 200, "another service finds room");
    let full = up.cli(&["query", "large", "-d", "x"]).exits(3);
    full.says("the memory for queries is full").says("--query-memory");
    let told = ask(up, "/v1/services/large/query", "x");
    assert!(told.body.contains("\"memory_full\""), "{told:?}");
    drop(asked);
    until("room again", || (ask(up, "/v1/services/large/query", "x").status == 200).then_some(()));
}

#[test]
fn answers_that_nobody_reads_take_no_more_than_there_is_for_queries() {
    let env = TestEnv::process();
    let up = env.up_with(&["--query-memory", "256m"]);
    of_60_mib_each(&env, &up, None);
}

#[test]
fn nor_do_they_where_they_come_from_another_process() {
    let env = TestEnv::process();
    let coordinator = env.coordinator_on("coordinator", &["--query-memory", "256m"]);
    let worker = env.worker_at("w", &coordinator.address, &["--query-memory", "256m"]);
    coordinator.until_workers(1);
    of_60_mib_each(&env, &coordinator, Some(&worker));
}

#[test]
fn an_answer_of_which_nothing_is_read_for_a_minute_is_dropped() {
    let env = TestEnv::process();
    let up = env.up_with(&["--query-memory", "64m"]);
    deploy(&env, &up, "large", "head -c 31457280 /dev/zero");
    let (_unread, head) = ask_unread(&up, "large");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(ask(&up, "/v1/services/large/query", "x").status, 503);
    // Its own wait is part of the patience.
    until("its room again", || (ask(&up, "/v1/services/large/query", "x").status == 200).then_some(()));
}

#[test]
fn a_body_that_drips_is_given_up() {
    let env = TestEnv::process();
    let up = env.up();
    deploy(&env, &up, "small", "echo fine");
    let mut stream = TcpStream::connect(up.address.trim_start_matches("http://")).unwrap();
    let token = up.token();
    let head = format!(
        "POST /v1/services/small/query HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-length: 1000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut drips = stream.try_clone().unwrap();
    thread::spawn(move || {
        while drips.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(300));
        }
    });
    let mut heard = [0; 12];
    stream.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"HTTP/1.1 408");
}

#[test]
fn a_deadline_that_is_cut_is_told_and_one_of_nothing_refused() {
    let env = TestEnv::process();
    let up = env.up();
    deploy(&env, &up, "small", "echo fine");
    let of = |options: &str| ask(&up, &format!("/v1/services/small/query{options}"), "x");
    let year = of("?deadline_ms=31536000000");
    assert_eq!((year.status, &year.headers["longshore-deadline-ms"][..]), (200, "50000"), "{year:?}");
    for within in ["", "?deadline_ms=50000", "?deadline_ms=40000"] {
        assert!(!of(within).headers.contains_key("longshore-deadline-ms"), "{within}");
    }
    let none = of("?deadline_ms=0");
    assert_eq!(none.status, 400, "{none:?}");
    assert!(none.body.contains("deadline_ms: 0 leaves no time"), "{none:?}");
    up.cli(&["query", "small", "-d", "x", "--deadline", "1y"]).exits(0).says("the deadline is 50s");
    up.cli(&["query", "small", "-d", "x", "--deadline", "0s"]).exits(2).says("a duration above 0");
    env.write("year.yaml", "name: year\nleaf: { image: any, command: [cat] }\nrequest: { deadline: 1y }\n");
    up.cli(&["service", "deploy", "year.yaml"]).exits(2).says("a query has at most 1h");
}

/// Over gRPC in one message, which is sent as it is read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_answer_in_one_message_comes_whole() {
    let env = TestEnv::process();
    let up = env.up();
    tokio::task::block_in_place(|| deploy(&env, &up, "large", "head -c 31457280 /dev/zero"));
    let stream = tokio::net::TcpStream::connect(up.address.trim_start_matches("http://")).await.unwrap();
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let asked =
        QueryRequest { service: "large".into(), body: "x".into(), deadline_ms: 60_000, ..QueryRequest::default() };
    let mut message = vec![0];
    message.extend(u32::try_from(asked.encoded_len()).unwrap().to_be_bytes());
    asked.encode(&mut message).unwrap();
    let request = Request::post(format!("{}/longshore.v1.Services/Query", up.address))
        .header("authorization", format!("Bearer {}", up.token()))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(Bytes::from(message)))
        .unwrap();
    let answer = client.send_request(request).await.unwrap();
    assert_eq!(answer.headers()["longshore-deadline-ms"], "50000");
    let whole = answer.into_body().collect().await.unwrap();
    assert_eq!(whole.trailers().unwrap()["grpc-status"], "0");
    let answered = QueryResponse::decode(&whole.to_bytes()[5..]).unwrap();
    let Some(query_response::Answer::Complete(answer)) = answered.answer else { panic!("not complete") };
    assert!(answer.body.len() == 30 << 20 && answer.body.iter().all(|byte| *byte == 0));
}
