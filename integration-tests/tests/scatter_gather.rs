//! Services through the real binary: shards that answer together, and what becomes of a query when they do not.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::{
    process::Command,
    time::{Duration, Instant},
};

use integration_tests::{
    on_both_runtimes, on_docker, on_processes,
    real::{Ran, Server, TestEnv, ask, until},
};

const FIND: &str = r#"grep -rhi -- "$(cat "{in}")" "{data}" || true"#;
const SHARDS: usize = 4;

/// Eight files of two chapters each, so that every shard has two.
fn texts(env: &TestEnv) {
    for number in 0..8 {
        let text = format!("{number}: the whale\n{number}: a Whale, white\n{number}: the sea\n");
        env.write(&format!("texts/book-{}/{number}.txt", number % 3), text);
    }
}

/// A service of four shards over the texts.
fn deploy(env: &TestEnv, up: &Server, name: &str, leaf: &str, merge: &str) {
    let spec = format!(
        "name: {name}
leaf:
  image: {image}
  command: [sh, -c, '{leaf}']
  shards: {SHARDS}
  data: ./texts
merge: {{ image: {image}, command: [sh, -c, '{merge}'] }}
request: {{ deadline: 10s, require: all }}
",
        image = env.image()
    );
    env.write(&format!("{name}.yaml"), spec);
    up.cli(&["service", "deploy", &format!("{name}.yaml")]).exits(0).says("is ready");
}

fn deploy_search(env: &TestEnv, up: &Server) {
    texts(env);
    deploy(env, up, "find", FIND, "sort \"{in}\"/* > \"{out}\"");
}

/// What `grep` says on the host, sorted.
fn grep(env: &TestEnv, words: &str) -> String {
    let ran = Command::new("grep").args(["-rhi", "--", words]).arg(env.path("texts")).output().unwrap();
    let mut lines: Vec<&str> = std::str::from_utf8(&ran.stdout).unwrap().lines().collect();
    lines.sort_unstable();
    lines.iter().map(|line| format!("{line}\n")).collect()
}

on_both_runtimes! {
    four_shards_answer_like_grep_on_the_host
    a_service_survives_a_restart
    a_leaf_that_never_answers_is_given_up_in_time
    a_merge_that_fails_is_an_error
}

fn four_shards_answer_like_grep_on_the_host(env: &TestEnv) {
    let up = env.up();
    deploy_search(env, &up);
    for words in ["whale", "WHITE", "7: the", "no such words"] {
        let ran = up.cli(&["query", "find", "-d", words]).exits(0);
        assert_eq!(ran.stdout, grep(env, words), "{words}");
        assert_eq!(ran.stderr, "", "a complete answer needs no remark");
    }
    let parts = up.cli(&["query", "find", "-d", "whale", "--format", "json"]).exits(0).json();
    assert_eq!(parts["complete"], true, "{parts}");
    up.cli(&["service", "rm", "find"]).exits(0);
    up.cli(&["query", "find", "-d", "whale"]).exits(2).says("no service \"find\"");
}

fn a_service_survives_a_restart(env: &TestEnv) {
    let up = env.up();
    deploy_search(env, &up);
    up.kill();
    let up = env.up();
    until("the service to be ready again", || {
        let shown = up.cli(&["service", "show", "find", "--format", "json"]).exits(0).json();
        (shown["ready"] == true).then_some(())
    });
    assert_eq!(up.cli(&["query", "find", "-d", "whale"]).exits(0).stdout, grep(env, "whale"));
    assert_eq!(up.stop(), 0);
    assert_eq!(env.processes(), []);
    if env.has_docker() {
        assert_eq!(env.containers(), []);
    }
}

fn a_leaf_that_never_answers_is_given_up_in_time(env: &TestEnv) {
    let up = env.up();
    texts(env);
    deploy(env, &up, "slow", "test {shard} != 2 || sleep 600; cat \"{data}\"/*/*", "sort \"{in}\"/* > \"{out}\"");
    let begun = Instant::now();
    let ran = up.cli(&["query", "slow", "-d", "x", "--deadline", "3s"]).exits(3);
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    ran.says("3 of 4 shards answered, 4 are required (shard 2: ");
    let ran = up.cli(&["query", "slow", "-d", "x", "--deadline", "3s", "--require", "deadline"]).exits(3);
    assert_eq!(ran.stdout.lines().count(), 18, "{ran}");
    ran.says("partial: 3 of 4 shards answered").says("shard 2: ");
}

