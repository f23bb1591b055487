//! Time has passed.

use crate::{
    ids::Now,
    jobs::{end::end_overdue, patience::end_impatient, remove, retry},
    outbox::{Notice, Outbox},
    record::Record,
    schedule::ask_back::ask_back,
    state::State,
    workers::lease,
};

/// Leases run out, pauses end, work queued behind other work is asked back for idle workers,
/// and tokens are forgotten.
pub(crate) fn tick(state: &mut State, now: Now, out: &mut Outbox) {
    end_overdue(state, now, out);
    end_impatient(state, now, out);
    lease::lose_the_silent(state, now, out);
    lease::give_up_the_missed(state, now, out);
    ask_back(state, now, out);
    forget_tokens(state, now, out);
    remove::free_keys(state, now, out);
    go_on(state, now, out);
}

/// Does one slice of what takes more than one step, if there is any.
fn go_on(state: &mut State, now: Now, out: &mut Outbox) {
    let Some(job) = state.chores.turn() else { return };
    if state.ledger.is_going(job) {
        remove::slice(state, job, out);
    } else {
        retry::slice(state, now, job, out);
    }
}

fn forget_tokens(state: &mut State, now: Now, out: &mut Outbox) {
    for token in state.expiry.look(&state.ledger, now) {
        state.keep(Record::TokenGone(token.id), out);
        out.notices.push(Notice::Token(token.id));
    }
}

/// When this may have something to do, steady milliseconds, if ever.
pub(crate) fn next_deadline_ms(state: &State) -> Option<u64> {
    let lease = state.fleet.heard_ms().map(|heard_ms| heard_ms + state.settings.lease_ms + 1);
    let (pause, reunion) = (state.queues.next_pause_ms(), state.reunion.deadline_ms());
    [lease, pause, reunion, state.expiry.deadline_ms(), state.cuts.next_due_ms()].into_iter().flatten().min()
}
