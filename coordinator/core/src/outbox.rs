//! What the core answers.

use crate::{
    fit::Lack,
    ids::{AttemptId, Digest, Incarnation, ItemKey, JobId, RequestId, WorkerId},
    jobs::Differs,
    members::{MemberRecord, TokenId, TokenRecord},
    record::Record,
    secrets::SecretName,
    services::{ReplicaKey, ServiceName},
    stages::Source,
};

/// The answer to one input. Records first: nothing else leaves before they are durable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outbox {
    /// Facts to keep, in order; a later one of the same entity replaces an earlier one.
    pub records: Vec<Record>,
    /// Orders for workers.
    pub orders: Vec<Order>,
    /// Answers to requests.
    pub replies: Vec<(RequestId, Reply)>,
    /// What changed, for those who watch.
    pub notices: Vec<Notice>,
}

impl Outbox {
    /// Notes that a job has changed; cheap when the same one changes over and over.
    pub(crate) fn notice_job(&mut self, job: JobId) {
        let notice = Notice::Job(job);
        if self.notices.last() != Some(&notice) {
            self.notices.push(notice);
        }
    }
}

/// An order for a worker. An order whose worker has gone meanwhile is dropped; its next hello settles everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Its hello is accepted. The first order of a link.
    Welcome {
        /// The worker.
        worker: WorkerId,
        /// The life that said hello.
        incarnation: Incarnation,
    },
    /// Run these.
    Assign {
        /// The worker.
        worker: WorkerId,
        /// The attempts, in the order they shall start.
        attempts: Vec<Assignment>,
    },
    /// Stop these and say nothing more of them.
    Stop {
        /// The worker.
        worker: WorkerId,
        /// The attempts.
        ids: Vec<AttemptId>,
    },
    /// Give back those of these that have not started.
    Return {
        /// The worker.
        worker: WorkerId,
        /// The attempts.
        ids: Vec<AttemptId>,
    },
    /// Forget these: their results are kept, or refused for good.
    Settle {
        /// The worker.
        worker: WorkerId,
        /// The attempts.
        ids: Vec<AttemptId>,
    },
    /// Keep exactly these replicas.
    Replicas {
        /// The worker.
        worker: WorkerId,
        /// Every replica it shall keep.
        keep: Vec<ReplicaKey>,
    },
    /// Run this image in that stage, and no other.
    Image {
        /// The worker.
        worker: WorkerId,
        /// The job.
        job: JobId,
        /// The stage it asked about.
        stage: u16,
        /// What the image's registry knows it by.
        digest: Digest,
    },
    /// The job has ended.
    ForgetJob {
        /// The worker.
        worker: WorkerId,
        /// The job.
        job: JobId,
    },
}

impl Order {
    /// Whom the order is for.
    #[must_use]
    pub fn worker(&self) -> WorkerId {
        match self {
            Self::Welcome { worker, .. }
            | Self::Assign { worker, .. }
            | Self::Stop { worker, .. }
            | Self::Return { worker, .. }
            | Self::Settle { worker, .. }
            | Self::Replicas { worker, .. }
            | Self::Image { worker, .. }
            | Self::ForgetJob { worker, .. } => *worker,
        }
    }
}

