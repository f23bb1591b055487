//! The stage on which the tests play: a core, a clock that only moves when told to, and words for what happens.

use longshore_core::{
    Assignment, AttemptId, Blame, Clientele, Control, Core, End, Fault, FaultClass, Finished, Held, Incarnation, Input,
    ItemKey, JobId, JobSpec, JobState, JobView, Meaning, MembersInput, Namespace, Now, Offer, Only, Order, Outbox,
    Record, ReplicaKey, ReplicaPhase, ReplicaStatus, Reply, RequestId, Require, Run, Sealed, SecretName, ServiceName,
    ServicePlan, Settings, StageKind, StageSpec, StageView, WorkerId,
};

/// Terms with round numbers.
pub const SETTINGS: Settings =
    Settings { lease_ms: 1_000, reunion_ms: 500, mishaps: 4, mishap_pause_ms: (100, 1_000), slice: 1_000 };

/// What the wall clock is ahead of the steady one: whoever takes one for the other is found out.
pub const WALL_MS: u64 = 1_700_000_000_000;

/// A core and everything it ever wanted kept.
pub struct Stage {
    pub core: Core,
    pub now_ms: u64,
    /// Every record, in order.
    pub records: Vec<Record>,
    /// Every attempt, in order.
    pub given: Vec<Assignment>,
    requests: u64,
}

pub fn job_id(number: u8) -> JobId {
    JobId([number; 16])
}

pub fn worker_id(number: u8) -> WorkerId {
    WorkerId([number; 16])
}

pub fn life(number: u8) -> Incarnation {
    Incarnation([number; 16])
}

pub fn item(job: u8, stage: u16, index: u64) -> ItemKey {
    ItemKey { job: job_id(job), stage, index }
}

/// A service of the default namespace.
pub fn service(name: &str) -> ServiceName {
    ServiceName::in_default(name)
}

/// A stage whose items are tried twice, half a second apart.
pub fn map() -> StageSpec {
    StageSpec { attempts: 2, backoff_ms: 400, max_backoff_ms: 400, ..StageSpec::default() }
}

/// The same, over all outputs before it.
pub fn gather() -> StageSpec {
    StageSpec { kind: StageKind::Gather { require: Require::All }, ..map() }
}

/// By groups: input `n` is of group `n` modulo their number.
pub fn by_groups(require: Require, groups: u64) -> StageSpec {
    StageSpec { kind: StageKind::Groups { require, groups }, ..map() }
}

/// The groups of inputs for such stages.
pub fn groups_of(spec: &JobSpec, inputs: u64) -> Vec<(u16, Vec<Run>)> {
    let runs = |groups| (0..inputs).map(|input| Run { inputs: 1, group: Some(input % groups) }).collect();
    let keyed = (0_u16..).zip(&spec.stages).filter_map(|(at, stage)| match stage.kind {
        StageKind::Groups { groups, .. } => Some((at, runs(groups))),
        _ => None,
    });
    keyed.collect()
}

pub fn spec(stages: &[StageSpec]) -> JobSpec {
    JobSpec { stages: stages.to_vec(), ..JobSpec::default() }
}

impl Stage {
    /// An empty ledger, long after any reunion.
    pub fn new() -> Self {
        Self::restarted(1, Vec::new(), 0)
    }

    /// A core that starts from these records.
    pub fn restarted(epoch: u64, records: Vec<Record>, now_ms: u64) -> Self {
        let now = Now { steady_ms: now_ms, wall_ms: WALL_MS + now_ms };
        let core = Core::load(epoch, SETTINGS, now, records.clone());
        Self { core, now_ms, records, given: Vec::new(), requests: 0 }
    }

    /// The coordinator dies and starts again with everything that was kept.
    pub fn restart(self, epoch: u64) -> Self {
        Self::restarted(epoch, self.records, self.now_ms)
    }

    pub fn step(&mut self, input: Input) -> Outbox {
        let now = Now { steady_ms: self.now_ms, wall_ms: WALL_MS + self.now_ms };
        let out = self.core.step(now, input);
        self.core.check().expect("every step leaves the parts of the core in agreement");
        self.records.extend(out.records.iter().cloned());
        self.given.extend(given(&out).iter().map(|(_, attempt)| *attempt));
        out
    }

    /// Time passes, and the core is told.
    pub fn wait(&mut self, ms: u64) -> Outbox {
        self.now_ms += ms;
        self.step(Input::Tick)
    }

