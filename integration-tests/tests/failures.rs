//! What becomes of failures, by their class, through the real binary: which are tried again, which are none, and what is said
//! of them.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    thread,
};

use integration_tests::{
    on_docker, on_processes,
    real::{Server, TestEnv},
};
use serde_json::Value;

on_processes! {
    a_code_that_is_never_tried_again_fails_at_once_and_says_so
    only_failures_that_are_named_are_tried_again
    an_exit_code_that_says_nothing_here_is_no_failure
    rules_that_make_no_sense_are_refused_by_name
    a_job_halts_soon_when_too_many_items_fail_and_a_retry_goes_on
    a_job_ends_at_its_deadline_and_says_so
    a_failed_canary_keeps_the_others_from_being_begun
    a_typo_does_not_burn_the_tries_of_every_item
    failures_that_are_alike_are_counted_together_with_an_example
    an_item_that_failed_is_tried_on_another_worker
    a_job_that_nobody_takes_ends_when_its_patience_does
    memory_that_grows_out_of_nothing_is_refused
}

on_docker! {
    an_item_past_its_memory_is_tried_again_with_more
    an_image_that_nobody_can_get_fails_once_and_ends_the_job
}

/// What of each item tells how often it was tried: a line for each try.
fn tries(env: &TestEnv, item: &str) -> usize {
    env.lines(&format!("tries/{item}")).len()
}

/// A command that notes its try, then exits with the number that its input holds.
fn exits_as_told(env: &TestEnv) -> String {
    env.write("tries/.keep", "");
    format!("echo x >> {}/\"$LONGSHORE_NAME\"; exit $(cat \"$LONGSHORE_INPUT\")", env.shell_path("tries"))
}

fn stage(up: &Server, id: &str) -> Value {
    up.job(id)["stages"][0].clone()
}

fn a_code_that_is_never_tried_again_fails_at_once_and_says_so(env: &TestEnv) {
    env.write("in/usage", "64\n");
    env.write("in/other", "1\n");
    env.write("retry.yaml", format!(
        "stages:\n  - name: one\n    image: {}\n    command: [sh, -c, '{}']\n    retry: {{ attempts: 3, backoff: 1ms, never: [exit:64-78] }}\n",
        env.image(), exits_as_told(env)));
    let up = env.up();
    let ran = up.cli(&["run", "-f", "retry.yaml", "in"]).exits(3);
    let ran = ran.says("not tried again: its stage says so of such a failure");
    drop(ran);
    assert_eq!((tries(env, "usage"), tries(env, "other")), (1, 3));
}

fn only_failures_that_are_named_are_tried_again(env: &TestEnv) {
    env.write("in/two", "2\n");
    env.write("in/three", "3\n");
    let script = exits_as_told(env);
    let up = env.up();
    let rules = ["--retries", "1", "--retry-on", "oom,exit:3"];
    let run = [&["run", env.image(), "in"], &rules[..], &["--", "sh", "-c", &script]].concat();
    up.cli(&run).exits(3);
    assert_eq!((tries(env, "two"), tries(env, "three")), (1, 2));
}

fn an_exit_code_that_says_nothing_here_is_no_failure(env: &TestEnv) {
    env.write("in/whale", "a whale\n");
    env.write("in/sea", "the sea\n");
    env.write("in/ship", "a ship\n");
    let up = env.up();
    // As grep has it.
    let run = ["run", env.image(), "in", "-o", "out", "--retries", "5", "--filter-exit", "1", "--", "grep", "whale"];
    let ran = up.cli(&run).exits(0).says("2 filtered");
    drop(ran);
    assert_eq!(env.names("out"), ["whale"]);
    let stage = stage(&up, "last");
    assert_eq!((&stage["filtered"], &stage["succeeded"], &stage["failed"]), (&2.into(), &1.into(), &0.into()));
    assert_eq!(stage["failed_attempts"], 0, "it was not tried again either");
    assert!(up.cli(&["job", "show", "last"]).exits(0).stdout.contains("FILTERED"));
    up.cli(&["job", "retry", "last"]).exits(2).says("no failed items");
}

fn rules_that_make_no_sense_are_refused_by_name(env: &TestEnv) {
    env.write("in/one", "");
    let up = env.up();
    let with = |flags: &[&str]| up.cli(&[&["run", env.image(), "in"], flags, &["--", "true"]].concat());
    with(&["--retry-on", "lost"]).exits(2).says("a class of failures");
    with(&["--never-retry", "exit:300"]).exits(2).says("a class of failures");
    with(&["--filter-exit", "0"]).exits(2).says("an exit code from 1 to 255");
    env.write("bad.yaml", format!("stages:\n  - name: one\n    image: {}\n    filter: {{ exit: [0] }}\n", env.image()));
    up.cli(&["run", "-f", "bad.yaml", "in"]).exits(2).says("bad.yaml:4:22").says("an exit code from 1 to 255");
}

