//! The ledger: what the records add up to. Nothing but [`Ledger::apply`] changes it.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use crate::{
    attempts::Trouble,
    ids::{Digest, ItemKey, JobId, Namespace, WorkerId},
    jobs::Job,
    members::{MemberRecord, TokenId, TokenRecord},
    record::{JobRecord, Record, ServiceRecord},
    services::ServiceName,
    workers::Clientele,
};

/// Everything that is kept, in memory.
///
/// An item costs one byte here; its name, input and outcome stay in the store and are read when needed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    jobs: BTreeMap<JobId, Job>,
    namespaces: BTreeMap<Namespace, Jobs>,
    services: BTreeMap<ServiceName, ServiceRecord>,
    workers: BTreeMap<WorkerId, String>,
    tokens: BTreeMap<TokenId, TokenRecord>,
    members: BTreeMap<WorkerId, MemberRecord>,
    /// Whose keys these are: what `members` says, the other way round.
    member_keys: BTreeMap<Digest, WorkerId>,
}

/// The jobs of one namespace, so that what is asked of them does not go through those of others.
#[derive(Debug, Default, PartialEq, Eq)]
struct Jobs {
    ids: BTreeSet<JobId>,
    keys: BTreeMap<String, JobId>,
}

impl Ledger {
    /// Makes `record` true.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::Job(job) => self.apply_job(job),
            Record::Outcome(outcome) => {
                if let Some(job) = self.job_of(&outcome.item) {
                    job.apply_outcome(outcome);
                }
            }
            Record::OutcomeGone(item) => {
                if let Some(job) = self.job_of(item) {
                    job.apply_outcome_gone(item);
                }
            }
            Record::Trouble(trouble) => {
                if let Some(job) = self.job_of(&trouble.item) {
                    job.apply_trouble(&trouble.item, Trouble::of(trouble));
                }
            }
            Record::TroubleGone(item) => {
                if let Some(job) = self.job_of(item) {
                    job.apply_trouble_gone(item);
                }
            }
            Record::Service(service) => {
                self.services.insert(service.name.clone(), service.clone());
            }
            Record::Worker(worker) => {
                self.workers.insert(worker.id, worker.name.clone());
            }
            Record::WorkerGone(worker) => {
                self.workers.remove(worker);
            }
            Record::Token(token) => {
                self.tokens.insert(token.id, token.clone());
            }
            Record::TokenGone(token) => {
                self.tokens.remove(token);
            }
            Record::Member(member) => {
                self.forget_member(member.id);
                self.member_keys.extend(member.keys().map(|key| (*key, member.id)));
                self.members.insert(member.id, member.clone());
            }
            Record::MemberGone(worker) => self.forget_member(*worker),
        }
    }

    fn apply_job(&mut self, record: &JobRecord) {
        if let Some(job) = self.jobs.get_mut(&record.id) {
            job.record = record.clone();
            return;
        }
        let jobs = self.namespaces.entry(record.namespace.clone()).or_default();
        jobs.ids.insert(record.id);
        if !record.key.is_empty() {
            jobs.keys.insert(record.key.clone(), record.id);
        }
        self.jobs.insert(record.id, Job::new(record.clone()));
    }

    fn forget_member(&mut self, worker: WorkerId) {
        for key in self.members.remove(&worker).iter().flat_map(MemberRecord::keys) {
            self.member_keys.remove(key);
        }
    }

    fn job_of(&mut self, item: &ItemKey) -> Option<&mut Job> {
        self.jobs.get_mut(&item.job)
    }

    /// The job of that id.
    #[must_use]
    pub fn job(&self, id: JobId) -> Option<&Job> {
        self.jobs.get(&id)
    }

    /// All jobs by id.
    pub fn jobs(&self) -> impl DoubleEndedIterator<Item = &Job> {
        self.jobs.values()
    }

    /// The jobs of a namespace whose ids are in that range, by id: for instance [`JobId::starting_with`].
    pub fn jobs_in(
        &self,
        namespace: &Namespace,
        ids: RangeInclusive<JobId>,
    ) -> impl DoubleEndedIterator<Item = &Job> + use<'_> {
        let found = self.namespaces.get(namespace).map(|jobs| jobs.ids.range(ids));
        found.into_iter().flatten().filter_map(|id| self.jobs.get(id))
    }

    /// The jobs of a namespace, by id.
    pub fn jobs_of(&self, namespace: &Namespace) -> impl DoubleEndedIterator<Item = &Job> + use<'_> {
        self.jobs_in(namespace, JobId([0x00; 16])..=JobId([0xff; 16]))
    }

    /// The job an idempotency key made in its namespace.
    #[must_use]
    pub fn job_of_key(&self, namespace: &Namespace, key: &str) -> Option<JobId> {
        self.namespaces.get(namespace)?.keys.get(key).copied()
    }

    /// Whose work a worker may be given: everybody's, unless it is a member that joined for some namespaces alone.
    #[must_use]
    pub fn clientele(&self, worker: WorkerId) -> Clientele {
        let some = self.member(worker).map(|member| &member.namespaces).filter(|some| !some.is_empty());
        some.map_or(Clientele::Everybody, |some| Clientele::Only(some.iter().cloned().collect()))
    }

    /// The service of that name, removed or not.
    #[must_use]
    pub fn service(&self, name: &ServiceName) -> Option<&ServiceRecord> {
        self.services.get(name)
    }

    /// All services by name, removed ones too.
    pub fn services(&self) -> impl Iterator<Item = &ServiceRecord> {
        self.services.values()
    }

    /// Workers that are here or expected back, with their names.
    pub fn workers(&self) -> impl Iterator<Item = (WorkerId, &str)> {
        self.workers.iter().map(|(id, name)| (*id, name.as_str()))
    }

    /// Whether the worker is here or expected back under that name.
    #[must_use]
    pub(crate) fn knows_worker(&self, id: WorkerId, name: &str) -> bool {
        self.workers.get(&id).is_some_and(|known| known == name)
    }

    /// The token of that id.
    #[must_use]
    pub fn token(&self, id: TokenId) -> Option<&TokenRecord> {
        self.tokens.get(&id)
    }

    /// All tokens by id, expired ones too.
    pub fn tokens(&self) -> impl ExactSizeIterator<Item = &TokenRecord> {
        self.tokens.values()
    }

    /// The worker as a member, revoked or not.
    #[must_use]
    pub fn member(&self, worker: WorkerId) -> Option<&MemberRecord> {
        self.members.get(&worker)
    }

    /// The member that has this key.
    #[must_use]
    pub fn member_of_key(&self, key: &Digest) -> Option<&MemberRecord> {
        self.members.get(self.member_keys.get(key)?)
    }

    /// All members by id, revoked ones too.
    pub fn members(&self) -> impl ExactSizeIterator<Item = &MemberRecord> {
        self.members.values()
    }
}