fn a_merge_that_fails_is_an_error(env: &TestEnv) {
    let up = env.up();
    texts(env);
    deploy(env, &up, "broken", FIND, "echo cannot join >&2; exit 1");
    let ran = up.cli(&["query", "broken", "-d", "whale"]).exits(3);
    assert_eq!(ran.stdout, "");
    ran.says("merge").says("exit code 1").says("cannot join");
    let answer = ask(&up, "/v1/services/broken/query", "whale");
    assert_eq!(answer.status, 502, "{answer:?}");
}

on_processes! {
    a_query_to_a_service_that_is_not_there_names_it
    the_gateway_says_by_its_status_how_complete_an_answer_is
    a_leaf_that_fails_is_named_with_its_last_words
    another_service_of_the_same_name_is_refused_until_the_first_is_removed
}

fn a_query_to_a_service_that_is_not_there_names_it(env: &TestEnv) {
    let up = env.up();
    up.cli(&["query", "nowhere", "-d", "x"]).exits(2).says("no service \"nowhere\"");
    up.cli(&["service", "rm", "nowhere"]).exits(2).says("nowhere");
    let answer = ask(&up, "/v1/services/nowhere/query", "x");
    assert_eq!(answer.status, 404, "{answer:?}");
    assert!(answer.body.contains("nowhere"), "{answer:?}");
}

fn the_gateway_says_by_its_status_how_complete_an_answer_is(env: &TestEnv) {
    let up = env.up();
    texts(env);
    let leaf = "test {shard} = 1 && grep -q partly \"{in}\" && exit 4; cat \"{data}\"/*/*";
    deploy(env, &up, "half", leaf, "sort \"{in}\"/* > \"{out}\"");
    let whole = ask(&up, "/v1/services/half/query", "all");
    assert_eq!((whole.status, whole.coverage.as_deref(), whole.missing), (200, Some("4/4"), None));
    assert_eq!(whole.body.lines().count(), 24);
    let partial = ask(&up, "/v1/services/half/query?require=0.5", "partly");
    assert_eq!((partial.status, partial.coverage.as_deref()), (206, Some("3/4")));
    assert!(partial.missing.as_deref().unwrap().contains("shard 1"), "{partial:?}");
    assert_eq!(partial.body.lines().count(), 18);
    let refused = ask(&up, "/v1/services/half/query", "partly");
    assert_eq!(refused.status, 503, "{refused:?}");
    let body: serde_json::Value = serde_json::from_str(&refused.body).unwrap();
    let missing = body["error"]["coverage"]["missing"].as_array().unwrap();
    let failed = missing.iter().find(|part| part["shard"] == 1).unwrap();
    assert!(failed["error"].as_str().unwrap().contains("exit code 4"), "{body}");
    assert_eq!(ask(&up, "/v1/services/half/query?require=many", "all").status, 400);
}

fn a_leaf_that_fails_is_named_with_its_last_words(env: &TestEnv) {
    let up = env.up();
    texts(env);
    deploy(env, &up, "bad", "test {shard} != 3 || { echo no index >&2; exit 9; }", "sort \"{in}\"/* > \"{out}\"");
    up.cli(&["query", "bad", "-d", "x"]).exits(3).says("shard 3").says("exit code 9").says("no index");
}

fn another_service_of_the_same_name_is_refused_until_the_first_is_removed(env: &TestEnv) {
    let up = env.up();
    deploy_search(env, &up);
    up.cli(&["service", "deploy", "find.yaml"]).exits(0);
    env.write("texts/new/one.txt", "another whale\n");
    up.cli(&["service", "deploy", "find.yaml"]).exits(2).says("a different service \"find\"");
    up.cli(&["service", "rm", "find"]).exits(0);
    up.cli(&["service", "deploy", "find.yaml"]).exits(0);
    assert_eq!(up.cli(&["query", "find", "-d", "whale"]).exits(0).stdout, grep(env, "whale"));
}

on_docker! {
    a_killed_leaf_is_missed_and_comes_back_by_itself
    removing_a_service_removes_its_containers
    no_container_is_left_when_up_is_stopped_while_leaves_start
    no_container_is_left_when_up_is_stopped_right_after_a_removal
}

