//! Loading equals living: whatever happens, the ledger is what a plain ordered map of its records gives back.

use std::collections::BTreeMap;

use longshore_core::{
    Assignment, Blame, Breaker, Change, Control, End, Fault, FaultClass, FaultPolicy, FaultRule, Finished, Growth,
    Input, ItemKey, JobId, JobSpec, Ledger, MembersInput, Needs, Order, Record, Require, SecretName, ServiceName,
    ServicePlan, StageKind, StageSpec, TokenId, TokensOf, WorkerId,
};
use proptest::prelude::*;

use crate::{
    members::{create, join, token_id},
    secrets::secret,
    stage::{Stage, job_id, life, worker_id},
};

/// What a store keys its values by, in the order in which they are read.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// What is left of the records in an ordered map.
fn kept(records: &[Record]) -> Vec<Record> {
    let mut map = BTreeMap::new();
    for record in records {
        let (key, value) = match record {
            Record::Job(it) => (Entity::Job(it.id), Some(record)),
            Record::Outcome(it) => (Entity::Outcome(it.item), Some(record)),
            Record::OutcomeGone(item) => (Entity::Outcome(*item), None),
            Record::Withdrawn(it) => {
                map.remove(&Entity::Outcome(it.item));
                let (stage, index) = (it.item.stage + 1, it.first_child);
                (Entity::Hole(ItemKey { stage, index, ..it.item }), (it.outputs > 0).then_some(record))
            }
            Record::Groups(it) => (Entity::Groups(it.job, it.stage, it.number), Some(record)),
            Record::Trouble(it) => (Entity::Trouble(it.item), Some(record)),
            Record::TroubleGone(item) => (Entity::Trouble(*item), None),
            Record::Service(it) => (Entity::Service(it.name.clone()), Some(record)),
            Record::Worker(it) => (Entity::Worker(it.id), Some(record)),
            Record::WorkerGone(worker) => (Entity::Worker(*worker), None),
            Record::Token(it) => (Entity::Token(it.id), Some(record)),
            Record::TokenGone(token) => (Entity::Token(*token), None),
            Record::Member(it) => (Entity::Member(it.id), Some(record)),
            Record::Image(it) => (Entity::Image(it.job, it.stage), Some(record)),
            Record::MemberGone(worker) => (Entity::Member(*worker), None),
            Record::Secret(it) => (Entity::Secret(it.name.clone()), Some(record)),
            Record::Tombstone(it) => (Entity::Tombstone(it.job), Some(record)),
            Record::TombstoneGone(job) => (Entity::Tombstone(*job), None),
            Record::Drain(it) => (Entity::Drain(it.worker), Some(record)),
            Record::DrainGone(worker) => (Entity::Drain(*worker), None),
            Record::ItemsGone(gone) => {
                let is_gone = |item: &ItemKey| {
                    (item.job, item.stage) == (gone.job, gone.stage) && (gone.from..gone.to).contains(&item.index)
                };
                map.retain(|entity, _| match entity {
                    Entity::Outcome(item) | Entity::Trouble(item) | Entity::Hole(item) => !is_gone(item),
                    Entity::Groups(job, stage, index) => !is_gone(&ItemKey { job: *job, stage: *stage, index: *index }),
                    _ => true,
                });
                continue;
            }
            Record::JobGone { job, stages } => {
                (0..*stages).for_each(|stage| drop(map.remove(&Entity::Image(*job, stage))));
                (Entity::Job(*job), None)
            }
        };
        match value {
            Some(record) => map.insert(key, record.clone()),
            None => map.remove(&key),
        };
    }
    map.into_values().collect()
}

fn loaded(records: &[Record]) -> Ledger {
    let mut ledger = Ledger::default();
    kept(records).iter().for_each(|record| ledger.apply(record));
    ledger
}

