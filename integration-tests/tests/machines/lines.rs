//! Lines that are cut, both ways and one way, slow, lossy and narrow; machines that stand still.

use integration_tests::{
    lan::{Lan, Machine},
    real::until,
};

use super::cluster::Cluster;

const ITEMS: usize = 12;

fn inputs(machine: &Machine) {
    for number in 0..ITEMS {
        machine.write(&format!("in/{number:02}"), format!("input {number}\n"));
    }
}

/// Writes down each run on whatever machine it is, and waits at that machine's gate.
fn gated(at: &[&Machine]) -> String {
    let places: Vec<_> = at.iter().map(|machine| machine.shell_path("")).collect();
    let own = format!("for d in {}; do case \"{{in}}\" in $d*) here=$d;; esac; done", places.join(" "));
    format!(
        "{own}; echo {{name}} >> $here/runs; until test -e $here/gate; do sleep 0.02; done; cat \"{{in}}\" > \"{{out}}\""
    )
}

/// A job of which each of two workers runs an item while the line of the second gets into trouble.
fn survives(trouble: impl FnOnce(&Machine, &Machine)) {
    let Some(lan) = Lan::new() else { return };
    let (first, one, other) = (lan.machine("c"), lan.machine("w1"), lan.machine("w2"));
    let cluster = Cluster::start(&first);
    let _workers = [cluster.join(&one), cluster.join(&other)];
    cluster.coordinator.until_workers(2);
    inputs(&first);
    let id = cluster.coordinator.submit(&["any", "in", "--", "sh", "-c", &gated(&[&one, &other])]);
    until("a run on each", || (!one.lines("runs").is_empty() && !other.lines("runs").is_empty()).then_some(()));
    trouble(&first, &other);
    one.write("gate", "");
    // All of it, also what the other holds: it is not heard, or does not hear, and its lease ends.
    cluster.finishes(&id, ITEMS);
    other.write("gate", "");
    first.heals();
    other.heals();
    cluster.coordinator.until_workers(2);
    // Nothing of what it did alone is to be seen, and it works again.
    cluster.coordinator.cli(&["job", "outputs", &id, "-o", "out"]).exits(0);
    assert_eq!(first.tree("out"), first.tree("in"));
    let again = cluster.coordinator.submit(&["any", "in", "--", "sh", "-c", &gated(&[&one, &other])]);
    cluster.finishes(&again, ITEMS);
}

#[test]
fn a_worker_that_is_cut_off_loses_nothing_for_anybody() {
    survives(|coordinator, worker| coordinator.is_cut_off_from(worker));
}

#[test]
fn a_worker_that_hears_nothing_is_given_nothing_more() {
    survives(|coordinator, worker| worker.is_deaf_to(coordinator));
}

#[test]
fn a_worker_that_is_not_heard_is_given_nothing_more() {
    survives(|coordinator, worker| coordinator.is_deaf_to(worker));
}

#[test]
fn a_machine_that_stands_still_comes_back_and_commits_nothing_late() {
    let Some(lan) = Lan::new() else { return };
    let (first, one, other) = (lan.machine("c"), lan.machine("w1"), lan.machine("w2"));
    let cluster = Cluster::start(&first);
    let (_one, two) = (cluster.join(&one), cluster.join(&other));
    cluster.coordinator.until_workers(2);
    inputs(&first);
    let id = cluster.coordinator.submit(&["any", "in", "--", "sh", "-c", &gated(&[&one, &other])]);
    until("a run on each", || (!one.lines("runs").is_empty() && !other.lines("runs").is_empty()).then_some(()));
    two.freeze();
    one.write("gate", "");
    other.write("gate", "");
    cluster.finishes(&id, ITEMS);
    two.thaw();
    cluster.coordinator.until_workers(2);
    cluster.coordinator.cli(&["job", "outputs", &id, "-o", "out"]).exits(0);
    assert_eq!(first.tree("out"), first.tree("in"));
}

#[test]
fn lines_that_are_slow_lossy_and_narrow_carry_all_of_a_job() {
    let Some(lan) = Lan::new() else { return };
    let (first, one, client) = (lan.machine("c"), lan.machine("w1"), lan.machine("client"));
    let cluster = Cluster::start(&first);
    let _worker = cluster.join(&one);
    cluster.coordinator.until_workers(1);
    let token = cluster.token("submit");
    for number in 0..4u8 {
        let bytes: Vec<u8> = (0..200_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8 ^ number).collect();
        client.write(&format!("in/{number}"), bytes);
    }
    for machine in [&first, &one, &client] {
        machine.sends_at("20mbit");
        machine.loses(2);
        machine.shrinks_to(1_280);
    }
    cluster.cli_on(&client, &token, &["run", "any", "in", "-o", "out", "--", "cp", "{in}", "{out}"]).exits(0);
    assert!(client.tree("out") == client.tree("in"), "outputs differ from inputs");
}
