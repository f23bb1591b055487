//! The coordinator's disk: what is written is gone in a crash until a sync has made it durable.

use longshore_core::Record;

use super::{dice::Dice, kept::Kept};

/// The records of one batch, outbox by outbox.
#[derive(Debug, Clone)]
pub struct Page {
    outboxes: Vec<Vec<Record>>,
    most: usize,
}

impl Page {
    /// An empty one, which is full with so many outboxes.
    #[must_use]
    pub fn of(most: usize) -> Self {
        Self { outboxes: Vec::new(), most }
    }
}

impl longshore_drive::Page for Page {
    type Batch = Vec<Vec<Record>>;

    fn add(&mut self, records: Vec<Record>) {
        self.outboxes.push(records);
    }

    fn is_full(&self) -> bool {
        self.outboxes.len() >= self.most
    }

    fn finish(self) -> Self::Batch {
        self.outboxes
    }
}

/// The disk.
#[derive(Debug, Default)]
pub struct Disk {
    kept: Kept,
    /// What the sync under way takes, outbox by outbox.
    syncing: Vec<Vec<Record>>,
    /// Slower than usual.
    pub slow: bool,
    /// Has no room for another batch.
    pub full: bool,
    /// The highest epoch any life was given.
    pub epoch: u64,
}

/// What a crash left.
#[derive(Debug, Clone, Copy)]
pub struct Wreck {
    /// Outboxes lost that were being synced.
    pub lost: usize,
    /// Outboxes that survived though no sync had said so.
    pub survived: usize,
}

impl Disk {
    /// What is durable.
    #[must_use]
    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Begins a sync of a batch; answers how many outboxes it has.
    pub fn begin_sync(&mut self, outboxes: &[Vec<Record>]) -> usize {
        self.syncing = outboxes.to_vec();
        self.syncing.len()
    }

    /// The sync is done.
    pub fn end_sync(&mut self) {
        for outbox in self.syncing.drain(..) {
            outbox.iter().for_each(|record| self.kept.keep(record));
        }
    }

    /// The sync has found no room: nothing of it is kept.
    pub fn forget_sync(&mut self) {
        self.syncing.clear();
    }

    /// The power goes: of the sync under way any number of its oldest outboxes may have made it, the rest is lost. (A store
    /// keeps a whole batch or nothing; the law asks for less.)
    pub fn crash(&mut self, dice: &mut Dice) -> Wreck {
        let most = if self.full { 0 } else { self.syncing.len() as u64 };
        let survived = usize::try_from(dice.between(0, most)).unwrap_or(0);
        let lost = self.syncing.len() - survived;
        for outbox in self.syncing.drain(..).take(survived) {
            outbox.iter().for_each(|record| self.kept.keep(record));
        }
        Wreck { lost, survived }
    }
}
