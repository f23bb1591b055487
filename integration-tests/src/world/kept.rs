//! What an ordered key-value store keeps of the records: one value per entity, read back in key order.

use std::collections::BTreeMap;

use longshore_core::{
    Digest, ItemKey, JobId, JobRecord, Ledger, MemberRecord, OutcomeRecord, Record, ServiceName, ServiceRecord,
    TokenId, TokenRecord, TroubleRecord, WorkerId,
};

/// The key of an entity. Its order is the order of loading.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Entity {
    Job(JobId),
    Outcome(ItemKey),
    Trouble(ItemKey),
    Service(ServiceName),
    Worker(WorkerId),
    Token(TokenId),
    Member(WorkerId),
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
            Record::Trouble(trouble) => Entity::Trouble(trouble.item),
            Record::Service(service) => Entity::Service(service.name.clone()),
            Record::Worker(worker) => Entity::Worker(worker.id),
            Record::Token(token) => Entity::Token(token.id),
            Record::Member(member) => Entity::Member(member.id),
            Record::OutcomeGone(item) => return self.drop_entity(&Entity::Outcome(*item)),
            Record::TroubleGone(item) => return self.drop_entity(&Entity::Trouble(*item)),
            Record::WorkerGone(worker) => return self.drop_entity(&Entity::Worker(*worker)),
            Record::TokenGone(token) => return self.drop_entity(&Entity::Token(*token)),
            Record::MemberGone(worker) => return self.drop_entity(&Entity::Member(*worker)),
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

    /// The outcomes of a stage, by index.
    pub fn outcomes(&self, job: JobId, stage: u16) -> impl Iterator<Item = &OutcomeRecord> {
        let key = |index| Entity::Outcome(ItemKey { job, stage, index });
        self.0.range(key(0)..=key(u64::MAX)).filter_map(|(_, record)| match record {
            Record::Outcome(outcome) => Some(outcome),
            _ => None,
        })
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
