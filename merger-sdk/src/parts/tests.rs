//! Multipart bodies, whole and broken, cut into pieces at any place.

use std::convert::Infallible;

use futures_util::TryStreamExt;
use proptest::prelude::*;

use super::*;

const MAX_BYTES: usize = 1 << 20;

fn headers(content_type: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, hyper::header::HeaderValue::from_static(content_type))])
}

/// Reads a body that arrives in pieces of `piece` bytes.
fn read(body: &[u8], piece: usize, max_bytes: usize) -> Result<Vec<Part>, AnswerError> {
    let pieces: Vec<_> = body.chunks(piece).map(|piece| Ok::<_, Infallible>(Bytes::copy_from_slice(piece))).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(parts(stream::iter(pieces), "cut".to_owned(), max_bytes).try_collect())
}

fn whole(body: &str) -> Result<Vec<Part>, AnswerError> {
    read(body.as_bytes(), usize::MAX, MAX_BYTES)
}

fn refusal(body: &str) -> String {
    match whole(body) {
        Err(AnswerError::BadRequest(why)) => why,
        other => panic!("{body:?} gave {other:?}"),
    }
}

#[test]
fn the_boundary_comes_out_of_the_content_type() {
    assert_eq!(boundary(&headers("multipart/mixed; boundary=cut")).unwrap(), "cut");
    assert_eq!(boundary(&headers("multipart/mixed; boundary=\"a b\"")).unwrap(), "a b");
}

#[test]
fn a_content_type_without_a_usable_boundary_is_a_bad_request() {
    for text in ["text/plain", "multipart/mixed", "multipart/mixed; boundary=\"\"", "mixed"] {
        assert!(matches!(boundary(&headers(text)), Err(AnswerError::BadRequest(_))), "{text}");
    }
    assert!(boundary(&HeaderMap::new()).is_err());
}

#[test]
fn parts_carry_their_shard_or_else_their_place() {
    let parts =
        whole("--cut\r\nLongshore-Shard: 7\r\n\r\nx\r\n--cut\r\ncontent-type: text/plain\r\n\r\ny\r\n--cut--\r\n")
            .unwrap();
    let part = |shard, text: &'static str, content_type: Option<&str>| Part {
        shard,
        bytes: text.into(),
        content_type: content_type.map(str::to_owned),
    };
    assert_eq!(parts, [part(7, "x", None), part(1, "y", Some("text/plain"))]);
}

#[test]
fn a_body_of_no_parts_has_none() {
    assert_eq!(whole("--cut--\r\n").unwrap(), []);
}

#[test]
fn malformed_bodies_are_bad_requests() {
    for body in [
        "",
        "no boundary",
        "--cut",
        "--cut\r\nlongshore-shard: 1",
        "--cut\r\nlongshore-shard: 1\r\n\r\nunfinished",
        "--cut\r\n\r\nno header\r\n\r\nx\r\n--cut--",
        "--cut\r\nno colon\r\n\r\nx\r\n--cut--",
        "--cut\r\nlongshore-shard: -1\r\n\r\nx\r\n--cut--",
        "--cut\r\ncontent-length: many\r\n\r\nx\r\n--cut--",
    ] {
        refusal(body);
    }
}

#[test]
fn a_part_longer_or_shorter_than_it_says_is_a_bad_request() {
    for length in [0, 2, 9] {
        let why = refusal(&format!("--cut\r\ncontent-length: {length}\r\n\r\nabc\r\n--cut--\r\n"));
        assert!(why.contains("content-length"), "{why}");
    }
}

#[test]
fn two_parts_of_one_shard_are_a_bad_request() {
    let part = "--cut\r\nlongshore-shard: 3\r\n\r\nx\r\n";
    assert!(refusal(&format!("{part}{part}--cut--\r\n")).contains("two parts of shard 3"));
}

#[test]
fn a_body_over_the_bound_is_too_large() {
    let body = format!("--cut\r\nlongshore-shard: 1\r\n\r\n{}\r\n--cut--\r\n", "x".repeat(200));
    assert_eq!(read(body.as_bytes(), 16, 100), Err(AnswerError::TooLarge { limit_bytes: 100 }));
}

fn body_of(contents: &[Vec<u8>], with_length: bool) -> Vec<u8> {
    let mut body = Vec::new();
    for (shard, content) in contents.iter().enumerate() {
        body.extend(format!("--cut\r\nlongshore-shard: {shard}\r\n").bytes());
        if with_length {
            body.extend(format!("content-length: {}\r\n", content.len()).bytes());
        }
        body.extend(b"\r\n");
        body.extend(content);
        body.extend(b"\r\n");
    }
    body.extend(b"--cut--\r\n");
    body
}

/// Bytes that look like line ends and boundaries more often than chance would have it.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\r".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"--cu".to_vec()),
        any::<[u8; 3]>().prop_map(Vec::from)
    ];
    proptest::collection::vec(piece, 0..12)
        .prop_map(|pieces| pieces.concat())
        .prop_filter("no boundary inside", |bytes| !bytes.windows(5).any(|window| window == b"--cut"))
}

proptest! {
    #[test]
    fn parts_do_not_depend_on_how_the_body_is_cut(
        contents in proptest::collection::vec(content(), 0..5),
        with_length: bool,
        piece in 1_usize..40,
    ) {
        let parts = read(&body_of(&contents, with_length), piece, MAX_BYTES).unwrap();
        let expected: Vec<_> = contents.into_iter().zip(0..).map(|(content, shard)| Part { shard, bytes: content.into(), content_type: None }).collect();
        prop_assert_eq!(parts, expected);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(body in content(), head in 0..3_usize, piece in 1_usize..40) {
        let head: &[u8] = [&b""[..], b"--cut\r\n", b"--cut\r\na: b\r\n\r\n"][head];
        let _ = read(&[head, &body].concat(), piece, MAX_BYTES);
    }
}
