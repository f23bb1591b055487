//! Adoption: which of the attempts that a worker names in its hello go on, and which it has to stop.

use longshore_core::{Assignment, AttemptId, Blame, End, ItemKey, JobState, StageSpec};

use crate::stage::{Stage, gather, given, item, map, only, outcomes, spec, stopped};

/// An attempt from before the coordinator's start.
fn old(number: u64, item: ItemKey, like: Assignment) -> Assignment {
    Assignment { id: AttemptId { epoch: 0, number }, item, ..like }
}

#[test]
fn an_attempt_of_an_item_that_is_not_there_yet_is_stopped() {
    let mut it = Stage::new();
    it.join(1, 1);
    let first = only(&it.submit(1, spec(&[map(), map(), gather()]), 1));
    let behind_the_last = item(1, 0, 1);
    let not_there = [behind_the_last, item(1, 1, 0), item(1, 2, 0), item(1, 3, 0), item(2, 0, 0)];
    let held: Vec<Assignment> = (1..).zip(not_there).map(|(number, item)| old(number, item, first)).collect();
    let out = it.hello(2, 1, 9, &held, &[]);
    assert_eq!(stopped(&out), held.iter().map(|held| held.id).collect::<Vec<_>>());
    let running: Vec<u64> = it.view(1).stages.iter().map(|stage| stage.running).collect();
    assert_eq!(running, [1, 0, 0]);
}

#[test]
fn an_attempt_of_an_item_that_has_ended_is_stopped() {
    let mut it = Stage::new();
    it.join(1, 2);
    let out = it.submit(1, spec(&[map()]), 2);
    let first = given(&out)[0].1;
    it.succeeds(1, &first, 0);
    let held = old(1, first.item, first);
    assert_eq!(stopped(&it.hello(2, 1, 1, &[held], &[])), [held.id]);
}

#[test]
fn an_attempt_of_an_item_that_runs_elsewhere_is_stopped() {
    let mut it = Stage::new();
    it.join(1, 1);
    let first = only(&it.submit(1, spec(&[map()]), 1));
    let held = old(1, first.item, first);
    assert_eq!(stopped(&it.hello(2, 1, 1, &[held], &[])), [held.id]);
    it.succeeds(1, &first, 0);
    assert_eq!(it.state(1), JobState::Succeeded);
}

#[test]
fn an_adopted_item_is_not_given_out_when_its_pause_is_over() {
    let mut it = Stage::new();
    it.join(1, 1);
    let first = only(&it.submit(1, spec(&[map()]), 1));
    it.fails(1, &first, Blame::Item);
    let held = old(1, first.item, first);
    assert!(stopped(&it.hello(1, 1, 4, &[held], &[])).is_empty());
    assert_eq!((it.counts(1, 0).running, it.counts(1, 0).backing_off), (1, 0));
    assert!(given(&it.wait_with(1, 400)).is_empty());
    assert_eq!(outcomes(&it.succeeds(1, &held, 0)), 1);
}

#[test]
fn an_adopted_item_that_was_to_be_taken_again_is_not() {
    let mut it = Stage::new();
    it.join(1, 1);
    let first = only(&it.submit(1, spec(&[map()]), 1));
    it.link_lost(1);
    it.wait(1_001);
    assert_eq!(it.counts(1, 0).queued, 1);
    assert!(given(&it.hello(1, 1, 4, &[first], &[])).is_empty());
    assert_eq!(it.counts(1, 0).running, 1);
    assert_eq!(outcomes(&it.succeeds(1, &first, 0)), 1);
}

#[test]
fn an_adopted_item_that_fails_pauses_like_any_other() {
    let mut it = Stage::new();
    it.join(1, 1);
    let first = only(&it.submit(1, spec(&[StageSpec { max_parallel: 1, ..map() }]), 1));
    it.wait(1_001);
    it.hello(1, 1, 1, &[first], &[]);
    assert!(given(&it.fails(1, &first, Blame::Item)).is_empty());
    assert_eq!(only(&it.wait_with(1, 400)).attempt, 2);
}

#[test]
fn an_adopted_item_that_paused_and_came_back_still_has_its_turn() {
    let mut it = Stage::new();
    it.submit(1, spec(&[map()]), 6);
    let first = only(&it.join(1, 1));
    let mut it = it.restart(2);
    let last = old(1, item(1, 0, 5), first);
    it.hello(1, 1, 1, &[last], &[]);
    let first = only(&it.fails(1, &last, Blame::Item));
    it.wait_with(1, 400);
    let again = only(&it.succeeds_after(1, &first, 60_000, 0));
    assert_eq!(again.item, last.item, "its pause is over");
    let out = it.ends(1, &again, End::Returned);
    it.do_everything(1, out, 0);
    assert_eq!(it.state(1), JobState::Succeeded);
}

#[test]
fn an_attempt_that_another_worker_holds_is_not_adopted() {
    let mut it = Stage::new();
    it.join(1, 1);
    let first = only(&it.submit(1, spec(&[map()]), 2));
    let claim = Assignment { item: item(1, 0, 1), ..first };
    assert_eq!(stopped(&it.hello(2, 1, 1, &[claim], &[])), [first.id]);
    assert_eq!(outcomes(&it.succeeds(1, &first, 0)), 1, "it is the first worker's as before");
}

#[test]
fn an_attempt_is_adopted_for_one_item_only() {
    let mut it = Stage::new();
    it.join(1, 1);
    let first = only(&it.submit(1, spec(&[map()]), 3));
    let claims = [1, 2].map(|index| old(1, item(1, 0, index), first));
    assert_eq!(stopped(&it.hello(2, 1, 2, &claims, &[])), [claims[1].id]);
    it.goodbye(2);
    it.succeeds(1, &first, 0);
    assert_eq!((it.counts(1, 0).running, it.counts(1, 0).queued), (2, 0), "nothing is left behind");
}

#[test]
fn an_attempt_nobody_was_given_is_not_adopted() {
    let mut it = Stage::new();
    it.join(1, 1);
    let first = only(&it.submit(1, spec(&[map()]), 3));
    for id in [AttemptId { epoch: 1, number: 2 }, AttemptId { epoch: 2, number: 1 }] {
        let claim = Assignment { id, item: item(1, 0, 1), ..first };
        assert_eq!(stopped(&it.hello(2, 1, 1, &[claim], &[])), [id]);
        it.goodbye(2);
    }
}
