//! The image: a script for interface `files`, and this test program, started once more, as the server for `http`.
//!
//! Both do what their input says, and answer with the input itself when it says nothing they know.

use std::{path::PathBuf, process::exit};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyDataStream, BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use longshore_proto::v1::{Container, EnvVar, Interface, NamedBlob};

/// Set for the server's process only.
const SWITCH: &str = "CONFORMANCE_SERVER";

/// Programs of the host that the script uses.
pub(super) const PROGRAMS: [&str; 4] = ["sh", "cat", "head", "sleep"];

/// A server of this image takes no larger body.
const BODY_BYTES: u64 = 16 << 20;

/// Reads its input and does what it says; parts come one after the other.
const SCRIPT: &str = r#"
input="$TMPDIR/input"
cat > "$input"
read -r what size < "$input" || true
case "$what" in
    exit) echo "so it is" >&2; exit 3 ;;
    signal) kill -9 $$ ;;
    slow) sleep 600 ;;
    spill) head -c "$size" /dev/zero > "$TMPDIR/1"; cat "$TMPDIR/1" > "$TMPDIR/2"; exec sleep 600 ;;
    large) exec head -c "$size" /dev/zero ;;
    facts) export -p ;;
    sent) cat "$LONGSHORE_FILES/lib/word"; "$SENT/say" ;;
    *) cat "$input" ;;
esac
"#;

/// Temporary space of every container, in bytes.
pub(super) const TMP_BYTES: u64 = 64 << 20;

/// A container of the image, of interface `files`.
pub(super) fn process(image: &str, script: &str) -> Container {
    let command = ["sh", "-c", script].map(str::to_owned).to_vec();
    Container { image: image.to_owned(), command, env: env(), tmp_bytes: TMP_BYTES, ..Container::default() }
}

/// The same for what its input says.
pub(super) fn process_of_all(image: &str) -> Container {
    process(image, SCRIPT)
}

/// A container of the image, of interface `http`.
pub(super) fn server(image: &str, program: &str) -> Container {
    let command = [program, "conformance::image::the_server_itself", "--exact", "--nocapture"];
    let switch = EnvVar { name: SWITCH.into(), value: "1".into() };
    Container {
        image: image.to_owned(),
        command: command.map(str::to_owned).to_vec(),
        env: env().into_iter().chain([switch]).collect(),
        interface: Interface::Http.into(),
        tmp_bytes: TMP_BYTES,
        ..Container::default()
    }
}

/// What is sent along with a container, where that is asked for.
pub(super) fn sent() -> Vec<NamedBlob> {
    let file = |path: &str, bytes: &'static [u8], executable| NamedBlob {
        path: path.into(),
        digest: blake3::hash(bytes).as_bytes().to_vec().into(),
        size: bytes.len() as u64,
        executable,
        inline: Some(bytes.into()),
        origin: String::new(),
    };
    vec![file("lib/word", b"a word\n", false), file("say", b"#!/bin/sh\necho said", true)]
}

/// This test program.
pub(super) fn program() -> PathBuf {
    std::env::current_exe().unwrap()
}

fn env() -> Vec<EnvVar> {
    let all = [("WORDS", "{job} {shard} {shards} {data}"), ("SENT", "{files}")];
    all.map(|(name, value)| EnvVar { name: name.into(), value: value.into() }).into()
}

/// Not a test of its own: with [`SWITCH`] set, this is the server's main function.
#[test]
fn the_server_itself() {
    if std::env::var_os(SWITCH).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(serve());
    }
}

async fn serve() {
    let listener = tokio::net::UnixListener::bind(std::env::var("LONGSHORE_SOCKET").unwrap()).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)));
    }
}

type Answer = Result<Response<Full<Bytes>>, Broken>;

/// What makes the connection break off.
#[derive(Debug, thiserror::Error)]
#[error("as was asked")]
struct Broken;

