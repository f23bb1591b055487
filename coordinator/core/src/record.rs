//! The facts that are kept. Each is the new value of one entity; `…Gone` says that there is none any more.

use crate::{
    attempts::Losses,
    ids::{Digest, ItemKey, JobId, Namespace, Now, WorkerId},
    jobs::{Cut, Going, JobSpec, JobState, Meaning, Pause, Retried},
    members::{MemberRecord, TokenId, TokenRecord},
    secrets::SecretRecord,
    services::{ServiceName, ServicePlan},
    stages::Run,
};

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A job and its state.
    Job(JobRecord),
    /// How an item ended.
    Outcome(OutcomeRecord),
    /// An item that had failed is pending again.
    OutcomeGone(ItemKey),
    /// An item that had succeeded is pending again.
    Withdrawn(WithdrawnRecord),
    /// Which groups inputs are of.
    Groups(GroupsRecord),
    /// What an item that has not ended went through so far.
    Trouble(TroubleRecord),
    /// Its troubles no longer count.
    TroubleGone(ItemKey),
    /// Which image a stage's runs are of.
    Image(ImageRecord),
    /// Nothing is kept of these items of a job that is being removed.
    ItemsGone(ItemsGone),
    /// Nothing is kept of the job itself.
    JobGone {
        /// The job.
        job: JobId,
        /// How many stages it had.
        stages: u16,
    },
    /// A removed job, whose key is not free yet.
    Tombstone(TombstoneRecord),
    /// Its key is free.
    TombstoneGone(JobId),
    /// A worker is given nothing more.
    Drain(DrainRecord),
    /// It is given work again.
    DrainGone(WorkerId),
    /// A service, or that it was removed.
    Service(ServiceRecord),
    /// A worker is here.
    Worker(WorkerRecord),
    /// It is not expected back.
    WorkerGone(WorkerId),
    /// A token.
    Token(TokenRecord),
    /// It is good for nothing any more.
    TokenGone(TokenId),
    /// A worker that has joined from another machine.
    Member(MemberRecord),
    /// It is no member any more.
    MemberGone(WorkerId),
    /// A secret, or that it was removed.
    Secret(SecretRecord),
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRecord {
    /// Its id.
    pub id: JobId,
    /// Whose it is.
    pub namespace: Namespace,
    /// The client's idempotency key, among those of the namespace; empty means none.
    pub key: String,
    /// What the core needs of its specification.
    pub spec: JobSpec,
    /// Items of its first stage.
    pub inputs: u64,
    /// The blob with its full specification.
    pub detail: Digest,
    /// Where it stands.
    pub state: JobState,
    /// Why it was cancelled.
    pub reason: String,
    /// Unix milliseconds.
    pub submitted_ms: u64,
    /// Unix milliseconds; 0 while it runs.
    pub ended_ms: u64,
    /// What its submission means; `None` of those of before that was kept.
    pub meaning: Option<Box<Meaning>>,
    /// Nothing of it is given out, and why. Only while it has not ended.
    pub paused: Option<Box<Pause>>,
    /// Of the jobs after which it is to run those that had not ended. Only while it has not ended.
    pub awaits: Vec<JobId>,
    /// It goes on since it was retried. Only while it has not ended.
    pub retried: Option<Box<Retried>>,
    /// It is being removed, and how far that is.
    pub going: Option<Box<Going>>,
    /// When its deadline is over, unix milliseconds; 0 means never.
    pub due_ms: u64,
    /// Why it ends, or has ended, before its items. While it runs: nothing more of it is given out.
    pub cut: Option<Cut>,
}

impl JobRecord {
    /// A job that is submitted now.
    #[must_use]
    pub fn submitted(
        now: Now,
        (id, namespace, key): (JobId, Namespace, String),
        spec: JobSpec,
        inputs: u64,
        detail: Digest,
    ) -> Self {
        let (state, submitted_ms) = (JobState::Running, now.wall_ms);
        let (reason, awaits) = (String::new(), Vec::new());
        let (due_ms, cut) = (due_ms(&spec, now), None);
        let (ended_ms, meaning, paused, retried, going) = (0, None, None, None, None);
        Self {
            id,
            namespace,
            key,
            spec,
            inputs,
            detail,
            state,
            reason,
            submitted_ms,
            ended_ms,
            meaning,
            paused,
            awaits,
            retried,
            going,
            due_ms,
            cut,
        }
    }

    /// Whether its items may be given to workers now.
    #[must_use]
    pub fn may_dispatch(&self) -> bool {
        self.state.may_dispatch() && self.paused.is_none() && self.awaits.is_empty() && self.cut.is_none()
    }

    /// The same job, which goes on now.
    #[must_use]
    pub fn reopened(self, now: Now) -> Self {
        let due_ms = due_ms(&self.spec, now);
        Self { state: JobState::Running, reason: String::new(), ended_ms: 0, due_ms, cut: None, ..self }
    }
}

fn due_ms(spec: &JobSpec, now: Now) -> u64 {
    if spec.deadline_ms == 0 { 0 } else { now.wall_ms.saturating_add(spec.deadline_ms) }
}

