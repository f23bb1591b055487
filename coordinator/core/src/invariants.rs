//! What must hold between the parts after every step, whatever happened. Tests and simulated worlds look at it.

use std::collections::BTreeMap;

use crate::{
    explain::overlooked,
    ids::{AttemptId, ItemKey, JobId, Namespace, WorkerId},
    members::{TokenId, TokenKind, TokenRecord},
    services::ReplicaKey,
    stages::ItemState,
    state::State,
};

/// Something that does not hold: a mistake in the core.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A job has queues exactly while it has not ended.
    #[error("job {0} has ended and has queues, or has not ended and has none")]
    Queues(JobId),
    /// A job ends with its last item.
    #[error("nothing of job {0} is left to run, but it has not ended")]
    Spent(JobId),
    /// What gathers knows how much is to come.
    #[error("something that job {0} gathers counts what flows into it wrong")]
    Flow(JobId),
    /// A job that has something to give out has a turn, or waits for an emptier worker.
    #[error("job {0} has items to give out, but no turn")]
    Turn(JobId),
    /// Whatever could be given to a worker now was given out.
    #[error("worker {worker} could be given an item of stage {stage} of job {job}, and was not")]
    Overlooked {
        /// The job.
        job: JobId,
        /// Its stage.
        stage: u16,
        /// The worker.
        worker: WorkerId,
    },
    /// A job waits for exactly those that its record names, and only while it has not ended.
    #[error("job {0} waits for another than its record says, or has ended and waits, rests or is put back")]
    Waits(JobId),
    /// What takes more than one step is gone on with exactly while something of it is left.
    #[error(
        "something is left to be put back or removed of job {0}, and nobody goes on with it, or the other way round"
    )]
    Chores(JobId),
    /// A worker is drained exactly as its record says.
    #[error("worker {0} is drained and its record does not say so, or the other way round")]
    Drained(WorkerId),
    /// An attempt is under way for its worker, for its item's queue, and for a pending item, or for none of them.
    #[error("{id:?} of {item:?} is not under way for its worker, its queue and the ledger alike")]
    Attempt {
        /// The attempt.
        id: AttemptId,
        /// Its item.
        item: ItemKey,
    },
    /// Queues and workers know of no attempts but those.
    #[error("{held} attempts are held, {queued} are under way for queues, {listed} for workers")]
    Attempts {
        /// Attempts whose holder is known.
        held: u64,
        /// Attempts that queues take for under way.
        queued: u64,
        /// Attempts on workers' lists.
        listed: u64,
    },
    /// The replicas that are placed or to be placed are those that deployed services should have.
    #[error("{0} is wanted but neither placed nor to be placed, or the other way round")]
    Wanted(ReplicaKey),
    /// A replica is placed on a worker that is here, and that is told to keep it.
    #[error("{0} is placed on a worker that has gone, or that does not know")]
    Placed(ReplicaKey),
    /// A worker that was revoked is not here, and not waited for.
    #[error("worker {0} was revoked and is here, or expected")]
    Revoked(WorkerId),
    /// A key is one member's.
    #[error("a key of member {0} is known as another's, or not at all")]
    Key(WorkerId),
    /// No more workers have joined with a token than may.
    #[error("more workers have joined with token {0} than may")]
    Uses(TokenId),
    /// No worker has what it could never run.
    #[error("worker {worker} has {item:?}, which it could never run")]
    Misfit {
        /// The worker.
        worker: WorkerId,
        /// The item.
        item: ItemKey,
    },
    /// No worker has what is of a namespace that it may not be given work of.
    #[error("worker {worker} has something of namespace {namespace}, which is none of its own")]
    Barred {
        /// The worker.
        worker: WorkerId,
        /// Whose it is.
        namespace: Namespace,
    },
}

/// The first thing that does not hold.
pub(crate) fn check(state: &State) -> Result<(), Violation> {
    jobs(state)?;
    drains(state)?;
    attempts(state)?;
    replicas(state)?;
    members(state)?;
    hand_outs(state)
}

fn hand_outs(state: &State) -> Result<(), Violation> {
    let found = state.ledger.jobs().find_map(|job| Some((job.record.id, overlooked(state, job)?)));
    found.map_or(Ok(()), |(job, (stage, worker))| Err(Violation::Overlooked { job, stage, worker }))
}

