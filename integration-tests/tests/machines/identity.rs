//! Whom a worker takes for its coordinator, and how long it is known itself.

use std::time::{Duration, Instant};

use integration_tests::{
    lan::Lan,
    real::{Server, until},
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose};

use super::cluster::Cluster;

/// The shortest life of a certificate that can be asked for.
const LIFE: Duration = Duration::from_secs(10);

#[test]
fn a_certificate_that_ended_while_its_worker_was_cut_off_renews_itself() {
    let Some(lan) = Lan::new() else { return };
    let (first, one) = (lan.machine("c"), lan.machine("w1"));
    let cluster = Cluster::start_with(&first, &["--certificates-for", "10s"]);
    let worker = cluster.join(&one);
    cluster.coordinator.until_workers(1);
    let joined = Instant::now();
    first.is_cut_off_from(&one);
    until("the end of its certificate", || (joined.elapsed() > LIFE + Duration::from_secs(2)).then_some(()));
    first.heals();
    one.heals();
    cluster.coordinator.until_workers(1);
    // And while nothing is wrong too, longer than any one lives.
    let healed = Instant::now();
    first.write("in/item", "x");
    until("the end of another", || (healed.elapsed() > LIFE + Duration::from_secs(2)).then_some(()));
    cluster.coordinator.cli(&["run", "any", "in", "-o", "out", "--", "cp", "{in}", "{out}"]).exits(0);
    assert_eq!(worker.stop(), 0);
    // A stopped worker whose certificate has ended needs no token either.
    let stopped = Instant::now();
    until("the end of the last", || (stopped.elapsed() > LIFE + Duration::from_secs(2)).then_some(()));
    let _again = one.worker_at("w1", &cluster.address(), &[]);
    cluster.coordinator.until_workers(1);
}

#[test]
fn a_revoked_worker_is_out_within_a_heartbeat_and_its_work_goes_on_elsewhere() {
    let Some(lan) = Lan::new() else { return };
    let (first, one, other) = (lan.machine("c"), lan.machine("w1"), lan.machine("w2"));
    let cluster = Cluster::start(&first);
    let (worker, _other) = (cluster.join(&one), cluster.join(&other));
    cluster.coordinator.until_workers(2);
    first.write("in/a", "a");
    first.write("in/b", "b");
    let (runs, gate) = (first.shell_path("runs"), first.shell_path("gate"));
    let script = format!("echo >> {runs}; until test -e {gate}; do sleep 0.02; done; cat \"{{in}}\" > \"{{out}}\"");
    let id = cluster.coordinator.submit(&["any", "in", "--", "sh", "-c", &script]);
    until("a run on each", || (first.lines("runs").len() == 2).then_some(()));
    let revoked = Instant::now();
    cluster.coordinator.cli(&["worker", "rm", "--revoke", "w1"]).exits(0);
    first.write("gate", "");
    // What it ran is begun again on the other.
    cluster.finishes(&id, 2);
    assert!(revoked.elapsed() < Duration::from_secs(30), "nobody waits for its lease");
    until("a word of the revoked", || worker.log().contains("was revoked").then_some(()));
    drop(worker);
    let refused = one.worker_refused_at("w1", &cluster.address(), &[]);
    assert!(refused.stderr.contains("revoked"), "{refused}");
}

#[test]
fn who_is_in_the_middle_with_an_authority_of_the_same_name_learns_nothing() {
    let Some(lan) = Lan::new() else { return };
    let (first, mallory, one, other) = (lan.machine("c"), lan.machine("m"), lan.machine("w1"), lan.machine("w2"));
    let cluster = Cluster::start(&first);
    let member = cluster.join(&one);
    cluster.coordinator.until_workers(1);
    mallory.write("coordinator/keys/authority.pem", forged(&cluster_of(&member)));
    let middle = Cluster::start(&mallory);
    // Whoever joins,
    other.write("token", cluster.join_token(&[]));
    let refused = other.worker_refused_at("w2", &middle.address(), &["--token-file", "token"]);
    assert!(
        refused.stderr.contains("another coordinator is there") && refused.stderr.contains("ask for a new token"),
        "{refused}"
    );
    // a person,
    let asked = middle.cli_on(&other, &cluster.token("admin"), &["job", "ls"]);
    assert!(asked.code != 0 && asked.stderr.contains("another coordinator is there"), "{asked}");
    // and who is a member already: none shows it anything.
    assert_eq!(member.stop(), 0);
    let refused = one.worker_refused_at("w1", &middle.address(), &[]);
    assert!(refused.stderr.contains("is not the coordinator of cluster"), "{refused}");
    let listed = middle.coordinator.cli(&["worker", "ls", "--format", "json"]).exits(0).json();
    assert_eq!(listed.as_array().unwrap().len(), 0, "{listed}");
    assert!(!middle.coordinator.log().contains("joined"), "{}", middle.coordinator.log());
    // The token was not used up.
    let _joined = other.worker_at("w2", &cluster.address(), &["--token-file", "token"]);
    cluster.coordinator.until_workers(1);
}

/// The cluster that a worker says it has joined.
fn cluster_of(worker: &Server) -> String {
    let log = worker.log();
    let after = log.split("cluster=").nth(1).unwrap_or_else(|| panic!("no cluster is named: {log}"));
    after.chars().take(36).collect()
}

/// An authority of this name with another key.
fn forged(cluster: &str) -> String {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, cluster);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    key.serialize_pem() + &params.self_signed(&key).unwrap().pem()
}
