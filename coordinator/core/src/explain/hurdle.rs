//! What is in the way of each worker, for items that wait.

use super::why::{Hindered, Hurdle, Reason};
use crate::{
    fit::{Misfit, could},
    ids::WorkerId,
    jobs::Job,
    schedule::{Busy, takes},
    state::State,
    workers::{Rest, Worker},
};

/// Kinds of hurdles that are told.
const TOLD: usize = 8;

/// Workers that are named for one.
const NAMED: usize = 3;

/// Some items of a stage that wait for a worker.
#[derive(Debug, Clone, Copy)]
pub(super) struct Items<'a> {
    pub job: &'a Job,
    pub at: usize,
    /// How often their memory has grown.
    pub growths: usize,
    pub wish: Wish,
}

/// What they wait for beside that it can run them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Anybody,
    /// One on whom they have not failed.
    Another,
    /// One that runs nothing else.
    Alone,
}

/// What is in the way of a worker.
pub(super) fn hurdle(state: &State, items: Items<'_>, id: WorkerId, worker: &Worker) -> Hurdle {
    let Items { job, at, growths, wish } = items;
    let needs = job.needs(at, growths).map(|needs| &**needs);
    if let Err(lack) = could(needs, &worker.offer) {
        return Hurdle::Lack(lack);
    }
    let rest = worker.rest();
    match rest {
        Some(Rest::Away) => return Hurdle::Away,
        Some(Rest::Unable) => return Hurdle::Unable,
        Some(Rest::Draining) => return Hurdle::Draining,
        Some(Rest::Kept) | None => {}
    }
    let stage = u16::try_from(at).unwrap_or(u16::MAX);
    if let Some(until_ms) = state.queues.missing.until_ms((job.record.id, stage), id) {
        return Hurdle::NoImage { until_ms: unix_ms(state, until_ms) };
    }
    if rest.is_some() {
        return Hurdle::Kept;
    }
    let Some(queue) = state.queues.of(job.record.id, at) else { return Hurdle::Slots };
    match wish {
        Wish::Anybody => {}
        Wish::Another if queue.has_elsewhere_for(growths, id) => {}
        Wish::Another => return Hurdle::Failed,
        Wish::Alone => return Hurdle::Slots,
    }
    match takes(worker, state.fleet.load(id), needs, queue.depth()) {
        Ok(()) => Hurdle::Nothing,
        Err(Busy::Room(Misfit::NotNow(full))) => Hurdle::Room(full),
        Err(Busy::Room(Misfit::Never(lack))) => Hurdle::Lack(lack),
        Err(Busy::Beside | Busy::Deep) => Hurdle::Slots,
    }
}

/// A time of the steady clock as people's clocks show it.
pub(super) fn unix_ms(state: &State, steady_ms: u64) -> u64 {
    let now = state.fleet.time();
    now.wall_ms.saturating_add(steady_ms.saturating_sub(now.steady_ms))
}

/// What is in the way of all workers that may be given work of the job's namespace, the nearest first. Others are nobody's business.
pub(super) fn hindered(state: &State, items: Items<'_>) -> Vec<Hindered> {
    let namespace = &items.job.record.namespace;
    let mut found: Vec<Hindered> = Vec::new();
    for (id, worker) in state.fleet.workers().filter(|(id, _)| state.fleet.clientele(*id).has(namespace)) {
        let by = hurdle(state, items, id, worker);
        let kinds = found.len();
        match found.iter_mut().find(|known| are_alike(&known.by, &by)) {
            Some(known) => {
                known.count += 1;
                known.slots += u64::from(worker.slots);
                if known.some.len() < NAMED {
                    known.some.push((id, worker.name.clone()));
                }
            }
            None if kinds < TOLD || by.nearness() > 0 => {
                let some = vec![(id, worker.name.clone())];
                found.push(Hindered { by, count: 1, slots: worker.slots.into(), some });
            }
            // So many different things are lacking that one more tells nobody anything.
            None => {}
        }
    }
    found.sort_by_key(|hindered| std::cmp::Reverse(hindered.by.nearness()));
    found.truncate(TOLD);
    found
}

/// Whether two hurdles are told as one.
fn are_alike(one: &Hurdle, other: &Hurdle) -> bool {
    match (one, other) {
        (Hurdle::Lack(one), Hurdle::Lack(other)) => one == other,
        _ => one.nearness() == other.nearness(),
    }
}

/// Why items wait of which the nearest workers are hindered so: the first is the nearest.
pub(super) fn reason(hindered: &[Hindered]) -> Reason {
    match hindered.first().map(|nearest| &nearest.by) {
        None => Reason::NoWorkers,
        Some(Hurdle::Lack(_)) => Reason::NoneFits,
        Some(Hurdle::Away) => Reason::NoneReached,
        Some(Hurdle::Unable) => Reason::NoneAble,
        Some(Hurdle::Draining) => Reason::AllDraining,
        Some(Hurdle::NoImage { until_ms }) => Reason::NoImage { until_ms: *until_ms },
        Some(Hurdle::Kept) => Reason::AllKept,
        // Whoever asks knows until when.
        Some(Hurdle::Failed) => Reason::Elsewhere { until_ms: 0 },
        Some(Hurdle::Room(_)) => Reason::NoRoom,
        Some(Hurdle::Slots) => Reason::NoSlots,
        Some(Hurdle::Nothing) => Reason::Nothing,
    }
}
