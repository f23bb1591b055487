//! Deployments through the real binary that are wrong, come at the wrong moment, or are large.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::{fs::OpenOptions, io::Write, thread};

use integration_tests::{on_processes, real::TestEnv};

on_processes! {
    a_number_of_shards_that_cannot_be_is_named_where_it_stands
    of_two_deployments_of_one_name_at_once_one_stays
    data_that_changes_while_it_is_deployed_is_refused_by_name
    a_deployment_of_many_shards_says_how_far_it_is
}

/// A service of so many shards that answers with what this program says.
fn spec(env: &TestEnv, shards: &str, program: &str) -> String {
    format!("name: many\nleaf: {{ image: {}, command: [{program}], shards: {shards} }}\n", env.image())
}

fn a_number_of_shards_that_cannot_be_is_named_where_it_stands(env: &TestEnv) {
    let up = env.up();
    for shards in ["0", "1025", "1000000", "-1", "many"] {
        env.write("many.yaml", spec(env, shards, "cat"));
        let refused = up.cli(&["service", "deploy", "many.yaml"]).exits(2);
        let why = format!("many.yaml:2:{}: `{shards}` is not a whole number from 1 to 1024", 42 + env.image().len());
        refused.says(&why).says("shards: ");
    }
    assert_eq!(up.cli(&["service", "ls", "--format", "json"]).exits(0).stdout.trim(), "[]");
}

fn of_two_deployments_of_one_name_at_once_one_stays(env: &TestEnv) {
    let up = env.up();
    for (name, program) in [("one.yaml", "cat"), ("other.yaml", "cat, '-'")] {
        env.write(name, spec(env, "4", program));
    }
    let ran = thread::scope(|scope| {
        let deploy = |name| {
            let up = &up;
            scope.spawn(move || up.cli(&["service", "deploy", name]))
        };
        ["one.yaml", "other.yaml"].map(deploy).map(|deployed| deployed.join().unwrap())
    });
    let refused: Vec<_> = ran.iter().filter(|ran| ran.code != 0).collect();
    assert!(
        refused.len() == 1 && refused[0].stderr.contains("there is a different service \"many\" already"),
        "{ran:?}"
    );
    assert_eq!(up.cli(&["query", "many", "-d", "x"]).exits(0).stdout, "xxxx");
}

fn data_that_changes_while_it_is_deployed_is_refused_by_name(env: &TestEnv) {
    let up = env.up();
    env.write("texts/large", vec![b'x'; 32 << 20]);
    env.write("many.yaml", format!("{}request: {{ deadline: 2s }}\n", spec(env, "1, data: ./texts", "cat")));
    let mut deploying = up.begin(&["service", "deploy", "many.yaml"]);
    let mut file = OpenOptions::new().append(true).open(env.path("texts/large")).unwrap();
    while deploying.is_running() {
        file.write_all(b"x").unwrap();
    }
    deploying.ended().exits(2).says("texts/large changed while it was uploaded");
    assert_eq!(up.cli(&["service", "ls", "--format", "json"]).exits(0).stdout.trim(), "[]");
}

fn a_deployment_of_many_shards_says_how_far_it_is(env: &TestEnv) {
    let up = env.up();
    env.write("many.yaml", spec(env, "64", "cat"));
    let ran = up.cli(&["service", "deploy", "many.yaml"]).exits(0).says("of 64 replicas ready");
    assert!(ran.stderr.lines().count() < 16, "{ran}");
    assert_eq!(up.cli(&["query", "many", "-d", "x"]).exits(0).stdout, "x".repeat(64));
}