/// Something that may happen.
#[derive(Debug, Clone)]
enum Deed {
    Submit(u8, Vec<StageSpec>, u64),
    Cancel(u8),
    Retry(u8),
    Deploy(u8, u32),
    Remove(u8),
    /// A worker connects, in that life, with what it holds.
    Hello(u8, u8),
    LinkLost(u8),
    Goodbye(u8),
    /// Some attempt that was given out ends.
    Ends(usize, End),
    Wait(u64),
    Restart,
    /// A token for so many workers, and for so long.
    Token(u8, u32, u64),
    /// A worker joins with a token and a key.
    Join(u8, u8, u8),
    Renew(u8, u8, u8),
    RemoveWorker(u8, bool),
    RemoveToken(u8),
    Rotate(u8, u8),
    PutSecret(u8, u64),
    RemoveSecret(u8),
    Pause(u8, bool),
    Resume(u8),
    RemoveJob(u8, bool),
    Drain(u8),
    Undrain(u8),
    /// A job that is to run after another.
    After(u8, u8),
    Parallel(u8, u32),
}

fn stage_spec() -> impl Strategy<Value = StageSpec> {
    let require = prop_oneof![
        2 => Just(Require::All),
        1 => Just(Require::Any),
        1 => Just(Require::Count(2)),
        1 => Just(Require::Millionths(500_000)),
    ];
    let kind = prop_oneof![
        3 => Just(StageKind::Map),
        1 => require.clone().prop_map(|require| StageKind::Gather { require }),
        2 => (require.clone(), 1..3_u64).prop_map(|(require, groups)| StageKind::Groups { require, groups }),
        1 => require.prop_map(|require| StageKind::Ranges { require, width: 2 }),
    ];
    let codes = |from, to| FaultRule { class: FaultClass::Exit, codes: (from, to) };
    let policies = [
        FaultPolicy::default(),
        FaultPolicy { filter: vec![codes(1, 1)], ..FaultPolicy::default() },
        FaultPolicy { on: vec![codes(1, 2)], never: vec![codes(2, 2)], ..FaultPolicy::default() },
    ];
    let policy = prop::sample::select(policies.to_vec());
    let rules = (policy, 0..3_u32, any::<bool>());
    (kind, 1..4_u32, 0..300_u64, 0..3_u32, rules).prop_map(|(kind, attempts, backoff_ms, max_parallel, rules)| {
        let (max_backoff_ms, losses, (policy, canary, grows)) = (500, 1 + max_parallel, rules);
        let needs = grows.then(|| Needs { memory_bytes: 100, ..Needs::default() }.into());
        let growth = Some(Growth { hundredths: 200, up_to_bytes: 300 });
        let breaker = Breaker::Auto;
        StageSpec {
            kind,
            attempts,
            backoff_ms,
            max_backoff_ms,
            max_parallel,
            losses,
            policy,
            canary,
            breaker,
            needs,
            growth,
        }
    })
}

fn stages() -> impl Strategy<Value = Vec<StageSpec>> {
    prop::collection::vec(stage_spec(), 1..5).prop_map(|mut stages| {
        stages[0].kind = StageKind::Map;
        stages
    })
}

