//! The work queue through the real binary: files in, files out, and everything an item can come to.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::{collections::BTreeMap, path::Path, process::Command};

use integration_tests::{
    on_both_runtimes, on_docker, on_processes,
    real::{PROGRAM, Server, TestEnv, until},
};
use serde_json::Value;

const COUNT: &str = "tr -cs A-Za-z '\\n' < \"{in}\" | sort | uniq -c > \"{out}\"";

fn texts(env: &TestEnv) {
    env.write("texts/top.txt", "the whale, the sea\nand the ship\n");
    env.write("texts/a/one.txt", "one word\n".repeat(2_000));
    env.write("texts/a/b/two.txt", "");
    env.write("texts/a/b/with space.txt", "no line end");
}

/// What the same command gives when it is typed on the host, for every file below `texts`.
fn on_the_host(env: &TestEnv, command: &str) -> BTreeMap<String, Vec<u8>> {
    let outputs = env.names("texts").into_iter().map(|name| {
        let input = env.text_path(&format!("texts/{name}"));
        let script = command.replace("{in}", "$1").replace("> \"{out}\"", "");
        let ran = Command::new("sh").args(["-c", &script, "sh", &input]).env("LC_ALL", "C").output().unwrap();
        assert!(ran.status.success());
        (name, ran.stdout)
    });
    outputs.collect()
}

/// A shell command that waits until the test opens the gate. Only the process runtime sees the test's directory.
fn gate(env: &TestEnv) -> String {
    format!("until test -e {}; do sleep 0.02; done", env.shell_path("gate"))
}

fn failures(job: &Value) -> BTreeMap<String, Value> {
    let failures = job["recent_failures"].as_array().unwrap().iter();
    failures.map(|failed| (failed["path"].as_str().unwrap().to_owned(), failed["failure"].clone())).collect()
}

fn output_paths(up: &Server, id: &str) -> Vec<String> {
    let listed = up.cli(&["job", "outputs", id, "--format", "json"]).exits(0).json();
    listed.as_array().unwrap().iter().map(|output| output["path"].as_str().unwrap().to_owned()).collect()
}

on_both_runtimes! {
    outputs_of_a_directory_are_byte_for_byte_those_of_the_host
    three_stages_end_in_one_gather
    without_placeholders_input_is_standard_input_and_output_standard_output
    an_item_may_leave_several_files
    an_attempt_that_runs_too_long_is_ended
    exit_codes_signals_and_standard_error_are_kept
}

fn outputs_of_a_directory_are_byte_for_byte_those_of_the_host(env: &TestEnv) {
    texts(env);
    let up = env.up();
    up.cli(&["run", env.image(), "texts", "-o", "of-directory", "--", "sh", "-c", COUNT]).exits(0);
    up.cli(&["run", env.image(), "texts/**/*.txt", "-o", "of-pattern", "--", "sh", "-c", COUNT]).exits(0);
    let expected = on_the_host(env, COUNT);
    assert_eq!(expected.len(), 4);
    assert_eq!(env.tree("of-directory"), expected);
    assert_eq!(env.tree("of-pattern"), expected);
}

fn three_stages_end_in_one_gather(env: &TestEnv) {
    texts(env);
    let spec = r#"
name: three
stages:
  - { name: upper, image: IMAGE, command: [sh, -c, 'tr a-z A-Z < "{in}" > "{out}"'] }
  - { name: words, image: IMAGE, command: [sh, -c, 'tr -cs A-Z "\n" < "{in}" | grep . > "{out}" || true'] }
  - { name: total, gather: all, image: IMAGE, command: [sh, -c, 'ls "{in}" | wc -l; cat "{in}"/* | sort | uniq -c'] }
"#;
    env.write("three.yaml", spec.replace("IMAGE", env.image()));
    let up = env.up();
    up.cli(&["run", "-f", "three.yaml", "texts", "-o", "out"]).exits(0);
    let outputs = env.tree("out");
    assert_eq!(outputs.len(), 1, "{outputs:?}");
    let text = String::from_utf8(outputs.into_values().next().unwrap()).unwrap();
    let counts: Vec<Vec<&str>> = text.lines().map(|line| line.split_ascii_whitespace().collect()).collect();
    let expected: [&[&str]; 11] = [
        &["4"],
        &["1", "AND"],
        &["1", "END"],
        &["1", "LINE"],
        &["1", "NO"],
        &["2000", "ONE"],
        &["1", "SEA"],
        &["1", "SHIP"],
        &["3", "THE"],
        &["1", "WHALE"],
        &["2000", "WORD"],
    ];
    assert_eq!(counts, expected);
}

