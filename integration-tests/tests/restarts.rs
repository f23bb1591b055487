//! Crashes and restarts of the real binary: nothing acknowledged is lost, nothing is committed twice.
//!
//! Set `LONGSHORE_KILLS` for more kills at any moment.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::collections::BTreeMap;

use integration_tests::{
    on_docker, on_processes,
    real::{Server, TestEnv, until},
};

const ITEMS: usize = 12;
/// Items that wait at the gate are those from here on.
const FREE: usize = 4;

fn inputs(env: &TestEnv) {
    for number in 0..ITEMS {
        env.write(&format!("in/{number:02}"), format!("input {number}\n"));
    }
}

/// Writes down each run; the first few items end at once, the others when the gate is open.
fn gated(env: &TestEnv) -> String {
    let (runs, gate) = (env.shell_path("runs"), env.shell_path("gate"));
    format!(
        "echo {{name}} >> {runs}; test {{index}} -lt {FREE} || until test -e {gate}; do sleep 0.02; done; \
         cat \"{{in}}\" \"{{in}}\" > \"{{out}}\""
    )
}

fn doubled(env: &TestEnv) -> BTreeMap<String, Vec<u8>> {
    env.tree("in").into_iter().map(|(name, bytes)| (name, bytes.repeat(2))).collect()
}

/// How often each item was run.
fn runs(env: &TestEnv) -> BTreeMap<String, usize> {
    env.lines("runs").into_iter().fold(BTreeMap::new(), |mut counts, name| {
        *counts.entry(name).or_default() += 1;
        counts
    })
}

/// The job has every item succeeded, once, and its outputs are there.
fn finished_once(env: &TestEnv, server: &Server, id: &str) {
    server.cli(&["wait", id]).exits(0);
    let stage = &server.job(id)["stages"][0];
    assert_eq!((&stage["items"], &stage["succeeded"], &stage["failed"]), (&ITEMS.into(), &ITEMS.into(), &0.into()));
    let outputs = server.cli(&["job", "outputs", id, "--format", "json"]).exits(0).json();
    assert_eq!(outputs.as_array().unwrap().len(), ITEMS);
    server.cli(&["job", "outputs", id, "-o", "out"]).exits(0);
    assert_eq!(env.tree("out"), doubled(env));
}

on_processes! {
    a_job_survives_that_up_is_killed_in_the_middle
    a_job_goes_on_where_it_was_after_up_was_stopped
    a_submission_survives_that_up_is_killed_right_after
    what_runs_survives_that_the_coordinator_is_killed
    a_second_up_on_the_same_directory_is_refused
    a_key_is_remembered_over_a_crash
    kills_at_any_moment_lose_nothing_and_commit_nothing_twice
}

fn a_job_survives_that_up_is_killed_in_the_middle(env: &TestEnv) {
    inputs(env);
    let up = env.up();
    let id = up.submit(&["any", "in", "--", "sh", "-c", &gated(env)]);
    up.until_committed(&id, FREE as u64);
    up.kill();
    let up = env.up();
    assert!(up.job(&id)["stages"][0]["succeeded"].as_u64().unwrap() >= FREE as u64);
    env.write("gate", "");
    finished_once(env, &up, &id);
    let runs = runs(env);
    let committed_before: Vec<usize> = (0..FREE).map(|number| runs[&format!("{number:02}")]).collect();
    assert_eq!(committed_before, [1; FREE], "what was committed is not run again");
}

fn a_job_goes_on_where_it_was_after_up_was_stopped(env: &TestEnv) {
    inputs(env);
    let up = env.up();
    let id = up.submit(&["any", "in", "--", "sh", "-c", &gated(env)]);
    up.until_committed(&id, FREE as u64);
    assert_eq!(up.stop(), 0);
    assert_eq!(env.processes(), []);
    let up = env.up();
    env.write("gate", "");
    finished_once(env, &up, &id);
}