fn many(env: &TestEnv, items: usize) {
    (0..items).for_each(|at| env.write(&format!("in/{at:04}"), ""));
}

fn a_job_halts_soon_when_too_many_items_fail_and_a_retry_goes_on(env: &TestEnv) {
    many(env, 40);
    let up = env.up();
    let script = format!("sleep 0.1; test -e {}", env.shell_path("mended"));
    let ran = up.cli(&["run", env.image(), "in", "--halt", "soon,fail=3", "--", "sh", "-c", &script]);
    drop(ran.exits(3).says("at which it halts (soon,fail=3)").says("longshore job retry"));
    let halted = stage(&up, "last");
    assert!((3..20).contains(&halted["failed"].as_u64().unwrap()), "{halted}");
    env.write("mended", "");
    up.cli(&["job", "retry", "last"]).exits(0);
    up.cli(&["job", "wait", "last"]).exits(0);
    assert_eq!(stage(&up, "last")["succeeded"], 40);
}

fn a_job_ends_at_its_deadline_and_says_so(env: &TestEnv) {
    many(env, 1);
    let up = env.up();
    let ran = up.cli(&["run", env.image(), "in", "--deadline", "300ms", "--", "sleep", "600"]);
    drop(ran.exits(3).says("its deadline of 300ms is over; 1 item had not ended"));
    assert_eq!(up.job("last")["state"], "failed");
}

fn a_failed_canary_keeps_the_others_from_being_begun(env: &TestEnv) {
    many(env, 40);
    let up = env.up();
    let ran = up.cli(&["run", env.image(), "in", "--canary", "2", "--", "false"]);
    drop(ran.exits(3).says("of the first 2 items of stage run, which go before all others, one has failed"));
    let stage = stage(&up, "last");
    assert!(stage["failed"].as_u64().unwrap() <= 2 && stage["queued"].as_u64().unwrap() >= 38, "{stage}");
}

fn a_typo_does_not_burn_the_tries_of_every_item(env: &TestEnv) {
    many(env, 400);
    env.write("typo.yaml", format!(
        "stages:\n  - name: one\n    image: {}\n    command: [sh, -c, 'exit 2']\n    retry: {{ attempts: 3, backoff: 1ms }}\n",
        env.image()));
    let up = env.up();
    let ran = up.cli(&["run", "-f", "typo.yaml", "in"]);
    drop(ran.exits(3).says("nothing succeeds in stage one").says("breaker: off"));
    let stopped = stage(&up, "last");
    assert!(stopped["failed_attempts"].as_u64().unwrap() < 400, "{stopped}");
    // Who wants all of them tried says so, or gives each one try.
    up.cli(&["run", env.image(), "in", "--", "sh", "-c", "exit 2"]).exits(3);
    assert_eq!(stage(&up, "last")["failed"], 400);
}

fn failures_that_are_alike_are_counted_together_with_an_example(env: &TestEnv) {
    (0..9).for_each(|at| env.write(&format!("in/two-{at}"), "2\n"));
    env.write("in/three", "3\n");
    let up = env.up();
    up.cli(&["run", env.image(), "in", "--", "sh", "-c", "exit $(cat \"$LONGSHORE_INPUT\")"]).exits(3);
    let groups = |up: &Server| {
        let job = up.job("last");
        let groups = job["failure_groups"].as_array().unwrap().iter();
        let group = |it: &Value| (it["attempts"].as_u64().unwrap(), it["example"]["failure"]["code"].as_u64().unwrap());
        groups.map(group).collect::<Vec<_>>()
    };
    assert_eq!(groups(&up), [(9, 2), (1, 3)]);
    let shown = up.cli(&["job", "show", "last"]).exits(0).stdout;
    assert!(shown.contains("9 × exit code 2, e.g. two-"), "{shown}");
    up.stop();
    let up = env.up();
    assert_eq!(groups(&up), [(9, 2), (1, 3)], "they are made of what is kept");
}

