//! Asking back: items that wait behind others on one worker while slots of another are idle.

use longshore_core::{Assignment, End};

use crate::stage::{Stage, asked_back, given, map, only, spec, worker_id};

/// A job of four items of so many microseconds, of which worker 1 with its one slot holds the last three.
fn queued_behind(run_us: u64) -> (Stage, [Assignment; 3]) {
    let mut it = Stage::new();
    it.join(1, 1);
    let first = only(&it.submit(1, spec(&[map()]), 4));
    let out = it.succeeds_after(1, &first, run_us, 0);
    let held: Vec<Assignment> = given(&out).into_iter().map(|(_, attempt)| attempt).collect();
    (it, held.try_into().expect("three for a slot"))
}

#[test]
fn the_newest_of_what_waits_is_asked_back_for_each_idle_slot() {
    let (mut it, held) = queued_behind(20_000);
    it.join(2, 1);
    assert_eq!(asked_back(&it.wait(10)), [(worker_id(1), held[2].id)]);
    let (mut it, held) = queued_behind(20_000);
    it.join(2, 8);
    let newest_first = [(worker_id(1), held[2].id), (worker_id(1), held[1].id)];
    assert_eq!(asked_back(&it.wait(10)), newest_first, "not the one that runs");
}

#[test]
fn what_was_asked_back_is_not_asked_back_again() {
    let (mut it, _) = queued_behind(20_000);
    it.join(2, 8);
    assert_eq!(asked_back(&it.wait(10)).len(), 2);
    assert!(asked_back(&it.wait(10)).is_empty());
}

/// A job of items of 20 ms, of which workers 1 and 3 with their one slot hold three each, given out in this order.
fn queued_behind_two() -> (Stage, [Assignment; 3], [Assignment; 3]) {
    let mut it = Stage::new();
    it.join(1, 1);
    it.join(3, 1);
    let first = given(&it.submit(1, spec(&[map()]), 7));
    let out = it.succeeds_after(1, &first[0].1, 20_000, 0);
    let all = first[1..].iter().copied().chain(given(&out));
    let (mine, others): (Vec<_>, Vec<_>) = all.partition(|(worker, _)| *worker == worker_id(1));
    let three = |held: Vec<(_, Assignment)>| {
        let held: Vec<Assignment> = held.into_iter().map(|(_, attempt)| attempt).collect();
        held.try_into().expect("three for a slot")
    };
    (it, three(mine), three(others))
}

#[test]
fn no_more_is_asked_back_than_slots_are_idle_while_something_is_on_its_way() {
    let (mut it, held) = queued_behind(20_000);
    it.join(2, 1);
    assert_eq!(asked_back(&it.wait(10)), [(worker_id(1), held[2].id)]);
    assert!(asked_back(&it.wait(10)).is_empty(), "the only idle slot has to wait for what was asked back");
    it.ends(1, &held[2], End::Returned);
    it.join(3, 1);
    assert_eq!(asked_back(&it.wait(10)), [(worker_id(1), held[1].id)], "another slot, another item");
}

#[test]
fn what_was_asked_back_too_late_is_not_waited_for() {
    let (mut it, held, others) = queued_behind_two();
    it.join(2, 1);
    assert_eq!(asked_back(&it.wait(10)), [(worker_id(1), held[2].id)]);
    it.succeeds_after(1, &held[0], 20_000, 0);
    it.succeeds_after(1, &held[1], 20_000, 0);
    assert_eq!(asked_back(&it.wait(10)), [(worker_id(3), others[2].id)], "the last one of worker 1 runs by now");
}

#[test]
fn what_cannot_come_back_without_a_link_is_not_waited_for() {
    let (mut it, held, others) = queued_behind_two();
    it.join(2, 1);
    assert_eq!(asked_back(&it.wait(10)), [(worker_id(1), held[2].id)]);
    it.link_lost(1);
    assert_eq!(asked_back(&it.wait(10)), [(worker_id(3), others[2].id)]);
}

#[test]
fn what_was_asked_back_over_a_lost_link_is_asked_back_again() {
    let (mut it, held) = queued_behind(20_000);
    it.join(2, 8);
    assert_eq!(asked_back(&it.wait(10)).len(), 2);
    it.link_lost(1);
    it.hello(1, 1, 1, &held, &[]);
    assert_eq!(asked_back(&it.wait(10)).len(), 2);
}

#[test]
fn what_comes_back_goes_to_the_idle_worker() {
    let (mut it, held) = queued_behind(20_000);
    it.join(2, 1);
    it.wait(10);
    let out = it.ends(1, &held[2], End::Returned);
    let [(worker, attempt)] = given(&out)[..] else { panic!("{out:?}") };
    assert_eq!((worker, attempt.item), (worker_id(2), held[2].item));
}

#[test]
fn short_items_are_not_worth_asking_back() {
    let (mut it, _) = queued_behind(19_999);
    it.join(2, 8);
    assert!(asked_back(&it.wait(10)).is_empty());
}

#[test]
fn nothing_is_asked_back_while_every_slot_is_taken() {
    let (mut it, _) = queued_behind(20_000);
    assert!(asked_back(&it.wait(10)).is_empty());
}

#[test]
fn nothing_is_asked_back_for_slots_that_cannot_be_reached() {
    let (mut it, _) = queued_behind(20_000);
    it.join(2, 8);
    it.link_lost(2);
    assert!(asked_back(&it.wait(10)).is_empty());
}

#[test]
fn nothing_is_asked_back_from_a_worker_without_a_link() {
    let (mut it, _) = queued_behind(20_000);
    it.link_lost(1);
    it.join(2, 8);
    assert!(asked_back(&it.wait(10)).is_empty());
}

#[test]
fn nothing_is_asked_back_while_workers_are_missed() {
    let (mut it, held) = queued_behind(20_000);
    it.join(2, 8);
    it.join(3, 1);
    let mut it = it.restart(2);
    it.hello(1, 1, 1, &held, &[]);
    it.join(2, 8);
    it.succeeds_after(1, &held[0], 20_000, 0);
    assert!(asked_back(&it.wait(10)).is_empty());
    it.join(3, 1);
    assert_eq!(asked_back(&it.wait(10)), [(worker_id(1), held[2].id)]);
}
