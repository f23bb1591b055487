//! Placement: what needs something is given to whoever offers it and has room, and to nobody else.

use std::collections::{BTreeMap, BTreeSet};

use longshore_core::{Assignment, Needs, Offer, Outbox, Refusal, Reply, StageSpec};

use crate::stage::{Stage, asked_back, given, map, only, reply, spec, stopped};

const GIB: u64 = 1 << 30;

fn needing(needs: Needs) -> StageSpec {
    StageSpec { needs: needs.shared(), ..map() }
}

fn network(name: &str) -> Needs {
    Needs { network: name.to_owned(), ..Needs::default() }
}

fn gpus(count: u64) -> Needs {
    Needs { resources: BTreeMap::from([("gpu".to_owned(), count)]), ..Needs::default() }
}

fn memory(gib: u64) -> Needs {
    Needs { memory_bytes: gib * GIB, ..Needs::default() }
}

fn without_networks() -> Offer {
    Offer { networks: Some(BTreeSet::new()), ..Offer::default() }
}

fn with_gpus(count: u64) -> Offer {
    Offer { resources: BTreeMap::from([("gpu".to_owned(), count)]), ..Offer::default() }
}

fn small() -> Offer {
    Offer { cpu_milli: 4_000, memory_bytes: 8 * GIB, ..Offer::default() }
}

fn by_worker(out: &Outbox, worker: u8) -> Vec<Assignment> {
    given(out).into_iter().filter(|(to, _)| to.0[0] == worker).map(|(_, attempt)| attempt).collect()
}

#[test]
fn a_worker_is_given_nothing_that_its_operator_does_not_allow() {
    let mut it = Stage::new();
    it.join_with(1, 4, without_networks());
    it.join_with(2, 2, Offer::default());
    let out = it.submit(1, spec(&[needing(network("jobs"))]), 9);
    assert_eq!((by_worker(&out, 1).len(), by_worker(&out, 2).len()), (0, 2));
    it.do_everything(2, out, 0);
    assert_eq!((it.counts(1, 0).succeeded, it.counts(1, 0).failed), (9, 0));
}

#[test]
fn work_for_others_does_not_hide_what_a_worker_could_run() {
    let mut it = Stage::new();
    it.join_with(2, 1, with_gpus(1));
    it.goodbye(2);
    it.submit(1, spec(&[needing(gpus(1))]), 5);
    it.submit(2, spec(&[map()]), 5);
    assert_eq!(only(&it.join_with(1, 1, Offer::default())).item.job.0[0], 2);
}

#[test]
fn a_stage_of_a_job_does_not_hide_behind_one_that_needs_something_else() {
    let mut it = Stage::new();
    it.join_with(1, 1, Offer::default());
    it.join_with(2, 1, with_gpus(1));
    let out = it.submit(1, spec(&[map(), needing(gpus(1))]), 3);
    let [first, second] = [1, 2].map(|worker| by_worker(&out, worker)[0]);
    // Its child needs a GPU, so the first worker goes on with the first stage.
    let out = it.succeeds(1, &first, 1);
    assert_eq!(by_worker(&out, 1)[0].item.stage, 0);
    it.succeeds(1, &by_worker(&out, 1)[0], 0);
    let out = it.succeeds(2, &second, 0);
    assert_eq!(only(&out).item.stage, 1);
}

#[test]
fn a_resource_bounds_how_many_run_at_once() {
    let mut it = Stage::new();
    it.join_with(1, 8, with_gpus(2));
    let out = it.submit(1, spec(&[needing(gpus(1))]), 5);
    assert_eq!(given(&out).len(), 2);
    let out = it.succeeds_after(1, &given(&out)[0].1, 1, 0);
    assert_eq!(given(&out).len(), 1, "however short they are, nothing is given ahead");
    // Others have the slots that are left.
    assert_eq!(given(&it.submit(2, spec(&[map()]), 9)).len(), 6);
}

