//! The examples of the plain interfaces, in Python and in shell, as they are.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::path::Path;

use integration_tests::{
    on_both_runtimes, on_processes,
    real::{Server, TestEnv, ask},
};

const QUERY: &str = "/v1/services/count/query";

/// What is in the folder of the examples, with the images that are named there replaced.
fn deploy(env: &TestEnv, up: &Server, spec: &str) {
    for name in ["leaf.py", "merge.py", "leaf.sh", "merge.sh", spec] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/http").join(name);
        let text = std::fs::read_to_string(from).unwrap();
        env.write(name, text.replace("python:3-slim", env.image()).replace("busybox", env.image()));
    }
    env.write("texts/moby.txt", "the whale\nthe sea\na white whale\nwhale\n");
    env.write("texts/old/sea.txt", "the sea\nno whale\n");
    env.write("texts/other.txt", "nothing\n");
    up.cli(&["service", "deploy", spec]).exits(0);
}

on_both_runtimes! {
    a_leaf_and_a_merge_in_shell_count_what_grep_counts
}

fn a_leaf_and_a_merge_in_shell_count_what_grep_counts(env: &TestEnv) {
    let up = env.up();
    deploy(env, &up, "search-sh.yaml");
    assert_eq!(up.cli(&["query", "count", "-d", "whale"]).exits(0).stdout, "3 moby.txt\n1 old/sea.txt\n");
}

on_processes! {
    a_leaf_and_a_merge_in_python_count_the_same_and_say_what_they_cannot_read
}

fn a_leaf_and_a_merge_in_python_count_the_same_and_say_what_they_cannot_read(env: &TestEnv) {
    let up = env.up();
    env.write("texts/broken.txt", b"\xff\xfe");
    deploy(env, &up, "search.yaml");
    let refused = ask(&up, QUERY, "whale");
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.body.contains("cannot read 1 of "), "{refused:?}");
    let partial = ask(&up, &format!("{QUERY}?require=0.5"), "whale");
    assert_eq!((partial.status, &partial.body[..]), (206, "3 moby.txt\n1 old/sea.txt\n"), "{partial:?}");
    assert_eq!(partial.headers["content-type"], "text/plain; charset=utf-8");
    assert!(partial.missing.unwrap().contains("answered in part"));
    up.cli(&["service", "rm", "count"]).exits(0);
    std::fs::remove_file(env.path("texts/broken.txt")).unwrap();
    deploy(env, &up, "search.yaml");
    assert_eq!(up.cli(&["query", "count", "-d", "whale"]).exits(0).stdout, "3 moby.txt\n1 old/sea.txt\n");
}
