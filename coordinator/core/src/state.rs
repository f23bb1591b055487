//! All that the core knows, part by part. Commands are functions over it, one a file.
//!
//! Each part keeps its own fields and its own promises; what must hold between them is written down in
//! [`crate::invariants`].

use crate::{
    ids::{AttemptId, ItemKey, Now},
    ledger::Ledger,
    members::Expiry,
    outbox::Outbox,
    record::Record,
    schedule::Queues,
    services::Placement,
    settings::Settings,
    stages::ItemState,
    workers::{Fleet, Lives, Reunion, Suspects},
};

/// The ledger, and the soft state around it.
#[derive(Debug)]
pub(crate) struct State {
    pub settings: Settings,
    /// What is kept; changed by [`State::keep`] alone.
    pub ledger: Ledger,
    /// Workers, and the attempts they hold.
    pub fleet: Fleet,
    /// Workers that are expected back.
    pub reunion: Reunion,
    /// Which life of a worker was in last.
    pub lives: Lives,
    /// What likely ran on workers that fell silent.
    pub suspects: Suspects,
    /// What can be given out, and whose turn it is.
    pub queues: Queues,
    /// Where replicas are.
    pub placement: Placement,
    /// When tokens that have expired are forgotten.
    pub expiry: Expiry,
}

impl State {
    /// What `records` say, in an epoch higher than that of any earlier run.
    pub fn load(epoch: u64, settings: Settings, now: Now, records: impl IntoIterator<Item = Record>) -> Self {
        let mut ledger = Ledger::default();
        for record in records {
            ledger.apply(&record);
        }
        let mut queues = Queues::default();
        for job in ledger.jobs().filter(|job| !job.record.state.has_ended()) {
            queues.open(job.record.id, job.stage_count());
        }
        let missed = ledger.workers().map(|(id, _)| id).collect();
        Self {
            settings,
            fleet: Fleet::new(epoch),
            reunion: Reunion::new(missed, now.steady_ms.saturating_add(settings.reunion_ms)),
            lives: Lives::default(),
            suspects: Suspects::default(),
            placement: Placement::of(ledger.services()),
            expiry: Expiry::of(&ledger, now),
            queues,
            ledger,
        }
    }

    /// Makes a record true and keeps it for the outbox.
    pub fn keep(&mut self, record: Record, out: &mut Outbox) {
        self.ledger.apply(&record);
        out.records.push(record);
    }

    /// Takes the attempt off its item's queue; false when the item has ended or is another attempt's.
    pub fn release(&mut self, item: ItemKey, id: AttemptId) -> bool {
        let pending = self.ledger.job(item.job).and_then(|job| job.state(&item)) == Some(ItemState::Pending);
        self.queues.release(&item, id) && pending
    }
}
