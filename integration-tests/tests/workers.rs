//! Several workers and one coordinator, each a process of its own.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::collections::BTreeSet;

use integration_tests::{
    on_docker, on_processes,
    real::{Server, TestEnv, until},
};

const ITEMS: usize = 12;

fn inputs(env: &TestEnv) {
    for number in 0..ITEMS {
        env.write(&format!("in/{number:02}"), format!("input {number}\n"));
    }
}

/// Writes down each run, and waits at the gate.
fn gated(env: &TestEnv) -> String {
    let (runs, gate) = (env.shell_path("runs"), env.shell_path("gate"));
    format!("echo {{name}} >> {runs}; until test -e {gate}; do sleep 0.02; done; cat \"{{in}}\" > \"{{out}}\"")
}

/// The job has every item succeeded, and its outputs are there.
fn finished(env: &TestEnv, server: &Server, id: &str) {
    server.cli(&["wait", id]).exits(0);
    server.cli(&["job", "outputs", id, "-o", "out"]).exits(0);
    assert_eq!(env.tree("out"), env.tree("in"));
    let stage = &server.job(id)["stages"][0];
    assert_eq!((&stage["items"], &stage["succeeded"], &stage["failed"]), (&ITEMS.into(), &ITEMS.into(), &0.into()));
}

on_processes! {
    items_run_on_every_worker
    items_of_a_killed_worker_finish_on_the_other
    items_of_a_worker_that_leaves_finish_on_the_other
    an_item_survives_as_many_killed_workers_as_it_may_be_tried
    an_item_that_is_given_up_for_lost_workers_says_why
    a_worker_that_wakes_up_too_late_commits_nothing
    a_worker_that_joins_late_is_given_work
    a_second_worker_on_the_same_directory_is_refused
    shards_are_spread_over_the_workers
}

fn items_run_on_every_worker(env: &TestEnv) {
    inputs(env);
    let coordinator = env.coordinator();
    let _workers = [env.worker("w1", &coordinator), env.worker("w2", &coordinator)];
    coordinator.until_workers(2);
    let listed = coordinator.cli(&["worker", "ls", "--format", "json"]).exits(0).json();
    let names: BTreeSet<&str> = listed.as_array().unwrap().iter().map(|w| w["name"].as_str().unwrap()).collect();
    assert_eq!(names, BTreeSet::from(["w1", "w2"]));
    let id = coordinator.submit(&["any", "in", "--", "sh", "-c", &gated(env)]);
    // One slot each, and nobody gets past the gate: two runs are two workers.
    until("two items under way", || (env.lines("runs").len() == 2).then_some(()));
    env.write("gate", "");
    finished(env, &coordinator, &id);
    let mut runs = env.lines("runs");
    runs.sort();
    assert_eq!(runs, env.names("in"));
}

fn items_of_a_killed_worker_finish_on_the_other(env: &TestEnv) {
    inputs(env);
    let coordinator = env.coordinator();
    let first = env.worker("w1", &coordinator);
    coordinator.until_workers(1);
    let id = coordinator.submit(&["any", "in", "--", "sh", "-c", &gated(env)]);
    until("the worker at the gate", || (env.lines("runs").len() == 1).then_some(()));
    first.kill();
    let _second = env.worker("w2", &coordinator);
    env.write("gate", "");
    finished(env, &coordinator, &id);
    let job = coordinator.job(&id);
    assert_eq!(job["recent_failures"].as_array().unwrap().len(), 0, "losing a worker is not the item's failure: {job}");
}

fn items_of_a_worker_that_leaves_finish_on_the_other(env: &TestEnv) {
    inputs(env);
    let coordinator = env.coordinator();
    let first = env.worker("w1", &coordinator);
    coordinator.until_workers(1);
    let id = coordinator.submit(&["any", "in", "--", "sh", "-c", &gated(env)]);
    until("the worker at the gate", || (env.lines("runs").len() == 1).then_some(()));
    assert_eq!(first.stop(), 0);
    assert_eq!(env.processes(), []);
    let _second = env.worker("w2", &coordinator);
    env.write("gate", "");
    finished(env, &coordinator, &id);
}

/// Runs an item at the gate of which the only worker is killed three times.
fn killed_thrice(env: &TestEnv, coordinator: &Server, flags: &[&str]) -> String {
    env.write("in/item", "");
    let script = gated(env);
    let command = [&["any", "in"], flags, &["--", "sh", "-c", &script]].concat();
    let id = coordinator.submit(&command);
    for run in 1..=3 {
        let worker = env.worker("w1", coordinator);
        until("the worker at the gate", || (env.lines("runs").len() == run).then_some(()));
        worker.kill();
    }
    id
}

fn an_item_survives_as_many_killed_workers_as_it_may_be_tried(env: &TestEnv) {
    let coordinator = env.coordinator();
    let id = killed_thrice(env, &coordinator, &["--retries", "9"]);
    let _worker = env.worker("w1", &coordinator);
    env.write("gate", "");
    coordinator.cli(&["wait", &id]).exits(0);
    coordinator.cli(&["job", "outputs", &id, "-o", "out"]).exits(0);
    assert_eq!(env.tree("out"), env.tree("in"));
}