fn jobs(state: &State) -> Result<(), Violation> {
    let mut awaits = 0;
    for job in state.ledger.jobs() {
        let id = job.record.id;
        let ended = job.record.state.has_ended();
        let queues = (0..job.stage_count()).filter(|at| state.queues.of(id, *at).is_some()).count();
        if queues != if ended { 0 } else { job.stage_count() } {
            return Err(Violation::Queues(id));
        }
        if !ended && job.is_spent() {
            return Err(Violation::Spent(id));
        }
        let record = &job.record;
        let waits = record.awaits.iter().all(|other| state.waiters.has(*other, id));
        if !waits || ended && (!record.awaits.is_empty() || record.paused.is_some() || record.retried.is_some()) {
            return Err(Violation::Waits(id));
        }
        awaits += record.awaits.len();
        if state.chores.has(id) != record.retried.as_ref().is_some_and(|retried| retried.next.is_some()) {
            return Err(Violation::Chores(id));
        }
        if !job.counts_what_flows() {
            return Err(Violation::Flow(id));
        }
        if job.record.may_dispatch() && state.queues.is_overlooked(job) {
            return Err(Violation::Turn(id));
        }
    }
    if awaits != state.waiters.count() {
        return Err(Violation::Waits(JobId([0; 16])));
    }
    let forgotten = state.ledger.all_going().find(|id| !state.chores.has(*id));
    forgotten.map_or(Ok(()), |id| Err(Violation::Chores(id)))
}

fn drains(state: &State) -> Result<(), Violation> {
    let wrong = state.fleet.workers().find(|(id, worker)| worker.draining != state.ledger.is_drained(*id));
    wrong.map_or(Ok(()), |(id, _)| Err(Violation::Drained(id)))
}

fn attempts(state: &State) -> Result<(), Violation> {
    let mut held = 0;
    for (id, item, worker) in state.fleet.attempts() {
        held += 1;
        let listed = state.fleet.worker(worker).is_some_and(|known| known.attempts.contains(&id));
        let queued = state.queues.of(item.job, item.stage.into()).and_then(|queue| queue.attempt(item.index));
        let pending = state.ledger.job(item.job).and_then(|job| job.state(&item)) == Some(ItemState::Pending);
        if !listed || queued != Some(id) || !pending {
            return Err(Violation::Attempt { id, item });
        }
        if let Some(job) = state.ledger.job(item.job) {
            may_have(state, worker, &job.record.namespace)?;
            let needs = job.needs_of(&item).map(|needs| &**needs);
            if !state.fleet.may_have(worker, &job.record.namespace, needs) {
                return Err(Violation::Misfit { worker, item });
            }
        }
    }
    let queued = state.queues.live();
    let listed = state.fleet.workers().map(|(_, worker)| worker.attempts.len() as u64).sum();
    if held == queued && held == listed { Ok(()) } else { Err(Violation::Attempts { held, queued, listed }) }
}

fn replicas(state: &State) -> Result<(), Violation> {
    let known: BTreeMap<&ReplicaKey, Option<WorkerId>> = state.placement.wanted().collect();
    let mut surplus = known.clone();
    for service in state.ledger.services() {
        let plan = service.plan.iter();
        for key in plan.flat_map(|plan| plan.replicas_of(&service.name, service.generation)) {
            if surplus.remove(&key).is_none() {
                return Err(Violation::Wanted(key));
            }
        }
    }
    if let Some((key, _)) = surplus.pop_first() {
        return Err(Violation::Wanted(key.clone()));
    }
    for (key, worker) in known.into_iter().filter_map(|(key, worker)| Some((key, worker?))) {
        if state.fleet.worker(worker).is_none() || !state.placement.on(worker).any(|on| on == key) {
            return Err(Violation::Placed(key.clone()));
        }
        may_have(state, worker, &key.service.namespace)?;
    }
    Ok(())
}

fn members(state: &State) -> Result<(), Violation> {
    for member in state.ledger.members() {
        let id = member.id;
        let is_expected = state.ledger.workers().any(|(worker, _)| worker == id);
        if member.is_revoked() && (state.fleet.worker(id).is_some() || is_expected) {
            return Err(Violation::Revoked(id));
        }
        if member.keys().any(|key| state.ledger.member_of_key(key).map(|owner| owner.id) != Some(id)) {
            return Err(Violation::Key(id));
        }
    }
    let overused = |token: &&TokenRecord| matches!(token.terms.kind, TokenKind::Join { uses, .. } if uses != 0 && token.used > uses);
    state.ledger.tokens().find(overused).map_or(Ok(()), |token| Err(Violation::Uses(token.id)))
}

fn may_have(state: &State, worker: WorkerId, namespace: &Namespace) -> Result<(), Violation> {
    if state.fleet.clientele(worker).has(namespace) {
        return Ok(());
    }
    Err(Violation::Barred { worker, namespace: namespace.clone() })
}

#[cfg(test)]
mod tests;