fn an_item_that_failed_is_tried_on_another_worker(env: &TestEnv) {
    many(env, 1);
    env.write("tries/.keep", "");
    let coordinator = env.coordinator();
    let _workers = ["first", "second"].map(|name| env.worker(name, &coordinator));
    coordinator.until_workers(2);
    // Its temporary directory is below its worker's.
    let script = format!("echo \"$TMPDIR\" >> {}/where; test {{attempt}} = 3", env.shell_path("tries"));
    env.write("round.yaml", format!(
        "stages:\n  - name: one\n    image: {}\n    command: [sh, -c, '{script}']\n    retry: {{ attempts: 3, backoff: 1ms }}\n",
        env.image()));
    coordinator.cli(&["run", "-f", "round.yaml", "in"]).exits(0);
    let on: Vec<bool> = env.lines("tries/where").iter().map(|dir| dir.contains("/first/")).collect();
    assert_eq!(on.len(), 3);
    assert!(on[0] != on[1] && on[1] != on[2], "it goes elsewhere each time: {on:?}");
}

fn a_job_that_nobody_takes_ends_when_its_patience_does(env: &TestEnv) {
    many(env, 3);
    let coordinator = env.coordinator();
    let ran = coordinator.cli(&["run", env.image(), "in", "--queue-timeout", "300ms", "--", "true"]);
    drop(ran.exits(3).says("no worker took any of it for 300ms").says("3 items had not ended"));
    let _worker = env.worker("late", &coordinator);
    coordinator.until_workers(1);
    coordinator.cli(&["job", "retry", "last"]).exits(0);
    coordinator.cli(&["job", "wait", "last"]).exits(0);
    assert_eq!(stage(&coordinator, "last")["succeeded"], 3);
}

fn memory_that_grows_out_of_nothing_is_refused(env: &TestEnv) {
    many(env, 1);
    let up = env.up();
    let with = |flags: &[&str]| up.cli(&[&["run", env.image(), "in"], flags, &["--", "true"]].concat());
    with(&["--retry-memory", "x2"]).exits(2).says("retry.memory makes more of `memory`, which is not given");
    with(&["--retry-memory", "2"]).exits(2).says("such as `x2` or `x1.5,most=4g`");
    with(&["--memory", "64m", "--retry-memory", "x2,most=32m"]).exits(2).says("no more than memory is at first");
    with(&["--memory", "64m", "--retry-memory", "x1.01"]).exits(2).says("by x1.1 to x100, not x1.01");
}

fn an_item_past_its_memory_is_tried_again_with_more(env: &TestEnv) {
    env.write("in/large", "");
    env.write("in/small", "");
    let up = env.up_with_slots(1);
    // 90 MB of memory, which the third try has.
    let script = "> \"{out}\"; test {name} = small || head -c 90000000 /dev/zero | tail > \"{out}\"";
    let grows = ["--memory", "32m", "--retries", "5", "--retry-memory", "x2,most=256m"];
    let run = [&["run", env.image(), "in", "-o", "out"], &grows[..], &["--", "sh", "-c", script]].concat();
    up.cli(&run).exits(0);
    assert_eq!(env.names("out"), ["large", "small"]);
    let items = up.cli(&["job", "items", "last", "--format", "json"]).exits(0).json();
    let tries = |name: &str| {
        let found = items.as_array().unwrap().iter().find(|item| item["path"] == name).unwrap();
        found["attempts"].as_u64().unwrap()
    };
    assert_eq!(tries("small"), 1);
    assert!((3..=4).contains(&tries("large")), "{items}");
}

/// A registry that has nothing.
fn empty_registry() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let mut asked = String::new();
                let mut lines = BufReader::new(stream.try_clone().unwrap());
                lines.read_line(&mut asked).unwrap();
                while lines.read_line(&mut String::new()).is_ok_and(|bytes| bytes > 2) {}
                let is_root = asked.split(' ').nth(1).is_some_and(|path| path == "/v2/");
                let (status, body) = match is_root {
                    true => ("200 OK", "{}"),
                    false => {
                        ("404 Not Found", r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#)
                    }
                };
                let head = "Content-Type: application/json\r\nDocker-Distribution-Api-Version: registry/2.0\r\nConnection: close";
                let length = body.len();
                let _ = write!(&stream, "HTTP/1.1 {status}\r\n{head}\r\nContent-Length: {length}\r\n\r\n{body}");
            });
        }
    });
    port
}

fn an_image_that_nobody_can_get_fails_once_and_ends_the_job(env: &TestEnv) {
    many(env, 50);
    let image = format!("127.0.0.1:{}/nothing:here", empty_registry());
    let up = env.up();
    let ran = up.cli(&["run", &image, "in", "--retries", "3", "--", "true"]);
    drop(ran.exits(3).says("no worker can get the image of stage run").says(&image).says("49 items had not ended"));
    let stopped = stage(&up, "last");
    assert_eq!((&stopped["failed"], &stopped["queued"]), (&1.into(), &49.into()), "{stopped}");
}
