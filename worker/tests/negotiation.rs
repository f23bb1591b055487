//! Which version of its interface an engine is asked in.
//!
//! The engine is a fake that answers what one of the future, or of the past, says of itself: these cannot be installed here. It is
//! good for nothing else.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use longshore_worker::runtime::docker::{ConnectError, DockerOptions, DockerRuntime, EngineError};
use tempfile::TempDir;
use tokio::net::UnixListener;
use uuid::Uuid;

/// Answers what it is, and keeps what it was asked.
struct Fake {
    asked: Arc<Mutex<Vec<String>>>,
    dir: TempDir,
}

impl Fake {
    fn start(newest: &'static str, oldest: &'static str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("docker.sock")).unwrap();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                let answer = service_fn(move |request| answer(request, Arc::clone(&kept), newest, oldest));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
            }
        });
        Self { asked, dir }
    }

    async fn connect(&self) -> Result<DockerRuntime, ConnectError> {
        let mut options = DockerOptions::new(Uuid::new_v4(), self.dir.path().join("shim"));
        options.host = Some(self.socket().display().to_string());
        DockerRuntime::connect(options).await
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("docker.sock")
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(
    request: Request<Incoming>,
    asked: Arc<Mutex<Vec<String>>>,
    newest: &str,
    oldest: &str,
) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    let path = request.uri().path();
    asked.lock().unwrap().push(path.to_owned());
    let body = match path.rsplit('/').next() {
        Some("version") => format!(r#"{{"Version": "29.0.0", "ApiVersion": "{newest}", "MinAPIVersion": "{oldest}"}}"#),
        _ => "{}".to_owned(),
    };
    Ok(Response::new(Full::new(body.into())))
}

#[tokio::test]
async fn an_engine_of_later_is_asked_in_the_newest_version_that_we_know() {
    let fake = Fake::start("1.54", "1.44");
    let runtime = fake.connect().await.unwrap();
    let agreed = runtime.info().api_version.clone();
    let minor: u32 = agreed.strip_prefix("1.").unwrap().parse().unwrap();
    assert!((44..54).contains(&minor), "{agreed}");
    assert_eq!(fake.asked(), ["/version".to_owned(), format!("/v{agreed}/info")]);
}

#[tokio::test]
async fn an_engine_of_before_is_asked_in_its_own_version() {
    let fake = Fake::start("1.41", "1.12");
    assert_eq!(fake.connect().await.unwrap().info().api_version, "1.41");
    assert_eq!(fake.asked(), ["/version", "/v1.41/info"]);
}

#[tokio::test]
async fn an_engine_that_speaks_no_version_of_ours_is_named_with_what_to_do() {
    let fake = Fake::start("1.99", "1.98");
    let error = fake.connect().await.err().unwrap();
    assert!(matches!(error, ConnectError::Engine(EngineError::TooNew { .. })), "{error}");
    let words = error.to_string();
    assert!(
        words.contains("1.98") && words.contains("newer Longshore") && words.contains("min-api-version"),
        "{words}"
    );
    let fake = Fake::start("1.40", "1.12");
    let error = fake.connect().await.err().unwrap();
    assert!(matches!(error, ConnectError::Engine(EngineError::TooOld { .. })), "{error}");
    let fake = Fake::start("tomorrow", "");
    let error = fake.connect().await.err().unwrap();
    assert!(error.to_string().contains("no Docker Engine"), "{error}");
}