#[test]
fn memory_is_counted_exactly_where_more_is_asked_for_than_a_slots_share() {
    let mut it = Stage::new();
    it.join_with(1, 4, small());
    assert_eq!(given(&it.submit(1, spec(&[needing(memory(2))]), 9)).len(), 4, "a slot's share is a slot");
    let mut it = Stage::new();
    it.join_with(1, 4, small());
    let out = it.submit(1, spec(&[needing(memory(3))]), 9);
    assert_eq!(given(&out).len(), 2);
    assert_eq!(given(&it.submit(2, spec(&[map()]), 9)).len(), 1, "2 GiB are left, a slot's share");
}

#[test]
fn what_is_counted_waits_for_room_beside_others_and_goes_to_whoever_has_it() {
    let mut it = Stage::new();
    it.join_with(1, 4, small());
    let light = it.submit(1, spec(&[map()]), 3);
    assert_eq!(given(&it.submit(2, spec(&[needing(memory(3))]), 1)).len(), 0);
    // The emptier worker has no room for it, the next one has.
    it.join_with(2, 1, Offer { memory_bytes: GIB, ..small() });
    assert_eq!(given(&it.join_with(3, 4, small())).len(), 1);
    assert_eq!(given(&it.submit(3, spec(&[needing(memory(8))]), 1)).len(), 0);
    let last = given(&light).into_iter().map(|(_, attempt)| it.succeeds(1, &attempt, 0)).last();
    assert_eq!(given(&last.expect("three")).len(), 1);
}

#[test]
fn nothing_is_given_ahead_to_a_worker_that_runs_something_counted() {
    let mut it = Stage::new();
    it.join_with(1, 4, small());
    let mut out = it.submit(1, spec(&[map()]), 400);
    for _ in 0..8 {
        let first = given(&out)[0].1;
        out = it.succeeds_after(1, &first, 1_000, 0);
    }
    it.cancel(1);
    assert_eq!(given(&it.submit(2, spec(&[needing(memory(4))]), 1)).len(), 1);
    assert_eq!(given(&it.submit(3, spec(&[map()]), 50)).len(), 2, "each of a quarter");
}

#[test]
fn what_nobody_who_is_here_could_ever_run_is_refused_and_the_nearest_is_named() {
    let mut it = Stage::new();
    it.join_with(1, 1, without_networks());
    it.join_with(2, 1, Offer { root: false, ..without_networks() });
    let needs = Needs { user: longshore_core::User::Root, ..network("jobs") };
    let refused = it.submit(1, spec(&[map(), needing(needs.clone())]), 1);
    let Reply::Refused(refusal @ Refusal::FitsNowhere { stage: 1, .. }) = reply(&refused) else {
        panic!("{refused:?}")
    };
    let words = refusal.to_string();
    assert!(words.contains("worker \"worker-1\" comes nearest") && words.contains("the network \"jobs\""), "{words}");
    // Whoever could may come back, and where nobody is anybody may come.
    it.goodbye(1);
    it.goodbye(2);
    assert!(matches!(reply(&it.submit(2, spec(&[needing(needs)]), 1)), Reply::Submitted { .. }));
    assert_eq!(given(&it.join_with(3, 1, Offer::default())).len(), 1);
}

#[test]
fn a_worker_that_comes_back_and_offers_less_gives_up_what_it_may_not_run_any_more() {
    let mut it = Stage::new();
    it.join_with(1, 1, with_gpus(1));
    let out = it.submit(1, spec(&[needing(gpus(1))]), 1);
    let attempt = only(&out);
    it.link_lost(1);
    let back = it.join_with(1, 1, Offer::default());
    assert!(given(&back).is_empty() && stopped(&back).is_empty());
    assert_ne!(only(&it.join_with(2, 1, with_gpus(1))).id, attempt.id);
}

#[test]
fn queued_items_are_asked_back_for_whoever_could_run_them_alone() {
    let mut it = Stage::new();
    it.join_with(1, 1, Offer::default());
    let first = only(&it.submit(1, spec(&[needing(network("jobs"))]), 4));
    it.succeeds_after(1, &first, 25_000, 0);
    it.join_with(2, 1, without_networks());
    assert!(asked_back(&it.wait_with(1, 500)).is_empty());
    it.join_with(3, 1, Offer::default());
    assert!(!asked_back(&it.wait_with(1, 500)).is_empty());
}
