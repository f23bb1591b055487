//! The coordinator's disk: what is written is gone in a crash until a sync has made it durable.

use std::collections::VecDeque;

use longshore_core::Record;

use super::{dice::Dice, kept::Kept};

/// The disk.
#[derive(Debug, Default)]
pub struct Disk {
    kept: Kept,
    /// Batches written and not durable, oldest first. A batch is the records of one outbox.
    buffer: VecDeque<Vec<Record>>,
    /// How many of them the sync under way takes.
    syncing: usize,
    written: u64,
    /// Slower than usual.
    pub slow: bool,
    /// The highest epoch any life was given.
    pub epoch: u64,
}

/// What a crash left.
#[derive(Debug, Clone, Copy)]
pub struct Wreck {
    /// Batches lost.
    pub lost: usize,
    /// Batches that survived though no sync had said so.
    pub survived: usize,
}

impl Disk {
    /// What is durable.
    #[must_use]
    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Writes a batch; an empty one is nothing to write. Answers the number of batches written so far: when that many are
    /// durable, so is all that was written until now.
    pub fn write(&mut self, batch: Vec<Record>) -> u64 {
        if !batch.is_empty() {
            self.buffer.push_back(batch);
            self.written += 1;
        }
        self.written
    }

    /// Batches that are durable.
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.written - self.buffer.len() as u64
    }

    /// Whether there is something to sync and no sync under way.
    #[must_use]
    pub fn wants_sync(&self) -> bool {
        self.syncing == 0 && !self.buffer.is_empty()
    }

    /// Begins a sync of all that is written; answers how many batches that is.
    pub fn begin_sync(&mut self) -> usize {
        self.syncing = self.buffer.len();
        self.syncing
    }

    /// The sync is done.
    pub fn end_sync(&mut self) {
        for batch in self.buffer.drain(..self.syncing) {
            batch.iter().for_each(|record| self.kept.keep(record));
        }
        self.syncing = 0;
    }

    /// The power goes: of the sync under way any number of its oldest batches may have made it, the rest is lost. With
    /// `torn`, the first lost batch survives in part.
    pub fn crash(&mut self, dice: &mut Dice, torn: bool) -> Wreck {
        let survived = usize::try_from(dice.between(0, self.syncing as u64)).unwrap_or(0);
        let lost = self.buffer.len() - survived;
        for batch in self.buffer.drain(..survived) {
            batch.iter().for_each(|record| self.kept.keep(record));
        }
        if torn && let Some(batch) = self.buffer.front() {
            let half = batch.len() / 2;
            batch.iter().take(half).for_each(|record| self.kept.keep(record));
        }
        self.buffer.clear();
        self.written = 0;
        self.syncing = 0;
        Wreck { lost, survived }
    }
}