async fn answer(request: Request<Incoming>) -> Answer {
    if request.uri() == "/healthz" {
        return said(StatusCode::OK, "ready");
    }
    let headers = request.headers().clone();
    let length = headers["content-length"].to_str().unwrap().parse::<u64>().unwrap();
    if length > BODY_BYTES {
        // As servers do that look at the length first.
        return said(StatusCode::PAYLOAD_TOO_LARGE, "so it is");
    }
    let boundary = headers.get("content-type").map(|value| value.to_str().unwrap().to_owned());
    let boundary = boundary.map(|value| value.strip_prefix("multipart/mixed; boundary=").unwrap().to_owned());
    let input = match &boundary {
        None => request.into_body().collect().await.unwrap().to_bytes(),
        Some(boundary) => parts(request, boundary, length).await,
    };
    let text = String::from_utf8_lossy(&input).into_owned();
    let (what, argument) = text.split_once(' ').unwrap_or((&text, ""));
    match what {
        "exit" => said(StatusCode::INTERNAL_SERVER_ERROR, "so it is"),
        "signal" => exit(3),
        "slow" => std::future::pending().await,
        "hang" => Err(Broken),
        "spill" => {
            let dir = PathBuf::from(std::env::var("TMPDIR").unwrap());
            for name in ["1", "2"] {
                std::fs::write(dir.join(name), vec![0; argument.parse().unwrap()]).unwrap();
            }
            std::future::pending().await
        }
        "large" => said(StatusCode::OK, vec![0; argument.parse().unwrap()]),
        "status" => said(StatusCode::from_bytes(argument.as_bytes()).unwrap(), "so it is"),
        "timeout" => {
            said(StatusCode::OK, header(&headers, "longshore-timeout-ms").unwrap_or_else(|| "none".to_owned()))
        }
        "facts" => said(StatusCode::OK, facts(&headers)),
        "sent" => said(StatusCode::OK, found()),
        "parts" if boundary.is_none() => said(StatusCode::BAD_REQUEST, "so it is"),
        _ => said(StatusCode::OK, input),
    }
}

/// All parts one after the other, each as long as it says.
async fn parts(request: Request<Incoming>, boundary: &str, length: u64) -> Bytes {
    let body = BodyDataStream::new(request.into_body());
    let mut multipart = multer::Multipart::new(body, boundary);
    let (mut all, mut count) = (Vec::new(), 0);
    while let Some(part) = multipart.next_field().await.unwrap() {
        assert_eq!(header(part.headers(), "longshore-index").unwrap(), count.to_string());
        assert!(header(part.headers(), "longshore-shard").is_some());
        assert!(header(part.headers(), "longshore-name").is_some());
        let said: usize = header(part.headers(), "content-length").unwrap().parse().unwrap();
        let bytes = part.bytes().await.unwrap();
        assert_eq!(bytes.len(), said);
        all.extend_from_slice(&bytes);
        count += 1;
    }
    assert!(length > all.len() as u64);
    all.into()
}

/// What a process would find as variables, as a shell would write it.
fn facts(headers: &HeaderMap) -> String {
    let of_headers = headers.keys().filter_map(|name| {
        let variable = name.as_str().strip_prefix("longshore-")?.to_uppercase().replace('-', "_");
        Some((format!("LONGSHORE_{variable}"), header(headers, name.as_str())?))
    });
    let all = std::env::vars().chain(of_headers);
    all.map(|(name, value)| format!("export {name}='{value}'\n")).collect()
}

/// What was sent along, read and run.
fn found() -> Vec<u8> {
    let place = |name: &str| PathBuf::from(std::env::var(name).unwrap());
    let mut found = std::fs::read(place("LONGSHORE_FILES").join("lib/word")).unwrap();
    found.extend(std::process::Command::new(place("SENT").join("say")).output().unwrap().stdout);
    found
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| value.to_str().unwrap().to_owned())
}

fn said(status: StatusCode, words: impl Into<Bytes>) -> Answer {
    Ok(Response::builder().status(status).body(Full::new(words.into())).unwrap())
}