/// One attempt to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignment {
    /// Its id.
    pub id: AttemptId,
    /// Its item.
    pub item: ItemKey,
    /// Counted from 1.
    pub attempt: u32,
    /// Where the item's input is.
    pub source: Source,
    /// Its memory, bytes, where that is more than its stage says; else 0.
    pub memory_bytes: u64,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The job is kept.
    Submitted {
        /// Its id.
        job: JobId,
        /// The key was known; this is the job it made then.
        existed: bool,
    },
    /// The job has ended and nothing of it commits any more.
    Cancelled,
    /// The job goes on.
    Retried {
        /// So many items had failed, and are pending again now or soon.
        failed: u64,
        /// So many had not ended.
        unended: u64,
    },
    /// It is so, whether it was before or not.
    Done,
    /// The service is kept.
    Deployed {
        /// Its generation.
        generation: u64,
    },
    /// The service is removed.
    Removed,
    /// The token is kept.
    TokenMade(TokenRecord),
    /// These are good for nothing any more.
    TokensRemoved(Vec<TokenRecord>),
    /// The worker is a member.
    Joined(MemberRecord),
    /// The member has the key that it asked for.
    Renewed(MemberRecord),
    /// The worker is off the list, or out.
    WorkerRemoved {
        /// Its id.
        worker: WorkerId,
        /// For people.
        name: String,
    },
    /// The secret has this value.
    SecretPut {
        /// Its version.
        version: u64,
    },
    /// The secret has no value any more.
    SecretRemoved,
    /// No.
    Refused(Refusal),
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such job.
    #[error("no job {0}")]
    NoSuchJob(JobId),
    /// It has ended already.
    #[error("job {0} has ended already")]
    JobHasEnded(JobId),
    /// It has not ended yet.
    #[error("job {0} has not ended yet")]
    JobIsRunning(JobId),
    /// Another submission has that key.
    #[error("the idempotency key is that of job {job}, {differs}")]
    KeyIsTaken {
        /// The job it made.
        job: JobId,
        /// How the two are different.
        differs: Differs,
    },
    /// The job of that key was removed not long ago.
    #[error("the idempotency key is that of job {job}, which was removed")]
    KeyOfRemoved {
        /// The job it made.
        job: JobId,
        /// When the key is free, unix milliseconds.
        until_ms: u64,
    },
    /// What it is to run after has not ended well, and will not.
    #[error("it is to run after job {0}, which has not ended well")]
    AfterEndedBadly(JobId),
    /// No such stage.
    #[error("job {job} has no stage {stage}")]
    NoSuchStage {
        /// The job.
        job: JobId,
        /// The stage.
        stage: u16,
    },
    /// As many workers are drained as may be.
    #[error("{0} workers are drained already, which is the most there can be")]
    TooManyDrained(usize),
    /// It has no failed items.
    #[error("job {0} has no failed items")]
    NothingFailed(JobId),
    /// Nobody who is here could ever run it.
    #[error("stage {} could run on no worker that is here: worker {worker:?} comes nearest, but {lack}", .stage + 1)]
    FitsNowhere {
        /// The stage, from 0.
        stage: u16,
        /// The name of the worker that lacks the least.
        worker: String,
        /// What it lacks first.
        lack: Box<Lack>,
    },
    /// No such service.
    #[error("no service {:?}", .0.name)]
    NoSuchService(ServiceName),
    /// There is a different service of that name.
    #[error("there is a different service {:?} already", .0.name)]
    ServiceExists(ServiceName),
    /// No such token, or its secret is another: nobody is told which.
    #[error("the token is unknown")]
    NoSuchToken,
    /// There is a token of that id.
    #[error("there is a token {0} already")]
    TokenExists(TokenId),
    /// It is good no more.
    #[error("the token has expired")]
    TokenExpired {
        /// Since when, unix milliseconds.
        expired_ms: u64,
    },
    /// As many workers have joined with it as may.
    #[error("the token is used up")]
    TokenUsedUp {
        /// Name of the last of them and when it joined, unix milliseconds, if it is still known.
        by: Option<(String, u64)>,
    },
    /// It is a person's.
    #[error("the token is a person's, and no worker can join with it")]
    NotForJoining,
    /// The id, or the key, belongs to somebody else.
    #[error(
        "worker {0} is another: a member with another key, or one that is here without being a member; or the key is another member's"
    )]
    WorkerIsAnother(WorkerId),
    /// It may do nothing any more.
    #[error("worker {0} was revoked")]
    WorkerRevoked(WorkerId),
    /// No such worker.
    #[error("no worker {0}")]
    NoSuchWorker(WorkerId),
    /// It has not joined, but runs as the coordinator's own user or with its token.
    #[error("worker {0} is no member: it is of this coordinator's own user, and ends with its process")]
    WorkerIsNoMember(WorkerId),
    /// Its lease runs.
    #[error("worker {0} is here: only what is gone can be taken off the list")]
    WorkerIsHere(WorkerId),
    /// No such secret.
    #[error("no secret {:?}", .0.name)]
    NoSuchSecret(SecretName),
    /// Somebody else has given it a value meanwhile.
    #[error("secret {:?} was given another value at the same time", .0.name)]
    SecretMoved(SecretName),
}

/// Something changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Notice {
    /// A job's counts or state.
    Job(JobId),
    /// A service's replicas.
    Service(ServiceName),
    /// A token, or that there is none any more.
    Token(TokenId),
    /// A member, or that it is none any more.
    Member(WorkerId),
    /// A secret, or that there is none any more.
    Secret(SecretName),
    /// A worker went away that had items of the job.
    Lost {
        /// The job.
        job: JobId,
        /// The worker's name.
        worker: String,
        /// How many.
        items: u64,
    },
}
