//! What a served leaf does.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use hyper::{Method, StatusCode};
use merger_sdk::{Answer, AnswerError, Leaf, Loading, Options, Request};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::world::{World, soon, whole};

fn echo(request: &Request) -> Result<Answer, AnswerError> {
    match &request.body()[..] {
        b"bad" => Err(AnswerError::BadRequest("no such word".to_owned())),
        b"busy" => Err(AnswerError::Busy),
        b"failed" => Err(AnswerError::Failed("the index is gone".to_owned())),
        b"panic" => panic!("on purpose"),
        b"place" => Ok(Answer::text(format!("{} of {}", request.place().shard, request.place().shards))),
        body => Ok(Answer::from(body.to_vec())),
    }
}

/// A leaf that says when it has begun and goes on when it is let.
struct Gated {
    begun: UnboundedSender<()>,
    gate: Mutex<Receiver<()>>,
}

impl Gated {
    fn new() -> (Self, UnboundedReceiver<()>, Sender<()>) {
        let (begun, has_begun) = unbounded_channel();
        let (open, gate) = channel();
        (Self { begun, gate: Mutex::new(gate) }, has_begun, open)
    }
}

impl Leaf for Gated {
    fn answer(&self, request: &Request) -> Result<Answer, AnswerError> {
        self.begun.send(()).unwrap();
        self.gate.lock().unwrap().recv().unwrap();
        Ok(Answer::from(request.body().clone()))
    }
}

#[tokio::test]
async fn bytes_in_are_bytes_out_over_a_unix_socket_and_over_tcp() {
    let body: Vec<u8> = (0..=255).collect();
    let unix = World::leaf(echo, Options::default());
    assert_eq!(unix.post(body.clone(), &[]).await, (StatusCode::OK, body.clone().into()));
    let tcp = World::leaf_on_tcp(echo).await;
    assert_eq!(tcp.post(body.clone(), &[]).await, (StatusCode::OK, body.into()));
    unix.stop().await;
    tcp.stop().await;
}

#[tokio::test]
async fn one_connection_serves_many_requests_whatever_their_end() {
    every_end_is_answered(Options::default()).await;
}

#[tokio::test]
async fn without_threads_of_its_own_a_leaf_answers_the_same() {
    every_end_is_answered(Options { threads: 0, ..Options::default() }).await;
}

