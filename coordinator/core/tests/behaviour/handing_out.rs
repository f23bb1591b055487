//! Handing out: which items, to whom, and how many at once.

use longshore_core::{Assignment, AttemptId, Blame, End, Outbox, Source};

use crate::stage::{Stage, given, item, map, only, spec, worker_id};

/// Which items a worker was given, in order.
fn of(out: &Outbox, worker: u8) -> Vec<u64> {
    let all = given(out).into_iter().filter(|(who, _)| *who == worker_id(worker));
    all.map(|(_, attempt)| attempt.item.index).collect()
}

/// How many items a worker was given.
fn count(out: &Outbox, worker: u8) -> usize {
    given(out).iter().filter(|(who, _)| *who == worker_id(worker)).count()
}

#[test]
fn a_worker_is_given_neighbours() {
    let mut it = Stage::new();
    it.join(1, 4);
    it.join(2, 4);
    let out = it.submit(1, spec(&[map()]), 100);
    assert_eq!((of(&out, 1), of(&out, 2)), (vec![0, 1, 2, 3], vec![4, 5, 6, 7]));
}

#[test]
fn the_last_items_are_neighbours_too() {
    for (items, last) in [(8, vec![4, 5, 6, 7]), (7, vec![4, 5, 6])] {
        let mut it = Stage::new();
        it.join(1, 4);
        it.join(2, 4);
        let out = it.submit(1, spec(&[map()]), items);
        assert_eq!((of(&out, 1), of(&out, 2)), (vec![0, 1, 2, 3], last));
    }
}

#[test]
fn who_has_left_is_given_nothing_and_has_no_share() {
    let mut it = Stage::new();
    it.join(1, 8);
    it.join(2, 4);
    it.join(3, 4);
    let out = it.submit(1, spec(&[map()]), 1);
    it.fails(1, &only(&out), Blame::Item);
    it.heard(1);
    it.goodbye(1);
    let out = it.submit(2, spec(&[map()]), 8);
    assert_eq!((of(&out, 2), of(&out, 3)), (vec![0, 1, 2, 3], vec![4, 5, 6, 7]));
}

#[test]
fn what_is_given_back_keeps_its_place_among_what_was_never_given_out() {
    let mut it = Stage::new();
    it.submit(1, spec(&[map()]), 9);
    let fifth = Assignment {
        id: AttemptId { epoch: 0, number: 1 },
        item: item(1, 0, 5),
        attempt: 1,
        source: Source::Input,
        memory_bytes: 0,
    };
    assert!(given(&it.hello(1, 1, 1, &[fifth], &[])).is_empty());
    assert_eq!(only(&it.ends(1, &fifth, End::Returned)).item, item(1, 0, 0));
}

#[test]
fn the_last_items_are_spread_over_all_slots() {
    let mut it = Stage::new();
    it.join(1, 12);
    it.join(2, 4);
    let out = it.submit(1, spec(&[map()]), 8);
    assert_eq!((count(&out, 1), count(&out, 2)), (6, 2));
}

#[test]
fn a_job_that_waits_for_room_goes_on_when_there_is_some() {
    let mut it = Stage::new();
    it.join(1, 1);
    let first = only(&it.submit(1, spec(&[map()]), 1));
    assert!(given(&it.submit(2, spec(&[map()]), 2)).is_empty());
    let out = it.succeeds(1, &first, 0);
    assert_eq!(only(&out).item, item(2, 0, 0));
    assert_eq!(only(&it.join(2, 1)).item, item(2, 0, 1));
}

#[test]
fn later_stages_go_first() {
    let mut it = Stage::new();
    it.join(1, 1);
    let out = it.submit(1, spec(&[map(), map()]), 3);
    let out = it.succeeds(1, &only(&out), 1);
    let items: Vec<_> = given(&out).iter().map(|(_, attempt)| attempt.item).collect();
    assert_eq!(items, [item(1, 1, 0), item(1, 0, 1)]);
}