fn end() -> impl Strategy<Value = End> {
    let blame = prop_oneof![Just(Blame::Item), Just(Blame::Hopeless), Just(Blame::Slot), Just(Blame::Infrastructure)];
    prop_oneof![
        6 => (0..4_u64).prop_map(|outputs| End::Succeeded { outputs, detail: Vec::new() }),
        3 => (blame, 1..4).prop_map(|(blame, code)| {
            let class = if code == 3 { FaultClass::OutOfMemory } else { FaultClass::Exit };
            let fault = Fault { class, code, print: 0 };
            End::Failed { blame, fault, detail: Vec::new() }
        }),
        1 => Just(End::Returned),
    ]
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        3 => (0..5_u8, stages(), 1..5_u64).prop_map(|(job, stages, inputs)| Deed::Submit(job, stages, inputs)),
        1 => (0..5_u8).prop_map(Deed::Cancel),
        3 => (0..5_u8).prop_map(Deed::Retry),
        1 => (0..2_u8, 1..3_u32).prop_map(|(name, shards)| Deed::Deploy(name, shards)),
        1 => (0..2_u8).prop_map(Deed::Remove),
        4 => (0..3_u8, 0..3_u8).prop_map(|(worker, life)| Deed::Hello(worker, life)),
        1 => (0..3_u8).prop_map(Deed::LinkLost),
        1 => (0..3_u8).prop_map(Deed::Goodbye),
        20 => (any::<usize>(), end()).prop_map(|(which, end)| Deed::Ends(which, end)),
        4 => (0..1_500_u64).prop_map(Deed::Wait),
        1 => Just(Deed::Restart),
        2 => (0..3_u8, 0..3_u32, 0..3_u64).prop_map(|(token, uses, ttl)| Deed::Token(token, uses, ttl * 1_000)),
        4 => (0..3_u8, 0..3_u8, 0..4_u8).prop_map(|(worker, token, key)| Deed::Join(worker, token, key)),
        2 => (0..3_u8, 0..4_u8, 0..4_u8).prop_map(|(worker, from, to)| Deed::Renew(worker, from, to)),
        1 => (0..3_u8, any::<bool>()).prop_map(|(worker, revoke)| Deed::RemoveWorker(worker, revoke)),
        1 => (0..3_u8).prop_map(Deed::RemoveToken),
        1 => (0..3_u8, 0..3_u8).prop_map(|(old, new)| Deed::Rotate(old, new)),
        2 => (0..2_u8, 1..3_u64).prop_map(|(name, version)| Deed::PutSecret(name, version)),
        1 => (0..2_u8).prop_map(Deed::RemoveSecret),
        2 => (0..5_u8, any::<bool>()).prop_map(|(job, stop)| Deed::Pause(job, stop)),
        4 => (0..5_u8).prop_map(Deed::Resume),
        2 => (0..5_u8, any::<bool>()).prop_map(|(job, force)| Deed::RemoveJob(job, force)),
        1 => (0..3_u8).prop_map(Deed::Drain),
        2 => (0..3_u8).prop_map(Deed::Undrain),
        2 => (0..5_u8, 0..5_u8).prop_map(|(job, other)| Deed::After(job, other)),
        1 => (0..5_u8, 0..3_u32).prop_map(|(job, most)| Deed::Parallel(job, most)),
    ]
}

/// Plays deeds, and remembers what each worker has and in which life it is.
struct Play {
    it: Stage,
    lives: [u8; 3],
    given: Vec<(WorkerId, Assignment)>,
    epoch: u64,
}

impl Play {
    fn new() -> Self {
        Self { it: Stage::new(), lives: [0; 3], given: Vec::new(), epoch: 1 }
    }