fn a_killed_leaf_is_missed_and_comes_back_by_itself(env: &TestEnv) {
    let up = env.up();
    deploy_search(env, &up);
    // The leaf may be back before the query comes; then another one is killed.
    let refused = until("a query that misses the killed leaf", || {
        kill_a_leaf(env);
        let ran = up.cli(&["query", "find", "-d", "whale"]);
        (ran.code != 0).then_some(ran)
    });
    names_a_shard(&refused.exits(3).says("of 4 shards answered, 4 are required (shard "));
    let partial = until("a query that is answered in part", || {
        let ran = up.cli(&["query", "find", "-d", "whale", "--require", "0.5"]);
        if ran.code == 0 {
            kill_a_leaf(env);
        }
        (ran.code == 3).then_some(ran)
    });
    assert_eq!(partial.stdout.lines().count(), 12, "three shards of two files of two lines: {partial}");
    partial.says("partial: 3 of 4 shards answered");
    let whole = until("the leaf to come back", || {
        let ran = up.cli(&["query", "find", "-d", "whale"]);
        (ran.code == 0).then_some(ran)
    });
    assert_eq!(whole.stdout, grep(env, "whale"));
}

/// The other shards are not waited for once one is known to be missing, and that is no reason for anything.
fn names_a_shard(refused: &Ran) {
    let reasons = refused.stderr.split("shard ").filter(|reason| !reason.contains("not waited for"));
    let named = reasons.skip(1).any(|reason| reason.starts_with(|c: char| c.is_ascii_digit()));
    assert!(named, "{refused}");
}

fn kill_a_leaf(env: &TestEnv) {
    let leaf = until("all leaves to run", || {
        let found = env.containers().into_iter().filter(|found| found.role == "leaf" && found.running);
        let leaves: Vec<_> = found.collect();
        (leaves.len() == SHARDS).then(|| leaves[0].clone())
    });
    env.engine().kill(&leaf.id);
}

fn removing_a_service_removes_its_containers(env: &TestEnv) {
    let up = env.up();
    deploy_search(env, &up);
    assert_eq!(env.containers().len(), SHARDS + 1);
    up.cli(&["service", "rm", "find"]).exits(0);
    until("the containers' end", || env.containers().is_empty().then_some(()));
}

fn no_container_is_left_when_up_is_stopped_while_leaves_start(env: &TestEnv) {
    texts(env);
    let spec = "name: find\nleaf: { image: IMAGE, command: [cat], shards: 4, data: ./texts }\n";
    env.write("find.yaml", spec.replace("IMAGE", env.image()));
    let up = env.up();
    up.cli(&["service", "deploy", "find.yaml", "--no-wait"]).exits(0);
    until("the first container", || (!env.containers().is_empty()).then_some(()));
    assert_eq!(up.stop(), 0);
    assert_eq!(env.containers(), []);
}

fn no_container_is_left_when_up_is_stopped_right_after_a_removal(env: &TestEnv) {
    let up = env.up();
    deploy_search(env, &up);
    up.cli(&["service", "rm", "find"]).exits(0);
    assert_eq!(up.stop(), 0);
    assert_eq!(env.containers(), []);
}

mod leaves_may_be_servers_that_stay_up {
    use std::path::Path;

    use integration_tests::real::PROGRAM;

    use super::*;

    /// Where Cargo says at run time that it is: the directory may have been moved.
    fn program() -> String {
        let built = env!("CARGO_BIN_EXE_longshore-test-server");
        std::env::var("CARGO_BIN_EXE_longshore-test-server").unwrap_or_else(|_| built.to_owned())
    }

    fn check(env: &TestEnv, program: &str) {
        let spec = "
name: loud
leaf: { image: IMAGE, command: ['PROGRAM'], interface: http, shards: 3 }
merge: { image: IMAGE, command: [sh, -c, 'cat \"{in}\"/* > \"{out}\"'] }
request: { deadline: 10s }
";
        env.write("loud.yaml", spec.replace("IMAGE", env.image()).replace("PROGRAM", program));
        let up = env.up();
        up.cli(&["service", "deploy", "loud.yaml"]).exits(0);
        assert_eq!(up.cli(&["query", "loud", "-d", "say "]).exits(0).stdout, "SAY SAY SAY ");
        let refused = ask(&up, "/v1/services/loud/query", "bad");
        assert_eq!(refused.status, 400, "{refused:?}");
        up.cli(&["query", "loud", "-d", "bad"]).exits(2).says("it begins with bad");
    }

    #[test]
    fn on_processes() {
        check(&TestEnv::process(), &program());
    }

    #[test]
    fn on_docker() {
        if let Some(env) = TestEnv::docker_with_program(Path::new(&program())) {
            check(&env, PROGRAM);
        }
    }
}
