//! What an answer is, through the real binary: how complete it is, when it comes, what is said of its bytes, and what joins its parts.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use integration_tests::{
    on_both_runtimes, on_processes,
    real::{PROGRAM, Server, TestEnv, ask, ask_like},
};
use serde_json::Value;

/// A service `find` whose leaf is a shell's script, with further lines of its specification.
fn deploy(env: &TestEnv, up: &Server, shards: u32, script: &str, further: &str) {
    let image = env.image();
    let leaf = format!("leaf: {{ image: {image}, shards: {shards}, command: [sh, -c, '{script}'] }}");
    env.write("find.yaml", format!("name: find\n{leaf}\n{further}\n"));
    up.cli(&["service", "deploy", "find.yaml"]).exits(0);
}

const QUERY: &str = "/v1/services/find/query";

on_both_runtimes! {
    once_there_is_enough_a_shard_that_hangs_is_not_waited_for
    parts_are_merged_without_a_merge_container
    a_merge_that_takes_too_long_is_a_timeout
    a_rule_is_written_alike_everywhere
}

fn once_there_is_enough_a_shard_that_hangs_is_not_waited_for(env: &TestEnv) {
    let up = env.up();
    let script = "if [ {shard} = 2 ]; then sleep 600; fi; echo {shard}";
    deploy(env, &up, 4, script, "request: { deadline: 60s }");
    for rule in ["count=3", "0.5"] {
        let begun = Instant::now();
        let ran = up.cli(&["query", "find", "-d", "x", "--require", rule]).exits(3);
        assert!(begun.elapsed() < Duration::from_secs(20), "{rule}: {:?}", begun.elapsed());
        ran.says("shard 2: no answer within").says("after there was enough");
    }
}

