//! The ledger: what the records add up to. Nothing but [`Ledger::apply`] changes it.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use crate::{
    attempts::Trouble,
    ids::{Digest, ItemKey, JobId, Namespace, WorkerId},
    jobs::{
        Job,
        names::{Meant, Names, by_digits},
    },
    members::{MemberRecord, TokenId, TokenRecord},
    record::{DrainRecord, JobRecord, Record, ServiceRecord, TombstoneRecord},
    secrets::{SecretName, SecretRecord},
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
    /// Jobs that are being removed, as far as that is.
    going: BTreeMap<JobId, JobRecord>,
    tombstones: BTreeMap<JobId, TombstoneRecord>,
    /// The same by their ends.
    tombstones_by_end: BTreeSet<(u64, JobId)>,
    drains: BTreeMap<WorkerId, DrainRecord>,
    services: BTreeMap<ServiceName, ServiceRecord>,
    workers: BTreeMap<WorkerId, String>,
    tokens: BTreeMap<TokenId, TokenRecord>,
    members: BTreeMap<WorkerId, MemberRecord>,
    /// Whose keys these are: what `members` says, the other way round.
    member_keys: BTreeMap<Digest, WorkerId>,
    secrets: BTreeMap<SecretName, SecretRecord>,
}

/// The jobs of one namespace, so that what is asked of them does not go through those of others.
#[derive(Debug, Default, PartialEq, Eq)]
struct Jobs {
    ids: BTreeSet<JobId>,
    keys: BTreeMap<String, JobId>,
    names: Names,
    /// The same of jobs that were removed not long ago.
    removed: BTreeMap<String, JobId>,
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
            Record::Withdrawn(withdrawn) => {
                if let Some(job) = self.job_of(&withdrawn.item) {
                    job.apply_withdrawn(withdrawn);
                }
            }
            Record::Groups(groups) => {
                if let Some(job) = self.jobs.get_mut(&groups.job) {
                    job.apply_groups(groups);
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
            Record::Image(image) => {
                if let Some(job) = self.jobs.get_mut(&image.job) {
                    job.apply_image(image);
                }
            }
            // What is going is not here any more.
            Record::ItemsGone(_) => {}
            Record::JobGone { job, stages: _ } => {
                self.going.remove(job);
            }
            Record::Tombstone(tombstone) => self.bury(tombstone),
            Record::TombstoneGone(job) => self.forget_tombstone(*job),
            Record::Drain(drain) => {
                self.drains.insert(drain.worker, *drain);
            }
            Record::DrainGone(worker) => {
                self.drains.remove(worker);
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
            Record::Secret(secret) => {
                self.secrets.insert(secret.name.clone(), secret.clone());
            }
        }
    }

    fn apply_job(&mut self, record: &JobRecord) {
        if record.state.is_going() {
            self.let_go(record);
            return;
        }
        if let Some(job) = self.jobs.get_mut(&record.id) {
            job.record = record.clone();
            return;
        }
        let jobs = self.namespaces.entry(record.namespace.clone()).or_default();
        jobs.ids.insert(record.id);
        jobs.names.add(record.id, &record.spec.name);
        if !record.key.is_empty() {
            jobs.keys.insert(record.key.clone(), record.id);
        }
        self.jobs.insert(record.id, Job::new(record.clone()));
    }

    /// The job is going: nobody finds it any more.
    fn let_go(&mut self, record: &JobRecord) {
        self.going.insert(record.id, record.clone());
        let Some(job) = self.jobs.remove(&record.id) else { return };
        let JobRecord { id, namespace, key, .. } = &job.record;
        self.change_namespace(namespace, |jobs| {
            jobs.ids.remove(id);
            jobs.names.remove(*id, &job.record.spec.name);
            if jobs.keys.get(key) == Some(id) {
                jobs.keys.remove(key);
            }
        });
    }

    fn bury(&mut self, tombstone: &TombstoneRecord) {
        self.forget_tombstone(tombstone.job);
        self.change_namespace(&tombstone.namespace, |jobs| {
            jobs.removed.insert(tombstone.key.clone(), tombstone.job);
        });
        self.tombstones_by_end.insert((tombstone.until_ms, tombstone.job));
        self.tombstones.insert(tombstone.job, tombstone.clone());
    }

    fn forget_tombstone(&mut self, job: JobId) {
        let Some(tombstone) = self.tombstones.remove(&job) else { return };
        self.tombstones_by_end.remove(&(tombstone.until_ms, job));
        self.change_namespace(&tombstone.namespace, |jobs| {
            if jobs.removed.get(&tombstone.key) == Some(&job) {
                jobs.removed.remove(&tombstone.key);
            }
        });
    }

    /// Changes what there is of a namespace, which is there as long as there is anything.
    fn change_namespace(&mut self, namespace: &Namespace, change: impl FnOnce(&mut Jobs)) {
        let jobs = self.namespaces.entry(namespace.clone()).or_default();
        change(jobs);
        if *jobs == Jobs::default() {
            self.namespaces.remove(namespace);
        }
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

    /// The job of a namespace that people mean: `last` is the newest; before ids that begin or end with these digits come the
    /// whole id, and the newest job of that name. Looks at few jobs, however many there are.
    #[must_use]
    pub fn meant(&self, namespace: &Namespace, asked: &str) -> Meant {
        let Some(jobs) = self.namespaces.get(namespace) else { return Meant::Nothing };
        if asked == "last" {
            return jobs.ids.last().map_or(Meant::Nothing, |newest| Meant::One(*newest));
        }
        let ids = JobId::starting_with(asked);
        if let Some(whole) = ids.as_ref().filter(|ids| ids.start() == ids.end()) {
            let known = jobs.ids.contains(whole.start());
            return if known { Meant::One(*whole.start()) } else { Meant::Nothing };
        }
        match jobs.names.named(asked, |id| self.jobs.get(&id).map(|job| job.record.state)) {
            Meant::Nothing => {}
            named => return named,
        }
        let Some(ids) = ids else { return Meant::Nothing };
        by_digits(jobs.ids.range(ids).rev().copied(), jobs.names.ending_with(asked))
    }

    /// The job an idempotency key made in its namespace.
    #[must_use]
    pub fn job_of_key(&self, namespace: &Namespace, key: &str) -> Option<JobId> {
        self.namespaces.get(namespace)?.keys.get(key).copied()
    }

    /// The removed job whose key this was, while the key is not free.
    #[must_use]
    pub fn removed_of_key(&self, namespace: &Namespace, key: &str) -> Option<&TombstoneRecord> {
        self.tombstones.get(self.namespaces.get(namespace)?.removed.get(key)?)
    }

    /// The removed job, while its key is not free.
    #[must_use]
    pub fn tombstone(&self, job: JobId) -> Option<&TombstoneRecord> {
        self.tombstones.get(&job)
    }

    /// How many removed jobs are known.
    #[must_use]
    pub fn tombstones(&self) -> usize {
        self.tombstones.len()
    }

    /// The removed job whose key is free first, and when, unix milliseconds.
    #[must_use]
    pub fn oldest_tombstone(&self) -> Option<(u64, JobId)> {
        self.tombstones_by_end.first().copied()
    }

    /// Whether what is kept of the job is being removed.
    #[must_use]
    pub fn is_going(&self, job: JobId) -> bool {
        self.going.contains_key(&job)
    }

    /// What is left of a job that is being removed.
    pub(crate) fn going(&self, job: JobId) -> Option<&JobRecord> {
        self.going.get(&job)
    }

    /// The jobs that are being removed.
    pub fn all_going(&self) -> impl Iterator<Item = JobId> {
        self.going.keys().copied()
    }

    /// Whether the worker is to be given nothing more.
    #[must_use]
    pub fn is_drained(&self, worker: WorkerId) -> bool {
        self.drains.contains_key(&worker)
    }

    /// The workers that are.
    pub fn all_drained(&self) -> impl Iterator<Item = WorkerId> {
        self.drains.keys().copied()
    }

    /// How many workers are.
    #[must_use]
    pub fn drained(&self) -> usize {
        self.drains.len()
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

    /// The secret of that name, removed or not.
    #[must_use]
    pub fn secret(&self, name: &SecretName) -> Option<&SecretRecord> {
        self.secrets.get(name)
    }

    /// All secrets by namespace and name, removed ones too.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretRecord> {
        self.secrets.values()
    }

    /// The secrets of a namespace by name, removed ones too.
    pub fn secrets_of(&self, namespace: &Namespace) -> impl Iterator<Item = &SecretRecord> + use<'_> {
        let first = SecretName { namespace: namespace.clone(), name: String::new() };
        let namespace = namespace.clone();
        let from = self.secrets.range(first..).map(|(_, secret)| secret);
        from.take_while(move |secret| secret.name.namespace == namespace)
    }

    /// All members by id, revoked ones too.
    pub fn members(&self) -> impl ExactSizeIterator<Item = &MemberRecord> {
        self.members.values()
    }
}
