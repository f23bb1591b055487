//! What an ordered key-value store keeps of the records: one value per entity, read back in key order.

use std::collections::BTreeMap;

use longshore_core::{
    Digest, ItemKey, JobId, JobRecord, Ledger, MemberRecord, OutcomeRecord, Record, SecretName, ServiceName,
    ServiceRecord, TokenId, TokenRecord, TombstoneRecord, TroubleRecord, WorkerId,
};

/// The key of an entity. Its order is the order of loading.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Entity {
    Job(JobId),
    Groups(JobId, u16, u64),
    Hole(ItemKey),
    Outcome(ItemKey),
    Trouble(ItemKey),
    Service(ServiceName),
    Worker(WorkerId),
    Token(TokenId),
    Member(WorkerId),
    Image(JobId, u16),
    Secret(SecretName),
    Tombstone(JobId),
    Drain(WorkerId),
}

/// A kept map: a later record of an entity replaces the earlier one, a `…Gone` removes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept(BTreeMap<Entity, Record>);

impl Kept {
    /// Keeps one record.
    pub fn keep(&mut self, record: &Record) {
        let key = match record {
            Record::Job(job) => Entity::Job(job.id),
            Record::Outcome(outcome) => Entity::Outcome(outcome.item),
            Record::Withdrawn(withdrawn) => {
                self.drop_entity(&Entity::Outcome(withdrawn.item));
                if withdrawn.outputs == 0 {
                    return;
                }
                let (stage, index) = (withdrawn.item.stage + 1, withdrawn.first_child);
                Entity::Hole(ItemKey { stage, index, ..withdrawn.item })
            }
            Record::Groups(groups) => Entity::Groups(groups.job, groups.stage, groups.number),
            Record::Trouble(trouble) => Entity::Trouble(trouble.item),
            Record::Service(service) => Entity::Service(service.name.clone()),
            Record::Worker(worker) => Entity::Worker(worker.id),
            Record::Token(token) => Entity::Token(token.id),
            Record::Member(member) => Entity::Member(member.id),
            Record::Image(image) => Entity::Image(image.job, image.stage),
            Record::Secret(secret) => Entity::Secret(secret.name.clone()),
            Record::OutcomeGone(item) => return self.drop_entity(&Entity::Outcome(*item)),
            Record::TroubleGone(item) => return self.drop_entity(&Entity::Trouble(*item)),
            Record::WorkerGone(worker) => return self.drop_entity(&Entity::Worker(*worker)),
            Record::TokenGone(token) => return self.drop_entity(&Entity::Token(*token)),
            Record::MemberGone(worker) => return self.drop_entity(&Entity::Member(*worker)),
            Record::Tombstone(tombstone) => Entity::Tombstone(tombstone.job),
            Record::TombstoneGone(job) => return self.drop_entity(&Entity::Tombstone(*job)),
            Record::Drain(drain) => Entity::Drain(drain.worker),
            Record::DrainGone(worker) => return self.drop_entity(&Entity::Drain(*worker)),
            Record::ItemsGone(gone) => {
                for index in gone.from..gone.to {
                    let item = ItemKey { job: gone.job, stage: gone.stage, index };
                    self.drop_entity(&Entity::Outcome(item));
                    self.drop_entity(&Entity::Trouble(item));
                    self.drop_entity(&Entity::Hole(item));
                    self.drop_entity(&Entity::Groups(gone.job, gone.stage, index));
                }
                return;
            }
            Record::JobGone { job, stages } => {
                (0..*stages).for_each(|stage| self.drop_entity(&Entity::Image(*job, stage)));
                return self.drop_entity(&Entity::Job(*job));
            }
        };
        self.0.insert(key, record.clone());
    }

    fn drop_entity(&mut self, key: &Entity) {
        self.0.remove(key);
    }

