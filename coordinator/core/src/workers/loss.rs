//! A worker is gone: what it held is to run elsewhere, and what it kept is to be placed elsewhere.

use crate::{
    attempts::blame::suspect,
    ids::{Now, WorkerId},
    outbox::{Notice, Outbox},
    record::Record,
    state::State,
};

/// How a worker went away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// It said so, and runs nothing any more.
    Goodbye,
    /// It has ended, and was started again.
    Restart,
    /// Another life took its place, which does not show that it has ended.
    Takeover,
    /// Its lease ran out: it may be cut off, stopped, or down.
    Silence,
}

/// The worker is gone. Those of its attempts that were likely running are suspects when it went down; whether it did, a
/// silent worker only shows when it comes back.
pub(super) fn lose(state: &mut State, now: Now, worker: WorkerId, loss: Loss, out: &mut Outbox) {
    // First of all, so that no order that follows from its loss is addressed to it: not before its next welcome.
    let Some(gone) = state.fleet.leave(worker) else {
        return;
    };
    let slots = gone.slots as usize;
    let mut running = Vec::new();
    for (nth, (id, item)) in gone.held.into_iter().enumerate() {
        if !state.release(item, id) {
            continue;
        }
        out.notice_job(item.job);
        if nth < slots {
            running.push(item);
        }
        if loss == Loss::Restart && nth < slots {
            suspect(state, now, item, out);
        } else {
            state.queues.give_back(&item);
        }
    }
    if loss == Loss::Silence {
        state.suspects.remember(worker, gone.incarnation, running);
    }
    state.keep(Record::WorkerGone(worker), out);
    out.notices.extend(state.placement.lose(worker).into_iter().map(Notice::Service));
}