#[test]
fn one_item_for_each_slot_until_it_is_known_how_long_they_run() {
    let mut it = Stage::new();
    it.join(1, 4);
    assert_eq!(given(&it.submit(1, spec(&[map()]), 1_000)).len(), 4);
}

#[test]
fn a_slot_is_given_as_many_items_as_cover_fifty_milliseconds() {
    for (run_us, held) in [(60_000, 1), (50_000, 2), (10_000, 6), (1_000, 51), (100, 64), (0, 64)] {
        let mut it = Stage::new();
        it.join(1, 1);
        let first = only(&it.submit(1, spec(&[map()]), 1_000));
        it.succeeds_after(1, &first, run_us, 0);
        assert_eq!(it.counts(1, 0).running, held, "{run_us} us");
    }
}

#[test]
fn how_long_items_run_is_learned_slowly() {
    let mut it = Stage::new();
    it.join(1, 1);
    let first = only(&it.submit(1, spec(&[map()]), 1_000));
    let mut next = only(&it.succeeds_after(1, &first, 80_000, 0));
    for _ in 0..3 {
        // An eighth of the way at a time: 70 ms, 61, 54.
        next = only(&it.succeeds_after(1, &next, 0, 0));
    }
    assert_eq!(given(&it.succeeds_after(1, &next, 0, 0)).len(), 2);
}

#[test]
fn a_run_is_the_share_of_what_is_pending_and_not_of_what_is_paused() {
    let mut it = Stage::new();
    it.join(3, 8);
    let out = it.submit(1, spec(&[map()]), 17);
    let (_, first) = given(&out)[0];
    let mut held: Vec<_> = given(&out).into_iter().skip(1).collect();
    held.extend(given(&it.succeeds(3, &first, 0)));
    assert_eq!(held.len(), 16);
    for (_, attempt) in &held[..8] {
        it.fails(3, attempt, Blame::Item);
    }
    it.join(1, 4);
    it.join(2, 4);
    let out = it.goodbye(3);
    assert_eq!((count(&out, 1), count(&out, 2)), (4, 4));
}

#[test]
fn a_run_is_the_share_of_what_is_pending_and_not_of_what_runs_or_has_ended() {
    let mut it = Stage::new();
    it.join(3, 8);
    let first = given(&it.submit(1, spec(&[map()]), 33))[0].1;
    it.succeeds(3, &first, 0);
    it.join(4, 8);
    assert_eq!(it.counts(1, 0).running, 32);
    it.join(1, 4);
    it.join(2, 4);
    let out = it.goodbye(3);
    assert_eq!((count(&out, 1), count(&out, 2)), (8, 8));
    assert_eq!(of(&out, 1)[..4], [1, 2, 3, 4], "a quarter of sixteen");
    assert_eq!(of(&out, 2)[0], 5);
}

#[test]
fn room_for_the_deepest_stage_of_a_job_is_room_for_the_job() {
    let mut it = Stage::new();
    it.join(1, 2);
    let other = only(&it.submit(2, spec(&[map()]), 1));
    let first = only(&it.submit(1, spec(&[map(), map()]), 2));
    let second = only(&it.succeeds_after(1, &first, 100_000, 20));
    it.succeeds_after(1, &second, 10_000, 0);
    assert_eq!(it.counts(1, 1).running, 11, "six for each slot, and one is another job's");
    let out = it.succeeds(1, &other, 0);
    assert_eq!(only(&out).item, item(1, 1, 12));
    assert_eq!(it.counts(1, 0).queued, 1);
}

#[test]
fn the_job_with_the_fewest_under_way_goes_first() {
    let mut it = Stage::new();
    it.join(1, 4);
    let first = given(&it.submit(1, spec(&[map()]), 9));
    assert!(given(&it.submit(2, spec(&[map()]), 9)).is_empty());
    let next: Vec<_> =
        first[..3].iter().map(|(_, attempt)| only(&it.succeeds_after(1, attempt, 60_000, 0)).item).collect();
    assert_eq!(next, [item(2, 0, 0), item(2, 0, 1), item(1, 0, 4)]);
}