fn without_placeholders_input_is_standard_input_and_output_standard_output(env: &TestEnv) {
    texts(env);
    let up = env.up();
    up.cli(&["run", env.image(), "texts", "-o", "out", "--", "tr", "a-z", "A-Z"]).exits(0);
    assert_eq!(env.tree("out"), on_the_host(env, "tr a-z A-Z < \"{in}\""));
}

fn an_item_may_leave_several_files(env: &TestEnv) {
    texts(env);
    let up = env.up();
    let script = "mkdir \"{outdir}\"/copy && cp '{in}' \"{outdir}\"/copy/'{name}' && echo {index} {attempt} > \"{outdir}\"/'{stem}'.facts";
    up.cli(&["run", env.image(), "texts/a/b", "-o", "out", "--", "sh", "-c", script]).exits(0);
    let outputs = env.tree("out");
    let names: Vec<&str> = outputs.keys().map(String::as_str).collect();
    assert_eq!(names, ["copy/two.txt", "copy/with space.txt", "two.facts", "with space.facts"]);
    assert_eq!(outputs["copy/with space.txt"], b"no line end");
    assert_eq!([&outputs["two.facts"][..], &outputs["with space.facts"]], [b"0 1\n", b"1 1\n"]);
}

fn an_attempt_that_runs_too_long_is_ended(env: &TestEnv) {
    env.write("in/slow", "");
    let up = env.up();
    let ran = up.cli(&["run", env.image(), "in", "--timeout", "300ms", "--", "sh", "-c", "sleep 600; echo \"{in}\""]);
    ran.exits(3).says("ran longer than 300ms");
    assert_eq!(failures(&up.job("last"))["slow"]["class"], "timeout");
}

fn exit_codes_signals_and_standard_error_are_kept(env: &TestEnv) {
    env.write("in/seven", "");
    env.write("in/killed", "");
    env.write("in/fine", "");
    let up = env.up();
    let script =
        "echo out {name}; echo oh dear >&2; : > \"{out}\"; case {name} in seven) exit 7;; killed) kill -9 $$;; esac";
    up.cli(&["run", env.image(), "in", "--", "sh", "-c", script]).exits(3);
    let job = up.job("last");
    assert_eq!(job["state"], "failed");
    let failed = failures(&job);
    assert_eq!(failed.len(), 2);
    assert_eq!((&failed["seven"]["class"], &failed["seven"]["code"]), (&"exit".into(), &7.into()));
    assert_eq!((&failed["killed"]["class"], &failed["killed"]["code"]), (&"signal".into(), &9.into()));
    assert_eq!(failed["seven"]["stderr_tail"], "oh dear\n");
    let logs = up.cli(&["logs", "last", "--failed", "-q"]).exits(0);
    assert_eq!(logs.stderr, "oh dear\noh dear\n");
    assert_eq!(logs.stdout, "out killed\nout seven\n");
    let fine = up.cli(&["job", "logs", "last", "--item", "fine", "-q"]).exits(0);
    assert_eq!(fine.stdout, "out fine\n");
}

on_processes! {
    an_item_is_tried_again_after_a_pause_until_it_succeeds
    what_a_failed_attempt_left_is_never_an_output
    the_same_idempotency_key_is_the_same_job
    a_cancelled_job_commits_nothing_afterwards
    failed_items_can_be_tried_again_and_no_others_are
    the_exit_code_of_wait_says_how_the_job_ended
    ctrl_c_detaches_and_the_job_goes_on
}

fn an_item_is_tried_again_after_a_pause_until_it_succeeds(env: &TestEnv) {
    env.write("in/item", "input\n");
    let spec = "
stages:
  - name: third
    image: any
    command: [sh, -c, 'date +%s%N >> LOG; echo {attempt}; test {attempt} = 3']
    retry: { attempts: 4, backoff: 200ms, max_backoff: 300ms }
";
    env.write("retry.yaml", spec.replace("LOG", &env.shell_path("tries")));
    let up = env.up();
    up.cli(&["run", "-f", "retry.yaml", "in", "-o", "out"]).exits(0).says("exit code 1");
    assert_eq!(env.tree("out")["item"], b"3\n");
    let tries: Vec<u64> = env.lines("tries").iter().map(|line| line.parse().unwrap()).collect();
    assert_eq!(tries.len(), 3);
    // Jitter may halve a pause.
    assert!(tries.windows(2).all(|pair| pair[1] - pair[0] >= 100_000_000), "{tries:?}");
}

