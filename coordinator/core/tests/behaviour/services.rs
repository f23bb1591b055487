//! Services: replicas are placed, moved, and found again.

use longshore_core::{
    Clientele, Input, Notice, Refusal, ReplicaKey, ReplicaPhase, ReplicaStatus, ReplicaView, Reply, Role, ServicePlan,
};

use crate::stage::{Stage, life, reply, service, told, worker_id};

const PLAN: ServicePlan = ServicePlan { shards: 2, replicas: 2, merges: 0 };

fn leaf(generation: u64, shard: u32, number: u32) -> ReplicaKey {
    ReplicaKey { service: service("find"), generation, role: Role::Leaf { shard }, number }
}

fn view(it: &Stage) -> Vec<ReplicaView> {
    it.core.service_view(&service("find")).expect("it is deployed").replicas
}

fn on(it: &Stage) -> Vec<Option<u8>> {
    view(it).iter().map(|replica| replica.worker.as_ref().map(|(worker, _)| worker.0[0])).collect()
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
    let view = it.core.service_view(&service("find")).expect("it is deployed");
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
    assert_eq!(reply(&out), &Reply::Refused(Refusal::ServiceExists(service("find"))));
}

#[test]
fn a_name_that_was_removed_gets_a_new_generation() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.deploy("find", PLAN, 1);
    let out = it.remove("find");
    assert_eq!(reply(&out), &Reply::Removed);
    assert_eq!(told(&out), [(worker_id(1), vec![])]);
    assert_eq!(reply(&it.remove("find")), &Reply::Refused(Refusal::NoSuchService(service("find"))));
    let mut it = it.restart(2);
    assert!(it.core.service_view(&service("find")).is_none());
    assert_eq!(reply(&it.deploy("find", PLAN, 1)), &Reply::Deployed { generation: 2 });
}

#[test]
fn what_is_said_of_a_replica_nobody_wants_is_ignored() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.deploy("find", PLAN, 1);
    it.reports(1, &[leaf(7, 0, 0), leaf(1, 9, 0), leaf(1, 0, 9)]);
    let view = it.core.service_view(&service("find")).expect("it is deployed");
    assert_eq!(view.replicas.len(), 4);
    assert!(view.replicas.iter().all(|replica| replica.phase == ReplicaPhase::Starting));
    assert_eq!(it.core.worker_views()[0].replicas, 4);
}

#[test]
fn what_is_said_of_an_earlier_deployment_is_ignored() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.deploy("find", PLAN, 1);
    it.remove("find");
    it.deploy("find", PLAN, 2);
    let out = it.reports(1, &[leaf(1, 0, 0)]);
    assert!(out.notices.is_empty());
    assert_eq!(it.core.worker_views()[0].replicas, 4);
    let mut it = it.restart(2);
    let out = it.hello(1, 1, 1, &[], &[leaf(1, 0, 0), leaf(2, 0, 0)]);
    assert_eq!(told(&out)[0].1, [leaf(2, 0, 0), leaf(2, 0, 1), leaf(2, 1, 0), leaf(2, 1, 1)]);
    let phases: Vec<ReplicaPhase> = view(&it).iter().map(|replica| replica.phase).collect();
    use ReplicaPhase::{Ready, Starting};
    assert_eq!(phases, [Ready, Starting, Starting, Starting]);
}

#[test]
fn each_kind_of_replica_is_wanted_up_to_its_last() {
    let plan = ServicePlan { shards: 2, replicas: 1, merges: 1 };
    let mut it = Stage::new();
    it.join(1, 1);
    it.deploy("find", plan, 1);
    let merge = |number| ReplicaKey { role: Role::Merge, ..leaf(1, 0, number) };
    for beyond in [leaf(1, 2, 0), leaf(1, 1, 1), merge(1)] {
        it.reports(1, &[beyond]);
        assert_eq!(it.core.worker_views()[0].replicas, 3);
    }
    it.reports(1, &[leaf(1, 0, 0), leaf(1, 1, 0), merge(0)]);
    assert!(view(&it).iter().all(|replica| replica.phase == ReplicaPhase::Ready));
}

#[test]
fn a_replica_its_worker_no_longer_has_is_starting_again() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.join(2, 1);
    it.deploy("find", PLAN, 1);
    it.reports(1, &[leaf(1, 0, 0), leaf(1, 1, 0)]);
    it.reports(2, &[leaf(1, 0, 1), leaf(1, 1, 1)]);
    let out = it.reports(1, &[leaf(1, 1, 0)]);
    assert_eq!(out.notices, [Notice::Service(service("find"))]);
    let phases: Vec<ReplicaPhase> = view(&it).iter().map(|replica| replica.phase).collect();
    use ReplicaPhase::{Ready, Starting};
    assert_eq!(phases, [Starting, Ready, Ready, Ready]);
    assert!(it.reports(1, &[leaf(1, 1, 0)]).notices.is_empty(), "nothing has changed since");
    it.hello(2, 1, 1, &[], &[leaf(1, 0, 1)]);
    assert_eq!(view(&it)[3].phase, Starting, "a hello says it too");
}

