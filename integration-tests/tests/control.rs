//! Jobs and workers are controlled, and every command may be repeated.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use integration_tests::{
    on_processes,
    real::{Server, TestEnv, until},
};
use serde_json::Value;

fn inputs(env: &TestEnv, count: usize) {
    for number in 0..count {
        env.write(&format!("in/{number:04}"), format!("input {number}\n"));
    }
}

/// Writes down each run, and waits at the gate.
fn gated(env: &TestEnv) -> String {
    let (runs, gate) = (env.shell_path("runs"), env.shell_path("gate"));
    format!("echo {{name}} >> {runs}; until test -e {gate}; do sleep 0.02; done; cat \"{{in}}\" > \"{{out}}\"")
}

fn until_runs(env: &TestEnv, count: usize) {
    until("runs under way", || (env.lines("runs").len() == count).then_some(()));
}

fn stage(up: &Server, id: &str) -> Value {
    up.job(id)["stages"][0].clone()
}

on_processes! {
    a_paused_job_rests_over_a_restart_and_every_command_may_be_repeated
    what_is_paused_at_once_is_stopped_and_runs_anew
    a_command_that_heeds_sigterm_ends_by_itself_and_one_that_does_not_is_killed
    terms_change_while_a_job_runs_and_bad_ones_are_refused_by_name
    a_job_runs_after_others_or_ends_with_them
    other_work_under_the_same_key_is_refused
    a_removed_job_is_gone_also_after_a_restart_and_its_key_is_not_free
    thousands_of_failed_items_are_retried_and_told_apart_from_those_that_had_not_ended
    one_item_or_one_stage_is_retried_and_its_tries_are_counted_on
    a_drained_worker_finishes_what_it_has_and_stays_drained
    a_service_answers_while_its_replicas_leave_a_drained_worker
}

fn a_paused_job_rests_over_a_restart_and_every_command_may_be_repeated(env: &TestEnv) {
    inputs(env, 3);
    let up = env.up_with_slots(1);
    let id = up.submit(&["any", "in", "--", "sh", "-c", &gated(env)]);
    until_runs(env, 1);
    for _ in 0..2 {
        up.cli(&["job", "pause", &id, "--reason", "lunch"]).exits(0).says("paused");
    }
    env.write("gate", "");
    until("the first item", || (stage(&up, &id)["succeeded"] == 1).then_some(()));
    assert_eq!(up.stop(), 0);
    let up = env.up_with_slots(1);
    let job = up.job(&id);
    assert_eq!((&job["paused"]["reason"], &job["stages"][0]["queued"]), (&"lunch".into(), &2.into()), "{job}");
    assert!(up.cli(&["ps"]).exits(0).stdout.contains("paused"));
    // Or it could have ended before the second time.
    std::fs::remove_file(env.path("gate")).unwrap();
    for _ in 0..2 {
        up.cli(&["job", "resume", &id]).exits(0).says("goes on");
    }
    env.write("gate", "");
    up.cli(&["wait", &id]).exits(0);
    up.cli(&["job", "pause", &id]).exits(2).says("has ended");
    up.cli(&["job", "resume", &id]).exits(2).says("has ended");
    up.cli(&["cancel", &id]).exits(2).says("has ended");
    up.cli(&["job", "pause", "0123456789"]).exits(2).says("longshore job ls");
    assert_eq!(env.lines("runs").len(), 3);
}

fn what_is_paused_at_once_is_stopped_and_runs_anew(env: &TestEnv) {
    inputs(env, 1);
    let up = env.up_with_slots(1);
    let id = up.submit(&["any", "in", "--", "sh", "-c", &gated(env)]);
    until_runs(env, 1);
    up.cli(&["job", "pause", "--now", &id]).exits(0);
    assert_eq!(stage(&up, &id)["running"], 0);
    until("the end of what ran", || env.processes().iter().all(|(_, command)| !command.contains("gate")).then_some(()));
    env.write("gate", "");
    up.cli(&["job", "resume", &id]).exits(0);
    up.cli(&["wait", &id]).exits(0);
    assert_eq!((env.lines("runs").len(), &stage(&up, &id)["failed_attempts"]), (2, &0.into()), "it counts as no try");
}