fn what_a_failed_attempt_left_is_never_an_output(env: &TestEnv) {
    env.write("in/never", "");
    env.write("in/second", "");
    let script =
        "echo {attempt} > \"{out}\"; echo > \"{outdir}\"/left-by-{attempt}; test {name} = second && test {attempt} = 2";
    let up = env.up();
    let ran = up.cli(&["run", "any", "in", "--retries", "1", "-o", "out", "--", "sh", "-c", script]);
    ran.exits(3);
    assert_eq!(env.names("out"), ["left-by-2", "second"]);
    assert_eq!(env.tree("out")["second"], b"2\n");
    assert_eq!(output_paths(&up, "last"), ["left-by-2", "second"]);
}

fn the_same_idempotency_key_is_the_same_job(env: &TestEnv) {
    env.write("in/item", "");
    let script = format!("echo run >> {}", env.shell_path("runs"));
    let up = env.up();
    let submit = ["any", "in", "--idempotency-key", "nightly", "--", "sh", "-c", &script];
    let first = up.submit(&submit);
    up.cli(&["wait", &first]).exits(0);
    assert_eq!(up.submit(&submit), first);
    let other = up.submit(&["any", "in", "--idempotency-key", "other", "--", "sh", "-c", &script]);
    assert_ne!(other, first);
    up.cli(&["wait", &other]).exits(0);
    assert_eq!(env.lines("runs").len(), 2);
    assert_eq!(up.cli(&["job", "ls", "-q"]).exits(0).stdout.lines().count(), 2);
}

fn a_cancelled_job_commits_nothing_afterwards(env: &TestEnv) {
    for number in 0..6 {
        env.write(&format!("in/{number}"), "");
    }
    let script = format!("test {{index}} -lt 2 || {{ {}; }}; echo done > \"{{out}}\"", gate(env));
    let up = env.up();
    let id = up.submit(&["any", "in", "--", "sh", "-c", &script]);
    up.until_committed(&id, 2);
    up.cli(&["cancel", &id, "--reason", "enough"]).exits(0).says("cancelled");
    env.write("gate", "");
    up.cli(&["wait", &id]).exits(9);
    // The slots are used again, so whatever was to come from the cancelled job has come.
    up.cli(&["run", "any", "in", "--", "true"]).exits(0);
    assert_eq!(output_paths(&up, &id), ["0", "1"]);
    let job = up.job(&id);
    assert_eq!((&job["state"], &job["reason"]), (&"cancelled".into(), &"enough".into()));
    assert_eq!(job["stages"][0]["succeeded"], 2);
    up.cli(&["cancel", &id]).exits(0).says("cancelled");
}

fn failed_items_can_be_tried_again_and_no_others_are(env: &TestEnv) {
    for name in ["a", "b", "c"] {
        env.write(&format!("in/{name}"), name);
    }
    let (runs, gate) = (env.shell_path("runs"), env.shell_path("gate"));
    let script =
        format!("echo {{name}} >> {runs}; test {{name}} != b || test -e {gate} && cat \"{{in}}\" > \"{{out}}\"");
    let up = env.up();
    up.cli(&["run", "any", "in", "-o", "before", "--", "sh", "-c", &script]).exits(3);
    assert_eq!(env.names("before"), ["a", "c"]);
    env.write("gate", "");
    up.cli(&["job", "retry", "last"]).exits(0).says("1 failed item");
    up.cli(&["wait", "last"]).exits(0);
    up.cli(&["job", "outputs", "last", "-o", "after"]).exits(0);
    assert_eq!(env.tree("after"), env.tree("in"));
    let mut runs = env.lines("runs");
    runs.sort();
    assert_eq!(runs, ["a", "b", "b", "c"]);
}

fn the_exit_code_of_wait_says_how_the_job_ended(env: &TestEnv) {
    env.write("in/item", "");
    let up = env.up();
    let good = up.submit(&["any", "in", "--", "true"]);
    up.cli(&["wait", &good]).exits(0).says("succeeded");
    let bad = up.submit(&["any", "in", "--", "false"]);
    up.cli(&["wait", &bad]).exits(3).says("failed");
    let long = up.submit(&["any", "in", "--", "sleep", "600"]);
    up.cli(&["wait", &long, "--timeout", "200ms"]).exits(124).says("has not ended yet");
    up.cli(&["cancel", &long]).exits(0);
    up.cli(&["wait", &long]).exits(9);
    up.cli(&["wait", "0123"]).exits(2).says("0123");
}

