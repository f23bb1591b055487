//! What does not hold is found: states that no input leads to, made by hand.

use super::*;
use crate::{
    ids::{Incarnation, Now, RequestId},
    jobs::{JobSpec, submit::submit},
    ledger::Ledger,
    members::{MemberRecord, TokenTerms},
    outbox::Outbox,
    record::{JobRecord, OutcomeRecord, Record},
    schedule::Passed,
    schedule::hand_out::hand_out,
    services::{ServiceName, ServicePlan, deploy::deploy, place::place},
    settings::Settings,
    stages::StageSpec,
    workers::{Arrival, Clientele, hello::hello},
};

const JOB: JobId = JobId([1; 16]);
const WORKER: WorkerId = WorkerId([2; 16]);
const ITEM: ItemKey = ItemKey { job: JOB, stage: 0, index: 0 };
const NOW: Now = Now { steady_ms: 0, wall_ms: 0 };

fn arrival(clientele: Clientele) -> Arrival {
    Arrival {
        worker: WORKER,
        incarnation: Incarnation([3; 16]),
        previous: None,
        name: String::new(),
        slots: 1,
        clientele,
        offer: std::sync::Arc::default(),
    }
}

/// A job of two items, of which the only worker has one, and a service of one replica, which it keeps.
fn sound() -> State {
    let mut state = State::load(1, Settings::default(), NOW, []);
    let mut out = Outbox::default();
    hello(&mut state, NOW, arrival(Clientele::Everybody), &[], &[], &mut out);
    let spec = JobSpec { stages: vec![StageSpec::default()], ..JobSpec::default() };
    let names = (JOB, Namespace::default(), String::new());
    submit(&mut state, NOW, RequestId(1), (JobRecord::submitted(NOW, names, spec, 2, [0; 32]), &[]), &mut out);
    let plan = ServicePlan { shards: 1, replicas: 1, merges: 0 };
    deploy(&mut state, RequestId(2), ServiceName::in_default("find"), plan, [0; 32], &mut out);
    hand_out(&mut state, NOW, &mut out);
    place(&mut state, NOW, &mut out);
    assert_eq!(check(&state), Ok(()));
    state
}

/// The only attempt.
fn attempt(state: &State) -> AttemptId {
    state.fleet.attempts().next().expect("an item is given out").0
}

fn outcome(index: u64) -> Record {
    let item = ItemKey { index, ..ITEM };
    Record::Outcome(OutcomeRecord::ended(item, true, Vec::new()))
}

#[test]
fn a_running_job_without_queues_is_found() {
    let mut state = sound();
    state.queues.close(JOB);
    assert_eq!(check(&state), Err(Violation::Queues(JOB)));
}

#[test]
fn a_job_that_should_have_ended_is_found() {
    let mut state = sound();
    (0..2).for_each(|index| state.ledger.apply(&outcome(index)));
    assert_eq!(check(&state), Err(Violation::Spent(JOB)));
}

#[test]
fn a_job_that_lost_its_turn_is_found() {
    let mut state = sound();
    state.queues.rank_waiting(&state.ledger, 0, 0);
    let worker = state.fleet.worker(WORKER).expect("it is here");
    assert!(state.queues.next(&Ledger::default(), NOW, (WORKER, worker, 0, 0), &mut Passed::default()).is_none());
    assert_eq!(check(&state), Err(Violation::Turn(JOB)));
}

#[test]
fn an_attempt_of_an_ended_item_is_found() {
    let mut state = sound();
    state.ledger.apply(&outcome(0));
    assert_eq!(check(&state), Err(Violation::Attempt { id: attempt(&state), item: ITEM }));
}

#[test]
fn an_attempt_that_only_its_worker_knows_is_found() {
    let mut state = sound();
    let id = attempt(&state);
    state.queues.release(&ITEM, id);
    assert_eq!(check(&state), Err(Violation::Attempt { id, item: ITEM }));
}

#[test]
fn an_attempt_on_nobodys_list_is_found() {
    let mut state = sound();
    let id = attempt(&state);
    state.fleet.take(id, WORKER);
    state.fleet.hold(id, ITEM, None, WorkerId([9; 16]));
    assert_eq!(check(&state), Err(Violation::Attempt { id, item: ITEM }));
}