fn a_command_that_heeds_sigterm_ends_by_itself_and_one_that_does_not_is_killed(env: &TestEnv) {
    env.write("in/good", "");
    env.write("in/stubborn", "");
    let (runs, heard) = (env.shell_path("runs"), env.shell_path("heard"));
    let script = format!(
        "test {{name}} = good && trap 'sleep 0.3; echo heard > {heard}; exit 0' TERM || trap '' TERM; \
         echo {{name}} >> {runs}; while :; do sleep 0.02; done"
    );
    let up = env.up_with_slots(2);
    let id = up.submit(&["any", "in", "--stop-timeout", "2s", "--", "sh", "-c", &script]);
    until_runs(env, 2);
    up.cli(&["cancel", &id]).exits(0);
    until("what the one does at its end", || (env.lines("heard") == ["heard"]).then_some(()));
    until("the end of the other", || {
        env.processes().iter().all(|(_, command)| !command.contains("trap")).then_some(())
    });
    up.cli(&["job", "outputs", &id, "--format", "json"]).exits(0);
    assert_eq!(stage(&up, &id)["succeeded"], 0, "nothing of it is committed");
}

fn terms_change_while_a_job_runs_and_bad_ones_are_refused_by_name(env: &TestEnv) {
    inputs(env, 4);
    let up = env.up_with_slots(4);
    let id = up.submit(&["any", "in", "-j", "1", "--", "sh", "-c", &gated(env)]);
    until_runs(env, 1);
    up.cli(&["job", "set", &id, "--max-parallel", "run=3", "--priority", "7"]).exits(0);
    until_runs(env, 3);
    assert_eq!(up.job(&id)["priority"], 7);
    up.cli(&["job", "set", &id, "--max-parallel", "walk=3"]).exits(2).says("no stage \"walk\"").says("run");
    up.cli(&["job", "set", &id, "--priority", "1001"]).exits(2).says("out of range");
    up.cli(&["job", "set", &id]).exits(2);
    up.cli(&["submit", "any", "in", "--priority", "-1001", "--", "true"]).exits(2).says("out of range");
    env.write("gate", "");
    up.cli(&["wait", &id]).exits(0);
}

