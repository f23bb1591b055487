//! Terms that are the same for everyone.

/// Terms that are the same for everyone.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Silence after which a worker is gone, milliseconds.
    pub lease_ms: u64,
    /// How long after a start nothing is given out while workers that were here before have not come back, milliseconds:
    /// what they still run need not run twice.
    pub reunion_ms: u64,
    /// Failures of the infrastructure an item is tried through.
    pub mishaps: u32,
    /// First and longest pause after a failure of the infrastructure, milliseconds.
    pub mishap_pause_ms: (u64, u64),
    /// Items that are put back or removed in one step: of 1,000 the records are a few tens of kilobytes, and a few hundred
    /// microseconds.
    pub slice: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { lease_ms: 10_000, reunion_ms: 3_000, mishaps: 10, mishap_pause_ms: (250, 30_000), slice: 1_000 }
    }
}
