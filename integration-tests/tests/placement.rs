//! Work goes to whoever offers what it needs, and what waits says for what.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use integration_tests::{
    on_processes,
    real::{Server, TestEnv, until},
};
use serde_json::Value;

const ITEMS: usize = 6;

fn inputs(env: &TestEnv) {
    for number in 0..ITEMS {
        env.write(&format!("in/{number:02}"), format!("input {number}\n"));
    }
}

/// Waits at the gate.
fn gated(env: &TestEnv) -> String {
    format!("until test -e {}; do sleep 0.02; done; cat \"{{in}}\" > \"{{out}}\"", env.shell_path("gate"))
}

fn worker<'a>(env: &'a TestEnv, name: &str, coordinator: &Server, flags: &[&str]) -> Server<'a> {
    env.worker_at(name, &coordinator.address, flags)
}

/// The only group of what of the newest job waits, once there is one with that reason.
fn why(coordinator: &Server, reason: &str) -> Value {
    until(&format!("the reason {reason}"), || {
        let told = coordinator.cli(&["job", "explain", "last", "--format", "json"]).exits(0).json();
        told["why"].as_array().unwrap().iter().find(|why| why["reason"] == reason).cloned()
    })
}

on_processes! {
    every_item_goes_to_the_worker_that_has_the_label
    what_has_no_room_now_waits_and_says_so_with_the_next_command
    what_no_worker_here_could_ever_run_is_refused_by_name
    what_waits_for_a_worker_that_could_run_it_says_what_each_lacks
    workers_show_what_they_offer
}

fn every_item_goes_to_the_worker_that_has_the_label(env: &TestEnv) {
    inputs(env);
    let coordinator = env.coordinator();
    let _workers =
        [worker(env, "plain", &coordinator, &[]), worker(env, "fast", &coordinator, &["--label", "disk=ssd"])];
    coordinator.until_workers(2);
    let id = coordinator.submit(&["--constraint", "disk=ssd", "any", "in", "--", "sh", "-c", "cat {in} > {out}"]);
    coordinator.cli(&["wait", &id]).exits(0);
    let items = coordinator.cli(&["job", "items", &id, "--format", "json"]).exits(0).json();
    let on: Vec<&str> = items.as_array().unwrap().iter().map(|item| item["worker"].as_str().unwrap()).collect();
    assert_eq!(on, ["fast"; ITEMS]);
    let told = coordinator.cli(&["job", "explain", &id]).exits(0);
    assert!(told.stdout.ends_with("nothing waits\n"), "{told}");
}

fn what_has_no_room_now_waits_and_says_so_with_the_next_command(env: &TestEnv) {
    inputs(env);
    let coordinator = env.coordinator();
    let _workers =
        [worker(env, "plain", &coordinator, &[]), worker(env, "gpus", &coordinator, &["--resource", "gpu=1"])];
    coordinator.until_workers(2);
    let id = coordinator.submit(&["--resource", "gpu=1", "any", "in", "--", "sh", "-c", &gated(env)]);
    let group = why(&coordinator, "no_room");
    assert_eq!((&group["items"], &group["stage"]), (&(ITEMS - 1).into(), &"run".into()), "{group}");
    assert_eq!(group["next"], "longshore worker ls --format wide");
    let hindered: Vec<_> = group["workers"].as_array().unwrap().iter().map(|it| (&it["by"], &it["names"][0])).collect();
    assert_eq!(hindered, [(&"room".into(), &"gpus".into()), (&"lack".into(), &"plain".into())], "{group}");
    coordinator.cli(&["job", "pause", &id, "--reason", "lunch"]).exits(0);
    let paused = why(&coordinator, "paused");
    assert_eq!(paused["next"], format!("longshore job resume {id}"));
    coordinator.cli(&["job", "resume", &id]).exits(0);
    coordinator.cli(&["worker", "drain", "gpus"]).exits(0);
    assert_eq!(why(&coordinator, "all_draining")["next"], "longshore worker undrain gpus");
    coordinator.cli(&["worker", "undrain", "gpus"]).exits(0);
    env.write("gate", "");
    coordinator.cli(&["wait", &id]).exits(0);
}

fn what_no_worker_here_could_ever_run_is_refused_by_name(env: &TestEnv) {
    inputs(env);
    let coordinator = env.coordinator();
    let _worker = worker(env, "plain", &coordinator, &[]);
    coordinator.until_workers(1);
    env.write(
        "job.yaml",
        "stages:\n  - name: split\n    image: any\n    command: [cat]\n  - name: train\n    image: any\n    command: [cat]\n    resources: { gpu: 1 }\n",
    );
    let refused = coordinator.cli(&["submit", "-f", "job.yaml", "in"]).exits(6);
    refused.says("stage train could run on no worker that is here").exits(6).says("longshore worker --resource gpu=1");
}

fn what_waits_for_a_worker_that_could_run_it_says_what_each_lacks(env: &TestEnv) {
    inputs(env);
    let coordinator = env.coordinator();
    let id = coordinator.submit(&["--constraint", "disk=ssd", "any", "in", "--", "sh", "-c", "cat {in} > {out}"]);
    let nobody = why(&coordinator, "no_workers");
    assert_eq!((&nobody["items"], &nobody["example"]), (&ITEMS.into(), &"00".into()), "{nobody}");
    let _plain = worker(env, "plain", &coordinator, &[]);
    let group = why(&coordinator, "none_fits");
    assert_eq!(group["next"], "longshore worker --label disk=ssd");
    let why = group["workers"][0]["why"].as_str().unwrap();
    assert!(why.contains("it has no label \"disk\""), "{group}");
    let _fast = worker(env, "fast", &coordinator, &["--label", "disk=ssd"]);
    coordinator.cli(&["wait", &id]).exits(0);
}

fn workers_show_what_they_offer(env: &TestEnv) {
    let coordinator = env.coordinator();
    let flags = ["--label", "disk=ssd", "--resource", "gpu=2", "--cpus", "1.5", "--memory", "2g"];
    let _worker = worker(env, "fast", &coordinator, &flags);
    coordinator.until_workers(1);
    let listed = coordinator.cli(&["worker", "ls", "--format", "wide"]).exits(0);
    for told in ["cpus=1.5", "memory=2.00 GiB", "gpu=2", "label disk=ssd"] {
        assert!(listed.stdout.contains(told), "{listed}");
    }
}
