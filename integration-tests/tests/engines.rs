//! Engines that cannot run anything, for a while or at all: no item pays for that.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use integration_tests::real::{SYMPTOM, Server, SickEngine, TestEnv, until};

/// A server on an engine that can fall sick.
fn up<'a>(env: &'a TestEnv, engine: &SickEngine) -> Server<'a> {
    env.up_after(&format!("export DOCKER_HOST='{}'", engine.host()))
}

fn worker(up: &Server) -> serde_json::Value {
    let listed = up.cli(&["worker", "ls", "--format", "json"]).exits(0).json();
    listed.as_array().unwrap().first().cloned().unwrap_or_default()
}

/// It takes nothing, and says why.
fn is_troubled(up: &Server) -> Option<()> {
    let worker = worker(up);
    let trouble = worker["trouble"].as_str().unwrap_or_default();
    (worker["state"] == "troubled" && worker["slots"] == 0 && trouble.contains(SYMPTOM)).then_some(())
}

/// The job has come to its end, and no item of it was tried for nothing.
fn succeeds_untried(env: &TestEnv, up: &Server, id: &str) {
    up.cli(&["wait", id]).exits(0);
    up.cli(&["job", "outputs", id, "-o", "out"]).exits(0);
    assert_eq!(env.tree("out"), env.tree("in"));
    let stage = &up.job(id)["stages"][0];
    assert_eq!((&stage["succeeded"], &stage["failed_attempts"]), (&4.into(), &0.into()), "{stage}");
}

fn inputs(env: &TestEnv) {
    for number in 0..4 {
        env.write(&format!("in/{number}"), format!("input {number}\n"));
    }
}

#[test]
fn a_worker_whose_engine_can_start_nothing_says_so_and_takes_nothing_until_it_can() {
    let Some(env) = TestEnv::docker() else { return };
    let engine = SickEngine::within(env.dir());
    engine.falls_sick(true);
    inputs(&env);
    let up = up(&env, &engine);
    until("the worker's trouble", || is_troubled(&up));
    let id = up.submit(&[env.image(), "in", "--", "cat"]);
    let reason = up.job(&id)["reason"].as_str().unwrap_or_default().to_owned();
    assert!(reason.contains("no worker takes work now"), "{reason:?}");
    engine.falls_sick(false);
    succeeds_untried(&env, &up, &id);
    assert_eq!((&worker(&up)["state"], &worker(&up)["slots"]), (&"connected".into(), &2.into()));
}

#[test]
fn items_of_a_worker_whose_engine_falls_sick_wait_untried() {
    let Some(env) = TestEnv::docker() else { return };
    let engine = SickEngine::within(env.dir());
    inputs(&env);
    let up = up(&env, &engine);
    until("slots", || (worker(&up)["slots"] == 2).then_some(()));
    engine.falls_sick(true);
    let id = up.submit(&[env.image(), "in", "--", "cat"]);
    until("the worker's trouble", || is_troubled(&up));
    engine.falls_sick(false);
    succeeds_untried(&env, &up, &id);
}

#[test]
fn doctor_tries_the_engine_and_names_what_it_said() {
    let Some(env) = TestEnv::docker() else { return };
    let engine = SickEngine::within(env.dir());
    let containers = |verdict: &str| {
        let found = env.cli_with(&[("DOCKER_HOST", &engine.host())], &["doctor", "--format", "json"]).exits(1).json();
        let check = found.as_array().unwrap().iter().find(|check| check["name"] == "containers").unwrap().clone();
        assert_eq!(check["verdict"], verdict, "{found}");
        check["found"].as_str().unwrap().to_owned()
    };
    containers("ok");
    engine.falls_sick(true);
    let sick = containers("FAILED");
    assert!(sick.contains(SYMPTOM), "{sick}");
}