    /// As [`Stage::wait`], with a worker that is heard all along.
    pub fn wait_with(&mut self, worker: u8, ms: u64) -> Outbox {
        self.now_ms += ms;
        // Whatever time has brought is given out with the first of both.
        let (mut out, tick) = (self.heard(worker), self.step(Input::Tick));
        out.records.extend(tick.records);
        out.orders.extend(tick.orders);
        out.replies.extend(tick.replies);
        out.notices.extend(tick.notices);
        out
    }

    fn request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId(self.requests)
    }

    /// Submits under the key `job-<number>`.
    pub fn submit(&mut self, number: u8, spec: JobSpec, inputs: u64) -> Outbox {
        let key = format!("job-{number}");
        self.submit_with_key(number, &key, spec, inputs)
    }

    pub fn submit_with_key(&mut self, number: u8, key: &str, spec: JobSpec, inputs: u64) -> Outbox {
        self.submit_in("default", number, key, spec, inputs)
    }

    pub fn submit_in(&mut self, namespace: &str, number: u8, key: &str, spec: JobSpec, inputs: u64) -> Outbox {
        let request = self.request();
        let (job, namespace, key) = (job_id(number), Namespace::named(namespace), key.to_owned());
        let (groups, detail, meaning) = (groups_of(&spec, inputs), [0; 32], None);
        self.step(Input::Submit { request, job, namespace, key, spec, inputs, groups, detail, meaning })
    }

    /// Gives the secret this value as that version.
    pub fn put_secret(&mut self, name: SecretName, version: u64, value: &[u8]) -> Outbox {
        let request = self.request();
        let sealed = Sealed { bytes: value.into(), key: [7; 8], size: 1, put_ms: WALL_MS, by: "ann".to_owned() };
        self.step(Input::PutSecret { request, name, version, sealed })
    }

    pub fn remove_secret(&mut self, name: SecretName) -> Outbox {
        let request = self.request();
        self.step(Input::RemoveSecret { request, name })
    }

    pub fn cancel(&mut self, job: u8) -> Outbox {
        let request = self.request();
        self.step(Input::Cancel { request, job: job_id(job), reason: "enough".to_owned() })
    }

    /// As [`Stage::submit`], with what the specification and the inputs mean.
    pub fn submit_meaning(&mut self, number: u8, key: &str, (spec_is, inputs_are): (u8, u8)) -> Outbox {
        let request = self.request();
        let (job, namespace, key) = (job_id(number), Namespace::default(), key.to_owned());
        let meaning = Some(Meaning { spec: [spec_is; 32], inputs: [inputs_are; 32] });
        let detail = [number; 32];
        self.step(Input::Submit {
            request,
            job,
            namespace,
            key,
            spec: spec(&[map()]),
            inputs: 1,
            groups: Vec::new(),
            detail,
            meaning,
        })
    }

    pub fn control(&mut self, ask: Control) -> Outbox {
        let request = self.request();
        self.step(Input::Control { request, ask })
    }

    pub fn pause(&mut self, job: u8) -> Outbox {
        self.control(Control::Pause { job: job_id(job), why: "lunch".to_owned(), stop: false })
    }

    pub fn resume(&mut self, job: u8) -> Outbox {
        self.control(Control::Resume { job: job_id(job) })
    }

    pub fn remove_job(&mut self, job: u8, force: bool) -> Outbox {
        self.control(Control::Remove { job: job_id(job), force })
    }

    pub fn drain(&mut self, worker: u8) -> Outbox {
        self.control(Control::Drain { worker: worker_id(worker) })
    }

    pub fn undrain(&mut self, worker: u8) -> Outbox {
        self.control(Control::Undrain { worker: worker_id(worker) })
    }

    pub fn retry(&mut self, job: u8) -> Outbox {
        let request = self.request();
        self.step(Input::Retry { request, job: job_id(job), only: None })
    }

    pub fn retry_only(&mut self, job: u8, only: Only) -> Outbox {
        let request = self.request();
        self.step(Input::Retry { request, job: job_id(job), only: Some(only) })
    }

    pub fn deploy(&mut self, name: &str, plan: ServicePlan, detail: u8) -> Outbox {
        self.deploy_as(service(name), plan, detail)
    }

    pub fn deploy_as(&mut self, name: ServiceName, plan: ServicePlan, detail: u8) -> Outbox {
        let request = self.request();
        self.step(Input::Deploy { request, name, plan, detail: [detail; 32] })
    }

    pub fn remove(&mut self, name: &str) -> Outbox {
        let request = self.request();
        self.step(Input::Remove { request, name: service(name) })
    }

    pub fn ask(&mut self, ask: MembersInput) -> Outbox {
        let request = self.request();
        self.step(Input::Members { request, ask })
    }

    /// A worker connects in its first life with nothing.
    pub fn join(&mut self, worker: u8, slots: u32) -> Outbox {
        self.hello(worker, 1, slots, &[], &[])
    }

    /// The same, of a worker for these namespaces alone.
    pub fn join_for(&mut self, worker: u8, slots: u32, namespaces: &[&str]) -> Outbox {
        self.hello_for(worker, (1, slots), only_for(namespaces), &[], &[])
    }

    /// A worker connects in a life that was started when the one before had ended.
    pub fn hello(
        &mut self,
        worker: u8,
        incarnation: u8,
        slots: u32,
        held: &[Assignment],
        replicas: &[ReplicaKey],
    ) -> Outbox {
        self.hello_for(worker, (incarnation, slots), Clientele::Everybody, held, replicas)
    }

    pub fn hello_for(
        &mut self,
        worker: u8,
        (incarnation, slots): (u8, u32),
        clientele: Clientele,
        held: &[Assignment],
        replicas: &[ReplicaKey],
    ) -> Outbox {
        let previous = incarnation.checked_sub(1).map(life);
        let held = held.iter().map(|it| Held { id: it.id, item: it.item }).collect();
        self.step(Input::Hello {
            worker: worker_id(worker),
            incarnation: life(incarnation),
            previous,
            name: format!("worker-{worker}"),
            slots,
            clientele,
            offer: std::sync::Arc::default(),
            held,
            replicas: ready(replicas),
        })
    }

    /// A worker connects in its first life with nothing, and offers that.
    pub fn join_with(&mut self, worker: u8, slots: u32, offer: Offer) -> Outbox {
        self.step(Input::Hello {
            worker: worker_id(worker),
            incarnation: life(1),
            previous: None,
            name: format!("worker-{worker}"),
            slots,
            clientele: Clientele::Everybody,
            offer: offer.into(),
            held: Vec::new(),
            replicas: Vec::new(),
        })
    }

    /// A worker connects with nothing, in a life that may be a copy: it knows of no other.
    pub fn takes_over(&mut self, worker: u8, incarnation: u8, slots: u32) -> Outbox {
        self.step(Input::Hello {
            worker: worker_id(worker),
            incarnation: life(incarnation),
            previous: None,
            name: format!("worker-{worker}"),
            slots,
            clientele: Clientele::Everybody,
            offer: std::sync::Arc::default(),
            held: Vec::new(),
            replicas: Vec::new(),
        })
    }

    /// A worker in its first life answers at once.
    pub fn heard(&mut self, worker: u8) -> Outbox {
        self.heard_as_of(worker, self.now_ms)
    }

    /// It proves that it could be reached then.
    pub fn heard_as_of(&mut self, worker: u8, as_of_ms: u64) -> Outbox {
        self.step(Input::Heard { worker: worker_id(worker), incarnation: life(1), as_of_ms })
    }

    pub fn link_lost(&mut self, worker: u8) -> Outbox {
        self.step(Input::LinkLost { worker: worker_id(worker), incarnation: life(1) })
    }

    pub fn goodbye(&mut self, worker: u8) -> Outbox {
        self.goodbye_of(worker, 1)
    }

    pub fn goodbye_of(&mut self, worker: u8, incarnation: u8) -> Outbox {
        self.step(Input::Goodbye { worker: worker_id(worker), incarnation: life(incarnation) })
    }

    /// A worker in its first life says how an attempt ended.
    pub fn ends(&mut self, worker: u8, attempt: &Assignment, end: End) -> Outbox {
        self.ends_after(worker, attempt, end, 30_000)
    }

    fn ends_after(&mut self, worker: u8, attempt: &Assignment, end: End, run_us: u64) -> Outbox {
        let result = Finished { id: attempt.id, item: attempt.item, end, run_us };
        self.step(Input::Finished { worker: worker_id(worker), incarnation: life(1), results: vec![result] })
    }

    /// A success after that many microseconds.
    pub fn succeeds_after(&mut self, worker: u8, attempt: &Assignment, run_us: u64, outputs: u64) -> Outbox {
        self.ends_after(worker, attempt, End::Succeeded { outputs, detail: vec![worker] }, run_us)
    }

    pub fn succeeds(&mut self, worker: u8, attempt: &Assignment, outputs: u64) -> Outbox {
        self.ends(worker, attempt, End::Succeeded { outputs, detail: vec![worker] })
    }

    pub fn fails(&mut self, worker: u8, attempt: &Assignment, blame: Blame) -> Outbox {
        self.fails_by(worker, attempt, blame, Fault::default())
    }

    pub fn fails_by(&mut self, worker: u8, attempt: &Assignment, blame: Blame, fault: Fault) -> Outbox {
        self.ends_after(worker, attempt, End::Failed { blame, fault, detail: vec![worker] }, 60_000)
    }

    /// It exits with that code after that many microseconds.
    pub fn exits_after(&mut self, worker: u8, attempt: &Assignment, code: i32, run_us: u64) -> Outbox {
        let fault = Fault { class: FaultClass::Exit, code, print: 0 };
        self.ends_after(worker, attempt, End::Failed { blame: Blame::Item, fault, detail: vec![worker] }, run_us)
    }

    /// It exits with that code.
    pub fn exits(&mut self, worker: u8, attempt: &Assignment, code: i32) -> Outbox {
        self.fails_by(worker, attempt, Blame::Item, Fault { class: FaultClass::Exit, code, print: 0 })
    }

    pub fn reports(&mut self, worker: u8, replicas: &[ReplicaKey]) -> Outbox {
        let replicas = ready(replicas);
        self.step(Input::Replicas { worker: worker_id(worker), incarnation: life(1), replicas })
    }

    /// A worker in its first life has found an image for these stages of a job.
    pub fn finds_image(&mut self, worker: u8, job: u8, stages: &[u16], digest: u8) -> Outbox {
        let (worker, incarnation, digest) = (worker_id(worker), life(1), [digest; 32]);
        self.step(Input::Image { worker, incarnation, job: job_id(job), stages: stages.to_vec(), digest })
    }

    pub fn view(&self, job: u8) -> JobView {
        self.core.job_view(job_id(job)).expect("the job is there")
    }

    pub fn counts(&self, job: u8, stage: usize) -> StageView {
        self.view(job).stages[stage]
    }

    pub fn state(&self, job: u8) -> JobState {
        self.view(job).record.state
    }

    /// Does every item that is given out, always with so many outputs, until nothing is.
    pub fn do_everything(&mut self, worker: u8, first: Outbox, outputs: u64) {
        let mut todo = given(&first);
        while let Some((_, attempt)) = todo.pop() {
            todo.extend(given(&self.succeeds(worker, &attempt, outputs)));
        }
    }
}

