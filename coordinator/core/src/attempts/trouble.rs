//! What an item that has not ended went through.

use super::Losses;
use crate::{
    ids::ItemKey,
    record::{Record, TroubleRecord},
};

/// How often an item was tried in vain, by whose fault it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub failures: u32,
    pub losses: Losses,
    pub mishaps: u32,
    /// Tries before it was put back by a retry.
    pub earlier: u32,
    /// How often its memory has grown.
    pub growths: u32,
}

impl Trouble {
    /// As kept.
    pub fn of(record: &TroubleRecord) -> Self {
        let TroubleRecord { item: _, failures, losses, mishaps, earlier, growths, detail: _ } = record;
        let (failures, mishaps, earlier, growths) = (*failures, *mishaps, *earlier, *growths);
        Self { failures, losses: losses.clone(), mishaps, earlier, growths }
    }

    /// To be kept, with the last failure.
    pub fn record(self, item: ItemKey, detail: Vec<u8>) -> Record {
        let Self { failures, losses, mishaps, earlier, growths } = self;
        Record::Trouble(TroubleRecord { item, failures, losses, mishaps, earlier, growths, detail })
    }

    /// How often it was tried, before it was put back too.
    pub fn tries(&self) -> u32 {
        let now = self.failures.saturating_add(self.losses.count()).saturating_add(self.mishaps);
        now.saturating_add(self.earlier)
    }
}
