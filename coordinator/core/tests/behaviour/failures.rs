//! Failures: how they are counted, how long an item pauses after one, and what follows from a worker that went down.

use longshore_core::{Blame, JobState, Losses, Record, StageSpec, TroubleRecord};

use crate::stage::{Stage, given, item, map, only, spec};

/// A stage with pauses unlike those of the terms.
fn patient() -> StageSpec {
    StageSpec { attempts: 4, backoff_ms: 4_000, max_backoff_ms: 16_000, ..map() }
}

/// How long the only item pauses, in order, when it fails over and over; the first is tried after all of them.
fn pauses(blame: Blame, times: u32) -> Vec<u64> {
    let mut it = Stage::new();
    it.join(1, 1);
    let mut attempt = only(&it.submit(1, spec(&[patient()]), 1));
    let mut pauses = Vec::new();
    for _ in 0..times {
        let failed_ms = it.now_ms;
        it.fails(1, &attempt, blame);
        let tried = loop {
            assert!(it.now_ms < failed_ms + 20_000, "it is not tried again");
            let out = it.wait_with(1, 1);
            if !given(&out).is_empty() {
                break only(&out);
            }
        };
        pauses.push(it.now_ms - failed_ms);
        attempt = tried;
    }
    pauses
}

/// Whether each is as long as it should be, up to the jitter of a quarter.
fn are_about(pauses: &[u64], full_ms: &[u64]) -> bool {
    let about = |(pause, full): (&u64, &u64)| (full * 3 / 4..=*full).contains(pause);
    pauses.len() == full_ms.len() && pauses.iter().zip(full_ms).all(about)
}

#[test]
fn an_item_pauses_by_the_terms_of_its_stage_twice_as_long_each_time() {
    let pauses = pauses(Blame::Item, 3);
    assert!(are_about(&pauses, &[4_000, 8_000, 16_000]), "{pauses:?}");
}

#[test]
fn after_what_is_not_its_failure_an_item_pauses_by_the_terms_of_all() {
    let slot = pauses(Blame::Slot, 2);
    assert!(are_about(&slot, &[100, 200]), "{slot:?}");
    let mishaps = pauses(Blame::Infrastructure, 3);
    assert!(are_about(&mishaps, &[100, 200, 400]), "{mishaps:?}");
}

#[test]
fn items_that_failed_at_once_are_not_tried_again_at_once() {
    let mut it = Stage::new();
    it.join(1, 20);
    let out = it.submit(1, spec(&[patient()]), 20);
    given(&out).iter().for_each(|(_, attempt)| drop(it.fails(1, attempt, Blame::Item)));
    it.wait_with(1, 3_500);
    let back = it.counts(1, 0).running;
    assert!((1..20).contains(&back), "{back}");
}

#[test]
fn a_pause_counts_from_the_failure() {
    let mut it = Stage::new();
    it.now_ms = 50_000;
    it.join(1, 1);
    let out = it.submit(1, spec(&[map()]), 1);
    it.fails(1, &only(&out), Blame::Item);
    assert!(given(&it.wait(299)).is_empty());
    assert_eq!(only(&it.wait(101)).attempt, 2);
}

#[test]
fn an_item_whose_pause_is_over_is_given_out_with_whatever_happens_next() {
    let mut it = Stage::new();
    it.join(1, 2);
    let out = it.submit(1, spec(&[map()]), 2);
    let [(_, first), (_, second)] = given(&out)[..] else { panic!("{out:?}") };
    it.fails(1, &first, Blame::Item);
    it.now_ms = it.core.next_deadline_ms().expect("a pause ends");
    let out = it.succeeds(1, &second, 0);
    assert_eq!(only(&out).item, first.item);
}

#[test]
fn an_item_is_given_up_at_the_last_failure_of_each_kind() {
    // Never fewer losses than tries.
    let kinds = [(Blame::Item, 4), (Blame::Slot, 4), (Blame::Infrastructure, 4)];
    for (blame, most) in kinds {
        let mut it = Stage::new();
        it.join(1, 1);
        let mut attempt = only(&it.submit(1, spec(&[patient()]), 1));
        for failed in 1..most {
            it.fails(1, &attempt, blame);
            assert_eq!(it.state(1), JobState::Running, "{blame:?} {failed}");
            attempt = only(&it.wait_with(1, 16_000));
            assert_eq!(attempt.attempt, failed + 1);
        }
        it.fails(1, &attempt, blame);
        assert_eq!(it.state(1), JobState::Failed, "{blame:?}");
    }
}

