//! Services: replicas are placed, moved, and found again.

use longshore_core::{Refusal, ReplicaKey, ReplicaPhase, Reply, Role, ServicePlan};

use crate::stage::{Stage, reply, told, worker_id};

const PLAN: ServicePlan = ServicePlan { shards: 2, replicas: 2, merges: 0 };

fn leaf(generation: u64, shard: u32, number: u32) -> ReplicaKey {
    ReplicaKey { service: "find".to_owned(), generation, role: Role::Leaf { shard }, number }
}

fn on(it: &Stage) -> Vec<Option<u8>> {
    let view = it.core.service_view("find").expect("it is deployed");
    view.replicas.iter().map(|replica| replica.worker.as_ref().map(|(worker, _)| worker.0[0])).collect()
}

#[test]
fn replicas_of_a_shard_are_spread() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.join(2, 1);
    let out = it.deploy("find", PLAN, 1);
    assert_eq!(reply(&out), &Reply::Deployed { generation: 1 });
    assert_eq!(on(&it), [Some(1), Some(2), Some(1), Some(2)]);
    let keep = vec![leaf(1, 0, 0), leaf(1, 1, 0)];
    assert!(told(&out).contains(&(worker_id(1), keep)));
}

#[test]
fn a_replica_waits_for_a_worker() {
    let mut it = Stage::new();
    it.deploy("find", PLAN, 1);
    assert_eq!(on(&it), [None; 4]);
    it.join(1, 1);
    assert_eq!(on(&it), [Some(1); 4]);
}

#[test]
fn replicas_of_a_lost_worker_go_elsewhere() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.join(2, 1);
    it.deploy("find", PLAN, 1);
    it.now_ms += 600;
    it.heard(2);
    it.wait(600);
    assert_eq!(on(&it), [Some(2); 4]);
}

#[test]
fn replicas_of_a_worker_without_a_link_stay() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.join(2, 1);
    it.deploy("find", PLAN, 1);
    it.reports(1, &[leaf(1, 0, 0)]);
    it.link_lost(1);
    assert_eq!(on(&it), [Some(1), Some(2), Some(1), Some(2)]);
    let view = it.core.service_view("find").expect("it is deployed");
    assert!(!view.replicas[0].reachable);
    assert_eq!(view.replicas[0].phase, ReplicaPhase::Ready);
}

#[test]
fn a_worker_is_told_again_when_it_comes_back() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.deploy("find", PLAN, 1);
    let out = it.hello(1, 1, 1, &[], &[]);
    assert_eq!(told(&out).len(), 1);
    assert_eq!(told(&out)[0].1.len(), 4);
}

#[test]
fn replicas_are_found_where_they_are_after_a_restart() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.join(2, 1);
    it.deploy("find", PLAN, 1);
    let mut it = it.restart(2);
    let keys = [leaf(1, 0, 0), leaf(1, 1, 0), leaf(1, 0, 1)];
    assert!(told(&it.hello(2, 1, 1, &[], &keys)).is_empty(), "nothing moves in reunion");
    it.hello(1, 1, 1, &[], &[leaf(1, 1, 1)]);
    assert_eq!(on(&it), [Some(2), Some(2), Some(2), Some(1)]);
}

#[test]
fn the_same_deployment_twice_is_one() {
    let mut it = Stage::new();
    it.deploy("find", PLAN, 1);
    let out = it.deploy("find", PLAN, 1);
    assert_eq!(reply(&out), &Reply::Deployed { generation: 1 });
    assert!(out.records.is_empty());
    let out = it.deploy("find", PLAN, 2);
    assert_eq!(reply(&out), &Reply::Refused(Refusal::ServiceExists("find".to_owned())));
}

#[test]
fn a_name_that_was_removed_gets_a_new_generation() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.deploy("find", PLAN, 1);
    let out = it.remove("find");
    assert_eq!(reply(&out), &Reply::Removed);
    assert_eq!(told(&out), [(worker_id(1), vec![])]);
    assert_eq!(reply(&it.remove("find")), &Reply::Refused(Refusal::NoSuchService("find".to_owned())));
    let mut it = it.restart(2);
    assert!(it.core.service_view("find").is_none());
    assert_eq!(reply(&it.deploy("find", PLAN, 1)), &Reply::Deployed { generation: 2 });
}

#[test]
fn what_is_said_of_a_replica_nobody_wants_is_ignored() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.deploy("find", PLAN, 1);
    it.reports(1, &[leaf(7, 0, 0), leaf(1, 9, 0), leaf(1, 0, 9)]);
    let view = it.core.service_view("find").expect("it is deployed");
    assert_eq!(view.replicas.len(), 4);
    assert!(view.replicas.iter().all(|replica| replica.phase == ReplicaPhase::Starting));
}
