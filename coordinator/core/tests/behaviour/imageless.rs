//! Images that a worker cannot get: others are asked, the worker is left out, and what nobody can get fails once.

use longshore_core::{Assignment, Blame, Cut, Fault, FaultClass, FaultPolicy, FaultRule, JobState, Outbox, StageSpec};

use crate::stage::{Stage, given, job_id, map, only, outcomes, spec};

/// The image cannot be had there.
fn misses(it: &mut Stage, worker: u8, attempt: &Assignment) -> Outbox {
    it.fails_by(worker, attempt, Blame::Hopeless, Fault { class: FaultClass::Image, ..Fault::default() })
}

fn left_out(it: &Stage) -> Vec<u8> {
    it.core.no_images(Some(job_id(1))).map(|miss| miss.worker.0[0]).collect()
}

#[test]
fn an_item_goes_to_a_worker_that_has_the_image_untried_and_so_do_all_others() {
    let mut it = Stage::new();
    it.join(1, 1);
    let attempt = only(&it.submit(1, spec(&[map()]), 3));
    let out = misses(&mut it, 1, &attempt);
    assert_eq!(it.state(1), JobState::Failed, "alone it is all there is");
    assert_eq!(outcomes(&out), 1);
    let mut it = Stage::new();
    it.join(1, 2);
    let two = given(&it.submit(1, spec(&[map()]), 3));
    it.join(2, 1);
    let mut held = vec![it.given[2]];
    for (_, attempt) in &two {
        let out = misses(&mut it, 1, attempt);
        assert_eq!(outcomes(&out) + given(&out).len(), 0);
    }
    assert_eq!((left_out(&it), it.counts(1, 0).running), (vec![1], 1), "nothing more goes there");
    while let Some(attempt) = held.pop() {
        assert_eq!(attempt.attempt, 1, "in vain, but not tried");
        let found = given(&it.succeeds(2, &attempt, 1));
        assert!(found.iter().all(|(worker, _)| worker.0[0] == 2));
        held.extend(found.iter().map(|(_, attempt)| *attempt));
    }
    assert_eq!(it.state(1), JobState::Succeeded);
}

#[test]
fn what_no_worker_can_get_fails_once_and_ends_the_job() {
    let mut it = Stage::new();
    it.join(1, 2);
    it.join(2, 2);
    let four = given(&it.submit(1, spec(&[StageSpec { attempts: 5, ..map() }]), 1_000));
    assert_eq!(four.len(), 4);
    let mut held = four.clone();
    while let Some((worker, attempt)) = held.pop() {
        held.extend(given(&misses(&mut it, worker.0[0], &attempt)));
    }
    assert_eq!((it.state(1), it.view(1).record.cut), (JobState::Failed, Some(Cut::Image { stage: 0 })));
    assert_eq!((it.counts(1, 0).failed, it.view(1).stages[0].queued), (1, 999));
    assert_eq!(left_out(&it), Vec::<u8>::new(), "of a job that has ended nothing is remembered");
    assert!(it.given.len() <= 6, "nor was it tried for each: {}", it.given.len());
    let again = given(&it.retry(1));
    assert_eq!(again.len(), 4, "somebody has mended it, maybe");
}

#[test]
fn a_worker_is_tried_again_after_a_while_or_when_it_was_started_anew() {
    let mut it = Stage::new();
    it.join(1, 1);
    let attempt = only(&it.submit(1, spec(&[map()]), 2));
    it.join(2, 1);
    it.drain(2);
    it.undrain(2);
    misses(&mut it, 1, &attempt);
    let held = it.given.len();
    for _ in 0..59 {
        it.heard(2);
        it.wait_with(1, 1_000);
        assert_eq!(it.given.len(), held);
    }
    it.heard(2);
    it.wait_with(1, 1_000);
    assert_eq!(it.given.len(), held + 1, "a minute is enough");
    let again = *it.given.last().expect("it was");
    misses(&mut it, 1, &again);
    assert_eq!(left_out(&it), [1]);
    it.hello(1, 2, 1, &[], &[]);
    assert_eq!((left_out(&it), it.counts(1, 0).running), (Vec::new(), 2), "this one may have it");
}

#[test]
fn a_stage_that_says_so_has_it_tried_again_by_its_own_pauses() {
    let mut it = Stage::new();
    it.join(1, 1);
    let on = vec![FaultRule::all(FaultClass::Image)];
    let stage = StageSpec { policy: FaultPolicy { on, ..FaultPolicy::default() }, ..map() };
    let attempt = only(&it.submit(1, spec(&[stage]), 1));
    misses(&mut it, 1, &attempt);
    assert_eq!((it.state(1), left_out(&it)), (JobState::Running, Vec::new()));
    let again = only(&it.wait_with(1, 500));
    assert_eq!(again.attempt, 2);
    misses(&mut it, 1, &again);
    assert_eq!(it.state(1), JobState::Failed);
}
