//! Workers that are here and take nothing: they say hello without slots.

use longshore_core::{End, JobState, ServicePlan};

use crate::stage::{Stage, given, map, only, service, spec};

const NO_TAKER: &str = "no worker takes work now; `longshore worker ls` says why";

#[test]
fn a_worker_without_slots_is_given_nothing_until_it_has_some() {
    let mut it = Stage::new();
    it.join(1, 0);
    assert!(given(&it.submit(1, spec(&[map()]), 1)).is_empty());
    assert_eq!(it.view(1).idle_because, Some(NO_TAKER));
    let attempt = only(&it.hello(1, 1, 2, &[], &[]));
    it.succeeds(1, &attempt, 1);
    assert_eq!(it.state(1), JobState::Succeeded);
}

#[test]
fn work_goes_to_those_that_have_slots() {
    let mut it = Stage::new();
    it.join(1, 0);
    it.join(2, 1);
    let out = it.submit(1, spec(&[map()]), 1);
    let attempt = only(&out);
    it.succeeds(2, &attempt, 1);
    assert_eq!(it.state(1), JobState::Succeeded);
}

#[test]
fn what_a_worker_gives_back_that_has_no_slots_any_more_goes_to_another_untried() {
    let mut it = Stage::new();
    it.join(1, 1);
    let attempt = only(&it.submit(1, spec(&[map()]), 1));
    it.hello(1, 1, 0, &[attempt], &[]);
    assert_eq!(it.counts(1, 0).running, 1, "it may still come to its end");
    assert!(given(&it.ends(1, &attempt, End::Returned)).is_empty(), "not to the one without slots");
    assert_eq!(it.counts(1, 0).failed_attempts, 0);
    let again = only(&it.join(2, 1));
    assert_eq!(again.item, attempt.item);
    it.succeeds(2, &again, 1);
    assert_eq!(it.state(1), JobState::Succeeded);
}

#[test]
fn replicas_are_placed_on_workers_with_slots_and_stay_where_they_are() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.join(2, 0);
    let plan = ServicePlan { shards: 1, replicas: 2, merges: 0 };
    it.deploy("find", plan, 1);
    let on = |it: &Stage| -> Vec<_> {
        let replicas = it.core.service_view(&service("find")).expect("it is deployed").replicas;
        replicas.iter().map(|replica| replica.worker.as_ref().map(|(worker, _)| worker.0[0])).collect()
    };
    assert_eq!(on(&it), [Some(1), Some(1)]);
    it.hello(1, 1, 0, &[], &[]);
    assert_eq!(on(&it), [Some(1), Some(1)]);
}
