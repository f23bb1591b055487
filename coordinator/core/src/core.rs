//! The one entrance: an input goes in, an outbox comes out.

use crate::{
    attempts::finished::finished,
    explain::{Explanation, explain},
    ids::{Incarnation, ItemKey, JobId, Namespace, Now, WorkerId},
    input::Input,
    invariants::{self, Violation},
    jobs::{
        Control, cancel::cancel, change::change, end::end_cut, image::image, patience::begin_anew, pause::pause,
        pause::resume, remove, retry::retry, submit::submit,
    },
    ledger::Ledger,
    members::{Applicant, Joining, answer::answer, look},
    outbox::{Outbox, Refusal, Reply},
    record::{JobRecord, Record},
    schedule::hand_out::hand_out,
    secrets::{put_secret, remove_secret},
    services::{ServiceName, deploy::deploy, place::place, remove::remove, report::report},
    settings::Settings,
    stages::Source,
    state::State,
    tick::{next_deadline_ms, tick},
    view::{self, AtWork, JobView, NoImage, ServiceView, WorkerView},
    workers::{Arrival, drain, goodbye::goodbye, hello::hello, link_lost::link_lost},
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
        self.state.fleet.tell_the_time(now);
        self.command(now, input, &mut out);
        end_cut(&mut self.state, now, &mut out);
        begin_anew(&mut self.state, now);
        hand_out(&mut self.state, now, &mut out);
        place(&mut self.state, now, &mut out);
        out.notices.sort_unstable();
        out.notices.dedup();
        out
    }

    fn command(&mut self, now: Now, input: Input, out: &mut Outbox) {
        let state = &mut self.state;
        match input {
            Input::Submit { request, job, namespace, key, spec, inputs, groups, detail, meaning } => {
                let record = JobRecord::submitted(now, (job, namespace, key), spec, inputs, detail);
                let record = JobRecord { meaning: meaning.map(Box::new), ..record };
                submit(state, now, request, (record, &groups), out);
            }
            Input::Control { request, ask } => {
                let reply = control(state, now, ask, out);
                out.replies.push((request, reply));
            }
            Input::Cancel { request, job, reason } => cancel(state, now, request, job, reason, out),
            Input::Retry { request, job, only } => retry(state, now, request, (job, only), out),
            Input::Hello { worker, incarnation, previous, name, slots, clientele, offer, held, replicas } => {
                let arrival = Arrival { worker, incarnation, previous, name, slots, clientele, offer };
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
            Input::Image { worker, incarnation, job, stages, digest } => {
                image(state, (worker, incarnation), job, &stages, digest, out);
            }
            Input::Deploy { request, name, plan, detail } => deploy(state, request, name, plan, detail, out),
            Input::Remove { request, name } => remove(state, request, &name, out),
            Input::Tick => tick(state, now, out),
            Input::Members { request, ask } => answer(state, now, request, ask, out),
            Input::PutSecret { request, name, version, sealed } => {
                put_secret(state, request, name, (version, sealed), out);
            }
            Input::RemoveSecret { request, name } => remove_secret(state, request, &name, out),
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

    /// Whether something is under way that takes more than one step: [`Input::Tick`] goes on with it. It is for whoever drives to
    /// say when, so that what is kept of one step is durable before the next.
    #[must_use]
    pub fn has_chores(&self) -> bool {
        self.state.chores.are_left()
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

    /// The items of a stage that are with workers, from this one on, in order.
    pub fn at_work(&self, job: JobId, stage: u16, from: u64) -> impl Iterator<Item = AtWork> {
        view::at_work(&self.state, job, stage, from)
    }

    /// Workers that could not get images, and are given nothing of those stages for a while; of one job if it is named.
    pub fn no_images(&self, job: Option<JobId>) -> impl Iterator<Item = NoImage> {
        view::no_images(&self.state, job)
    }

    /// Why what of a job does not run does not.
    #[must_use]
    pub fn explain(&self, job: JobId) -> Option<Explanation> {
        explain(&self.state, job)
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

fn control(state: &mut State, now: Now, ask: Control, out: &mut Outbox) -> Reply {
    match ask {
        Control::Pause { job, why, stop } => pause(state, now, job, (why, stop), out),
        Control::Resume { job } => resume(state, job, out),
        Control::Change { job, change: terms } => change(state, job, &terms, out),
        Control::Remove { job, force } => remove::remove(state, now, job, force, out),
        Control::Drain { worker } => drain::drain(state, now, worker, out),
        Control::Undrain { worker } => drain::undrain(state, worker, out),
    }
}
