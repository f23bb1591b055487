//! The facts that are kept. Each is the new value of one entity; `…Gone` says that there is none any more.

use crate::{
    ids::{Digest, ItemKey, JobId, Namespace, Now, WorkerId},
    jobs::{JobSpec, JobState},
    members::{MemberRecord, TokenId, TokenRecord},
    services::{ServiceName, ServicePlan},
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
    /// What an item that has not ended went through so far.
    Trouble(TroubleRecord),
    /// Its troubles no longer count.
    TroubleGone(ItemKey),
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
}

impl JobRecord {
    /// A job that is submitted now.
    pub(crate) fn submitted(
        now: Now,
        (id, namespace, key): (JobId, Namespace, String),
        spec: JobSpec,
        inputs: u64,
        detail: Digest,
    ) -> Self {
        let (state, submitted_ms) = (JobState::Running, now.wall_ms);
        Self { id, namespace, key, spec, inputs, detail, state, reason: String::new(), submitted_ms, ended_ms: 0 }
    }
}

/// How an item ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutcomeRecord {
    /// The item.
    pub item: ItemKey,
    /// Whether it succeeded.
    pub success: bool,
    /// How many outputs it left.
    pub outputs: u64,
    /// Where they begin among the items of the next stage, if that maps over them.
    pub first_child: u64,
    /// Outputs with their digests, or the failure: not read by the core.
    pub detail: Vec<u8>,
}

/// What an item went through. It outlives restarts, or a poisonous item would be tried for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TroubleRecord {
    /// The item.
    pub item: ItemKey,
    /// Tries that failed by its own fault.
    pub failures: u32,
    /// Slots and workers that went away while it ran on them.
    pub crashes: u32,
    /// Failures of the infrastructure under it.
    pub mishaps: u32,
    /// The last failure: not read by the core.
    pub detail: Vec<u8>,
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
