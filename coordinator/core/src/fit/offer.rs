//! What a worker offers to work.

use std::collections::{BTreeMap, BTreeSet};

use super::needs::Needs;

/// A whole CPU, in thousandths: a slot's share is never less, see `worker/src/bounds.rs`, which grants it.
const LEAST_CPU_MILLI: u32 = 1_000;

/// What a slot's share of memory is at least, bytes, as is granted there.
const LEAST_MEMORY_BYTES: u64 = 512 << 20;

/// What a worker has and what its operator allows. The default is that of a worker that says nothing of it: everything may fit, as
/// for all workers of before, but no resources and no labels.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offer {
    /// Thousandths of CPUs for all of its work.
    pub cpu_milli: u32,
    /// Memory for all of its work, bytes.
    pub memory_bytes: u64,
    /// Other resources by name.
    pub resources: BTreeMap<String, u64>,
    /// For constraints: what the operator says, or for a member what its token said.
    pub labels: BTreeMap<String, String>,
    /// Networks that may be asked for; `None`: any.
    pub networks: Option<BTreeSet<String>>,
    /// Work may ask to run as root.
    pub root: bool,
    /// Work may name the user it runs as.
    pub users: bool,
    /// Work may begin in a directory of its image.
    pub workdir: bool,
    /// The most that may be asked for.
    pub ceilings: Ceilings,
}

/// The most that one container may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ceilings {
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
    /// Outputs of one attempt, bytes.
    pub output_bytes: u64,
}

impl Default for Ceilings {
    fn default() -> Self {
        let (number, bytes) = (u32::MAX, u64::MAX);
        Self {
            cpu_milli: number,
            memory_bytes: bytes,
            pids: number,
            tmp_bytes: bytes,
            shm_bytes: bytes,
            output_bytes: bytes,
        }
    }
}

impl Default for Offer {
    fn default() -> Self {
        Self {
            cpu_milli: u32::MAX,
            memory_bytes: u64::MAX,
            resources: BTreeMap::new(),
            labels: BTreeMap::new(),
            networks: None,
            root: true,
            users: true,
            workdir: true,
            ceilings: Ceilings::default(),
        }
    }
}

impl Offer {
    /// Whether such work is counted exactly there, not as one of so many slots: it says that it takes more than a slot's share, or
    /// takes of what is no slot's.
    #[must_use]
    pub fn counts(&self, needs: &Needs, slots: u32) -> bool {
        !needs.resources.is_empty()
            || needs.cpu_milli > self.cpu_share(slots).max(LEAST_CPU_MILLI)
            || needs.memory_bytes > self.memory_share(slots).max(LEAST_MEMORY_BYTES)
    }

    /// What is set aside for an attempt that says nothing, thousandths of a CPU: all slots together have no more than there is.
    pub(super) fn cpu_share(&self, slots: u32) -> u32 {
        self.cpu_milli / slots.max(1)
    }

    /// The same of memory, bytes.
    pub(super) fn memory_share(&self, slots: u32) -> u64 {
        self.memory_bytes / u64::from(slots.max(1))
    }
}