fn an_item_that_is_given_up_for_lost_workers_says_why(env: &TestEnv) {
    let coordinator = env.coordinator();
    let id = killed_thrice(env, &coordinator, &["--max-losses", "3"]);
    let _worker = env.worker("w1", &coordinator);
    assert_ne!(coordinator.cli(&["wait", &id]).code, 0);
    let job = coordinator.job(&id);
    let reason = job["reason"].as_str().unwrap();
    assert!(reason.contains("item was given up after 3 losses") && reason.contains("--max-losses"), "{job}");
    let failure = &job["recent_failures"][0];
    assert_eq!((&failure["attempt"], &failure["failure"]["class"]), (&3.into(), &"slot-lost".into()), "{job}");
    coordinator.cli(&["logs", &id, "--failed"]).exits(0).says("after attempt 3").says("on worker w1");
    // That is nothing that would be held against it when it is tried again.
    env.write("gate", "");
    coordinator.cli(&["job", "retry", &id]).exits(0);
    coordinator.cli(&["wait", &id]).exits(0);
    assert_eq!(coordinator.job(&id)["reason"], "");
}

fn a_worker_that_wakes_up_too_late_commits_nothing(env: &TestEnv) {
    env.write("in/item", "");
    let (runs, gate) = (env.shell_path("runs"), env.shell_path("gate"));
    let script = format!(
        "echo >> {runs}; n=$(wc -l < {runs}); until test -e {gate}-$n; do sleep 0.02; done; echo $n > \"{{out}}\""
    );
    let coordinator = env.coordinator();
    let first = env.worker("w1", &coordinator);
    coordinator.until_workers(1);
    let id = coordinator.submit(&["any", "in", "--", "sh", "-c", &script]);
    until("the first run", || (env.lines("runs").len() == 1).then_some(()));
    first.freeze();
    let _second = env.worker("w2", &coordinator);
    until("the lease's end and the second run", || (env.lines("runs").len() == 2).then_some(()));
    env.write("gate-2", "");
    coordinator.cli(&["wait", &id]).exits(0);
    env.write("gate-1", "");
    first.thaw();
    coordinator.until_workers(2);
    // Both slots are used again, so whatever was to come from the first run has come.
    let both = format!("echo >> {runs}; until test $(wc -l < {runs}) = 4; do sleep 0.02; done; echo {{name}}");
    env.write("again/a", "");
    env.write("again/b", "");
    coordinator.cli(&["run", "any", "again", "--", "sh", "-c", &both]).exits(0);
    coordinator.cli(&["job", "outputs", &id, "-o", "out"]).exits(0);
    assert_eq!(env.read("out/item"), "2\n");
    let stage = &coordinator.job(&id)["stages"][0];
    assert_eq!((&stage["succeeded"], &stage["failed"]), (&1.into(), &0.into()));
}

fn a_worker_that_joins_late_is_given_work(env: &TestEnv) {
    inputs(env);
    let coordinator = env.coordinator();
    let id = coordinator.submit(&["any", "in", "--", "cat"]);
    assert_eq!(coordinator.job(&id)["state"], "running");
    let _worker = env.worker("late", &coordinator);
    finished(env, &coordinator, &id);
}

fn a_second_worker_on_the_same_directory_is_refused(env: &TestEnv) {
    let coordinator = env.coordinator();
    let _worker = env.worker("w1", &coordinator);
    coordinator.until_workers(1);
    let again = ["worker", "--join", &coordinator.address, "--data", "w1", "--runtime", "process"];
    env.cli(&again).exits(1).says("w1 is in use by another worker");
}

fn shards_are_spread_over_the_workers(env: &TestEnv) {
    let coordinator = env.coordinator();
    let _workers = [env.worker("w1", &coordinator), env.worker("w2", &coordinator)];
    coordinator.until_workers(2);
    for number in 0..4 {
        env.write(&format!("texts/{number}"), format!("text {number}\n"));
    }
    let spec = "
name: both
leaf: { image: any, shards: 4, data: texts, command: [sh, -c, 'cat \"{data}\"/*'] }
merge: { image: any, command: [sh, -c, 'sort \"{in}\"/*'] }
";
    env.write("both.yaml", spec);
    coordinator.cli(&["service", "deploy", "both.yaml"]).exits(0);
    let shown = coordinator.cli(&["service", "show", "both", "--format", "json"]).exits(0).json();
    let replicas = shown["replicas"].as_array().unwrap().iter();
    let leaves = replicas.filter(|replica| replica["merge"] == false);
    let workers: BTreeSet<&str> = leaves.map(|replica| replica["worker"].as_str().unwrap()).collect();
    assert_eq!(workers.len(), 2, "{shown}");
    let answer = coordinator.cli(&["query", "both", "-d", ""]).exits(0);
    assert_eq!(answer.stdout, "text 0\ntext 1\ntext 2\ntext 3\n");
}

on_docker! {
    two_workers_share_one_engine
}

fn two_workers_share_one_engine(env: &TestEnv) {
    inputs(env);
    let coordinator = env.coordinator();
    let (first, second) = (env.worker("w1", &coordinator), env.worker("w2", &coordinator));
    coordinator.until_workers(2);
    let script = "sleep 0.3; cat \"{in}\" > \"{out}\"";
    let id = coordinator.submit(&[env.image(), "in", "--", "sh", "-c", script]);
    coordinator.until_committed(&id, 2);
    second.kill();
    finished(env, &coordinator, &id);
    assert_eq!(first.stop(), 0);
    // What the killed worker has left is swept when it lives again.
    let second = env.worker("w2", &coordinator);
    coordinator.until_workers(1);
    assert_eq!(second.stop(), 0);
    assert_eq!(env.containers(), []);
}
