//! What a served merge does.

use futures_util::stream;
use hyper::body::Bytes;
use hyper::{Method, StatusCode};
use merger_sdk::{Answer, AnswerError, Covered, Merge, MergePartials, MergeRequest, Options, Part, Partial};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::world::{World, soon, streamed};

const MULTIPART: (&str, &str) = ("content-type", "multipart/mixed; boundary=cut");

/// Joins the parts as they come and says which has come.
struct Join {
    came: UnboundedSender<u32>,
}

impl Merge for Join {
    type State = Vec<u8>;

    fn begin(&self, _: &MergeRequest) -> Vec<u8> {
        Vec::new()
    }

    fn add(&self, state: &mut Vec<u8>, part: Part) -> Result<(), AnswerError> {
        if &part.bytes[..] == b"panic" {
            panic!("on purpose");
        }
        state.extend_from_slice(&part.bytes);
        self.came.send(part.shard).map_err(|error| AnswerError::Failed(error.to_string()))
    }

    fn finish(&self, state: Vec<u8>) -> Result<Answer, AnswerError> {
        Ok(Answer::from(state))
    }
}

fn part(shard: u32, content: &str) -> String {
    format!("--cut\r\nlongshore-shard: {shard}\r\n\r\n{content}\r\n")
}

/// Sends the pieces one after the other, each only when the merge has taken up the part before it.
async fn merged_as_it_arrives(pieces: [&'static str; 2], end: &'static str) -> (StatusCode, Bytes) {
    let (came, mut has_come) = unbounded_channel();
    let (send, sent) = unbounded_channel::<Bytes>();
    let world = World::merge(Join { came }, Options::default());
    let mut connection = world.connect().await;
    let body = streamed(stream::unfold(sent, |mut sent| async { sent.recv().await.map(|chunk| (chunk, sent)) }));
    let answered = tokio::spawn(async move { connection.send(Method::POST, "/", &[MULTIPART], body).await });
    for (piece, shard) in pieces.into_iter().zip(0..) {
        send.send(piece.into()).unwrap();
        assert_eq!(soon(has_come.recv()).await, Some(shard));
    }
    send.send(end.into()).unwrap();
    drop(send);
    soon(answered).await.unwrap()
}

#[tokio::test]
async fn a_part_is_merged_before_the_next_is_sent_when_its_boundary_follows_at_once() {
    let pieces = ["--cut\r\nlongshore-shard: 0\r\n\r\nslow \r\n--cut", "\r\nlongshore-shard: 1\r\n\r\nfast\r\n--cut"];
    assert_eq!(merged_as_it_arrives(pieces, "--\r\n").await, (StatusCode::OK, "slow fast".into()));
}

#[tokio::test]
async fn a_part_is_merged_before_the_next_is_sent_when_it_says_its_length() {
    let pieces = ["--cut\r\ncontent-length: 5\r\n\r\nslow \r\n", "--cut\r\ncontent-length: 4\r\n\r\nfast"];
    assert_eq!(merged_as_it_arrives(pieces, "\r\n--cut--\r\n").await, (StatusCode::OK, "slow fast".into()));
}

#[tokio::test]
async fn malformed_bodies_and_other_types_are_bad_requests() {
    let (came, _come) = unbounded_channel();
    let world = World::merge(Join { came }, Options::default());
    for (body, content_type) in [
        ("--cut\r\nlongshore-shard: 0\r\n\r\nunfinished", MULTIPART.1),
        ("no boundary anywhere", MULTIPART.1),
        ("", MULTIPART.1),
        ("--cut--", "multipart/mixed"),
        ("{}", "application/json"),
    ] {
        let (status, text) = world.post(body, &[("content-type", content_type)]).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body:?} as {content_type}: {text:?}");
    }
    assert_eq!(world.post("--cut--\r\n", &[]).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn parts_over_the_bound_together_are_too_large() {
    let (came, _come) = unbounded_channel();
    let world = World::merge(Join { came }, Options { body_max_bytes: 200, ..Options::default() });
    let body = (0..9).map(|shard| part(shard, "some words")).collect::<String>() + "--cut--\r\n";
    assert_eq!(world.post(body.clone(), &[MULTIPART]).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    let chunks: Vec<_> = body.into_bytes().chunks(50).map(Bytes::copy_from_slice).collect();
    let sent = world.connect().await.send(Method::POST, "/", &[MULTIPART], streamed(stream::iter(chunks))).await;
    assert_eq!(sent.0, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn as_many_parts_are_taken_as_a_query_may_have() {
    let (came, _come) = unbounded_channel();
    let world = World::merge(Join { came }, Options::default());
    let content = "x".repeat(22 << 20);
    let body = (0..3).map(|shard| part(shard, &content)).collect::<String>() + "--cut--\r\n";
    let (status, answer) = world.post(body, &[MULTIPART]).await;
    assert_eq!((status, answer.len()), (StatusCode::OK, 66 << 20));
}

#[tokio::test]
async fn a_panic_fails_its_request_and_no_other() {
    let (came, _come) = unbounded_channel();
    let world = World::merge(Join { came }, Options::default());
    let body = |content| part(0, content) + "--cut--\r\n";
    assert_eq!(world.post(body("panic"), &[MULTIPART]).await.0, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(world.post(body("calm"), &[MULTIPART]).await, (StatusCode::OK, "calm".into()));
    assert_eq!(world.healthz().await, StatusCode::OK);
}

#[tokio::test]
async fn a_part_that_never_comes_makes_the_request_late() {
    let (came, _come) = unbounded_channel();
    let world = World::merge(Join { came }, Options::default());
    let body = streamed(stream::pending());
    let headers = [MULTIPART, ("longshore-timeout-ms", "20")];
    let sent = world.connect().await.send(Method::POST, "/", &headers, body).await;
    assert_eq!(sent.0, StatusCode::GATEWAY_TIMEOUT);
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Most(u64);

impl Partial for Most {
    fn merge(&mut self, other: Self) {
        self.0 = self.0.max(other.0);
    }
}

#[tokio::test]
async fn the_answer_of_a_merge_is_a_part_for_the_merge_above() {
    let world = World::merge(MergePartials::<Most>::new(), Options::default());
    let leaf = |value| serde_json::to_string(&Covered::one(Most(value))).unwrap();
    let below = part(0, &leaf(3)) + &part(1, &leaf(8)) + "--cut--\r\n";
    let (_, middle) = world.post(below, &[MULTIPART, ("longshore-shards", "3")]).await;
    assert_eq!(middle, r#"{"coverage":{"shards":3,"answered":2},"result":8}"#);
    let above = part(0, std::str::from_utf8(&middle).unwrap()) + &part(1, &leaf(5)) + "--cut--\r\n";
    let (_, top) = world.post(above, &[MULTIPART]).await;
    assert_eq!(top, r#"{"coverage":{"shards":4,"answered":3},"result":8}"#);
}