fn ctrl_c_detaches_and_the_job_goes_on(env: &TestEnv) {
    env.write("in/item", "text\n");
    let script = format!("{}; cat \"{{in}}\" > \"{{out}}\"", gate(env));
    let up = env.up();
    let run = up.begin(&["run", "any", "in", "-o", "out", "--", "sh", "-c", &script]);
    until("the submission", || run.said().contains("submitted").then_some(()));
    run.interrupt();
    let ran = run.ended().exits(130);
    assert!(ran.stderr.contains("goes on"), "{ran}");
    assert_eq!(up.job("last")["state"], "running");
    env.write("gate", "");
    up.cli(&["wait", "last"]).exits(0);
    assert_eq!(env.names("out"), Vec::<String>::new());
    up.cli(&["job", "outputs", "last", "-o", "out"]).exits(0);
    assert_eq!(env.tree("out"), env.tree("in"));
}

on_docker! {
    an_item_past_its_memory_is_out_of_memory
    isolation_container_gives_every_item_a_container_of_its_own
    no_container_is_left_after_up_was_stopped
    no_container_is_left_when_up_is_stopped_in_the_middle_of_an_item
}

fn an_item_past_its_memory_is_out_of_memory(env: &TestEnv) {
    env.write("in/large", "");
    env.write("in/small", "");
    let up = env.up();
    let script = "> \"{out}\"; test {name} = small || head -c 400000000 /dev/zero | tail > \"{out}\"";
    up.cli(&["run", env.image(), "in", "--memory", "64m", "--", "sh", "-c", script]).exits(3);
    let failed = failures(&up.job("last"));
    assert_eq!(failed["large"]["class"], "out-of-memory", "{failed:?}");
    assert_eq!(failed.len(), 1, "{failed:?}");
}

fn isolation_container_gives_every_item_a_container_of_its_own(env: &TestEnv) {
    for number in 0..4 {
        env.write(&format!("in/{number}"), "");
    }
    let up = env.up();
    let run = |isolation: &str, out: &str| {
        let read = ["cat", "/proc/sys/kernel/hostname"];
        let args = ["run", env.image(), "in", "-o", out, "--isolation", isolation, "--"];
        up.cli(&[&args[..], &read].concat()).exits(0);
        let mut hosts: Vec<_> = env.tree(out).into_values().collect();
        hosts.sort();
        hosts.dedup();
        hosts.len()
    };
    assert_eq!(run("container", "own"), 4);
    assert!((1..=2).contains(&run("slot", "shared")), "two slots share two containers");
}

fn no_container_is_left_after_up_was_stopped(env: &TestEnv) {
    env.write("in/item", "");
    let up = env.up();
    up.cli(&["run", env.image(), "in", "--", "true"]).exits(0);
    assert!(!env.containers().is_empty(), "a slot stays warm");
    assert_eq!(up.stop(), 0);
    assert_eq!(env.containers(), []);
}

fn no_container_is_left_when_up_is_stopped_in_the_middle_of_an_item(env: &TestEnv) {
    env.write("in/item", "");
    let up = env.up();
    let id = up.submit(&[env.image(), "in", "--", "sleep", "600"]);
    until("the item's start", || (up.job(&id)["stages"][0]["running"] == 1).then_some(()));
    until("its container", || env.containers().iter().any(|found| found.running).then_some(()));
    assert_eq!(up.stop(), 0);
    assert_eq!(env.containers(), []);
}

mod a_stage_may_be_a_server_that_stays_up {
    use super::*;

    /// Where Cargo says at run time that it is: the directory may have been moved.
    fn program() -> String {
        let built = env!("CARGO_BIN_EXE_longshore-test-server");
        std::env::var("CARGO_BIN_EXE_longshore-test-server").unwrap_or_else(|_| built.to_owned())
    }

    fn check(env: &TestEnv, program: &str) {
        env.write("in/quiet", "say this\n");
        env.write("in/busy", "busy at first\n");
        env.write("in/refused", "bad input\n");
        let up = env.up();
        let args = ["run", env.image(), "in", "-o", "out", "--interface", "http", "--retries", "3", "--", program];
        up.cli(&args).exits(3);
        assert_eq!(env.names("out"), ["busy", "quiet"]);
        assert_eq!(env.tree("out")["quiet"], b"SAY THIS\n");
        assert_eq!(env.tree("out")["busy"], b"BUSY AT FIRST\n");
        let job = up.job("last");
        let refused = &failures(&job)["refused"];
        assert_eq!((&refused["class"], &refused["code"]), (&"refused".into(), &400.into()), "{job}");
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
