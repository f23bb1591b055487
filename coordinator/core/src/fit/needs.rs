//! What work needs of whoever runs it.

use std::{collections::BTreeMap, sync::Arc};

use super::constraint::Constraint;

/// What a stage's attempts, or a service's replicas, need. 0 and nothing mean that it does not matter, or a slot's share.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Needs {
    /// Thousandths of a CPU.
    pub cpu_milli: u32,
    /// Memory, bytes.
    pub memory_bytes: u64,
    /// Processes and threads.
    pub pids: u32,
    /// Temporary space, bytes.
    pub tmp_bytes: u64,
    /// Size of `/dev/shm`, bytes.
    pub shm_bytes: u64,
    /// Outputs of one attempt, bytes: one of them, or all together.
    pub output_bytes: u64,
    /// Other resources by name: how many of each, at least one.
    pub resources: BTreeMap<String, u64>,
    /// Demands on the worker's labels, in order and each once.
    pub constraints: Vec<Constraint>,
    /// A network; empty means none.
    pub network: String,
    /// Whose rights it runs with.
    pub user: User,
    /// It begins in a directory of its image.
    pub workdir: bool,
}

/// Whose rights work runs with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum User {
    /// Whosever the worker gives it.
    #[default]
    Any,
    /// A user that it names.
    Named,
    /// Root's.
    Root,
}

impl Needs {
    /// To be kept with many: nothing when nothing is needed.
    #[must_use]
    pub fn shared(self) -> Option<Arc<Self>> {
        (self != Self::default()).then(|| Arc::new(self))
    }
}
