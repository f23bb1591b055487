//! Memory that grows: an item that met its limit is tried again with more, where somebody can give it that.

use longshore_core::{
    Assignment, Blame, Ceilings, Fault, FaultClass, Growth, JobState, Needs, Offer, Record, StageSpec,
};

use crate::stage::{Stage, given, only, spec};

const MIB: u64 = 1 << 20;

/// Items that need 100 MiB, twice as much each time they met their limit, up to 300.
fn growing() -> StageSpec {
    StageSpec {
        attempts: 9,
        needs: Needs { memory_bytes: 100 * MIB, ..Needs::default() }.shared(),
        growth: Some(Growth { hundredths: 200, up_to_bytes: 300 * MIB }),
        ..StageSpec::default()
    }
}

fn offer(memory_bytes: u64) -> Offer {
    let ceilings = Ceilings { memory_bytes, ..Ceilings::default() };
    Offer { ceilings, ..Offer::default() }
}

/// It meets its memory limit; what it is tried with next.
fn oom(it: &mut Stage, worker: u8, attempt: &Assignment) -> Assignment {
    let fault = Fault { class: FaultClass::OutOfMemory, ..Fault::default() };
    it.fails_by(worker, attempt, Blame::Item, fault);
    only(&it.wait_with(worker, 10))
}

#[test]
fn each_limit_that_was_met_makes_the_next_one_larger() {
    let mut it = Stage::new();
    it.join(1, 1);
    let mut attempt = only(&it.submit(1, spec(&[growing()]), 1));
    let mut memory = vec![attempt.memory_bytes];
    for _ in 0..3 {
        attempt = oom(&mut it, 1, &attempt);
        memory.push(attempt.memory_bytes / MIB);
    }
    assert_eq!(memory, [0, 200, 300, 300], "at first what the stage says");
    it.succeeds(1, &attempt, 1);
    assert_eq!(it.state(1), JobState::Succeeded);
}

#[test]
fn other_failures_leave_it_and_a_start_remembers_it() {
    let mut it = Stage::new();
    it.join(1, 1);
    let attempt = only(&it.submit(1, spec(&[growing()]), 1));
    let grown = oom(&mut it, 1, &attempt);
    it.exits(1, &grown, 7);
    let again = only(&it.wait_with(1, 10));
    assert_eq!((again.attempt, again.memory_bytes), (3, 200 * MIB));
    let mut it = it.restart(2);
    let again = only(&it.join(1, 1));
    assert_eq!((again.attempt, again.memory_bytes), (3, 200 * MIB));
}

#[test]
fn it_goes_to_a_worker_that_may_give_so_much() {
    let mut it = Stage::new();
    it.join_with(1, 1, offer(100 * MIB));
    it.submit(1, spec(&[growing()]), 2);
    it.join_with(2, 1, offer(250 * MIB));
    let first = held(&it, 0);
    let fault = Fault { class: FaultClass::OutOfMemory, ..Fault::default() };
    it.fails_by(1, &first, Blame::Item, fault);
    it.heard(2);
    assert!(given(&it.wait_with(1, 10)).is_empty(), "the one with enough is at work, the other may not have it");
    let other = held(&it, 1);
    let out = it.succeeds(2, &other, 1);
    let [(worker, grown)] = given(&out)[..] else { panic!("{out:?}") };
    assert_eq!((worker.0[0], grown.item.index, grown.memory_bytes), (2, 0, 200 * MIB));
    let again = oom(&mut it, 2, &grown);
    assert_eq!(again.memory_bytes, 200 * MIB, "nobody here may give it more");
}

/// The attempt at that item that is under way.
fn held(it: &Stage, index: u64) -> Assignment {
    let found = it.given.iter().rev().find(|attempt| attempt.item.index == index);
    *found.expect("it was given out")
}

#[test]
fn a_fresh_item_behind_one_that_has_grown_needs_no_more_than_its_stage_says() {
    let mut it = Stage::new();
    it.join(1, 1);
    let attempt = only(&it.submit(1, spec(&[growing()]), 2));
    let fault = Fault { class: FaultClass::OutOfMemory, ..Fault::default() };
    let other = only(&it.fails_by(1, &attempt, Blame::Item, fault));
    assert_eq!((other.item.index, other.memory_bytes), (1, 0));
    it.wait_with(1, 10);
    let grown = only(&it.succeeds(1, &other, 1));
    assert_eq!((grown.item.index, grown.memory_bytes), (0, 200 * MIB));
}

#[test]
fn what_is_retried_begins_with_what_its_stage_says() {
    let mut it = Stage::new();
    it.join(1, 1);
    let twice = StageSpec { attempts: 2, ..growing() };
    let attempt = only(&it.submit(1, spec(&[twice]), 1));
    let grown = oom(&mut it, 1, &attempt);
    it.exits(1, &grown, 7);
    let again = only(&it.retry(1));
    assert_eq!((again.attempt, again.memory_bytes), (3, 0));
    let mut troubles = it.records.iter().filter_map(|record| match record {
        Record::Trouble(trouble) => Some((trouble.earlier, trouble.growths)),
        _ => None,
    });
    assert_eq!(troubles.next_back(), Some((2, 0)));
}