/// Whoever may be given work of these namespaces alone.
pub fn only_for(namespaces: &[&str]) -> Clientele {
    Clientele::Only(namespaces.iter().map(|name| Namespace::named(name)).collect())
}

fn ready(replicas: &[ReplicaKey]) -> Vec<ReplicaStatus> {
    let status =
        |key: &ReplicaKey| ReplicaStatus { key: key.clone(), phase: ReplicaPhase::Ready, message: String::new() };
    replicas.iter().map(status).collect()
}

/// What was given out, and to whom.
pub fn given(out: &Outbox) -> Vec<(WorkerId, Assignment)> {
    let mut given = Vec::new();
    for order in &out.orders {
        if let Order::Assign { worker, attempts } = order {
            given.extend(attempts.iter().map(|attempt| (*worker, *attempt)));
        }
    }
    given
}

/// The only attempt that was given out.
pub fn only(out: &Outbox) -> Assignment {
    match given(out).as_slice() {
        [(_, attempt)] => *attempt,
        other => panic!("not one attempt was given out: {other:?}"),
    }
}

/// What was to be stopped.
pub fn stopped(out: &Outbox) -> Vec<AttemptId> {
    let mut stopped = Vec::new();
    for order in &out.orders {
        if let Order::Stop { ids, .. } = order {
            stopped.extend(ids);
        }
    }
    stopped
}