#[test]
fn an_attempt_that_only_its_queue_knows_is_found() {
    let mut state = sound();
    let id = attempt(&state);
    state.fleet.take(id, WORKER);
    assert_eq!(check(&state), Err(Violation::Attempts { held: 0, queued: 1, listed: 0 }));
}

#[test]
fn a_replica_that_is_forgotten_is_found() {
    let mut state = sound();
    state.placement.unwant(&ServiceName::in_default("find"));
    assert!(matches!(check(&state), Err(Violation::Wanted(_))));
}

#[test]
fn a_replica_nobody_asked_for_is_found() {
    let mut state = sound();
    let other = ServiceName::in_default("other");
    state.placement.want(ServicePlan { shards: 1, replicas: 1, merges: 0 }.replicas_of(&other, 1));
    assert!(matches!(check(&state), Err(Violation::Wanted(_))));
}

#[test]
fn a_replica_on_a_worker_that_has_gone_is_found() {
    let mut state = sound();
    let id = attempt(&state);
    state.queues.release(&ITEM, id);
    state.fleet.leave(WORKER);
    state.queues.give_back(&ITEM);
    assert!(matches!(check(&state), Err(Violation::Placed(_))));
}

fn member(id: u8, key: u8, revoked_ms: u64) -> Record {
    Record::Member(MemberRecord {
        id: WorkerId([id; 16]),
        key: [key; 32],
        previous_key: None,
        name: String::new(),
        labels: BTreeMap::new(),
        namespaces: Vec::new(),
        joined_ms: 1,
        token: TokenId([1; 5]),
        revoked_ms,
    })
}

#[test]
fn a_revoked_worker_that_is_here_or_expected_is_found() {
    let mut state = sound();
    state.ledger.apply(&member(2, 1, 1));
    assert_eq!(check(&state), Err(Violation::Revoked(WORKER)));
    let mut state = State::load(1, Settings::default(), NOW, []);
    state.ledger.apply(&member(2, 1, 1));
    assert_eq!(check(&state), Ok(()));
    state.ledger.apply(&Record::Worker(crate::record::WorkerRecord { id: WORKER, name: String::new() }));
    assert_eq!(check(&state), Err(Violation::Revoked(WORKER)));
}

#[test]
fn a_key_of_two_members_is_found() {
    let mut state = sound();
    state.ledger.apply(&member(5, 1, 0));
    assert_eq!(check(&state), Ok(()));
    state.ledger.apply(&member(6, 1, 0));
    assert_eq!(check(&state), Err(Violation::Key(WorkerId([5; 16]))));
}

#[test]
fn a_token_that_was_used_too_often_is_found() {
    let mut state = sound();
    for (uses, used, found) in [(2, 2, Ok(())), (0, 9, Ok(())), (2, 3, Err(Violation::Uses(TokenId([1; 5]))))] {
        let terms = TokenTerms {
            kind: TokenKind::Join { uses, labels: BTreeMap::new() },
            name: String::new(),
            namespaces: Vec::new(),
        };
        let token = TokenRecord { id: TokenId([1; 5]), secret: [0; 32], terms, used, created_ms: 0, expires_ms: 0 };
        state.ledger.apply(&Record::Token(token));
        assert_eq!(check(&state), found);
    }
}

#[test]
fn what_a_worker_has_that_it_may_not_have_is_found() {
    let barred = Err(Violation::Barred { worker: WORKER, namespace: Namespace::default() });
    let mut state = sound();
    state.fleet.join(arrival(Clientele::Only([Namespace::named("other")].into())), 0);
    assert_eq!(check(&state), barred, "an attempt");
    let id = attempt(&state);
    state.fleet.take(id, WORKER);
    state.release(ITEM, id);
    state.queues.give_back(&ITEM);
    assert_eq!(check(&state), barred, "a replica");
}

#[test]
fn what_could_be_given_out_and_was_not_is_found() {
    let mut state = sound();
    let id = attempt(&state);
    state.fleet.take(id, WORKER);
    state.release(ITEM, id);
    state.queues.give_back(&ITEM);
    assert_eq!(check(&state), Err(Violation::Overlooked { job: JOB, stage: 0, worker: WORKER }));
}