/// What is kept of the trouble of the first item, in order: failures, losses, mishaps.
fn troubles(records: &[Record]) -> Vec<[u32; 3]> {
    let counts = |record: &Record| match record {
        Record::Trouble(it) if it.item == item(1, 0, 0) => Some([it.failures, it.losses.count(), it.mishaps]),
        _ => None,
    };
    records.iter().filter_map(counts).collect()
}

#[test]
fn each_kind_of_failure_is_counted_for_itself() {
    let mut it = Stage::new();
    it.join(1, 1);
    let mut attempt = only(&it.submit(1, spec(&[patient()]), 1));
    for blame in [Blame::Item, Blame::Slot, Blame::Infrastructure] {
        it.fails(1, &attempt, blame);
        attempt = only(&it.wait_with(1, 16_000));
    }
    it.fails(1, &attempt, Blame::Slot);
    assert_eq!(troubles(&it.records), [[1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 2, 1]]);
}

#[test]
fn a_failure_says_how_it_failed() {
    let mut it = Stage::new();
    it.join(1, 1);
    let out = it.submit(1, spec(&[map()]), 1);
    let out = it.fails(1, &only(&out), Blame::Item);
    let trouble = TroubleRecord {
        item: item(1, 0, 0),
        failures: 1,
        losses: Losses::default(),
        mishaps: 0,
        earlier: 0,
        growths: 0,
        detail: vec![1],
    };
    assert_eq!(out.records, [Record::Trouble(trouble)]);
}

#[test]
fn an_item_on_a_worker_that_comes_back_as_another_life_is_suspect_beside_what_it_went_through() {
    let mut it = Stage::new();
    it.join(1, 1);
    let out = it.submit(1, spec(&[map()]), 1);
    it.fails(1, &only(&out), Blame::Item);
    it.wait(400);
    it.wait(1_001);
    assert_eq!(it.counts(1, 0).queued, 1, "it fell silent, which proves nothing");
    it.hello(1, 2, 1, &[], &[]);
    assert_eq!(troubles(&it.records), [[1, 0, 0], [1, 1, 0]]);
}

#[test]
fn silence_of_a_worker_that_comes_back_alive_is_nobodys_fault() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.submit(1, spec(&[map()]), 1);
    it.wait(1_001);
    it.hello(1, 1, 1, &[], &[]);
    it.hello(1, 1, 1, &[], &[]);
    assert_eq!(troubles(&it.records), Vec::<[u32; 3]>::new());
}

#[test]
fn what_has_ended_is_not_suspect() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.submit(1, spec(&[map()]), 2);
    it.wait(1_001);
    let out = it.join(2, 1);
    it.succeeds(2, &only(&out), 0);
    assert_eq!(it.state(1), JobState::Running);
    it.hello(1, 2, 1, &[], &[]);
    assert_eq!(troubles(&it.records), Vec::<[u32; 3]>::new());
}

#[test]
fn nothing_of_an_ended_job_is_suspect() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.submit(1, spec(&[map()]), 1);
    it.wait(1_001);
    it.cancel(1);
    it.hello(1, 2, 1, &[], &[]);
    assert_eq!(troubles(&it.records), Vec::<[u32; 3]>::new());
}

#[test]
fn only_as_many_are_suspect_as_a_silent_worker_could_run() {
    let mut it = Stage::new();
    it.join(1, 1);
    let first = only(&it.submit(1, spec(&[map()]), 3));
    assert_eq!(given(&it.succeeds(1, &first, 0)).len(), 2);
    it.wait(1_001);
    let out = it.hello(1, 2, 1, &[], &[]);
    let suspects: Vec<_> = out.records.iter().filter(|record| matches!(record, Record::Trouble(_))).collect();
    assert!(matches!(suspects[..], [Record::Trouble(it)] if it.item == item(1, 0, 1)), "{suspects:?}");
}
