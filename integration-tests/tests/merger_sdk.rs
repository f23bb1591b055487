//! The page about the SDK, as it stands there: its program, its specs and its commands.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::{fs, path::Path};

use integration_tests::real::{PROGRAM, Server, TestEnv};

fn program() -> String {
    let built = env!("CARGO_BIN_EXE_longshore-test-lines");
    std::env::var("CARGO_BIN_EXE_longshore-test-lines").unwrap_or_else(|_| built.to_owned())
}

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/merger-sdk.md")).unwrap()
}

/// What stands between three backticks and this, and the next three.
fn block(page: &str, begins: &str) -> String {
    let begin = page.find(&format!("```{begins}")).unwrap_or_else(|| panic!("no block begins with {begins:?}"));
    let text = &page[begin + 3..];
    let text = &text[text.find('\n').unwrap() + 1..];
    text[..text.find("```").unwrap()].to_owned()
}

#[test]
fn the_page_has_the_program_that_is_tested() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/src/bin/lines.rs");
    assert_eq!(block(&page(), "rust"), fs::read_to_string(source).unwrap());
}

/// Deploys what is on the page, and asks.
fn the_page_does_what_it_says(env: &TestEnv, up: &Server<'_>) {
    let program = if env.has_docker() { PROGRAM.to_owned() } else { program() };
    for (text, lines) in [("moby.txt", 12), ("sea.txt", 11), ("old.txt", 15)] {
        env.write(&format!("texts/{text}"), "the whale\n".repeat(lines) + text + " has the sea\n");
    }
    for spec in ["search.yaml", "first.yaml"] {
        let text = block(&page(), &format!("yaml\n# {spec}"));
        env.write(
            spec,
            text.replace("image: lines", &format!("image: {}", env.image())).replace("/lines,", &format!("{program},")),
        );
        up.cli(&["service", "deploy", spec]).exits(0);
    }
    assert_eq!(
        up.cli(&["query", "search", "-d", "whale"]).exits(0).stdout,
        r#"{"coverage":{"shards":3,"answered":3},"result":[3,[[15,"old.txt"],[12,"moby.txt"],[11,"sea.txt"]]]}"#
    );
    // Every shard has ten lines alone: whichever comes first is enough, and it alone is in the answer.
    let first = up.cli(&["query", "first", "-d", "whale", "--format", "json"]).exits(3).json();
    assert_eq!(first["coverage"]["answered"], 1, "{first}");
    let first = up.cli(&["query", "first", "-d", "whale"]).exits(3).says("the merge had enough");
    assert_eq!(first.stdout, "the whale\n".repeat(10));
    up.cli(&["query", "first", "-d", "whale", "--require", "all"]).exits(3).says("3 are required");
    // All of them together are not ten: all are there.
    let all = up.cli(&["query", "first", "-d", "has the sea"]).exits(0).stdout;
    let mut lines: Vec<&str> = all.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["moby.txt has the sea", "old.txt has the sea", "sea.txt has the sea"]);
}

#[test]
fn the_page_does_what_it_says_in_one_process() {
    let env = TestEnv::process();
    the_page_does_what_it_says(&env, &env.up());
}

#[test]
fn the_page_does_what_it_says_in_containers() {
    if let Some(env) = TestEnv::docker_with_program(Path::new(&program())) {
        the_page_does_what_it_says(&env, &env.up());
    }
}

#[test]
fn the_page_does_what_it_says_on_a_worker_apart() {
    let env = TestEnv::process();
    let coordinator = env.coordinator();
    let _worker = env.worker("w1", &coordinator);
    the_page_does_what_it_says(&env, &coordinator);
}
