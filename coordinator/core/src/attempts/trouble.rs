//! What an item that has not ended went through.

use crate::{
    ids::ItemKey,
    record::{Record, TroubleRecord},
};

/// How often an item was tried in vain, by whose fault it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub failures: u32,
    pub crashes: u32,
    pub mishaps: u32,
}

impl Trouble {
    /// As kept.
    pub fn of(record: &TroubleRecord) -> Self {
        Self { failures: record.failures, crashes: record.crashes, mishaps: record.mishaps }
    }

    /// To be kept, with the last failure.
    pub fn record(self, item: ItemKey, detail: Vec<u8>) -> Record {
        let Self { failures, crashes, mishaps } = self;
        Record::Trouble(TroubleRecord { item, failures, crashes, mishaps, detail })
    }

    /// How often it was tried.
    pub fn tries(self) -> u32 {
        self.failures.saturating_add(self.crashes).saturating_add(self.mishaps)
    }
}
