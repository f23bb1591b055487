//! The fences of a result, each alone. From outside they always agree, so the states here are made by hand.

use super::*;
use crate::{
    ids::{AttemptId, ItemKey, JobId, Namespace, RequestId},
    jobs::{JobSpec, submit::submit},
    outbox::Assignment,
    record::{JobRecord, OutcomeRecord, Record},
    schedule::hand_out::hand_out,
    settings::Settings,
    stages::StageSpec,
    workers::{Arrival, Clientele, hello::hello},
};

const JOB: JobId = JobId([1; 16]);
const WORKER: WorkerId = WorkerId([2; 16]);
const LIFE: Incarnation = Incarnation([3; 16]);
const ITEM: ItemKey = ItemKey { job: JOB, stage: 0, index: 0 };
const NOW: Now = Now { steady_ms: 0, wall_ms: 0 };

/// A state with an item that an attempt of its only worker is for.
fn running() -> (State, AttemptId) {
    let mut state = State::load(1, Settings::default(), NOW, []);
    let mut out = Outbox::default();
    let arrival = Arrival {
        worker: WORKER,
        incarnation: LIFE,
        previous: None,
        name: String::new(),
        slots: 1,
        clientele: Clientele::Everybody,
        offer: std::sync::Arc::default(),
    };
    hello(&mut state, NOW, arrival, &[], &[], &mut out);
    let spec = JobSpec { stages: vec![StageSpec::default()], ..JobSpec::default() };
    let record = JobRecord::submitted(NOW, (JOB, Namespace::default(), String::new()), spec, 1, [0; 32]);
    submit(&mut state, NOW, RequestId(1), (record, &[]), &mut out);
    hand_out(&mut state, NOW, &mut out);
    match out.orders.as_slice() {
        [Order::Welcome { .. }, Order::Assign { attempts, .. }] => match attempts.as_slice() {
            [Assignment { id, item: ITEM, .. }] => (state, *id),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn succeeds(state: &mut State, id: AttemptId) -> Outbox {
    let mut out = Outbox::default();
    let end = End::Succeeded { outputs: 0, detail: vec![2] };
    finished(state, NOW, (WORKER, LIFE), vec![Finished { id, item: ITEM, end, run_us: 1 }], &mut out);
    out
}

#[test]
fn an_item_that_has_ended_does_not_end_again_by_the_attempt_it_still_has() {
    let (mut state, id) = running();
    let outcome = OutcomeRecord::ended(ITEM, true, vec![1]);
    state.ledger.apply(&Record::Outcome(outcome));
    assert!(succeeds(&mut state, id).records.is_empty());
}

#[test]
fn an_attempt_a_worker_holds_commits_nothing_when_its_item_is_another_attempts() {
    let (mut state, id) = running();
    let other = AttemptId { number: id.number + 1, ..id };
    assert!(state.queues.release(&ITEM, id));
    assert!(state.queues.adopt(&ITEM, other));
    assert!(succeeds(&mut state, id).records.is_empty());
    assert!(state.release(ITEM, other), "it is the other attempt's as before");
}

#[test]
fn an_attempt_its_item_has_commits_nothing_when_another_worker_holds_it() {
    let (mut state, id) = running();
    assert_eq!(state.fleet.take(id, WORKER), Some(ITEM));
    state.fleet.hold(id, ITEM, None, WorkerId([9; 16]));
    assert!(succeeds(&mut state, id).records.is_empty());
    assert!(state.release(ITEM, id), "it is this attempt's as before");
}
