//! Leases and lives: when a worker was last heard, which life of it counts, and when time has to be told.

use longshore_core::{Blame, Input, Record, ReplicaKey, ReplicaPhase, ReplicaStatus, Role, ServicePlan};

use crate::stage::{Stage, given, life, map, only, service, spec, worker_id};

const PLAN: ServicePlan = ServicePlan { shards: 1, replicas: 1, merges: 0 };

fn leaf() -> ReplicaKey {
    ReplicaKey { service: service("find"), generation: 1, role: Role::Leaf { shard: 0 }, number: 0 }
}

fn is_gone(it: &mut Stage, worker: u8) -> bool {
    it.step(Input::Tick).records.contains(&Record::WorkerGone(worker_id(worker)))
}

#[test]
fn time_is_to_be_told_when_the_first_lease_is_over() {
    let mut it = Stage::new();
    assert_eq!(it.core.next_deadline_ms(), None);
    it.join(1, 1);
    assert_eq!(it.core.next_deadline_ms(), Some(1_001));
    it.now_ms = 400;
    it.join(2, 1);
    assert_eq!(it.core.next_deadline_ms(), Some(1_001));
    it.now_ms = 900;
    it.heard(1);
    it.wait(101);
    assert_eq!(it.core.next_deadline_ms(), Some(1_401), "the second worker's, as it has not been heard since");
    it.wait(400);
    assert!(!it.core.knows(worker_id(2), life(1)));
    assert_eq!(it.core.next_deadline_ms(), Some(1_901));
    it.wait(500);
    assert_eq!(it.core.next_deadline_ms(), None, "nobody is left");
}

#[test]
fn the_next_deadline_is_the_first_of_all() {
    let mut it = Stage::new();
    it.join(1, 1);
    let out = it.submit(1, spec(&[map()]), 1);
    it.fails(1, &only(&out), Blame::Item);
    let pause_ms = it.core.next_deadline_ms().expect("a pause ends");
    assert!(pause_ms <= 400, "{pause_ms}");
    it.now_ms = 399;
    it.wait(1);
    assert_eq!(it.core.next_deadline_ms(), Some(1_001));
}

#[test]
fn a_lease_runs_from_when_the_worker_is_known_to_have_been_reached() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.now_ms = 900;
    it.heard_as_of(1, 600);
    it.heard_as_of(1, 300);
    it.now_ms = 1_600;
    assert!(!is_gone(&mut it, 1));
    it.now_ms = 1_601;
    assert!(is_gone(&mut it, 1));
}

#[test]
fn what_else_a_worker_says_does_not_keep_its_lease() {
    let says: [fn(&mut Stage); 2] = [
        |it| drop(it.reports(1, &[])),
        |it| {
            let (worker, incarnation) = (worker_id(1), life(1));
            it.step(Input::Finished { worker, incarnation, results: Vec::new() });
        },
    ];
    for say in says {
        let mut it = Stage::new();
        it.join(1, 1);
        it.now_ms = 600;
        say(&mut it);
        it.now_ms = 1_001;
        assert!(is_gone(&mut it, 1));
    }
}

#[test]
fn a_hello_begins_the_lease_anew() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.now_ms = 600;
    it.join(1, 1);
    it.now_ms = 1_600;
    assert!(!is_gone(&mut it, 1));
}

#[test]
fn what_an_earlier_life_says_does_not_keep_the_lease() {
    let mut it = Stage::new();
    it.hello(1, 2, 1, &[], &[]);
    it.now_ms = 600;
    it.heard(1);
    it.reports(1, &[]);
    it.now_ms = 1_001;
    assert!(is_gone(&mut it, 1));
}

#[test]
fn the_lost_link_of_an_earlier_life_changes_nothing() {
    let mut it = Stage::new();
    it.hello(1, 2, 1, &[], &[]);
    it.link_lost(1);
    assert!(it.core.worker_views()[0].connected);
    assert_eq!(given(&it.submit(1, spec(&[map()]), 1)).len(), 1);
}

#[test]
fn the_goodbye_of_an_earlier_life_changes_nothing() {
    let mut it = Stage::new();
    it.hello(1, 2, 1, &[], &[]);
    assert!(it.goodbye(1).records.is_empty());
    assert!(it.core.knows(worker_id(1), life(2)));
}

#[test]
fn what_an_earlier_life_says_of_its_replicas_changes_nothing() {
    let mut it = Stage::new();
    it.hello(1, 2, 1, &[], &[]);
    it.deploy("find", PLAN, 1);
    it.reports(1, &[leaf()]);
    let phase = |it: &Stage| it.core.service_view(&service("find")).expect("it is deployed").replicas[0].phase;
    assert_eq!(phase(&it), ReplicaPhase::Starting);
    let status = ReplicaStatus { key: leaf(), phase: ReplicaPhase::Ready, message: String::new() };
    it.step(Input::Replicas { worker: worker_id(1), incarnation: life(2), replicas: vec![status] });
    assert_eq!(phase(&it), ReplicaPhase::Ready);
}

#[test]
fn another_life_is_not_known() {
    let mut it = Stage::new();
    it.join(1, 1);
    assert!(it.core.knows(worker_id(1), life(1)));
    assert!(!it.core.knows(worker_id(1), life(2)));
    assert_eq!((it.core.life(worker_id(1)), it.core.life(worker_id(2))), (Some(life(1)), None));
}

#[test]
fn the_reunion_is_counted_from_the_start() {
    let mut it = Stage::new();
    it.now_ms = 90_000;
    it.join(1, 1);
    let mut it = it.restart(2);
    assert_eq!(it.core.next_deadline_ms(), Some(90_500));
    it.submit(1, spec(&[map()]), 1);
    assert!(given(&it.join(2, 1)).is_empty());
    assert_eq!(given(&it.wait(500)).len(), 1);
    assert_eq!(it.core.next_deadline_ms(), Some(91_001), "it is over for good");
}

#[test]
fn the_reunion_is_over_at_its_end_whether_time_was_told_or_not() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.join(2, 1);
    it.submit(1, spec(&[map()]), 1);
    let mut it = it.restart(2);
    it.now_ms = 499;
    assert!(given(&it.join(2, 1)).is_empty());
    it.now_ms = 500;
    assert_eq!(given(&it.join(2, 1)).len(), 1);
}
