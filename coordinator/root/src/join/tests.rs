//! Parts as containers may write them, good ones and others.

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

fn top(most: usize) -> Join {
    Join::Top { most, by: "score".to_owned(), ascending: false }
}

fn sum(field: Option<&str>) -> Join {
    Join::Sum { field: field.map(str::to_owned) }
}

/// What the parts become, in text.
fn joined(join: &Join, parts: &[&'static str]) -> Result<String, String> {
    let prepared = |(shard, text): (u32, &&'static str)| Ok((shard, join.read(Bytes::from(*text).into())?));
    let parts = (0..).zip(parts).map(prepared).collect::<Result<Vec<_>, String>>()?;
    let (_, pieces) = join.finish(parts)?;
    Ok(String::from_utf8(pieces.concat()).unwrap())
}

#[test]
fn an_array_has_the_items_of_all_parts() {
    let join = |parts| joined(&Join::Array, parts).unwrap();
    assert_eq!(join(&["[1, [2]]", " [] ", "{\"a\": 1}\n\"x\"\n", "", "7"]), "[1,[2],{\"a\": 1},\"x\",7]");
    assert_eq!(join(&[]), "[]");
    assert_eq!(join(&["{}{}[1]"]), "[{},{},[1]]");
}

#[test]
fn the_best_items_come_first_and_of_equal_ones_those_of_the_first_shard() {
    let parts = [
        r#"[{"score": 1, "id": "a"}, {"score": 3.5, "id": "b"}, {"score": 2, "id": "c"}]"#,
        "{\"id\": \"d\", \"score\": 3.5}\n{\"score\": -1}\n",
    ];
    let best = r#"[{"score": 3.5, "id": "b"},{"id": "d", "score": 3.5},{"score": 2, "id": "c"}]"#;
    assert_eq!(joined(&top(3), &parts).unwrap(), best);
    let lowest = Join::Top { most: 1, by: "score".to_owned(), ascending: true };
    assert_eq!(joined(&lowest, &parts).unwrap(), "[{\"score\": -1}]");
    let deep = Join::Top { most: 1, by: "rank.by".to_owned(), ascending: false };
    assert_eq!(joined(&deep, &[r#"{"rank": {"by": 1}}{"rank": {"by": 2}}"#]).unwrap(), r#"[{"rank": {"by": 2}}]"#);
}

#[test]
fn sums_are_exact_and_of_objects_name_by_name() {
    assert_eq!(joined(&sum(None), &["18446744073709551615", "[1, 1]"]).unwrap(), "18446744073709551617");
    assert_eq!(joined(&sum(None), &["1", "0.5"]).unwrap(), "1.5");
    assert_eq!(joined(&sum(None), &[]).unwrap(), "0");
    let counts = ["{\"the\": 3, \"sea\": 1}", "{\"the\": 2}{\"a\\\"\": 1}"];
    assert_eq!(joined(&sum(None), &counts).unwrap(), r#"{"a\"":1,"sea":1,"the":5}"#);
    assert_eq!(joined(&sum(None), &["{}"]).unwrap(), "{}");
    let hits = ["{\"hits\": {\"total\": 3}}", "[{\"hits\": {\"total\": 4, \"x\": []}}]"];
    assert_eq!(joined(&sum(Some("hits.total")), &hits).unwrap(), r#"{"hits.total":7}"#);
}

#[test]
fn a_part_that_cannot_be_read_says_why() {
    let refused = |join: &Join, part| joined(join, &[part]).unwrap_err();
    assert!(
        refused(&Join::Array, "[1, 2").contains("json-array): it is no JSON: EOF"),
        "{}",
        refused(&Join::Array, "[1, 2")
    );
    assert!(refused(&Join::Array, "[1] 2").contains("trailing"));
    assert!(refused(&Join::Array, "oops").contains("no JSON"));
    assert!(
        refused(&top(1), "[{\"score\": 1}, {\"score\": \"x\"}]").ends_with("item 1: it has no number at \"score\"")
    );
    assert!(refused(&top(1), "[7]").contains("no number"));
    assert!(refused(&sum(None), "[1, {\"a\": 1}]").contains("no sum together"));
    assert!(refused(&sum(None), "{\"a\": [1]}").contains("neither"));
    // Deep ones do not take the stack with them.
    let deep: &'static str = "[".repeat(1 << 20).leak();
    for join in [Join::Array, top(1), sum(None), sum(Some("a"))] {
        assert!(!refused(&join, deep).is_empty());
    }
    let deep: &'static str = format!("{}{}", "{\"score\":".repeat(100_000), "}".repeat(100_000)).leak();
    for join in [top(1), sum(None), sum(Some("score"))] {
        assert!(!refused(&join, deep).is_empty());
    }
    assert!(Join::Array.read(Message { body: Bytes::from_static(b"[\"\xff\"]"), ..Message::default() }).is_err());
}

#[test]
fn what_is_encoded_is_not_read() {
    let head = HeaderMap::from_iter([(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))]);
    let refused = Join::Array.read(Message { head, body: Bytes::from_static(b"[]") }).unwrap_err();
    assert!(refused.contains("gzip"), "{refused}");
}

#[test]
fn bytes_are_joined_under_what_all_parts_say_of_them() {
    let part = |kind: &'static str, encoding: Option<&'static str>| {
        let mut head = HeaderMap::new();
        head.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        encoding.map(|encoding| head.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding)));
        Prepared::Whole(Message { head, body: Bytes::from_static(b"x") })
    };
    let finish = |parts: Vec<Prepared>| Join::Concat.finish((0..).zip(parts).collect());
    let (head, pieces) = finish(vec![part("text/csv", Some("gzip")), part("text/csv", Some("gzip"))]).unwrap();
    assert_eq!((head[header::CONTENT_TYPE].as_bytes(), pieces.len()), (&b"text/csv"[..], 2));
    assert_eq!(head[header::CONTENT_ENCODING], "gzip");
    let (head, _) = finish(vec![part("text/csv", None), part("text/plain", None)]).unwrap();
    assert!(head.is_empty());
    assert!(finish(vec![part("a/b", Some("gzip")), part("a/b", None)]).unwrap_err().contains("shards 0 and 1"));
    assert!(finish(vec![part("a/b", Some("br")), part("a/b", Some("br"))]).unwrap_err().contains("br"));
    assert!(finish(vec![part("a/b", Some("br"))]).is_ok());
}

/// Bytes that are JSON, almost JSON, or anything.
fn part() -> impl Strategy<Value = Vec<u8>> {
    let json = prop_oneof![
        Just("1"),
        Just("-2.5e3"),
        Just("1e999"),
        Just("{\"a\": 1}"),
        Just("{\"a\": {\"a\": 2}}"),
        Just("\"\\ud800\""),
        Just("[1, 2]"),
        Just("[]"),
        Just(" "),
        Just("\n"),
        Just(","),
        Just("]"),
        Just("{"),
        Just("null"),
    ];
    prop_oneof![
        prop::collection::vec(json, 0..6).prop_map(|words| words.concat().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..24),
    ]
}

proptest! {
    #[test]
    fn whatever_parts_are_what_is_made_of_those_that_are_read_is_json(parts in prop::collection::vec(part(), 0..4)) {
        let field = || "a".to_owned();
        let joins = [
            Join::Array,
            Join::Top { most: 2, by: field(), ascending: false },
            Join::Sum { field: None },
            Join::Sum { field: Some(field()) },
        ];
        for join in joins {
            let read = |part: &Vec<u8>| join.read(Bytes::from(part.clone()).into()).ok();
            let read: Vec<(u32, Prepared)> = (0..).zip(parts.iter().filter_map(read)).collect();
            if let Ok((_, pieces)) = join.finish(read) {
                let text = pieces.concat();
                prop_assert!(serde_json::from_slice::<&RawValue>(&text).is_ok(), "{join:?}: {}", text.escape_ascii());
            }
        }
    }
}