    fn does(&mut self, deed: Deed) {
        let out = match deed {
            Deed::Submit(job, stages, inputs) => self.it.submit(job, JobSpec { stages, ..JobSpec::default() }, inputs),
            Deed::Cancel(job) => self.it.cancel(job),
            Deed::Retry(job) => self.it.retry(job),
            Deed::Deploy(name, shards) => {
                self.it.deploy(&format!("service-{name}"), ServicePlan { shards, replicas: 1, merges: 1 }, 1)
            }
            Deed::Remove(name) => self.it.remove(&format!("service-{name}")),
            Deed::Hello(worker, life) => {
                let same = std::mem::replace(&mut self.lives[usize::from(worker)], life) == life;
                self.given.retain(|(who, _)| same || *who != worker_id(worker));
                let mine = self.given.iter().filter(|(who, _)| *who == worker_id(worker));
                let held: Vec<Assignment> = mine.map(|(_, attempt)| *attempt).collect();
                self.it.hello(worker, life, 2, &held, &[])
            }
            Deed::LinkLost(worker) => {
                let incarnation = life(self.lives[usize::from(worker)]);
                self.it.step(Input::LinkLost { worker: worker_id(worker), incarnation })
            }
            Deed::Goodbye(worker) => {
                let incarnation = life(self.lives[usize::from(worker)]);
                self.it.step(Input::Goodbye { worker: worker_id(worker), incarnation })
            }
            Deed::Ends(which, end) => {
                let Some((worker, attempt)) = which.checked_rem(self.given.len()).map(|at| self.given[at]) else {
                    return;
                };
                let incarnation = life(self.lives[usize::from(worker.0[0])]);
                let results = vec![Finished { id: attempt.id, item: attempt.item, end, run_us: 1_000 }];
                self.it.step(Input::Finished { worker, incarnation, results })
            }
            Deed::Wait(ms) => self.it.wait(ms),
            Deed::Token(token, uses, ttl_ms) => self.it.ask(create(token, uses, ttl_ms)),
            Deed::Join(worker, token, key) => self.it.ask(join(worker, token, key)),
            Deed::Renew(worker, from, to) => {
                self.it.ask(MembersInput::Renew { worker: worker_id(worker), from: [from; 32], to: [to; 32] })
            }
            Deed::RemoveWorker(worker, revoke) => {
                self.it.ask(MembersInput::RemoveWorker { worker: worker_id(worker), revoke })
            }
            Deed::RemoveToken(token) => self.it.ask(MembersInput::RemoveTokens {
                tokens: vec![token_id(token)],
                made_before_ms: 0,
                whose: TokensOf::Everybody,
            }),
            Deed::Rotate(old, new) => self.it.ask(MembersInput::RotateToken {
                token: token_id(old),
                overlap_ms: 500,
                new: (token_id(new), [new; 32]),
            }),
            Deed::PutSecret(name, version) => self.it.put_secret(secret("default", &name.to_string()), version, b"v"),
            Deed::RemoveSecret(name) => self.it.remove_secret(secret("default", &name.to_string())),
            Deed::Pause(job, stop) => self.it.control(Control::Pause { job: job_id(job), why: String::new(), stop }),
            Deed::Resume(job) => self.it.resume(job),
            Deed::RemoveJob(job, force) => self.it.remove_job(job, force),
            Deed::Drain(worker) => self.it.drain(worker),
            Deed::Undrain(worker) => self.it.undrain(worker),
            Deed::After(job, other) => {
                let spec =
                    JobSpec { stages: vec![StageSpec::default()], after: vec![job_id(other)], ..JobSpec::default() };
                self.it.submit(job, spec, 1)
            }
            Deed::Parallel(job, most) => {
                let change = Change { priority: Some(1), max_parallel: vec![(0, most)] };
                self.it.control(Control::Change { job: job_id(job), change })
            }
            Deed::Restart => {
                self.epoch += 1;
                let records = kept(&self.it.records);
                self.it = Stage::restarted(self.epoch, records, self.it.now_ms);
                return;
            }
        };
        for order in out.orders {
            if let Order::Assign { worker, attempts } = order {
                self.given.extend(attempts.into_iter().map(|attempt| (worker, attempt)));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn loading_equals_living(deeds in prop::collection::vec(deed(), 1..120)) {
        let mut play = Play::new();
        for deed in deeds {
            play.does(deed);
            prop_assert_eq!(play.it.core.ledger(), &loaded(&play.it.records));
        }
    }

    #[test]
    fn counts_always_add_up(deeds in prop::collection::vec(deed(), 1..120)) {
        let mut play = Play::new();
        for deed in deeds {
            play.does(deed);
            for job in (0..5).filter(|job| play.it.core.job_view(job_id(*job)).is_some()) {
                for it in play.it.view(job).stages {
                    prop_assert_eq!(it.queued + it.running + it.succeeded + it.filtered + it.failed + it.backing_off, it.items);
                }
            }
        }
    }
}
