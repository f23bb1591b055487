//! One worker is one process: copies of its directory, restarts, pauses, and a network that fails in one direction.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::{
    collections::BTreeSet,
    process::Command,
    time::{Duration, Instant},
};

use integration_tests::{
    on_docker, on_processes,
    real::{Hole, Server, TestEnv, until},
};

const ITEMS: usize = 6;

/// Far longer than a test: whoever is let in, is not let in because a lease was over.
const LONG: &[&str] = &["--lease", "10m"];

/// Each run writes itself down and waits at a gate of its own, the first, second, … of all.
fn gated(env: &TestEnv) -> String {
    let (runs, gate) = (env.shell_path("runs"), env.shell_path("gate"));
    format!(
        "echo {{name}} >> {runs}; n=$(wc -l < {runs}); until test -e {gate} -o -e {gate}-$n; do sleep 0.02; done; \
         echo $n > \"{{out}}\""
    )
}

fn inputs(env: &TestEnv) {
    for number in 0..ITEMS {
        env.write(&format!("in/{number:02}"), "");
    }
}

fn until_runs(env: &TestEnv, count: usize) {
    until(&format!("{count} runs"), || (env.lines("runs").len() == count).then_some(()));
}

/// Every item has succeeded, and nothing is held against any.
fn succeeds(coordinator: &Server, id: &str, items: usize) {
    coordinator.cli(&["wait", id]).exits(0);
    let job = coordinator.job(id);
    let stage = &job["stages"][0];
    assert_eq!((&stage["succeeded"], &stage["failed"]), (&items.into(), &0.into()), "{job}");
    assert_eq!(job["recent_failures"].as_array().unwrap().len(), 0, "{job}");
}

fn copy(env: &TestEnv, from: &str, to: &str) {
    assert!(Command::new("cp").arg("-a").args([env.path(from), env.path(to)]).status().unwrap().success());
}

/// The worker in this directory is refused, in words that say what to do.
fn is_refused(env: &TestEnv, coordinator: &Server, dir: &str, runtime: &str) {
    let join = &coordinator.address;
    let args = ["worker", "--join", join, "--data", dir, "--runtime", runtime, "--allow-commands-as-root"];
    let refused = env.cli(&args).exits(1);
    let refused = refused.says("is another process already, which calls itself \"w1\"").says("--data");
    refused.says(&format!("{dir}/worker-id"));
}

on_processes! {
    a_copy_is_refused_while_the_first_lives_and_no_item_fails
    a_worker_that_was_killed_is_in_again_at_once
    a_copy_takes_over_from_who_does_not_answer_and_that_one_is_refused_when_it_goes_on
    what_is_assigned_into_a_hole_comes_back_within_the_lease
}

fn a_copy_is_refused_while_the_first_lives_and_no_item_fails(env: &TestEnv) {
    inputs(env);
    let coordinator = env.coordinator_on("coordinator", LONG);
    let _first = env.worker("w1", &coordinator);
    coordinator.until_workers(1);
    copy(env, "w1", "copy");
    let id = coordinator.submit(&["any", "in", "--", "sh", "-c", &gated(env)]);
    until_runs(env, 1);
    for _ in 0..3 {
        is_refused(env, &coordinator, "copy", "process");
    }
    env.write("gate", "");
    succeeds(&coordinator, &id, ITEMS);
    let runs = env.lines("runs");
    assert_eq!(runs.len(), ITEMS, "each was run once: {runs:?}");
    // Made a worker of its own, it is welcome.
    std::fs::remove_file(env.path("copy/worker-id")).unwrap();
    let _second = env.worker("copy", &coordinator);
    coordinator.until_workers(2);
}

fn a_worker_that_was_killed_is_in_again_at_once(env: &TestEnv) {
    env.write("in/item", "");
    let coordinator = env.coordinator_on("coordinator", LONG);
    let first = env.worker("w1", &coordinator);
    let id = coordinator.submit(&["any", "in", "--", "sh", "-c", &gated(env)]);
    until_runs(env, 1);
    first.kill();
    let _again = env.worker("w1", &coordinator);
    until_runs(env, 2);
    env.write("gate", "");
    coordinator.cli(&["wait", &id]).exits(0);
}

fn a_copy_takes_over_from_who_does_not_answer_and_that_one_is_refused_when_it_goes_on(env: &TestEnv) {
    env.write("in/item", "");
    let coordinator = env.coordinator_on("coordinator", LONG);
    let first = env.worker("w1", &coordinator);
    let id = coordinator.submit(&["any", "in", "--", "sh", "-c", &gated(env)]);
    until_runs(env, 1);
    copy(env, "w1", "copy");
    first.freeze();
    let second = env.worker("copy", &coordinator);
    until_runs(env, 2);
    first.thaw();
    until("the refusal of the first", || first.log().contains("nothing is run here").then_some(()));
    env.write("gate-1", "");
    env.write("gate-2", "");
    succeeds(&coordinator, &id, 1);
    coordinator.cli(&["job", "outputs", &id, "-o", "out"]).exits(0);
    assert_eq!(env.read("out/item"), "2\n", "what the first ran commits nothing");
    // When the other has gone, it is its turn again.
    assert_eq!(second.stop(), 0);
    coordinator.until_workers(1);
    env.write("gate", "");
    let again = coordinator.submit(&["any", "in", "--", "sh", "-c", &gated(env)]);
    succeeds(&coordinator, &again, 1);
}

fn what_is_assigned_into_a_hole_comes_back_within_the_lease(env: &TestEnv) {
    env.write("in/item", "");
    let coordinator = env.coordinator_on("coordinator", &["--lease", "3s"]);
    let hole = Hole::to(&coordinator.address);
    let token = coordinator.left("token").into_os_string().into_string().unwrap();
    let _first = env.worker_at("w1", &hole.address(), &["--token-file", &token]);
    coordinator.until_workers(1);
    hole.swallow(true);
    // It is heard all the while, and hears nothing.
    let assigned = Instant::now();
    let id = coordinator.submit(&["any", "in", "--", "sh", "-c", &gated(env)]);
    let _second = env.worker("w2", &coordinator);
    until_runs(env, 1);
    assert!(assigned.elapsed() < Duration::from_secs(12), "it took {:?}", assigned.elapsed());
    env.write("gate", "");
    succeeds(&coordinator, &id, 1);
    hole.swallow(false);
    // It has dropped what brings nothing, and dials anew.
    coordinator.until_workers(2);
}

on_docker! {
    containers_of_the_first_outlive_a_copy_that_is_refused
}

fn containers_of_the_first_outlive_a_copy_that_is_refused(env: &TestEnv) {
    env.write("in/item", "");
    let coordinator = env.coordinator_on("coordinator", LONG);
    let first = env.worker("w1", &coordinator);
    coordinator.until_workers(1);
    copy(env, "w1", "copy");
    let id = coordinator.submit(&[env.image(), "in", "--", "sleep", "600"]);
    let names = |env: &TestEnv| env.containers().into_iter().map(|found| found.id).collect::<BTreeSet<_>>();
    let before = until("a container", || Some(names(env)).filter(|names| !names.is_empty()));
    is_refused(env, &coordinator, "copy", "docker");
    assert_eq!(names(env), before);
    coordinator.cli(&["cancel", &id]).exits(0);
    assert_eq!(first.stop(), 0);
}
