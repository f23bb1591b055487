//! What a stage says of failures, by their class: which are tried again, and which are none.

use longshore_core::{
    Blame, Fault, FaultClass, FaultPolicy, FaultRule, ItemState, JobState, Notice, Record, StageSpec,
};

use crate::stage::{Stage, gather, given, item, job_id, map, only, outcomes, spec};

fn exits(from: i32, to: i32) -> FaultRule {
    FaultRule { class: FaultClass::Exit, codes: (from, to) }
}

/// A stage whose items have two tries, and these rules.
fn with(policy: FaultPolicy) -> StageSpec {
    StageSpec { policy, ..map() }
}

fn never(rule: FaultRule) -> FaultPolicy {
    FaultPolicy { never: vec![rule], ..FaultPolicy::default() }
}

fn filter(code: i32) -> FaultPolicy {
    FaultPolicy { filter: vec![exits(code, code)], ..FaultPolicy::default() }
}

/// Whether the only item failed for good at its first failure, and whether that says that it was spared tries.
fn ended_at_once(policy: FaultPolicy, blame: Blame, fault: Fault) -> Option<bool> {
    let mut it = Stage::new();
    it.join(1, 1);
    let first = only(&it.submit(1, spec(&[with(policy)]), 1));
    let out = it.fails_by(1, &first, blame, fault);
    let ended = out.records.iter().find_map(|record| match record {
        Record::Outcome(outcome) => Some(outcome.spared),
        _ => None,
    });
    assert_eq!(ended.is_some(), it.state(1) == JobState::Failed);
    ended
}

fn exit(code: i32) -> Fault {
    Fault { class: FaultClass::Exit, code, print: 0 }
}

#[test]
fn a_failure_that_is_never_tried_again_ends_its_item_and_says_so() {
    assert_eq!(ended_at_once(never(exits(64, 78)), Blame::Item, exit(65)), Some(true));
    assert_eq!(ended_at_once(never(exits(64, 78)), Blame::Item, exit(63)), None);
}

#[test]
fn where_some_failures_are_tried_again_others_are_not() {
    let on = FaultPolicy { on: vec![FaultRule::all(FaultClass::Timeout)], ..FaultPolicy::default() };
    assert_eq!(ended_at_once(on.clone(), Blame::Item, exit(1)), Some(true));
    let timeout = Fault { class: FaultClass::Timeout, ..Fault::default() };
    assert_eq!(ended_at_once(on, Blame::Item, timeout), None);
}

#[test]
fn what_is_hopeless_is_not_said_to_be_spared_tries() {
    let command = Fault { class: FaultClass::Command, ..Fault::default() };
    assert_eq!(ended_at_once(FaultPolicy::default(), Blame::Hopeless, command), Some(false));
}

#[test]
fn an_image_that_cannot_be_had_is_tried_again_where_that_is_wanted() {
    let image = Fault { class: FaultClass::Image, ..Fault::default() };
    let on = FaultPolicy { on: vec![FaultRule::all(FaultClass::Image)], ..FaultPolicy::default() };
    assert_eq!(ended_at_once(on, Blame::Hopeless, image), None);
    assert_eq!(ended_at_once(FaultPolicy::default(), Blame::Hopeless, image), Some(false));
}

#[test]
fn losses_and_trouble_of_the_infrastructure_are_tried_through_whatever_the_rules() {
    let lost = Fault { class: FaultClass::Lost, ..Fault::default() };
    let never = FaultPolicy {
        on: vec![exits(1, 1)],
        never: vec![FaultRule::all(FaultClass::Lost), FaultRule::all(FaultClass::Infrastructure)],
        ..FaultPolicy::default()
    };
    assert_eq!(ended_at_once(never.clone(), Blame::Slot, lost), None);
    let mishap = Fault { class: FaultClass::Infrastructure, ..Fault::default() };
    assert_eq!(ended_at_once(never, Blame::Infrastructure, mishap), None);
}

#[test]
fn the_last_try_is_not_spared() {
    let mut it = Stage::new();
    it.join(1, 1);
    let once = StageSpec { attempts: 1, ..with(never(exits(64, 78))) };
    let first = only(&it.submit(1, spec(&[once]), 1));
    let out = it.exits(1, &first, 65);
    assert!(out.records.iter().all(|record| !matches!(record, Record::Outcome(it) if it.spared)));
    assert_eq!(it.state(1), JobState::Failed);
}

