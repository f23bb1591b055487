//! What could be given out is given out there, and nothing else is: whatever happens.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use proptest::prelude::*;

use super::*;
use crate::{
    fault::{Blame, Fault, FaultClass},
    fit::{Needs, Offer},
    ids::{Incarnation, ItemKey, Namespace, Now, RequestId},
    input::{End, Finished},
    jobs::{JobSpec, pause::pause, pause::resume, submit::submit},
    outbox::{Order, Outbox},
    record::JobRecord,
    schedule::hand_out::hand_out,
    settings::Settings,
    stages::{Require, StageKind, StageSpec},
    tick::tick,
    workers::{Arrival, Clientele, drain, goodbye::goodbye, hello::hello, link_lost::link_lost},
};

#[derive(Debug, Clone)]
enum Deed {
    Join { worker: u8, slots: u32, kind: u8 },
    Leave(u8),
    Drain(u8, bool),
    CutOff(u8),
    Submit { stages: Vec<(u8, u32, bool)>, priority: i32, inputs: u64 },
    Pause(u8, bool),
    End { nth: usize, how: u8, run_us: u64 },
    Wait(u64),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let worker = 1..5_u8;
    let stage = (0..3_u8, 0..4_u32, any::<bool>());
    let deed = prop_oneof![
        3 => (worker.clone(), 0..4_u32, 0..4_u8).prop_map(|(worker, slots, kind)| Deed::Join { worker, slots, kind }),
        1 => worker.clone().prop_map(Deed::Leave),
        1 => (worker.clone(), any::<bool>()).prop_map(|(worker, on)| Deed::Drain(worker, on)),
        1 => worker.prop_map(Deed::CutOff),
        3 => (prop::collection::vec(stage, 1..4), -1..2_i32, 1..12_u64)
            .prop_map(|(stages, priority, inputs)| Deed::Submit { stages, priority, inputs }),
        1 => (0..6_u8, any::<bool>()).prop_map(|(job, on)| Deed::Pause(job, on)),
        12 => (0..40_usize, 0..6_u8, prop_oneof![Just(1_000_u64), Just(20_000), Just(90_000)])
            .prop_map(|(nth, how, run_us)| Deed::End { nth, how, run_us }),
        4 => prop_oneof![Just(1_u64), Just(120), Just(1_500), Just(6_000), Just(61_000)].prop_map(Deed::Wait),
    ];
    prop::collection::vec(deed, 1..60)
}

/// A core's state and a clock.
struct Scene {
    state: State,
    now: Now,
    jobs: u8,
    lives: u8,
}

fn worker_id(worker: u8) -> WorkerId {
    WorkerId([worker; 16])
}

fn job_id(job: u8) -> JobId {
    JobId([job; 16])
}

fn with_gpu() -> BTreeMap<String, u64> {
    BTreeMap::from([("gpu".to_owned(), 1)])
}

/// Of four kinds: plain, without networks, with a GPU, for another namespace alone.
fn arrival(worker: u8, life: u8, slots: u32, kind: u8) -> Arrival {
    let offer = match kind {
        1 => Offer { networks: Some(BTreeSet::new()), ..Offer::default() },
        2 => Offer { resources: with_gpu(), ..Offer::default() },
        _ => Offer::default(),
    };
    let others = Clientele::Only(BTreeSet::from([Namespace::named("other")]));
    let clientele = if kind == 3 { others } else { Clientele::Everybody };
    let (worker, incarnation) = (worker_id(worker), Incarnation([life; 16]));
    let offer = Arc::new(offer);
    Arrival { worker, incarnation, previous: None, name: String::new(), slots, clientele, offer }
}

/// Of three kinds: anybody's, for whoever allows a network, for whoever has a GPU; with so many at once, and gathering or not.
fn stage((kind, max_parallel, gathers): (u8, u32, bool)) -> StageSpec {
    let needs = match kind {
        1 => Needs { network: "jobs".to_owned(), ..Needs::default() },
        2 => Needs { resources: with_gpu(), ..Needs::default() },
        _ => Needs::default(),
    };
    let kind = if gathers { StageKind::Gather { require: Require::Any } } else { StageKind::Map };
    StageSpec { kind, attempts: 4, backoff_ms: 100, max_backoff_ms: 100, max_parallel, ..StageSpec::default() }
        .needing(needs)
}

impl StageSpec {
    fn needing(self, needs: Needs) -> Self {
        Self { needs: needs.shared(), ..self }
    }
}