fn a_submission_survives_that_up_is_killed_right_after(env: &TestEnv) {
    inputs(env);
    let up = env.up();
    let id = up.submit(&["any", "in", "--", "sh", "-c", &gated(env)]);
    up.kill();
    env.write("gate", "");
    finished_once(env, &env.up(), &id);
}

fn what_runs_survives_that_the_coordinator_is_killed(env: &TestEnv) {
    inputs(env);
    let coordinator = env.coordinator();
    let _workers = [env.worker("w1", &coordinator), env.worker("w2", &coordinator)];
    coordinator.until_workers(2);
    let id = coordinator.submit(&["any", "in", "--", "sh", "-c", &gated(env)]);
    coordinator.until_committed(&id, FREE as u64);
    until("both workers at the gate", || (runs(env).len() == FREE + 2).then_some(()));
    let address = coordinator.address.clone();
    coordinator.kill();
    // One that ends while nobody is there to be told is kept until somebody is.
    env.write("gate", "");
    let coordinator = env.coordinator_at(&address);
    finished_once(env, &coordinator, &id);
    let runs = runs(env);
    assert_eq!(runs.len(), ITEMS);
    assert!(runs.values().all(|&times| times == 1), "no item is run again: {runs:?}");
}

fn a_second_up_on_the_same_directory_is_refused(env: &TestEnv) {
    inputs(env);
    let up = env.up();
    let second = ["up", "--data", "data", "--listen", "127.0.0.1:0", "--runtime", "process"];
    env.cli(&second).exits(1).says("data/worker is in use by another worker");
    env.cli(&["coordinator", "--data", "data", "--listen", "127.0.0.1:0"]).exits(1).says("is in use by process");
    up.cli(&["run", "any", "in", "-o", "out", "--", "cat"]).exits(0);
    assert_eq!(env.tree("out"), env.tree("in"));
}

fn a_key_is_remembered_over_a_crash(env: &TestEnv) {
    inputs(env);
    let submit = ["any", "in", "--idempotency-key", "once", "--", "cat"];
    let up = env.up();
    let id = up.submit(&submit);
    up.kill();
    let up = env.up();
    assert_eq!(up.submit(&submit), id);
    up.cli(&["wait", &id]).exits(0);
}

fn kills_at_any_moment_lose_nothing_and_commit_nothing_twice(env: &TestEnv) {
    inputs(env);
    let kills = std::env::var("LONGSHORE_KILLS").map_or(4, |kills| kills.parse().unwrap());
    let mut up = env.up();
    let mut ids = Vec::new();
    for kill in 0..kills {
        // One run at a time, some of which take a while: each kill finds the job at another place.
        let script = "test $(({index} % 3)) -gt 0 || sleep 0.05; cat \"{in}\" \"{in}\" > \"{out}\"";
        let id = up.submit(&["any", "in", "-j", "1", "--", "sh", "-c", script]);
        up.until_committed(&id, kill % (ITEMS as u64 + 1));
        up.kill();
        up = env.up();
        finished_once(env, &up, &id);
        ids.push(id);
    }
    // None of an earlier life is forgotten or changed.
    for id in ids {
        finished_once(env, &up, &id);
    }
}

on_docker! {
    a_job_in_containers_survives_that_up_is_killed_in_the_middle
}

fn a_job_in_containers_survives_that_up_is_killed_in_the_middle(env: &TestEnv) {
    inputs(env);
    let up = env.up();
    let script = "test {index} -lt 4 || sleep 0.5; cat \"{in}\" \"{in}\" > \"{out}\"";
    let id = up.submit(&[env.image(), "in", "--", "sh", "-c", script]);
    up.until_committed(&id, FREE as u64);
    up.kill();
    assert!(!env.containers().is_empty(), "a crash leaves its containers");
    let up = env.up();
    finished_once(env, &up, &id);
    assert_eq!(up.stop(), 0);
    assert_eq!(env.containers(), []);
}
