//! All that the core knows, part by part. Commands are functions over it, one a file.
//!
//! Each part keeps its own fields and its own promises; what must hold between them is written down in
//! [`crate::invariants`].

use crate::{
    chores::Chores,
    ids::{AttemptId, ItemKey, Now},
    jobs::{Cuts, Waiters},
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
    /// What takes more than one step.
    pub chores: Chores,
    /// Jobs that wait for others.
    pub waiters: Waiters,
    /// Jobs that end before their items.
    pub cuts: Cuts,
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
        let (mut queues, mut cuts) = (Queues::default(), Cuts::default());
        for job in ledger.jobs().filter(|job| !job.record.state.has_ended()) {
            queues.open(job.record.id, &job.record.namespace, &job.record.spec.stages);
            cuts.watch(&job.record, now);
            if job.record.cut.is_some() {
                cuts.set_ending(job.record.id);
            }
        }
        let mut fleet = Fleet::new(epoch);
        fleet.tell_the_time(now);
        let missed = ledger.workers().map(|(id, _)| id).collect();
        Self {
            settings,
            fleet,
            reunion: Reunion::new(missed, now.steady_ms.saturating_add(settings.reunion_ms)),
            lives: Lives::default(),
            suspects: Suspects::default(),
            placement: Placement::of(ledger.services()),
            expiry: Expiry::of(&ledger, now),
            chores: Chores::of(&ledger),
            waiters: Waiters::of(&ledger),
            queues,
            cuts,
            ledger,
        }
    }

    /// Makes a record true and keeps it for the outbox.
    pub fn keep(&mut self, record: Record, out: &mut Outbox) {
        self.ledger.apply(&record);
        if let Record::Outcome(outcome) = &record
            && let Some(job) = self.ledger.job(outcome.item.job)
        {
            // Their queues may have passed over them while they were not there.
            job.freed_by(&outcome.item).iter().for_each(|item| self.queues.give_back(item));
        }
        if let Record::Job(job) = &record {
            self.cuts.renew(job);
        }
        out.records.push(record);
    }

    /// Takes the attempt off its item's queue; false when the item has ended or is another attempt's.
    pub fn release(&mut self, item: ItemKey, id: AttemptId) -> bool {
        let job = self.ledger.job(item.job);
        job.into_iter().for_each(|job| self.cuts.renew(&job.record));
        let pending = job.and_then(|job| job.state(&item)) == Some(ItemState::Pending);
        self.queues.release(&item, id) && pending
    }
}
