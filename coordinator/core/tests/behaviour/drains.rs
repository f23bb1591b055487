//! Workers that are given nothing more.

use longshore_core::{Input, MembersInput, Refusal, ReplicaKey, ReplicaPhase, ReplicaStatus, Reply, ServicePlan};

use crate::{
    members::{create, join},
    stage::{Stage, asked_back, given, life, map, only, reply, service, spec, told, worker_id},
};

#[test]
fn a_drained_worker_is_given_nothing_more_and_what_runs_goes_on() {
    let mut it = Stage::new();
    it.join(1, 1);
    let first = only(&it.submit(1, spec(&[map()]), 3));
    assert_eq!(reply(&it.drain(1)), &Reply::Done);
    assert!(given(&it.succeeds(1, &first, 0)).is_empty());
    assert_eq!(it.counts(1, 0).succeeded, 1);
    assert!(it.core.worker_views()[0].draining);
    assert_eq!(given(&it.undrain(1)).len(), 2);
    assert!(!it.core.worker_views()[0].draining);
}

#[test]
fn what_a_drained_worker_has_not_begun_goes_to_another() {
    let mut it = Stage::new();
    it.join(1, 1);
    let mut runs = only(&it.submit(1, spec(&[map()]), 400));
    let held = loop {
        let out = it.succeeds_after(1, &runs, 1_000, 0);
        match given(&out).as_slice() {
            [(_, next)] => runs = *next,
            many => break many.len(),
        }
    };
    assert_eq!(asked_back(&it.drain(1)).len(), held - 1);
    assert!(!given(&it.join(2, 1)).is_empty());
}

#[test]
fn a_worker_stays_drained_over_starts_of_it_and_of_the_coordinator() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.drain(1);
    it.goodbye(1);
    it.submit(1, spec(&[map()]), 1);
    assert!(given(&it.hello(1, 2, 1, &[], &[])).is_empty());
    let mut it = it.restart(2);
    assert!(given(&it.hello(1, 3, 1, &[], &[])).is_empty());
    assert_eq!(given(&it.undrain(1)).len(), 1);
}

#[test]
fn draining_and_undraining_again_are_answered_alike() {
    let mut it = Stage::new();
    assert_eq!(reply(&it.drain(1)), &Reply::Refused(Refusal::NoSuchWorker(worker_id(1))));
    assert_eq!(reply(&it.undrain(1)), &Reply::Refused(Refusal::NoSuchWorker(worker_id(1))));
    it.join(1, 1);
    it.drain(1);
    let out = it.drain(1);
    assert_eq!(reply(&out), &Reply::Done);
    assert!(out.records.is_empty());
    it.goodbye(1);
    assert_eq!(reply(&it.drain(1)), &Reply::Done, "though it has gone");
    assert_eq!(reply(&it.undrain(1)), &Reply::Done);
}

#[test]
fn nothing_is_known_of_a_member_that_was_taken_off_the_list() {
    let mut it = Stage::new();
    it.ask(create(1, 0, 0));
    it.ask(join(1, 1, 1));
    it.drain(1);
    it.ask(MembersInput::RemoveWorker { worker: worker_id(1), revoke: false });
    assert!(!it.core.ledger().is_drained(worker_id(1)));
}

const ONE: ServicePlan = ServicePlan { shards: 1, replicas: 1, merges: 0 };

fn keeper(it: &Stage) -> u8 {
    let view = it.core.service_view(&service("find")).expect("it is deployed");
    view.replicas[0].worker.as_ref().expect("it is placed").0.0[0]
}

/// Two workers, the first of which keeps the only replica, and is being drained; that replica.
fn moving() -> (Stage, ReplicaKey) {
    let mut it = Stage::new();
    it.join(1, 1);
    let key = told(&it.deploy("find", ONE, 1)).remove(0).1.remove(0);
    it.reports(1, std::slice::from_ref(&key));
    it.join(2, 1);
    let out = it.drain(1);
    let keeps = |worker| told(&out).into_iter().find(|(it, _)| *it == worker_id(worker)).map(|(_, keep)| keep.len());
    assert_eq!((keeps(1), keeps(2)), (Some(1), Some(1)), "it is started anew before it goes");
    assert_eq!(keeper(&it), 1);
    (it, key)
}

#[test]
fn a_replica_leaves_a_drained_worker_when_it_is_ready_elsewhere() {
    let (mut it, key) = moving();
    let out = it.reports(2, std::slice::from_ref(&key));
    assert!(told(&out).contains(&(worker_id(1), Vec::new())), "{out:?}");
    assert_eq!(keeper(&it), 2);
    assert_eq!(it.core.worker_views()[0].replicas, 0);
}

#[test]
fn a_replica_stays_where_there_is_no_other_worker_and_goes_when_one_comes() {
    let mut it = Stage::new();
    it.join(1, 1);
    let key = told(&it.deploy("find", ONE, 1)).remove(0).1.remove(0);
    it.reports(1, std::slice::from_ref(&key));
    it.drain(1);
    assert_eq!((keeper(&it), it.core.worker_views()[0].replicas), (1, 1));
    assert!(told(&it.join(2, 1)).contains(&(worker_id(2), vec![key.clone()])));
    it.reports(2, &[key]);
    assert_eq!(keeper(&it), 2);
}

#[test]
fn a_replica_goes_elsewhere_when_its_new_place_is_lost_and_over_when_its_old_one_is() {
    let (mut it, key) = moving();
    it.join(3, 1);
    let out = it.goodbye(2);
    assert_eq!(keeper(&it), 1);
    assert!(told(&out).contains(&(worker_id(3), vec![key])), "{out:?}");
    it.goodbye(1);
    assert_eq!(keeper(&it), 3, "where it was on its way to");
}

#[test]
fn a_replica_stays_when_its_worker_is_given_work_again() {
    let (mut it, key) = moving();
    let out = it.undrain(1);
    assert!(told(&out).contains(&(worker_id(2), Vec::new())), "{out:?}");
    it.reports(2, &[key]);
    assert_eq!(keeper(&it), 1);
}

#[test]
fn a_service_that_is_removed_while_its_replica_moves_is_gone_from_both() {
    let (mut it, _) = moving();
    let told = told(&it.remove("find"));
    assert!(told.contains(&(worker_id(1), Vec::new())) && told.contains(&(worker_id(2), Vec::new())), "{told:?}");
}

#[test]
fn a_replica_that_is_still_being_started_elsewhere_has_not_gone() {
    let (mut it, key) = moving();
    let status = ReplicaStatus { key, phase: ReplicaPhase::Starting, message: String::new() };
    it.step(Input::Replicas { worker: worker_id(2), incarnation: life(1), replicas: vec![status] });
    assert_eq!(keeper(&it), 1);
}
