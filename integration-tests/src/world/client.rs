//! A client: what it wants, and what it is waiting for.

use longshore_core::{Control, JobId, JobSpec, MembersInput, Namespace, RequestId, ServiceName, ServicePlan};

/// What a client wants.
#[derive(Debug, Clone)]
pub enum Wish {
    /// A job.
    Submit {
        /// Whose it shall be.
        namespace: Namespace,
        /// The idempotency key; empty for none, and then it asks only once.
        key: String,
        /// The job.
        spec: JobSpec,
        /// Its items.
        inputs: u64,
    },
    /// The end of a job.
    Cancel(JobId),
    /// Another try of what failed.
    Retry(JobId),
    /// A service.
    Deploy {
        /// Its name.
        name: ServiceName,
        /// Its plan.
        plan: ServicePlan,
        /// Its full specification.
        detail: [u8; 32],
    },
    /// The end of a service.
    Remove(ServiceName),
    /// How a job is.
    Look(JobId),
    /// A token, or that a machine joins, renews, or goes.
    Members(MembersInput),
    /// Something of a job or a worker.
    Control(Control),
}

/// A client.
#[derive(Debug)]
pub struct Client {
    /// Whose things it asks about.
    pub(super) namespace: Namespace,
    /// What it will still want.
    pub wishes: u64,
    /// What it waits for an answer to.
    pub(super) asking: Option<(Wish, RequestId)>,
    /// Counts what it did.
    pub(super) turn: u64,
    /// Jobs it knows of.
    pub(super) jobs: Vec<JobId>,
    /// What it will undo of what it did.
    pub(super) undo: Option<Control>,
}

impl Client {
    /// A client that has asked for nothing.
    #[must_use]
    pub fn new(namespace: Namespace, wishes: u64) -> Self {
        Self { namespace, wishes, asking: None, turn: 0, jobs: Vec::new(), undo: None }
    }

    /// Whether it wants nothing more.
    #[must_use]
    pub fn is_content(&self) -> bool {
        self.wishes == 0 && self.asking.is_none() && self.undo.is_none()
    }
}