fn parts_are_merged_without_a_merge_container(env: &TestEnv) {
    let up = env.up();
    let script = r#"if grep -q bad {in} && [ {shard} = 1 ]; then echo oops; exit 0; fi; echo "{\"shard\": {shard}, \"score\": {shard}.5}""#;
    let asked = |merge: &str, words: &str| {
        deploy(env, &up, 3, script, &format!("merge: {merge}"));
        let path = if words == "bad" { "/v1/services/find/query?require=count=2" } else { QUERY };
        let answer = ask(&up, path, words);
        up.cli(&["service", "rm", "find"]).exits(0);
        answer
    };
    let best = asked("{ top: 2, by: score }", "x");
    assert_eq!((best.status, &best.headers["content-type"][..]), (200, "application/json"), "{best:?}");
    assert_eq!(best.body, r#"[{"shard": 2, "score": 2.5},{"shard": 1, "score": 1.5}]"#);
    let lowest = asked("{ top: 1, by: score, order: ascending }", "x");
    assert_eq!(lowest.body, r#"[{"shard": 0, "score": 0.5}]"#);
    assert_eq!(asked("{ sum: shard }", "x").body, r#"{"shard":3}"#);
    assert_eq!(asked("sum", "x").body, r#"{"score":4.5,"shard":3}"#);
    let all = asked("json-array", "bad");
    assert_eq!(all.status, 206, "{all:?}");
    assert_eq!(all.body, r#"[{"shard": 0, "score": 0.5},{"shard": 2, "score": 2.5}]"#);
    assert!(all.missing.unwrap().contains("shard 1: its answer cannot be merged (json-array): it is no JSON"));
    let whole = asked("concat", "x");
    assert_eq!((whole.status, whole.body.lines().count()), (200, 3));
    env.write("bad.yaml", "name: bad\nleaf: { image: any, command: [cat] }\nmerge: { top: 10 }\n");
    up.cli(&["service", "deploy", "bad.yaml"]).exits(2).says("expected a container, `concat`");
}

fn a_merge_that_takes_too_long_is_a_timeout(env: &TestEnv) {
    a_merge_is_late(env, &env.up());
}

fn a_merge_is_late(env: &TestEnv, up: &Server) {
    let merge = format!("merge: {{ image: {}, command: [sh, -c, 'cat {{in}}/* > {{out}}; sleep 600'] }}", env.image());
    deploy(env, up, 2, "echo {shard}", &format!("{merge}\nrequest: {{ deadline: 2s }}"));
    let late = ask(up, QUERY, "x");
    assert_eq!(late.status, 504, "{late:?}");
    let error: Value = serde_json::from_str(&late.body).unwrap();
    assert_eq!(error["error"]["code"], "deadline_exceeded", "{error}");
    assert_eq!(error["error"]["coverage"]["answered"], 2, "{error}");
}

fn a_rule_is_written_alike_everywhere(env: &TestEnv) {
    let up = env.up();
    let script = "if [ {shard} = 1 ]; then exit 1; fi; echo part";
    for rule in ["count=1", "0.5", "fraction=0.5"] {
        deploy(env, &up, 2, script, &format!("request: {{ require: {rule} }}"));
        assert_eq!(ask(&up, QUERY, "x").status, 206, "{rule}");
        up.cli(&["query", "find", "-d", "x", "--require", rule]).exits(3).says("partial: 1 of 2");
        let escaped = rule.replace('=', "%3D");
        assert_eq!(ask(&up, &format!("{QUERY}?require={rule}"), "x").status, 206, "{rule}");
        assert_eq!(ask(&up, &format!("{QUERY}?require={escaped}"), "x").status, 206, "{rule}");
        up.cli(&["service", "rm", "find"]).exits(0);
    }
    deploy(env, &up, 2, script, "");
    let ambiguous = ask(&up, &format!("{QUERY}?require=1"), "x");
    assert_eq!(ambiguous.status, 400, "{ambiguous:?}");
    assert!(ambiguous.body.contains("`1` could be a count or a fraction"), "{ambiguous:?}");
    up.cli(&["query", "find", "-d", "x", "--require", "1"]).exits(2).says("`1` could be a count or a fraction");
}

on_processes! {
    an_answer_of_80_mib_comes_by_http_and_by_the_command_line
    errors_of_http_have_one_form
    shards_count_as_much_as_they_weigh
}

fn an_answer_of_80_mib_comes_by_http_and_by_the_command_line(env: &TestEnv) {
    const EACH: usize = 40 << 20;
    let up = env.up();
    deploy(env, &up, 2, &format!("head -c {EACH} /dev/zero | tr \"\\\\0\" x"), "request: { deadline: 60s }");
    let ran = up.cli(&["query", "find", "-d", "x"]).exits(0);
    assert!(ran.stdout.len() == 2 * EACH && ran.stdout.bytes().all(|byte| byte == b'x'), "{} bytes", ran.stdout.len());
    let answer = ask(&up, QUERY, "x");
    assert_eq!((answer.status, &answer.headers["content-length"][..]), (200, "83886080"));
    assert_eq!(answer.body.len(), 2 * EACH);
}

fn errors_of_http_have_one_form(env: &TestEnv) {
    let up = env.up();
    deploy(env, &up, 1, "cat {in}", "");
    let code = |(method, path): (&str, &str), body: &str| {
        let answer = ask_like(&up, (method, path), &[], body);
        assert_eq!(answer.headers["content-type"], "application/json", "{method} {path}: {answer:?}");
        let error: Value = serde_json::from_str(&answer.body).unwrap();
        assert!(!error["error"]["message"].as_str().unwrap().is_empty(), "{error}");
        (answer.status, error["error"]["code"].as_str().unwrap().to_owned())
    };
    let large = "x".repeat((3 << 20) + 1);
    for (request, body, status, name) in [
        (("POST", "/v1/services/find/query?deadline_ms=soon"), "", 400, "invalid_argument"),
        (("POST", "/v1/services/find/query?limit=3"), "", 400, "invalid_argument"),
        (("POST", "/v1/services/%FF/query"), "", 400, "invalid_argument"),
        (("POST", QUERY), &large[..], 413, "invalid_argument"),
        (("PUT", QUERY), "", 405, "method_not_allowed"),
        (("DELETE", QUERY), "", 405, "method_not_allowed"),
        (("POST", "/v1/service/find/query"), "", 404, "not_found"),
        (("POST", "/v1/services/find/query/"), "", 404, "not_found"),
        (("OPTIONS", "/v1/services"), "", 404, "not_found"),
        (("POST", "/longshore.v1.Services/Query"), "", 415, "unsupported_media_type"),
    ] {
        assert_eq!(code(request, body), (status, name.to_owned()), "{request:?}");
    }
    let options = ask_like(&up, ("OPTIONS", QUERY), &[], "");
    assert_eq!((options.status, &options.headers["allow"][..]), (204, "POST, OPTIONS"), "{options:?}");
    let head = ask_like(&up, ("HEAD", QUERY), &[], "");
    assert_eq!((head.status, &head.headers["allow"][..]), (405, "POST, OPTIONS"), "{head:?}");
}

fn shards_count_as_much_as_they_weigh(env: &TestEnv) {
    let up = env.up();
    env.write(
        "find.yaml",
        "name: find
leaf: { image: any, shards: 2, weights: [9, 1], command: [sh, -c, 'if grep -q {shard} {in}; then exit 1; fi; echo part'] }
",
    );
    up.cli(&["service", "deploy", "find.yaml"]).exits(0);
    let light = ask(&up, &format!("{QUERY}?require=0.9"), "1");
    assert_eq!((light.status, &light.headers["longshore-covered"][..]), (206, "0.900000"), "{light:?}");
    let heavy = ask(&up, &format!("{QUERY}?require=0.9"), "0");
    assert_eq!(heavy.status, 503, "{heavy:?}");
    assert!(heavy.body.contains("a share of 0.9 by weight is required"), "{heavy:?}");
    let json = up.cli(&["query", "find", "-d", "1", "--require", "0.5", "--format", "json"]).exits(3).json();
    assert_eq!(
        (&json["coverage"]["covered"], &json["coverage"]["parts"][0]["weight"]),
        (&0.9.into(), &9.into()),
        "{json}"
    );
}

mod of_a_server {
    use super::*;

    fn program() -> String {
        let built = env!("CARGO_BIN_EXE_longshore-test-server");
        std::env::var("CARGO_BIN_EXE_longshore-test-server").unwrap_or_else(|_| built.to_owned())
    }

    fn deploy(env: &TestEnv, up: &Server, program: &str) {
        let spec =
            "name: find\nleaf: { image: IMAGE, command: ['PROGRAM'], interface: http }\nrequest: { deadline: 10s }\n";
        env.write("find.yaml", spec.replace("IMAGE", env.image()).replace("PROGRAM", program));
        up.cli(&["service", "deploy", "find.yaml"]).exits(0);
    }

    fn a_part_that_says_it_is_partial_is_never_a_whole_one(up: &Server) {
        let refused = ask(up, QUERY, "half");
        assert_eq!(refused.status, 503, "{refused:?}");
        assert!(refused.body.contains("answered in part (1/2): the other half"), "{refused:?}");
        up.cli(&["query", "find", "-d", "half"]).exits(3).says("answered in part (1/2)");
        let half = ask(up, &format!("{QUERY}?require=0.5"), "half");
        assert_eq!((half.status, &half.body[..], half.coverage.as_deref()), (206, "HALF ", Some("0/1")), "{half:?}");
        assert_eq!(half.headers["longshore-covered"], "0.500000");
        let ran = up.cli(&["query", "find", "-d", "half", "--require", "0.5"]).exits(3);
        assert_eq!(ran.stdout, "HALF ");
        ran.says("partial: 0 of 1 shard answered").says("shard 0: answered in part (1/2): the other half");
    }

    fn what_is_said_of_bytes_comes_through(up: &Server) {
        let said = [("content-type", "text/x-query"), ("content-encoding", "identity"), ("traceparent", "00-aa-bb-01")];
        let answer = ask_like(up, ("POST", QUERY), &[&said[..], &[("cookie", "secret")]].concat(), "headers");
        assert_eq!(answer.body, "text/x-query identity 00-aa-bb-01 -");
        let head = ["content-type", "content-encoding"].map(|name| &answer.headers[name][..]);
        assert_eq!(head, ["text/x-headers", "identity"]);
        let header = ["-H", "content-type: text/x-query", "--format", "json"];
        let json = up.cli(&[&["query", "find", "-d", "headers"], &header[..]].concat()).exits(0).json();
        assert_eq!(
            (&json["body"], &json["headers"]["content-type"]),
            (&"text/x-query - - -".into(), &"text/x-headers".into())
        );
        up.cli(&["query", "find", "-d", "x", "-H", "cookie: x"]).exits(2).says("`cookie` does not travel with a query");
    }

    fn check(env: &TestEnv, up: &Server, program: &str) {
        deploy(env, up, program);
        a_part_that_says_it_is_partial_is_never_a_whole_one(up);
        what_is_said_of_bytes_comes_through(up);
    }

    #[test]
    fn on_processes() {
        let env = TestEnv::process();
        check(&env, &env.up(), &program());
    }

    #[test]
    fn on_docker() {
        if let Some(env) = TestEnv::docker_with_program(Path::new(&program())) {
            check(&env, &env.up(), PROGRAM);
        }
    }

    #[test]
    fn on_a_worker_that_is_another_process() {
        let env = TestEnv::process();
        let coordinator = env.coordinator();
        let _worker = env.worker("w1", &coordinator);
        check(&env, &coordinator, &program());
        coordinator.cli(&["service", "rm", "find"]).exits(0);
        super::a_merge_is_late(&env, &coordinator);
    }
}