impl Scene {
    fn does(&mut self, deed: &Deed) {
        let (state, now, out) = (&mut self.state, self.now, &mut Outbox::default());
        match deed {
            Deed::Join { worker, slots, kind } => {
                self.lives += 1;
                hello(state, now, arrival(*worker, self.lives, *slots, *kind), &[], &[], out);
            }
            Deed::Leave(worker) => {
                if let Some(life) = state.fleet.worker(worker_id(*worker)).map(|known| known.incarnation) {
                    goodbye(state, now, worker_id(*worker), life, out);
                }
            }
            Deed::Drain(worker, true) => drop(drain::drain(state, now, worker_id(*worker), out)),
            Deed::Drain(worker, false) => drop(drain::undrain(state, worker_id(*worker), out)),
            Deed::CutOff(worker) => {
                if let Some(life) = state.fleet.worker(worker_id(*worker)).map(|known| known.incarnation) {
                    link_lost(state, worker_id(*worker), life, out);
                }
            }
            Deed::Submit { stages, priority, inputs } => {
                self.jobs += 1;
                let mut stages: Vec<StageSpec> = stages.iter().copied().map(stage).collect();
                stages[0].kind = StageKind::Map;
                let names = (job_id(self.jobs), Namespace::default(), String::new());
                let spec = JobSpec { stages, priority: *priority, ..JobSpec::default() };
                let record = JobRecord::submitted(now, names, spec, *inputs, [0; 32]);
                submit(state, now, RequestId(1), (record, &[]), out);
            }
            Deed::Pause(job, true) => drop(pause(state, now, job_id(*job), (String::new(), false), out)),
            Deed::Pause(job, false) => drop(resume(state, job_id(*job), out)),
            Deed::End { nth, how, run_us } => self.ends(*nth, *how, *run_us),
            Deed::Wait(ms) => {
                self.now.steady_ms += ms;
                self.now.wall_ms += ms;
                let (state, now) = (&mut self.state, self.now);
                state.fleet.tell_the_time(now);
                let lives: Vec<_> = state.fleet.workers().map(|(id, worker)| (id, worker.incarnation)).collect();
                lives.into_iter().for_each(|(id, life)| state.fleet.hear(id, life, now.steady_ms));
                tick(state, now, out);
            }
        }
    }

    /// One of the attempts that are under way ends.
    fn ends(&mut self, nth: usize, how: u8, run_us: u64) {
        let attempts: Vec<(AttemptId, ItemKey, WorkerId)> = self.state.fleet.attempts().collect();
        let Some((id, item, worker)) = attempts.get(nth % attempts.len().max(1)).copied() else { return };
        let Some(life) = self.state.fleet.worker(worker).map(|known| known.incarnation) else { return };
        let failed =
            |blame, class| End::Failed { blame, fault: Fault { class, ..Fault::default() }, detail: Vec::new() };
        let end = match how {
            0 | 1 => End::Succeeded { outputs: 1, detail: Vec::new() },
            2 | 3 => failed(Blame::Item, FaultClass::Exit),
            4 => failed(Blame::Hopeless, FaultClass::Image),
            _ => End::Returned,
        };
        let results = vec![Finished { id, item, end, run_us }];
        crate::attempts::finished::finished(&mut self.state, self.now, (worker, life), results, &mut Outbox::default());
    }

    /// What could be given out, to whom.
    fn could(&self) -> BTreeSet<(JobId, u16, WorkerId)> {
        let jobs = self.state.ledger.jobs();
        let found = jobs.flat_map(|job| {
            could_run(&self.state, job).into_iter().map(|(stage, worker)| (job.record.id, stage, worker))
        });
        found.collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_could_run_there_is_given_out_there_and_nothing_else_is(deeds in deeds()) {
        let now = Now { steady_ms: 0, wall_ms: 1_000 };
        let state = State::load(1, Settings::default(), now, []);
        let mut scene = Scene { state, now, jobs: 0, lives: 0 };
        for deed in deeds {
            scene.does(&deed);
            scene.state.queues.wake(scene.now);
            let could = scene.could();
            let mut out = Outbox::default();
            hand_out(&mut scene.state, scene.now, &mut out);
            let mut given = 0;
            for order in &out.orders {
                let Order::Assign { worker, attempts } = order else { continue };
                given += attempts.len();
                let first = attempts[0].item;
                prop_assert!(could.contains(&(first.job, first.stage, *worker)), "{first:?} is given to {worker}");
            }
            prop_assert_eq!(given > 0, !could.is_empty(), "{:?}", could);
            prop_assert_eq!(scene.could(), BTreeSet::new(), "after {:?}", deed);
        }
    }
}
