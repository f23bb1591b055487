//! The names of things, and the time.

use std::fmt;

macro_rules! sixteen_bytes {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl fmt::Display for $name {
            /// As RFC 9562 writes a UUID.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                for (at, byte) in self.0.iter().enumerate() {
                    if matches!(at, 4 | 6 | 8 | 10) {
                        f.write_str("-")?;
                    }
                    write!(f, "{byte:02x}")?;
                }
                Ok(())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    };
}

sixteen_bytes!(
    /// A job. Made outside the core; ids that sort by time list jobs in order.
    JobId
);
sixteen_bytes!(
    /// A worker, for as long as its data directory lives.
    WorkerId
);
sixteen_bytes!(
    /// One life of a worker's process.
    Incarnation
);

/// The hash that names a blob. The core never looks inside.
pub type Digest = [u8; 32];

/// One request that waits for a [`Reply`](crate::Reply). Made outside the core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// One try of one item. The epoch says which run of the coordinator gave it out, so nothing of an earlier run can be
/// mistaken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttemptId {
    /// The coordinator's epoch.
    pub epoch: u64,
    /// Counts up within the epoch.
    pub number: u64,
}

/// One item of one stage of one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ItemKey {
    /// The job.
    pub job: JobId,
    /// Position of the stage in the job.
    pub stage: u16,
    /// Position of the item in the stage.
    pub index: u64,
}

/// The time, as told to the core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Now {
    /// Milliseconds of a clock that never jumps: leases and pauses are measured on it.
    pub steady_ms: u64,
    /// Milliseconds since the Unix epoch: only shown, never compared.
    pub wall_ms: u64,
}
