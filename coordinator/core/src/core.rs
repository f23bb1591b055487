//! The one entrance: an input goes in, an outbox comes out.

use crate::{
    attempts::finished::finished,
    ids::{Incarnation, ItemKey, JobId, Namespace, Now, WorkerId},
    input::Input,
    invariants::{self, Violation},
    jobs::{cancel::cancel, retry::retry, submit::submit},
    ledger::Ledger,
    members::{Applicant, Joining, answer::answer, look},
    outbox::{Outbox, Refusal},
    record::{JobRecord, Record},
    schedule::hand_out::hand_out,
    services::{ServiceName, deploy::deploy, place::place, remove::remove, report::report},
    settings::Settings,
    stages::Source,
    state::State,
    tick::{next_deadline_ms, tick},
    view::{self, JobView, ServiceView, WorkerView},
    workers::{Arrival, goodbye::goodbye, hello::hello, link_lost::link_lost},
};

/// The core: the ledger, and the soft state around it.
#[derive(Debug)]
pub struct Core {
    state: State,
}

impl Core {
    /// A core that knows what `records` say. `epoch` is higher than that of any earlier run, and durable already.
    pub fn load(epoch: u64, settings: Settings, now: Now, records: impl IntoIterator<Item = Record>) -> Self {
        Self { state: State::load(epoch, settings, now, records) }
    }

    /// Takes in one input.
    pub fn step(&mut self, now: Now, input: Input) -> Outbox {
        let mut out = Outbox::default();
        self.command(now, input, &mut out);
        hand_out(&mut self.state, now, &mut out);
        place(&mut self.state, now, &mut out);
        out.notices.sort_unstable();
        out.notices.dedup();
        out
    }

    fn command(&mut self, now: Now, input: Input, out: &mut Outbox) {
        let state = &mut self.state;
        match input {
            Input::Submit { request, job, namespace, key, spec, inputs, detail } => {
                submit(state, request, JobRecord::submitted(now, (job, namespace, key), spec, inputs, detail), out);
            }
            Input::Cancel { request, job, reason } => cancel(state, now, request, job, reason, out),
            Input::Retry { request, job } => retry(state, request, job, out),
            Input::Hello { worker, incarnation, previous, name, slots, clientele, held, replicas } => {
                let arrival = Arrival { worker, incarnation, previous, name, slots, clientele };
                hello(state, now, arrival, &held, &replicas, out);
            }
            Input::Heard { worker, incarnation, as_of_ms } => state.fleet.hear(worker, incarnation, as_of_ms),
            Input::LinkLost { worker, incarnation } => link_lost(state, worker, incarnation, out),
            Input::Goodbye { worker, incarnation } => goodbye(state, now, worker, incarnation, out),
            Input::Finished { worker, incarnation, results } => {
                finished(state, now, (worker, incarnation), results, out);
            }
            Input::Replicas { worker, incarnation, replicas } => {
                report(state, (worker, incarnation), &replicas, out);
            }
            Input::Deploy { request, name, plan, detail } => deploy(state, request, name, plan, detail, out),
            Input::Remove { request, name } => remove(state, request, &name, out),
            Input::Tick => tick(state, now, out),
            Input::Members { request, ask } => answer(state, now, request, ask, out),
        }
    }

    /// When [`Input::Tick`] may have something to do, in steady milliseconds, if ever.
    #[must_use]
    pub fn next_deadline_ms(&self) -> Option<u64> {
        next_deadline_ms(&self.state)
    }

    /// What is kept.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.state.ledger
    }

    /// Whether the worker has said hello and its lease runs; a link of one that has not is to be closed, so that it
    /// says hello again.
    #[must_use]
    pub fn knows(&self, worker: WorkerId, incarnation: Incarnation) -> bool {
        self.state.fleet.is_life(worker, incarnation)
    }

    /// The life of the worker whose lease runs, if one does.
    #[must_use]
    pub fn life(&self, worker: WorkerId) -> Option<Incarnation> {
        self.state.fleet.worker(worker).map(|known| known.incarnation)
    }

    /// What joining would do now, at `wall_ms` (unix milliseconds).
    ///
    /// # Errors
    /// Why it would be refused.
    pub fn look_at_joining(&self, wall_ms: u64, applicant: &Applicant) -> Result<Joining, Refusal> {
        look(&self.state, wall_ms, applicant)
    }

    /// Whether some job has not ended.
    #[must_use]
    pub fn has_running_jobs(&self) -> bool {
        !self.state.queues.is_empty()
    }

    /// Where the input of an existing item is.
    #[must_use]
    pub fn source(&self, item: &ItemKey) -> Option<Source> {
        self.state.ledger.job(item.job)?.source(usize::from(item.stage), item.index)
    }

    /// A job as it stands.
    #[must_use]
    pub fn job_view(&self, id: JobId) -> Option<JobView> {
        view::job(&self.state, id)
    }

    /// A deployed service as it stands.
    #[must_use]
    pub fn service_view(&self, name: &ServiceName) -> Option<ServiceView> {
        view::service(&self.state, name)
    }

    /// Every worker whose lease runs.
    #[must_use]
    pub fn worker_views(&self) -> Vec<WorkerView> {
        view::workers(&self.state)
    }

    /// Every worker that may be given work of this namespace, with what it has of that.
    #[must_use]
    pub fn worker_views_for(&self, namespace: &Namespace) -> Vec<WorkerView> {
        view::workers_for(&self.state, namespace)
    }

    /// Checks what must hold between the parts after every step. It looks at everything, so it is for tests and simulated
    /// worlds.
    ///
    /// # Errors
    /// The first thing that does not hold: a mistake in the core.
    pub fn check(&self) -> Result<(), Violation> {
        invariants::check(&self.state)
    }
}
