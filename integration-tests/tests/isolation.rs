//! A run is alone: runs of one job that attack each other, in turn and at the same time, reach nothing, whatever they know of
//! each other, and leave nothing. On real Docker, where walls are.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::{collections::BTreeMap, path::Path};

use integration_tests::real::{PROGRAM, Server, TestEnv};

/// Where Cargo says at run time that it is: the directory may have been moved.
fn intruder() -> String {
    let built = env!("CARGO_BIN_EXE_longshore-test-intruder");
    std::env::var("CARGO_BIN_EXE_longshore-test-intruder").unwrap_or_else(|_| built.to_owned())
}

fn env(changes: &[&str]) -> Option<TestEnv> {
    TestEnv::docker_with_changed(Path::new(&intruder()), changes)
}

/// The lines that intruders wrote, by what they begin with.
fn lines(env: &TestEnv, out: &str) -> BTreeMap<String, Vec<String>> {
    let mut lines: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for text in env.tree(out).into_values() {
        for line in String::from_utf8(text).unwrap().lines() {
            let (kind, rest) = line.split_once(' ').unwrap();
            lines.entry(kind.to_owned()).or_default().push(rest.to_owned());
        }
    }
    lines
}

/// One job of many items that all attack; and another that knows the names of all directories of the first.
fn attack(env: &TestEnv, up: &Server, more: &[&str]) {
    for number in 10..40 {
        env.write(&format!("in/{number}/item"), "an input");
    }
    let first = [&["run", env.image(), "in", "-o", "first"][..], more, &["--", PROGRAM]].concat();
    up.cli(&first).exits(0);
    let first = lines(env, "first");
    assert_eq!(first.get("broke"), None);
    assert_eq!(first["own"].len(), 30);
    let mut known: Vec<_> = first["own"].iter().flat_map(|line| line.split(' ')).collect();
    known.sort_unstable();
    known.dedup();
    let second = [&["run", env.image(), "in", "-o", "second"][..], more, &["--", PROGRAM], &known].concat();
    up.cli(&second).exits(0);
    let second = lines(env, "second");
    assert_eq!(second.get("broke"), None);
    assert_eq!(second["own"].len(), 30, "and nobody has planted a file among the outputs of another");
}

#[test]
fn runs_of_one_container_reach_nothing_of_each_other() {
    let Some(env) = env(&[]) else { return };
    let up = env.up_with_slots(1);
    attack(&env, &up, &[]);
    assert_eq!(env.containers().len(), 1, "all of them ran in one");
}

#[test]
fn runs_at_the_same_time_reach_nothing_of_each_other() {
    let Some(env) = env(&[]) else { return };
    attack(&env, &env.up_with_slots(3), &[]);
}

#[test]
fn runs_that_are_all_the_user_of_their_image_are_kept_apart_in_time() {
    let Some(env) = env(&["USER app"]) else { return };
    let up = env.up_with_slots(1);
    attack(&env, &up, &[]);
}

#[test]
fn what_a_run_that_may_be_root_does_to_the_shim_is_not_there_for_the_next() {
    let Some(env) = env(&[]) else { return };
    for number in 10..13 {
        env.write(&format!("in/{number}/item"), "an input");
    }
    let up = env.up_with(&["--allow-root"]);
    up.cli(&["run", env.image(), "in", "-o", "out", "--user", "0", "--", PROGRAM]).exits(0);
    let lines = lines(&env, "out");
    assert_eq!(lines["own"].len(), 3);
    let of_others = lines["broke"].iter().filter(|line| line.contains("another run") || line.contains("capabilities"));
    assert_eq!(of_others.collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn nobody_is_root_by_another_name() {
    let Some(env) = env(&["USER alias"]) else { return };
    env.write("in/item", "");
    let up = env.up();
    up.cli(&["run", env.image(), "in", "-o", "out", "--", "id", "-u"]).exits(0);
    assert_ne!(env.tree("out")["item"], b"0\n");
    let asked = up.cli(&["run", env.image(), "in", "--user", "alias", "--", "id", "-u"]);
    asked.exits(3).says("alias").says("--allow-root");
}

#[test]
fn a_memory_kill_is_the_run_s_whose_process_it_was() {
    let Some(env) = env(&[]) else { return };
    for name in ["a-recovers", "b-fails", "c-fails"] {
        env.write(&format!("in/{name}"), "");
    }
    let up = env.up_with_slots(1);
    let script =
        "test {name} = a-recovers || exit 5; head -c 400000000 /dev/zero | tail > /dev/null; echo half > {out}; exit 0";
    let run = |more: &[&str]| {
        let args =
            [&["run", env.image(), "in", "-j", "1", "--memory", "64m"][..], more, &["--", "sh", "-c", script]].concat();
        up.cli(&args).exits(3);
        let job = up.job("last");
        let failed = job["recent_failures"].as_array().unwrap().iter();
        let told = |failed: &serde_json::Value| (failed["path"].to_string(), failed["failure"]["class"].to_string());
        failed.map(told).collect::<BTreeMap<_, _>>()
    };
    let failed = run(&[]);
    assert_eq!(failed["\"a-recovers\""], "\"out-of-memory\"", "half an output is none: {failed:?}");
    assert_eq!((&*failed["\"b-fails\""], &*failed["\"c-fails\""]), ("\"exit\"", "\"exit\""), "{failed:?}");
    let failed = run(&["--oom", "ignore"]);
    assert!(!failed.contains_key("\"a-recovers\""), "{failed:?}");
}