/// What was to be returned if it had not started, and by whom.
pub fn asked_back(out: &Outbox) -> Vec<(WorkerId, AttemptId)> {
    let mut asked = Vec::new();
    for order in &out.orders {
        if let Order::Return { worker, ids } = order {
            asked.extend(ids.iter().map(|id| (*worker, *id)));
        }
    }
    asked
}

/// What was to be forgotten.
pub fn settled(out: &Outbox) -> Vec<AttemptId> {
    let mut settled = Vec::new();
    for order in &out.orders {
        if let Order::Settle { ids, .. } = order {
            settled.extend(ids);
        }
    }
    settled
}

/// What each worker was told to keep.
pub fn told(out: &Outbox) -> Vec<(WorkerId, Vec<ReplicaKey>)> {
    let mut told = Vec::new();
    for order in &out.orders {
        if let Order::Replicas { worker, keep } = order {
            told.push((*worker, keep.clone()));
        }
    }
    told
}

/// The only answer.
pub fn reply(out: &Outbox) -> &Reply {
    match out.replies.as_slice() {
        [(_, reply)] => reply,
        other => panic!("not one answer: {other:?}"),
    }
}

pub fn outcomes(out: &Outbox) -> usize {
    out.records.iter().filter(|record| matches!(record, Record::Outcome(_))).count()
}
