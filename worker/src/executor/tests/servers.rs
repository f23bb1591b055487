//! Servers that stay up. The server is this test program itself, started once more by a slot.

use std::{convert::Infallible, process::exit};

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use longshore_proto::v1::Interface;

use super::*;

/// Set for the server's process only.
const SWITCH: &str = "LONGSHORE_TEST_SERVER";

/// Not a test of its own: with [`SWITCH`] set, this is the server's main function.
#[test]
fn the_server_itself() {
    let Ok(manner) = std::env::var(SWITCH) else { return };
    eprintln!("serving in manner {manner}");
    if manner == "broken" {
        exit(5);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(serve(&manner));
}

async fn serve(manner: &str) {
    if manner == "tcp" {
        let address = format!("127.0.0.1:{}", std::env::var("PORT").unwrap());
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)));
        }
    }
    let listener = tokio::net::UnixListener::bind(std::env::var("LONGSHORE_SOCKET").unwrap()).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)));
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    static BUSY: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    if request.uri() == "/healthz" {
        return Ok(said(StatusCode::NOT_FOUND, "what is that?"));
    }
    let header = |name: &str| request.headers().get(name).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
    let facts = format!("{} {} {}", header("longshore-name"), header("longshore-index"), header("content-type"));
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(body.to_vec()).unwrap();
    Ok(match text.as_str() {
        "bad" => said(StatusCode::UNPROCESSABLE_ENTITY, "not\na number"),
        "fails" => said(StatusCode::INTERNAL_SERVER_ERROR, ""),
        "busy" if BUSY.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 2 => {
            said(StatusCode::SERVICE_UNAVAILABLE, "later")
        }
        "late" => said(StatusCode::GATEWAY_TIMEOUT, "still at it"),
        "die" => exit(3),
        "fill" => {
            std::fs::write(format!("{}/spill", std::env::var("TMPDIR").unwrap()), vec![1; 2_000_000]).unwrap();
            std::future::pending().await
        }
        "slow" => std::future::pending().await,
        "large" => said(StatusCode::OK, &"x".repeat(3_000_000)),
        "who" => said(StatusCode::OK, &std::process::id().to_string()),
        _ => said(StatusCode::OK, &format!("{facts}|{text}")),
    })
}

fn said(status: StatusCode, words: &str) -> Response<Full<Bytes>> {
    Response::builder().status(status).body(Full::new(Bytes::copy_from_slice(words.as_bytes()))).unwrap()
}

impl World {
    fn server(&self, manner: &str) -> Stage {
        let program = std::env::current_exe().unwrap();
        let mut stage = self.stage(&[
            program.to_str().unwrap(),
            "executor::tests::servers::the_server_itself",
            "--exact",
            "--nocapture",
        ]);
        let container = stage.container.as_mut().unwrap();
        container.set_interface(Interface::Http);
        container.env = vec![EnvVar { name: SWITCH.into(), value: manner.into() }];
        stage
    }

    async fn ask(&mut self, inputs: &[(&str, &str)]) -> Vec<Finished> {
        let stage = self.server("unix");
        let work = self.map(stage, inputs);
        self.run(work).await
    }
}