fn a_job_runs_after_others_or_ends_with_them(env: &TestEnv) {
    inputs(env, 1);
    let up = env.up_with_slots(4);
    let first = up.submit(&["any", "in", "--", "sh", "-c", &gated(env)]);
    let second = up.submit(&["any", "in", "--after", &first, "--", "true"]);
    let third = up.submit(&["any", "in", "--after", &second, "--after-any", "last", "--", "true"]);
    until_runs(env, 1);
    assert_eq!(up.job(&third)["waits_for"], serde_json::json!([second]));
    assert_eq!(stage(&up, &second)["queued"], 1);
    env.write("gate", "");
    up.cli(&["wait", &third]).exits(0);
    let failing = up.submit(&["any", "in", "--", "false"]);
    up.cli(&["wait", &failing]).exits(3);
    up.cli(&["submit", "any", "in", "--after", &failing, "--", "true"]).exits(2).says(&failing);
    up.cli(&["submit", "any", "in", "--after", "0123456789", "--", "true"]).exits(2).says("0123456789");
    let paused = up.submit(&["any", "in", "--after-any", &failing, "--", "sleep", "100"]);
    let waits = up.submit(&["any", "in", "--after", &paused, "--", "true"]);
    up.cli(&["cancel", &paused]).exits(0);
    up.cli(&["wait", &waits]).exits(9);
    let reason = up.job(&waits)["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains(&paused), "{reason}");
}

fn other_work_under_the_same_key_is_refused(env: &TestEnv) {
    inputs(env, 2);
    let up = env.up_with_slots(2);
    let submit = |rest: &[&str]| {
        let args: Vec<&str> = ["submit", "--idempotency-key", "nightly", "any"].iter().chain(rest).copied().collect();
        up.cli(&args)
    };
    let id = submit(&["in", "--", "true"]).exits(0).stdout.trim().to_owned();
    assert_eq!(submit(&["in", "--", "true"]).exits(0).stdout.trim(), id);
    assert_eq!(
        submit(&["in", "--retries", "0", "--stop-timeout", "5s", "--max-output", "1g", "--", "true"])
            .exits(0)
            .stdout
            .trim(),
        id
    );
    let other = submit(&["in", "--", "false"]).exits(2).says(&id).says("specification is different");
    assert!(!other.stderr.contains("inputs are different"), "{other}");
    submit(&["in/0000", "--", "true"]).exits(2).says("inputs are different");
    env.write("in/0001", "something else");
    submit(&["in", "--", "true"]).exits(2).says("inputs are different");
}

fn a_removed_job_is_gone_also_after_a_restart_and_its_key_is_not_free(env: &TestEnv) {
    inputs(env, 1_500);
    let up = env.up_with_slots(2);
    let kept = up.submit(&["any", "in/0000", "--", "cat"]);
    let id = up.submit(&["--idempotency-key", "once", "any", "in", "--", "sh", "-c", &gated(env)]);
    until("something under way", || (!env.lines("runs").is_empty()).then_some(()));
    up.cli(&["job", "rm", &id]).exits(2).says("--force");
    up.cli(&["job", "pause", "--now", &id]).exits(0);
    let watch = up.begin(&["job", "watch", &id]);
    until("the watch", || watch.said().contains("it is paused").then_some(()));
    up.cli(&["job", "rm", "--force", &id]).exits(0).says("removed");
    watch.ended().exits(2).says("was removed");
    let again = |up: &Server| {
        up.cli(&["job", "show", &id]).exits(2);
        up.cli(&["job", "rm", &id]).exits(0);
        up.cli(&["submit", "--idempotency-key", "once", "any", "in/0000", "--", "true"]).exits(2).says("was removed");
        assert!(!up.cli(&["ps", "-q"]).exits(0).stdout.contains(&id));
    };
    again(&up);
    assert_eq!(up.stop(), 0);
    let up = env.up_with_slots(2);
    again(&up);
    up.cli(&["wait", &kept]).exits(0);
    up.cli(&["job", "rm", &kept]).exits(0);
}

fn thousands_of_failed_items_are_retried_and_told_apart_from_those_that_had_not_ended(env: &TestEnv) {
    env.write("lines", (0..2_500).map(|number| format!("{number}\n")).collect::<String>());
    let gate = env.shell_path("gate");
    let script = format!("test -e {gate}");
    let up = env.up_with_slots(4);
    let id = up.submit(&["any", "--each-line", "lines", "--", "sh", "-c", &script]);
    up.cli(&["job", "retry", &id]).exits(2).says("has not ended");
    up.cli(&["wait", &id]).exits(3);
    env.write("gate", "");
    up.cli(&["job", "pause", &id]).exits(2);
    up.cli(&["job", "retry", &id]).exits(0).says("2,500 failed items of job");
    up.cli(&["wait", &id]).exits(0);
    let stage = stage(&up, &id);
    assert_eq!((&stage["succeeded"], &stage["failed"]), (&2_500.into(), &0.into()));
    up.cli(&["job", "retry", &id]).exits(2).says("no failed items");
    inputs(env, 3);
    let fails = format!("test {{index}} = 0 || until test -e {}; do sleep 0.02; done; exit 1", env.shell_path("never"));
    let id = up.submit(&["any", "in", "-j", "1", "--", "sh", "-c", &fails]);
    until("a failure", || (up.job(&id)["stages"][0]["failed"] == 1).then_some(()));
    up.cli(&["cancel", &id]).exits(0);
    up.cli(&["job", "retry", &id]).exits(0).says("1 failed item and 2 items that had not ended");
    up.cli(&["job", "retry", &id]).exits(0).says("1 failed item and 2 items that had not ended");
    up.cli(&["cancel", &id]).exits(0);
}

fn one_item_or_one_stage_is_retried_and_its_tries_are_counted_on(env: &TestEnv) {
    inputs(env, 3);
    let script = format!("test -e {}", env.shell_path("gate"));
    let up = env.up();
    let id = up.submit(&["any", "in", "--retries", "2", "--", "sh", "-c", &script]);
    up.cli(&["wait", &id]).exits(3);
    let items = || up.cli(&["job", "items", &id, "--format", "json"]).exits(0).json();
    let paths: Vec<String> =
        items().as_array().unwrap().iter().map(|item| item["path"].as_str().unwrap().to_owned()).collect();
    up.cli(&["job", "retry", &id, "--item", "nothing"]).exits(2).says("no failed item").says("job items");
    up.cli(&["job", "retry", &id, "--stage", "nothing"]).exits(2).says("no stage \"nothing\"").says("run");
    env.write("gate", "");
    up.cli(&["job", "retry", &id, "--item", &paths[1]]).exits(0).says("1 failed item of job");
    up.cli(&["wait", &id]).exits(3);
    let told: Vec<_> =
        items().as_array().unwrap().iter().map(|item| (item["state"].clone(), item["attempts"].clone())).collect();
    assert_eq!(told[1], ("succeeded".into(), 4.into()), "{told:?}");
    assert_eq!((&told[0].0, &told[2].0), (&"failed".into(), &"failed".into()), "{told:?}");
    up.cli(&["job", "retry", &id, "--item", &paths[1]]).exits(2).says("no failed item");
    up.cli(&["job", "retry", &id, "--stage", "run"]).exits(0).says("2 failed items of job");
    up.cli(&["wait", &id]).exits(0);
}

fn a_drained_worker_finishes_what_it_has_and_stays_drained(env: &TestEnv) {
    inputs(env, 3);
    let coordinator = env.coordinator();
    let worker = env.worker("w1", &coordinator);
    coordinator.until_workers(1);
    let id = coordinator.submit(&["any", "in", "--", "sh", "-c", &gated(env)]);
    until_runs(env, 1);
    for _ in 0..2 {
        coordinator.cli(&["worker", "drain", "w1"]).exits(0).says("given nothing more");
    }
    let waits = coordinator.begin(&["worker", "drain", "w1", "--wait"]);
    until("what is left", || waits.said().contains("1 attempt").then_some(()));
    env.write("gate", "");
    waits.ended().exits(0).says("nothing runs");
    assert_eq!(stage(&coordinator, &id)["succeeded"], 1);
    assert_eq!(worker.stop(), 0);
    let _worker = env.worker("w1", &coordinator);
    until("the worker, which is still drained", || {
        let listed = coordinator.cli(&["worker", "ls", "--format", "json"]).exits(0).json();
        (listed[0]["state"] == "draining").then_some(())
    });
    assert_eq!(stage(&coordinator, &id)["queued"], 2);
    for _ in 0..2 {
        coordinator.cli(&["worker", "undrain", "w1"]).exits(0).says("given work again");
    }
    coordinator.cli(&["wait", &id]).exits(0);
    coordinator.cli(&["worker", "drain", "nobody"]).exits(2).says("longshore worker ls");
}

fn a_service_answers_while_its_replicas_leave_a_drained_worker(env: &TestEnv) {
    env.write("texts/0", "text\n");
    env.write(
        "one.yaml",
        "name: one\nleaf: { image: any, shards: 1, data: texts, command: [sh, -c, 'cat \"{data}\"/*'] }\n",
    );
    let coordinator = env.coordinator();
    let first = env.worker("w1", &coordinator);
    coordinator.until_workers(1);
    coordinator.cli(&["service", "deploy", "one.yaml"]).exits(0);
    let _second = env.worker("w2", &coordinator);
    coordinator.until_workers(2);
    coordinator.cli(&["worker", "drain", "w1"]).exits(0);
    let leaves = coordinator.begin(&["worker", "drain", "w1", "--wait"]);
    assert_eq!(coordinator.cli(&["query", "one", "-d", ""]).exits(0).stdout, "text\n");
    leaves.ended().exits(0).says("nothing runs");
    assert_eq!(first.stop(), 0);
    assert_eq!(coordinator.cli(&["query", "one", "-d", ""]).exits(0).stdout, "text\n");
}
