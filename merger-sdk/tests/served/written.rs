//! Answers that are sent while they are written, and merges that have had enough.

use std::io::Write;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

use futures_util::stream;
use http_body_util::BodyExt;
use hyper::body::Bytes;
use hyper::{Method, StatusCode};
use merger_sdk::{Answer, AnswerError, MergePartials, Options, Partial, Request, Total};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::world::{World, soon, streamed, whole};

/// A leaf that writes each word of the query when it is let to, and "fail" as a failure.
fn word_by_word() -> (impl Fn(&Request) -> Result<Answer, AnswerError> + Send + Sync + 'static, Sender<()>) {
    let (open, gate) = channel();
    let gate = std::sync::Arc::new(Mutex::new(gate));
    let leaf = move |request: &Request| {
        let (words, gate) = (request.text()?.to_owned(), std::sync::Arc::clone(&gate));
        let answer = Answer::written(move |out| {
            for word in words.split(' ') {
                gate.lock().unwrap().recv().unwrap();
                if word == "fail" {
                    return Err(AnswerError::Failed("no such word".to_owned()));
                }
                out.send(word.to_owned())?;
            }
            Ok(())
        });
        Ok(answer.with_type("text/words"))
    };
    (leaf, open)
}

#[tokio::test]
async fn a_piece_is_there_before_the_next_is_written_and_what_is_said_of_all_is_there_with_the_first() {
    for threads in [0, 1] {
        let (leaf, open) = word_by_word();
        let world = World::leaf(leaf, Options { threads, ..Options::default() });
        open.send(()).unwrap();
        let answer = soon(world.connect().await.ask(Method::POST, "/", &[], whole("one two"))).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "text/words");
        let mut body = answer.into_body();
        assert_eq!(soon(body.frame()).await.unwrap().unwrap().into_data().unwrap(), "one");
        open.send(()).unwrap();
        assert_eq!(soon(body.collect()).await.unwrap().to_bytes(), "two");
    }
}

#[tokio::test]
async fn what_fails_before_its_first_piece_is_a_failure_and_after_it_no_whole_answer() {
    let (leaf, open) = word_by_word();
    let world = World::leaf(leaf, Options::default());
    open.send(()).unwrap();
    assert_eq!(world.post("fail", &[]).await, (StatusCode::INTERNAL_SERVER_ERROR, "no such word\n".into()));
    open.send(()).unwrap();
    let answer = soon(world.connect().await.ask(Method::POST, "/", &[], whole("one fail"))).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let mut body = answer.into_body();
    assert_eq!(soon(body.frame()).await.unwrap().unwrap().into_data().unwrap(), "one");
    open.send(()).unwrap();
    assert!(soon(body.collect()).await.is_err(), "it is cut");
}

/// A leaf that writes without end, and says how its writing ended.
fn without_end() -> (impl Fn(&Request) -> Result<Answer, AnswerError> + Send + Sync + 'static, UnboundedReceiver<bool>)
{
    let (ended, has_ended) = unbounded_channel();
    let leaf = move |_: &Request| {
        let ended = ended.clone();
        Ok(Answer::written(move |out| {
            let late = loop {
                if let Err(error) = out.write_all(&[b'x'; 1024]) {
                    break AnswerError::from(error);
                }
            };
            ended.send(late == AnswerError::Late).unwrap();
            Err(late)
        }))
    };
    (leaf, has_ended)
}

#[tokio::test]
async fn whoever_writes_is_told_that_nobody_reads_any_more() {
    let (leaf, mut has_ended) = without_end();
    let world = World::leaf(leaf, Options::default());
    let answer = soon(world.connect().await.ask(Method::POST, "/", &[], whole("x"))).await.unwrap();
    drop(answer);
    assert_eq!(soon(has_ended.recv()).await, Some(true));
    // And when the time is over, however much is read.
    let headers = [("longshore-timeout-ms", "50")];
    let answer = soon(world.connect().await.ask(Method::POST, "/", &headers, whole("x"))).await.unwrap();
    assert!(soon(answer.into_body().collect()).await.is_err(), "it is cut");
    assert_eq!(soon(has_ended.recv()).await, Some(true));
}

/// Any three are enough.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Three(Total);

impl Partial for Three {
    fn merge(&mut self, other: Self) {
        self.0.merge(other.0);
    }

    fn is_enough(&self) -> bool {
        self.0.0 >= 3
    }
}

const PART: &str =
    "--cut\r\ncontent-length: 55\r\n\r\n{\"coverage\":{\"shards\":1,\"answered\":1},\"result\":      1}\r\n";

#[tokio::test]
async fn a_merge_that_has_had_enough_answers_before_all_parts_are_there_and_says_how_many_it_has_read() {
    let world = World::merge(MergePartials::<Three>::new(), Options::default());
    let multipart = ("content-type", "multipart/mixed; boundary=cut");
    let headers = [multipart, ("longshore-shards", "8"), ("longshore-streamed", "true")];
    // Four parts are there, and the body does not end.
    let parts = stream::unfold(0, |sent| async move {
        if sent == 4 {
            std::future::pending::<()>().await;
        }
        Some((Bytes::from(PART), sent + 1))
    });
    let answer = soon(world.connect().await.ask(Method::POST, "/", &headers, streamed(parts))).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["longshore-parts"], "3");
    let body = soon(answer.into_body().collect()).await.unwrap().to_bytes();
    assert_eq!(body, r#"{"coverage":{"shards":8,"answered":3},"result":3}"#);
    // Where all are there anyway, all are read.
    let all = PART.repeat(4) + "--cut--\r\n";
    let answer = soon(world.connect().await.ask(Method::POST, "/", &[multipart], whole(all))).await.unwrap();
    assert!(!answer.headers().contains_key("longshore-parts"));
    let body = soon(answer.into_body().collect()).await.unwrap().to_bytes();
    assert_eq!(body, r#"{"coverage":{"shards":4,"answered":4},"result":4}"#);
}