#[test]
fn only_the_worker_that_keeps_a_replica_speaks_for_it() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.join(2, 1);
    it.deploy("find", PLAN, 1);
    assert!(it.reports(2, &[leaf(1, 0, 0)]).notices.is_empty());
    assert_eq!(view(&it)[0].phase, ReplicaPhase::Starting);
}

#[test]
fn watchers_hear_what_becomes_of_replicas() {
    let find = [Notice::Service(service("find"))];
    let mut it = Stage::new();
    assert_eq!(it.deploy("find", PLAN, 1).notices, find);
    assert_eq!(it.join(1, 1).notices, find, "they are placed");
    assert_eq!(it.reports(1, &[leaf(1, 0, 0)]).notices, find, "one is ready");
    assert!(it.reports(1, &[leaf(1, 0, 0)]).notices.is_empty(), "that is no news");
    let says = |phase, message: &str| {
        let status = ReplicaStatus { key: leaf(1, 0, 0), phase, message: message.to_owned() };
        Input::Replicas { worker: worker_id(1), incarnation: life(1), replicas: vec![status] }
    };
    assert_eq!(it.step(says(ReplicaPhase::Failed, "")).notices, find);
    assert_eq!(it.step(says(ReplicaPhase::Failed, "no such image")).notices, find, "why is news too");
    assert_eq!(view(&it)[0].message, "no such image");
    assert_eq!(it.link_lost(1).notices, find, "they cannot be reached");
    it.join(2, 1);
    it.goodbye(2);
    it.now_ms += 1;
    assert_eq!(it.goodbye(1).notices, find, "they are nowhere");
    assert_eq!(view(&it)[0].message, "no worker is connected that may be given it");
    assert_eq!(it.remove("find").notices, find);
}

#[test]
fn watchers_hear_that_a_replica_was_found_where_it_is() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.join(2, 1);
    it.deploy("find", PLAN, 1);
    let mut it = it.restart(2);
    let status = ReplicaStatus { key: leaf(1, 0, 0), phase: ReplicaPhase::Starting, message: String::new() };
    let hello = Input::Hello {
        worker: worker_id(2),
        incarnation: life(1),
        previous: None,
        name: "worker-2".to_owned(),
        slots: 1,
        clientele: Clientele::Everybody,
        offer: std::sync::Arc::default(),
        held: Vec::new(),
        replicas: vec![status],
    };
    let out = it.step(hello);
    assert!(out.notices.contains(&Notice::Service(service("find"))));
    assert_eq!(on(&it), [Some(2), None, None, None]);
}

#[test]
fn shards_of_one_service_are_spread_over_all_workers() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.join(2, 1);
    it.deploy("find", ServicePlan { shards: 4, replicas: 1, merges: 0 }, 1);
    assert_eq!(on(&it), [Some(1), Some(2), Some(1), Some(2)]);
}

#[test]
fn a_replica_that_is_nowhere_is_starting() {
    let mut it = Stage::new();
    it.deploy("find", PLAN, 1);
    let replica = &view(&it)[0];
    assert_eq!((replica.phase, replica.reachable), (ReplicaPhase::Starting, false));
}

#[test]
fn a_replica_is_not_placed_on_a_worker_without_a_link() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.join(2, 1);
    it.link_lost(1);
    it.deploy("find", PLAN, 1);
    assert_eq!(on(&it), [Some(2); 4]);
}

#[test]
fn replicas_of_several_services_are_spread_over_all_workers() {
    let one = ServicePlan { shards: 1, replicas: 1, merges: 0 };
    let mut it = Stage::new();
    it.join(1, 1);
    it.join(2, 1);
    it.join(3, 1);
    it.deploy("find", one.clone(), 1);
    it.deploy("rank", one.clone(), 1);
    it.deploy("suggest", one, 1);
    let replicas: Vec<u64> = it.core.worker_views().iter().map(|worker| worker.replicas).collect();
    assert_eq!(replicas, [1, 1, 1]);
}

#[test]
fn replicas_of_a_shard_are_spread_even_over_fuller_workers() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.deploy("rank", ServicePlan { shards: 5, replicas: 1, merges: 0 }, 1);
    it.join(2, 1);
    it.deploy("find", ServicePlan { shards: 1, replicas: 2, merges: 0 }, 1);
    assert_eq!(on(&it), [Some(2), Some(1)]);
    it.remove("find");
    it.deploy("find", ServicePlan { shards: 2, replicas: 1, merges: 1 }, 2);
    assert_eq!(on(&it), [Some(2); 3], "other shards and the merge are no twins");
}

#[test]
fn a_worker_is_told_only_what_has_changed_for_it() {
    let mut it = Stage::new();
    it.join(1, 1);
    assert_eq!(told(&it.deploy("find", PLAN, 1)).len(), 1);
    let out = it.join(2, 1);
    assert_eq!(told(&out), [(worker_id(2), vec![])], "replicas do not move to a new worker");
    it.link_lost(2);
    assert!(told(&it.join(3, 1)).iter().all(|(worker, _)| *worker == worker_id(3)));
}