async fn every_end_is_answered(options: Options) {
    let world = World::leaf(echo, options);
    let mut connection = world.connect().await;
    for (body, status, text) in [
        ("bad", StatusCode::BAD_REQUEST, "bad request: no such word\n"),
        ("busy", StatusCode::SERVICE_UNAVAILABLE, "busy\n"),
        ("failed", StatusCode::INTERNAL_SERVER_ERROR, "the index is gone\n"),
        ("panic", StatusCode::INTERNAL_SERVER_ERROR, "the code that answers panicked\n"),
        ("place", StatusCode::OK, "2 of 4"),
    ] {
        assert_eq!(connection.post(body).await, (status, text.into()), "{body}");
    }
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let world = World::leaf(echo, Options::default());
    let mut connection = world.connect().await;
    for (method, path, status) in [
        (Method::GET, "/", StatusCode::METHOD_NOT_ALLOWED),
        (Method::POST, "/healthz", StatusCode::METHOD_NOT_ALLOWED),
        (Method::POST, "/other", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(connection.send(method, path, &[], whole("")).await.0, status, "{path}");
    }
}

#[tokio::test]
async fn a_body_over_the_bound_is_too_large_with_and_without_a_length() {
    let world = World::leaf(echo, Options { body_max_bytes: 100, ..Options::default() });
    assert_eq!(world.post(vec![0; 100], &[]).await.0, StatusCode::OK);
    assert_eq!(world.post(vec![0; 101], &[]).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    let chunks = futures_util::stream::iter([vec![0; 60].into(), vec![0; 60].into()]);
    let sent = world.connect().await.send(Method::POST, "/", &[], crate::world::streamed(chunks)).await;
    assert_eq!(sent.0, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_leaf_that_loads_is_not_ready_and_busy_until_it_has_loaded() {
    let leaf = Arc::new(Loading::new());
    let world = World::leaf(Shared(Arc::clone(&leaf)), Options::default());
    assert_eq!(world.healthz().await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.post("x", &[]).await.0, StatusCode::SERVICE_UNAVAILABLE);
    leaf.loaded(echo as fn(&Request) -> Result<Answer, AnswerError>);
    assert_eq!(world.healthz().await, StatusCode::OK);
    assert_eq!(world.post("x", &[]).await, (StatusCode::OK, "x".into()));
}

struct Shared<L>(Arc<Loading<L>>);

impl<L: Leaf> Leaf for Shared<L> {
    fn answer(&self, request: &Request) -> Result<Answer, AnswerError> {
        self.0.answer(request)
    }

    fn ready(&self) -> bool {
        self.0.ready()
    }
}

#[tokio::test]
async fn health_is_answered_while_every_thread_computes_and_what_is_too_much_is_busy() {
    let (leaf, mut begun, open) = Gated::new();
    let world = World::leaf(leaf, Options { threads: 1, in_flight: 1, ..Options::default() });
    let mut connection = world.connect().await;
    let computing = tokio::spawn(async move { connection.post("first").await });
    soon(begun.recv()).await.unwrap();
    assert_eq!(world.healthz().await, StatusCode::OK);
    assert_eq!(world.post("second", &[]).await.0, StatusCode::SERVICE_UNAVAILABLE);
    open.send(()).unwrap();
    assert_eq!(soon(computing).await.unwrap(), (StatusCode::OK, "first".into()));
}

#[tokio::test]
async fn a_request_whose_time_ends_while_it_waits_for_a_thread_is_late_and_never_begun() {
    let (leaf, mut begun, open) = Gated::new();
    let world = World::leaf(leaf, Options { threads: 1, ..Options::default() });
    let mut connection = world.connect().await;
    let computing = tokio::spawn(async move { connection.post("first").await });
    soon(begun.recv()).await.unwrap();
    let (status, _) = world.post("second", &[("longshore-timeout-ms", "20")]).await;
    assert_eq!(status, StatusCode::GATEWAY_TIMEOUT);
    open.send(()).unwrap();
    soon(computing).await.unwrap();
    world.stop().await;
    assert!(begun.try_recv().is_err());
}

#[tokio::test]
async fn a_leaf_sees_that_its_caller_has_hung_up() {
    let (seen, mut has_seen) = unbounded_channel();
    let (begun, mut has_begun) = unbounded_channel();
    let leaf = move |request: &Request| {
        begun.send(()).unwrap();
        while !request.abandoned() {
            std::thread::yield_now();
        }
        seen.send(request.remaining()).unwrap();
        Err(AnswerError::Late)
    };
    let world = World::leaf(leaf, Options::default());
    let mut connection = world.connect().await;
    let asking = tokio::spawn(async move { connection.post("x").await });
    soon(has_begun.recv()).await.unwrap();
    asking.abort();
    assert!(!soon(has_seen.recv()).await.unwrap().is_zero());
}

#[tokio::test]
async fn a_stopped_server_answers_what_it_has_begun_and_takes_its_socket_away() {
    let (leaf, mut begun, open) = Gated::new();
    let world = World::leaf(leaf, Options::default());
    assert!(world.socket_exists());
    let mut connection = world.connect().await;
    let computing = tokio::spawn(async move { connection.post("first").await });
    soon(begun.recv()).await.unwrap();
    let stopped = world.stop();
    open.send(()).unwrap();
    assert_eq!(soon(computing).await.unwrap(), (StatusCode::OK, "first".into()));
    stopped.await;
}

#[tokio::test]
async fn a_stopped_server_cuts_what_goes_on_after_the_grace() {
    let (leaf, mut begun, open) = Gated::new();
    let world = World::leaf(leaf, Options { grace: std::time::Duration::ZERO, ..Options::default() });
    let mut connection = world.connect().await;
    let computing = tokio::spawn(async move { connection.post("first").await });
    soon(begun.recv()).await.unwrap();
    world.stop().await;
    assert!(soon(computing).await.is_err(), "the connection should have been cut");
    open.send(()).unwrap();
}

#[tokio::test]
async fn a_caller_may_wait_for_as_long_as_it_likes() {
    let left = |request: &Request| Ok(Answer::text(request.remaining().as_secs().to_string()));
    let world = World::leaf(left, Options::default());
    let (_, hours) = world.post("x", &[("longshore-timeout-ms", "36000000")]).await;
    let hours: u64 = std::str::from_utf8(&hours).unwrap().parse().unwrap();
    assert!((35_000..=36_000).contains(&hours), "{hours} s");
    let (_, without_end) = world.post("x", &[]).await;
    assert_eq!(without_end, std::time::Duration::MAX.as_secs().to_string());
    let short = Options { longest: std::time::Duration::from_secs(60), ..Options::default() };
    let (_, bounded) = World::leaf(left, short).post("x", &[]).await;
    assert!(std::str::from_utf8(&bounded).unwrap().parse::<u64>().unwrap() <= 60, "{bounded:?}");
}

#[tokio::test]
async fn a_time_that_is_no_number_is_a_bad_request() {
    let world = World::leaf(echo, Options::default());
    let (status, text) = world.post("x", &[("longshore-timeout-ms", "soon")]).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(text.starts_with(b"bad request: header longshore-timeout-ms"), "{text:?}");
}