#[test]
fn an_item_with_nothing_in_it_has_ended_well_at_its_first_try() {
    let mut it = Stage::new();
    it.join(1, 1);
    let first = only(&it.submit(1, spec(&[with(filter(3)), map()]), 1));
    let out = it.exits(1, &first, 3);
    assert_eq!((outcomes(&out), it.state(1)), (1, JobState::Succeeded));
    assert!(out.notices.contains(&Notice::Job(job_id(1))));
    let counts = it.counts(1, 0);
    assert_eq!((counts.filtered, counts.succeeded, counts.failed, counts.queued), (1, 0, 0, 0));
    assert_eq!(counts.failed_attempts, 0, "that is no failure");
    assert_eq!(it.counts(1, 1).items, 0, "it left nothing");
}

#[test]
fn only_the_code_that_was_named_filters() {
    let mut it = Stage::new();
    it.join(1, 2);
    let out = it.submit(1, spec(&[with(filter(3))]), 2);
    let [(_, first), (_, second)] = given(&out)[..] else { panic!("{out:?}") };
    it.exits(1, &first, 4);
    it.fails_by(1, &second, Blame::Item, Fault { class: FaultClass::Signal, code: 3, print: 0 });
    assert_eq!((it.counts(1, 0).filtered, it.counts(1, 0).backing_off), (0, 2));
}

#[test]
fn an_item_may_be_filtered_after_a_failure() {
    let mut it = Stage::new();
    it.join(1, 1);
    let first = only(&it.submit(1, spec(&[with(filter(3))]), 1));
    it.exits(1, &first, 1);
    let second = only(&it.wait_with(1, 400));
    let out = it.exits(1, &second, 3);
    assert!(out.records.contains(&Record::TroubleGone(item(1, 0, 0))), "its troubles no longer count");
    assert_eq!(it.state(1), JobState::Succeeded);
}

#[test]
fn a_gather_goes_on_past_what_was_filtered() {
    let mut it = Stage::new();
    it.join(1, 2);
    let out = it.submit(1, spec(&[with(filter(3)), gather()]), 2);
    let [(_, first), (_, second)] = given(&out)[..] else { panic!("{out:?}") };
    it.exits(1, &first, 3);
    let last = only(&it.succeeds(1, &second, 1));
    assert_eq!(last.item, item(1, 1, 0));
    it.succeeds(1, &last, 1);
    assert_eq!(it.state(1), JobState::Succeeded);
}

#[test]
fn what_was_filtered_stays_so_after_a_restart_and_a_retry() {
    let mut it = Stage::new();
    it.join(1, 2);
    let once = StageSpec { attempts: 1, ..with(filter(3)) };
    let out = it.submit(1, spec(&[once]), 2);
    let [(_, first), (_, second)] = given(&out)[..] else { panic!("{out:?}") };
    it.exits(1, &first, 3);
    it.exits(1, &second, 1);
    let mut it = it.restart(2);
    let stage = it.core.ledger().job(job_id(1)).and_then(|job| job.stage(0)).expect("the job is there");
    assert_eq!([0, 1].map(|index| stage.state(index)), [ItemState::Filtered, ItemState::Failed]);
    it.join(1, 2);
    assert_eq!(only(&it.retry(1)).item, item(1, 0, 1), "only what failed is tried again");
    assert_eq!(it.counts(1, 0).filtered, 1);
}

#[test]
fn a_stage_in_which_everything_fails_is_given_out_as_many_at_a_time_as_one_that_succeeds() {
    let quick_us = 100;
    let held = |fails: bool| {
        let mut it = Stage::new();
        it.join(1, 1);
        let first = only(&it.submit(1, spec(&[StageSpec { attempts: 1, ..map() }]), 100));
        let out =
            if fails { it.exits_after(1, &first, 1, quick_us) } else { it.succeeds_after(1, &first, quick_us, 0) };
        given(&out).len()
    };
    assert_eq!(held(true), held(false));
    assert!(held(true) > 1);
}