    /// Every record that is kept, in key order.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        self.0.values().cloned()
    }

    /// The ledger these records add up to.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        let mut ledger = Ledger::default();
        self.0.values().for_each(|record| ledger.apply(record));
        ledger
    }

    /// The job.
    #[must_use]
    pub fn job(&self, id: JobId) -> Option<&JobRecord> {
        match self.0.get(&Entity::Job(id)) {
            Some(Record::Job(job)) => Some(job),
            _ => None,
        }
    }

    /// All jobs.
    pub fn jobs(&self) -> impl Iterator<Item = &JobRecord> {
        self.0.values().map_while(|record| match record {
            Record::Job(job) => Some(job),
            _ => None,
        })
    }

    /// The removed job whose key this was.
    #[must_use]
    pub fn tombstone(&self, id: JobId) -> Option<&TombstoneRecord> {
        match self.0.get(&Entity::Tombstone(id)) {
            Some(Record::Tombstone(tombstone)) => Some(tombstone),
            _ => None,
        }
    }

    /// All of them.
    pub fn tombstones(&self) -> impl Iterator<Item = &TombstoneRecord> {
        self.0.values().filter_map(|record| match record {
            Record::Tombstone(tombstone) => Some(tombstone),
            _ => None,
        })
    }

    /// Whether the worker is to be given nothing more.
    #[must_use]
    pub fn is_drained(&self, id: WorkerId) -> bool {
        self.0.contains_key(&Entity::Drain(id))
    }

    /// Something of a job that is not there.
    #[must_use]
    pub fn orphan(&self) -> Option<JobId> {
        let jobs = self.0.keys().filter_map(|key| match key {
            Entity::Outcome(item) | Entity::Trouble(item) => Some(item.job),
            Entity::Image(job, _) => Some(*job),
            _ => None,
        });
        let mut jobs = jobs;
        jobs.find(|job| self.job(*job).is_none())
    }

    /// The job, if it is there for those who ask.
    #[must_use]
    pub fn seen(&self, id: JobId) -> Option<&JobRecord> {
        self.job(id).filter(|job| !job.state.is_going())
    }

    /// Whether the job is there and has not ended.
    #[must_use]
    pub fn is_running(&self, id: JobId) -> bool {
        self.job(id).is_some_and(|job| !job.state.has_ended())
    }

    /// How the item ended.
    #[must_use]
    pub fn outcome(&self, item: &ItemKey) -> Option<&OutcomeRecord> {
        match self.0.get(&Entity::Outcome(*item)) {
            Some(Record::Outcome(outcome)) => Some(outcome),
            _ => None,
        }
    }

    /// Which image a stage's runs are of.
    #[must_use]
    pub fn image(&self, job: JobId, stage: u16) -> Option<Digest> {
        match self.0.get(&Entity::Image(job, stage)) {
            Some(Record::Image(image)) => Some(image.digest),
            _ => None,
        }
    }

    /// The outcomes of a stage, by index.
    pub fn outcomes(&self, job: JobId, stage: u16) -> impl Iterator<Item = &OutcomeRecord> {
        let key = |index| Entity::Outcome(ItemKey { job, stage, index });
        self.0.range(key(0)..=key(u64::MAX)).filter_map(|(_, record)| match record {
            Record::Outcome(outcome) => Some(outcome),
            _ => None,
        })
    }

    /// How many items of a stage were withdrawn: their numbers are not used again.
    #[must_use]
    pub fn withdrawn(&self, job: JobId, stage: u16) -> u64 {
        let key = |index| Entity::Hole(ItemKey { job, stage, index });
        let holes = self.0.range(key(0)..=key(u64::MAX)).map(|(_, record)| match record {
            Record::Withdrawn(withdrawn) => withdrawn.outputs,
            _ => 0,
        });
        holes.sum()
    }

    /// The outcomes of all items that failed.
    pub fn failures(&self) -> impl Iterator<Item = &OutcomeRecord> {
        self.0.values().filter_map(|record| match record {
            Record::Outcome(outcome) if !outcome.success => Some(outcome),
            _ => None,
        })
    }

    /// What the item went through.
    #[must_use]
    pub fn trouble(&self, item: &ItemKey) -> Option<&TroubleRecord> {
        match self.0.get(&Entity::Trouble(*item)) {
            Some(Record::Trouble(trouble)) => Some(trouble),
            _ => None,
        }
    }

    /// Items that went through something and have not ended.
    pub fn troubled(&self) -> impl Iterator<Item = ItemKey> {
        self.0.keys().filter_map(|key| match key {
            Entity::Trouble(item) => Some(*item),
            _ => None,
        })
    }

    /// The service.
    #[must_use]
    pub fn service(&self, name: &ServiceName) -> Option<&ServiceRecord> {
        match self.0.get(&Entity::Service(name.clone())) {
            Some(Record::Service(service)) => Some(service),
            _ => None,
        }
    }

    /// All services, removed ones too.
    pub fn services(&self) -> impl Iterator<Item = &ServiceRecord> {
        self.0.values().filter_map(|record| match record {
            Record::Service(service) => Some(service),
            _ => None,
        })
    }

    /// The token.
    #[must_use]
    pub fn token(&self, id: TokenId) -> Option<&TokenRecord> {
        match self.0.get(&Entity::Token(id)) {
            Some(Record::Token(token)) => Some(token),
            _ => None,
        }
    }

    /// Whether some member has this key.
    pub fn is_members(&self, key: &Digest) -> bool {
        self.0.values().any(|record| matches!(record, Record::Member(member) if member.has_key(key)))
    }

    /// The worker as a member.
    #[must_use]
    pub fn member(&self, id: WorkerId) -> Option<&MemberRecord> {
        match self.0.get(&Entity::Member(id)) {
            Some(Record::Member(member)) => Some(member),
            _ => None,
        }
    }

    /// Whether the worker is out.
    #[must_use]
    pub fn is_revoked(&self, id: WorkerId) -> bool {
        self.member(id).is_some_and(MemberRecord::is_revoked)
    }

    /// All workers.
    pub fn workers(&self) -> impl Iterator<Item = WorkerId> {
        self.0.values().filter_map(|record| match record {
            Record::Worker(worker) => Some(worker.id),
            _ => None,
        })
    }
}