fn failure(finished: &Finished) -> (FailureClass, i32, &str) {
    match &finished.ended {
        Ended::Failure(failure) => (failure.class(), failure.code, &failure.message),
        other => panic!("it did not fail: {other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_fills_its_temporary_space_is_ended_and_started_anew() {
    let mut world = World::new(1);
    let mut stage = world.server("unix");
    stage.container.as_mut().unwrap().tmp_bytes = 1 << 20;
    let work = world.map(stage, &[("a", "fill"), ("b", "hello")]);
    let finished = world.run(work).await;
    let (class, _, message) = failure(&finished[0]);
    assert_eq!(class, FailureClass::Output);
    assert!(message.contains("its temporary files take 1.9 MiB and may take 1 MiB"), "{message}");
    assert_eq!(outputs(&finished[1]), [pair("b", "b 1 |hello")]);
    world.end().await;
}

#[tokio::test]
async fn a_server_answers_many_items_and_is_started_once() {
    let mut world = World::new(1);
    let finished = world.ask(&[("d/a.txt", "hello"), ("b", "who"), ("c", "who"), ("d", "large")]).await;
    assert_eq!(outputs(&finished[0]), [pair("d/a.txt", "a.txt 0 |hello")]);
    assert_eq!(outputs(&finished[1])[0].1, outputs(&finished[2])[0].1);
    let Ended::Success { outputs } = &finished[3].ended else { panic!("no success") };
    assert!(matches!(outputs[0].content, Content::File(_)));
    assert_eq!(text(&outputs[0]).len(), 3_000_000);
    world.end().await;
}

#[tokio::test]
async fn a_server_is_used_again_by_jobs_of_its_name_alone() {
    let mut world = World::new(1);
    let mut served_by = Vec::new();
    for (job, name) in [(1, "find"), (2, "find"), (3, "count")] {
        let mut work = world.map(world.server("unix"), &[("a", "who")]).remove(0);
        (work.job, work.job_name) = ([job; 16], name.into());
        served_by.push(outputs(&world.run(vec![work]).await[0]).remove(0).1);
    }
    assert_eq!(served_by[0], served_by[1]);
    assert_ne!(served_by[1], served_by[2], "it was told another name at its start");
    world.end().await;
}

#[tokio::test]
async fn statuses_are_classes_of_failure_and_the_server_goes_on() {
    let mut world = World::new(1);
    let finished = world.ask(&[("a", "who"), ("b", "bad"), ("c", "fails"), ("d", "busy"), ("e", "who")]).await;
    let refused = "the server refused the input (422 Unprocessable Entity): not\\na number";
    assert_eq!(failure(&finished[1]), (FailureClass::Refused, 422, refused));
    assert_eq!(failure(&finished[2]).0, FailureClass::Exit);
    assert_eq!(outputs(&finished[3])[0].1, "d 3 |busy", "asked again");
    assert_eq!(outputs(&finished[0])[0].1, outputs(&finished[4])[0].1);
    world.end().await;
}

#[tokio::test]
async fn a_server_that_dies_fails_its_item_and_is_replaced() {
    let mut world = World::new(1);
    let finished = world.ask(&[("a", "who"), ("b", "die"), ("c", "who")]).await;
    assert_eq!(failure(&finished[1]), (FailureClass::SlotLost, 0, "the server ended: exit code 3"));
    assert_ne!(outputs(&finished[0])[0].1, outputs(&finished[2])[0].1);
    world.end().await;
}

#[tokio::test]
async fn a_server_that_says_it_was_late_is_replaced_since_it_may_be_at_it_still() {
    let mut world = World::new(1);
    let finished = world.ask(&[("a", "who"), ("b", "late"), ("c", "who")]).await;
    assert_eq!(failure(&finished[1]).0, FailureClass::Timeout);
    assert_ne!(outputs(&finished[0])[0].1, outputs(&finished[2])[0].1);
    world.end().await;
}

#[tokio::test]
async fn a_server_that_takes_too_long_is_replaced() {
    let mut world = World::new(1);
    let mut stage = world.server("unix");
    stage.timeout_ms = 300;
    let work = world.map(stage, &[("a", "slow"), ("b", "quick")]);
    let finished = world.run(work).await;
    assert_eq!(failure(&finished[0]).0, FailureClass::Timeout);
    assert_eq!(outputs(&finished[1])[0].1, "b 1 |quick");
    world.end().await;
}

#[tokio::test]
async fn a_stopped_request_is_not_heard_of() {
    let mut world = World::new(1);
    let stage = world.server("unix");
    let work = world.map(stage, &[("a", "who"), ("b", "slow"), ("c", "fine")]);
    let slow = work[1].id;
    world.executor.submit(work);
    outputs(&world.finished().await);
    world.executor.stop(&[slow]);
    assert_eq!(outputs(&world.finished().await)[0].1, "c 2 |fine");
    world.end().await;
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let mut world = World::new(1);
    let stage = world.server("broken");
    let work = world.map(stage, &[("a", "")]);
    let finished = world.run(work).await;
    let Ended::Failure(failure) = &finished[0].ended else { panic!("it cannot have started") };
    assert_eq!(failure.message, "the server ended: exit code 5");
    assert!(failure.stderr_tail.starts_with(b"serving in manner broken"));
    let mut stage = world.stage(&["no-such-server"]);
    stage.container.as_mut().unwrap().set_interface(Interface::Http);
    assert_eq!(world.failure(stage).await.class(), FailureClass::Command);
    world.end().await;
}

#[tokio::test]
async fn a_server_may_listen_on_its_port_instead() {
    let mut world = World::new(1);
    // Free a moment ago, and nobody else here asks for one by number.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut stage = world.server("tcp");
    stage.container.as_mut().unwrap().port = port.into();
    let work = world.map(stage, &[("a", "x"), ("b", "y")]);
    let finished = world.run(work).await;
    assert_eq!(outputs(&finished[1])[0].1, "b 1 |y");
    world.end().await;
}

#[tokio::test]
async fn parts_arrive_as_one_multipart_body() {
    let mut world = World::new(1);
    let stage = world.server("unix");
    let work = world.gather(stage, &[("z/b", "1"), ("a", "22")]);
    let answer = outputs(&world.run(vec![work]).await[0]).remove(0).1;
    let (facts, body) = answer.split_once('|').unwrap();
    let boundary = facts.strip_prefix("total 0 multipart/mixed; boundary=").unwrap();
    let part = |index, name, size, text| {
        format!(
            "\r\n--{boundary}\r\nlongshore-index: {index}\r\nlongshore-shard: {index}\r\nlongshore-name: {name}\r\ncontent-length: {size}\r\n\r\n{text}"
        )
    };
    assert_eq!(body, format!("{}{}\r\n--{boundary}--\r\n", part(0, "z/b", 1, "1"), part(1, "a", 2, "22")));
    world.end().await;
}

#[tokio::test]
async fn inputs_from_far_away_are_sent_as_well() {
    let mut world = World::new(1);
    let stage = world.server("unix");
    let mut work = world.map(stage, &[("a", "far")]);
    let bytes = work[0].inputs[0].inline.take().unwrap();
    world.blobs.0.lock().unwrap().insert(blake3::hash(&bytes), bytes);
    assert_eq!(outputs(&world.run(work).await[0])[0].1, "a 0 |far");
    world.end().await;
}
