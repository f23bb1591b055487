//! Everything that can happen to the core.

use std::sync::Arc;

use crate::{
    fault::{Blame, Fault},
    fit::Offer,
    ids::{AttemptId, Digest, Incarnation, ItemKey, JobId, Namespace, RequestId, WorkerId},
    jobs::{Control, JobSpec, Meaning, Only},
    members::MembersInput,
    secrets::{Sealed, SecretName},
    services::{ReplicaKey, ServiceName, ServicePlan},
    stages::Run,
    workers::Clientele,
};

/// One thing that happened. Every pair of state and input is defined; what makes no sense is refused or ignored.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A client wants a job. The blobs it names are there.
    Submit {
        /// Who waits for the reply.
        request: RequestId,
        /// Id for the job, should it be new.
        job: JobId,
        /// Whose job it shall be.
        namespace: Namespace,
        /// The client's idempotency key, among those of the namespace; empty means none.
        key: String,
        /// The job.
        spec: JobSpec,
        /// Items of the first stage; at least 1.
        inputs: u64,
        /// Which groups its inputs are of, for each of its stages that gathers by groups, in order of stages: runs of inputs from
        /// the first to the last.
        groups: Vec<(u16, Vec<Run>)>,
        /// The blob with the full specification.
        detail: Digest,
        /// What it means; `None` where nobody compares.
        meaning: Option<Meaning>,
    },
    /// A client wants a job to end.
    Cancel {
        /// Who waits for the reply.
        request: RequestId,
        /// The job.
        job: JobId,
        /// Why.
        reason: String,
    },
    /// A client wants something of a job or worker that is there.
    Control {
        /// Who waits for the reply.
        request: RequestId,
        /// What is wanted.
        ask: Control,
    },
    /// A client wants the failed items of an ended job tried again.
    Retry {
        /// Who waits for the reply.
        request: RequestId,
        /// The job.
        job: JobId,
        /// These alone; `None`: all of them.
        only: Option<Only>,
    },
    /// A worker has connected.
    Hello {
        /// The worker.
        worker: WorkerId,
        /// Its life.
        incarnation: Incarnation,
        /// The life that ran before in the same place, if any, and has certainly ended. A copy of the place cannot say so.
        previous: Option<Incarnation>,
        /// For people.
        name: String,
        /// Attempts it runs at once; 0 while it takes nothing.
        slots: u32,
        /// Whose work it may be given: what is known of it here, not what it says.
        clientele: Clientele,
        /// What it offers: its labels, for a member, are what is known of it here.
        offer: Arc<Offer>,
        /// Attempts it holds.
        held: Vec<Held>,
        /// Replicas it keeps.
        replicas: Vec<ReplicaStatus>,
    },
    /// A worker has shown that it could be reached: its lease runs from then on. Nothing else it says prolongs that.
    Heard {
        /// The worker.
        worker: WorkerId,
        /// Its life.
        incarnation: Incarnation,
        /// When that was sent of which it says that it arrived, steady milliseconds.
        as_of_ms: u64,
    },
    /// The link to a worker has ended. Its lease goes on. Told only of the link of its newest hello: the end of an older
    /// one, told later, would cut off the newer.
    LinkLost {
        /// The worker.
        worker: WorkerId,
        /// Its life.
        incarnation: Incarnation,
    },
    /// A worker leaves for good and runs nothing any more.
    Goodbye {
        /// The worker.
        worker: WorkerId,
        /// Its life.
        incarnation: Incarnation,
    },
    /// Attempts have ended. What they left is stored already.
    Finished {
        /// The worker.
        worker: WorkerId,
        /// Its life.
        incarnation: Incarnation,
        /// The attempts.
        results: Vec<Finished>,
    },
    /// The state of all replicas of a worker. Told only from the link of its newest hello: what an older one still
    /// brings would cover what is newer.
    Replicas {
        /// The worker.
        worker: WorkerId,
        /// Its life.
        incarnation: Incarnation,
        /// Every replica it has.
        replicas: Vec<ReplicaStatus>,
    },
    /// A worker has found out which image stages of a job, which name the same, are of by now, and runs none of them before it
    /// is told which it shall be.
    Image {
        /// The worker.
        worker: WorkerId,
        /// Its life.
        incarnation: Incarnation,
        /// The job.
        job: JobId,
        /// The stages; first the one that is asked about.
        stages: Vec<u16>,
        /// What it found.
        digest: Digest,
    },
    /// A client wants a service.
    Deploy {
        /// Who waits for the reply.
        request: RequestId,
        /// Its name.
        name: ServiceName,
        /// What the core needs of it.
        plan: ServicePlan,
        /// The blob with the full specification.
        detail: Digest,
    },
    /// A client wants a service removed.
    Remove {
        /// Who waits for the reply.
        request: RequestId,
        /// Its name.
        name: ServiceName,
    },
    /// Somebody asks for something about tokens and members.
    Members {
        /// Who waits for the reply.
        request: RequestId,
        /// What is asked for.
        ask: MembersInput,
    },
    /// Somebody gives a secret a value.
    PutSecret {
        /// Who waits for the reply.
        request: RequestId,
        /// Its name.
        name: SecretName,
        /// The version that the value was sealed as: it has to be the next one.
        version: u64,
        /// The value.
        sealed: Sealed,
    },
    /// Somebody wants a secret to be gone.
    RemoveSecret {
        /// Who waits for the reply.
        request: RequestId,
        /// Its name.
        name: SecretName,
    },
    /// Time has passed.
    Tick,
}

/// An attempt a worker holds when it connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The attempt.
    pub id: AttemptId,
    /// Its item.
    pub item: ItemKey,
}

/// An attempt that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The attempt.
    pub id: AttemptId,
    /// Its item.
    pub item: ItemKey,
    /// How.
    pub end: End,
    /// How long it ran, microseconds.
    pub run_us: u64,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Well.
    Succeeded {
        /// How many outputs it left.
        outputs: u64,
        /// For the outcome's record.
        detail: Vec<u8>,
    },
    /// Not well.
    Failed {
        /// Whose fault it was.
        blame: Blame,
        /// How it failed.
        fault: Fault,
        /// For the record.
        detail: Vec<u8>,
    },
    /// It never started.
    Returned,
}

/// The state of one replica, as its worker sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaStatus {
    /// The replica.
    pub key: ReplicaKey,
    /// Where it stands.
    pub phase: ReplicaPhase,
    /// Why it is not ready.
    pub message: String,
}

/// Where a replica stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReplicaPhase {
    /// Being started.
    Starting,
    /// Takes calls.
    Ready,
    /// Failed; the worker starts it again after a pause.
    Failed,
}