/// How an item ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutcomeRecord {
    /// The item.
    pub item: ItemKey,
    /// Whether it ended well.
    pub success: bool,
    /// How many outputs it left.
    pub outputs: u64,
    /// Where they begin among the items of the next stage, if that maps over them.
    pub first_child: u64,
    /// Outputs with their digests, or the failure: not read by the core.
    pub detail: Vec<u8>,
    /// It was given up for what went away under it, not for how it failed.
    pub given_up: Option<Box<GivenUp>>,
    /// It ended well because there was nothing in it: it left nothing, and its exit code says so.
    pub filtered: bool,
    /// It failed with tries left, for its stage says that such a failure is not tried again.
    pub spared: bool,
    /// It is a success that may be withdrawn.
    pub revocable: bool,
    /// How often it was tried, of one that failed; 0: not known.
    pub tries: u32,
}

impl OutcomeRecord {
    /// An item that ended like that, and left no outputs.
    #[must_use]
    pub fn ended(item: ItemKey, success: bool, detail: Vec<u8>) -> Self {
        let (filtered, spared, revocable, tries) = (false, false, false, 0);
        Self { item, success, outputs: 0, first_child: 0, detail, given_up: None, filtered, spared, revocable, tries }
    }
}

/// A success counts no more: it was made of less than there will be now, or of what such a one left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WithdrawnRecord {
    /// The item, which is pending again.
    pub item: ItemKey,
    /// Where its outputs begin among the items of the next stage, if that maps over them.
    pub first_child: u64,
    /// How many they are, if so: they are items no more.
    pub outputs: u64,
}

/// Which groups some inputs are of, for a stage that gathers by groups. All of them together say it of each input of the job, in
/// order; groups are numbered by their first input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupsRecord {
    /// The job.
    pub job: JobId,
    /// Its stage.
    pub stage: u16,
    /// Counts the records of the stage, from 0.
    pub number: u64,
    /// The first of these inputs.
    pub first: u64,
    /// At most [`GroupsRecord::RUNS`].
    pub runs: Vec<Run>,
}

impl GroupsRecord {
    /// Runs of one record: it has to fit a value of the store.
    pub const RUNS: usize = 256;

    /// The records for these runs, which begin with the first input.
    pub fn of_runs(job: JobId, stage: u16, runs: &[Run]) -> impl Iterator<Item = Self> {
        let mut first = 0_u64;
        (0..).zip(runs.chunks(Self::RUNS)).map(move |(number, runs)| {
            let record = Self { job, stage, number, first, runs: runs.to_vec() };
            first += runs.iter().map(|run| run.inputs).sum::<u64>();
            record
        })
    }
}

/// Why an item was given up that had tries left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenUp {
    /// How often it was tried.
    pub attempts: u32,
    /// What went away under it.
    pub losses: Losses,
}

/// What an item went through. It outlives restarts, or a poisonous item would be tried for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TroubleRecord {
    /// The item.
    pub item: ItemKey,
    /// Tries that failed by its own fault.
    pub failures: u32,
    /// What went away while it ran on it.
    pub losses: Losses,
    /// Failures of the infrastructure under it.
    pub mishaps: u32,
    /// How often it was tried before it was put back: a retry begins to count anew, but for people.
    pub earlier: u32,
    /// How often its memory has grown.
    pub growths: u32,
    /// The last failure: not read by the core.
    pub detail: Vec<u8>,
}

/// Which image a stage's runs are of, since workers have agreed: by its name it may be another later, or elsewhere. It stays as
/// long as its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageRecord {
    /// The job.
    pub job: JobId,
    /// Its stage.
    pub stage: u16,
    /// What the image's registry knows it by: SHA-256 of its manifest.
    pub digest: Digest,
}

/// Items of a stage of which nothing is kept any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemsGone {
    /// The job.
    pub job: JobId,
    /// Its stage.
    pub stage: u16,
    /// The first of them.
    pub from: u64,
    /// The one behind the last.
    pub to: u64,
}

/// A removed job. It stays for a day, so that its key makes no second one of a submission that is repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TombstoneRecord {
    /// The job.
    pub job: JobId,
    /// Whose it was.
    pub namespace: Namespace,
    /// Its idempotency key; never empty.
    pub key: String,
    /// What its submission meant.
    pub meaning: Option<Box<Meaning>>,
    /// When the key is free, unix milliseconds.
    pub until_ms: u64,
}

/// A worker that is given nothing more, whether it is here or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainRecord {
    /// The worker.
    pub worker: WorkerId,
    /// Unix milliseconds.
    pub since_ms: u64,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRecord {
    /// Its name.
    pub name: ServiceName,
    /// Rises with each deployment of the name; kept after removal for that.
    pub generation: u64,
    /// What the core needs of its specification; `None` once it is removed.
    pub plan: Option<ServicePlan>,
    /// The blob with its full specification.
    pub detail: Digest,
}

/// A worker that is here, and would be missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerRecord {
    /// Its id.
    pub id: WorkerId,
    /// For people.
    pub name: String,
}
