//! The fences of a result, each alone. From outside they always agree, so the states here are made by hand.

use super::*;
use crate::{job::StageSpec, outbox::Assignment};

const JOB: JobId = JobId([1; 16]);
const WORKER: WorkerId = WorkerId([2; 16]);
const LIFE: Incarnation = Incarnation([3; 16]);
const ITEM: ItemKey = ItemKey { job: JOB, stage: 0, index: 0 };

/// A core with an item that an attempt of its only worker is for.
fn running() -> (Core, AttemptId) {
    let mut core = Core::load(1, Settings::default(), Now::default(), []);
    let (worker, incarnation, name) = (WORKER, LIFE, String::new());
    let hello = Input::Hello { worker, incarnation, name, slots: 1, held: Vec::new(), replicas: Vec::new() };
    core.step(Now::default(), hello);
    let stage = StageSpec { gather: false, attempts: 1, backoff_ms: 0, max_backoff_ms: 0, max_parallel: 0 };
    let spec = JobSpec { stages: vec![stage], priority: 0 };
    let (request, key) = (RequestId(1), String::new());
    let submit = Input::Submit { request, job: JOB, key, spec, inputs: 1, detail: [0; 32] };
    let out = core.step(Now::default(), submit);
    match out.orders.as_slice() {
        [Order::Assign { attempts, .. }] => match attempts.as_slice() {
            [Assignment { id, item: ITEM, .. }] => (core, *id),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn succeeds(core: &mut Core, id: AttemptId) -> Outbox {
    let end = End::Succeeded { outputs: 0, detail: vec![2] };
    let results = vec![Finished { id, item: ITEM, end, run_us: 1 }];
    core.step(Now::default(), Input::Finished { worker: WORKER, incarnation: LIFE, results })
}

#[test]
fn an_item_that_has_ended_does_not_end_again_by_the_attempt_it_still_has() {
    let (mut core, id) = running();
    let outcome = OutcomeRecord { item: ITEM, success: true, outputs: 0, first_child: 0, detail: vec![1] };
    core.ledger.apply(&Record::Outcome(outcome));
    assert!(succeeds(&mut core, id).records.is_empty());
}

#[test]
fn an_attempt_a_worker_holds_commits_nothing_when_its_item_is_another_attempts() {
    let (mut core, id) = running();
    let other = AttemptId { number: id.number + 1, ..id };
    let queue = core.queue_mut(&ITEM).expect("the job runs");
    assert!(queue.release(ITEM.index, id));
    queue.adopt(ITEM.index, other);
    assert!(succeeds(&mut core, id).records.is_empty());
    assert!(core.release(ITEM, other), "it is the other attempt's as before");
}

#[test]
fn an_attempt_its_item_has_commits_nothing_when_another_worker_holds_it() {
    let (mut core, id) = running();
    core.fleet.attempts.get_mut(&id).expect("it is held").worker = WorkerId([9; 16]);
    assert!(succeeds(&mut core, id).records.is_empty());
    assert!(core.release(ITEM, id), "it is this attempt's as before");
}
