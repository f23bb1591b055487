//! Jobs and services across machines; what passes between these says nothing to others.

use std::collections::BTreeSet;

use integration_tests::{lan::Lan, real::until};

use super::cluster::Cluster;

/// What nobody on the line shall read.
const CANARY: &str = "canary-of-the-line";

#[test]
fn jobs_and_services_run_across_machines_and_the_line_tells_nothing() {
    let Some(lan) = Lan::new() else { return };
    let Some(third) = lan.machine_with_docker("w3") else { return };
    let (first, w1, w2, client) = (lan.machine("c"), lan.machine("w1"), lan.machine("w2"), lan.machine("client"));
    let tap = lan.tap();
    let cluster = Cluster::start(&first);
    let _workers = [cluster.join(&w1), cluster.join(&w2), cluster.join(&third)];
    cluster.coordinator.until_workers(3);
    let token = cluster.token("submit");
    for number in 0..30 {
        client.write(&format!("in/{CANARY}-{number:02}"), format!("{CANARY} {number}\n"));
    }
    // Long enough for all three to be given some.
    let count = ["run", third.image(), "in", "-o", "out", "--", "sh", "-c", "sleep 0.1; cat \"{in}\""];
    cluster.cli_on(&client, &token, &count).exits(0);
    assert_eq!(client.tree("out"), client.tree("in"));
    client.write("find.yaml", service(third.image()));
    client.write("texts/a", format!("one {CANARY}\n"));
    client.write("texts/b", format!("two {CANARY}\n"));
    client.write("texts/c", "three\n");
    cluster.cli_on(&client, &token, &["service", "deploy", "find.yaml"]).exits(0);
    let answer = cluster.cli_on(&client, &token, &["query", "find", "-d", CANARY]).exits(0);
    let lines: BTreeSet<&str> = answer.stdout.lines().collect();
    assert_eq!(lines, BTreeSet::from([&*format!("one {CANARY}"), &format!("two {CANARY}")]), "{answer}");
    let passed = tap.close();
    assert!(passed.len() > 100_000, "a tap that sees nothing proves nothing");
    for secret in [CANARY, &token, token.rsplit('-').nth(1).unwrap()] {
        assert!(!passed.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()), "{secret} was on the line");
    }
}

fn service(image: &str) -> String {
    format!(
        "name: find
leaf:
  image: {image}
  command: [sh, -c, 'grep -rhi -- \"$(cat {{in}})\" {{data}} || true']
  shards: 3
  data: ./texts
merge: {{ image: {image}, command: [sh, -c, 'sort {{in}}/* > {{out}}'] }}
request: {{ deadline: 20s, require: all }}
"
    )
}

#[test]
fn a_worker_is_remembered_and_a_machine_that_was_never_let_in_is_not() {
    let Some(lan) = Lan::new() else { return };
    let (first, one, stranger) = (lan.machine("c"), lan.machine("w1"), lan.machine("stranger"));
    let cluster = Cluster::start(&first);
    let worker = cluster.join(&one);
    cluster.coordinator.until_workers(1);
    assert_eq!(worker.stop(), 0);
    // Without a token, since it is a member.
    let _again = one.worker_at("w1", &cluster.address(), &[]);
    cluster.coordinator.until_workers(1);
    let refused = cluster.cli_on(&stranger, "", &["job", "ls"]).exits(2);
    assert!(refused.stderr.contains("longshore login"), "{refused}");
    let mut worker = stranger.worker_at("stranger", &cluster.address(), &[]);
    until("the end of a worker that may not join", || worker.has_ended().then_some(()));
    assert!(worker.log().contains("worker token create"), "{}", worker.log());
}

/// Workers that lose their coordinator together.
const CROWD: usize = 50;

#[test]
fn fifty_workers_come_back_at_once_after_their_coordinator_was_killed() {
    let Some(lan) = Lan::new() else { return };
    let (first, farm) = (lan.machine("c"), lan.machine("farm"));
    let cluster = Cluster::start(&first);
    farm.write("token", cluster.join_token(&["--uses", &CROWD.to_string()]));
    let names: Vec<_> = (0..CROWD).map(|number| format!("w{number:02}")).collect();
    let join = |name: &String| farm.worker_at(name, &cluster.address(), &["--token-file", "token"]);
    let workers: Vec<_> = names.iter().map(join).collect();
    cluster.coordinator.until_workers(CROWD);
    let cluster = cluster.falls_and_rises();
    cluster.coordinator.until_workers(CROWD);
    for number in 0..2 * CROWD {
        first.write(&format!("in/{number:03}"), format!("{number}\n"));
    }
    cluster.coordinator.cli(&["run", "any", "in", "-o", "out", "--", "cp", "{in}", "{out}"]).exits(0);
    assert_eq!(first.tree("out"), first.tree("in"));
    for mut worker in workers {
        assert!(!worker.has_ended(), "{}", worker.log());
    }
}
