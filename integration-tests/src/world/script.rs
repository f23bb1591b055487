//! What items do when they run, and what jobs and services look like: decided by the seed and the item's own numbers,
//! so that every attempt of an item meets the same fate wherever it runs.

use longshore_core::{
    AttemptId, Blame, Breaker, Clientele, Fault, FaultClass, FaultPolicy, FaultRule, Halt, HaltAt, ItemKey, JobSpec,
    Namespace, Require, Run, ServicePlan, StageKind, StageSpec,
};

use super::{dice::Dice, profile::Profile};

/// What an item does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// Succeeds.
    Succeeds,
    /// Fails on its first tries, then succeeds.
    FailsFirst(u32, Blame),
    /// Fails always.
    Fails(Blame),
    /// Takes its worker down, always.
    TakesDownWorker,
}

/// The script of one item.
#[derive(Debug, Clone, Copy)]
pub struct Script {
    /// What it does.
    pub course: Course,
    /// Outputs of a success.
    pub outputs: u64,
    /// How long it usually runs, milliseconds.
    pub run_ms: u64,
}

impl Script {
    /// The script of an item in the world of a seed.
    #[must_use]
    pub fn of(seed: u64, profile: &Profile, item: &ItemKey) -> Self {
        let job = u64::from_be_bytes(*item.job.0.last_chunk().unwrap_or(&[0; 8]));
        let mut dice = Dice::of(&[seed, 2, job, u64::from(item.stage), item.index]);
        let nasty = dice.chance(profile.nasty);
        Self {
            course: if nasty { nasty_course(&mut dice) } else { Course::Succeeds },
            outputs: *dice.pick(&[0, 1, 1, 1, 2, 3]).unwrap_or(&1),
            run_ms: dice.between(1, profile.run_ms),
        }
    }
}

fn nasty_course(dice: &mut Dice) -> Course {
    let times = u32::try_from(dice.between(1, 3)).unwrap_or(1);
    match dice.below(12) {
        0..=3 => Course::FailsFirst(times, Blame::Item),
        4 => Course::FailsFirst(times, Blame::Infrastructure),
        5 => Course::FailsFirst(times, Blame::Slot),
        6..=7 => Course::Fails(Blame::Item),
        8 => Course::Fails(Blame::Infrastructure),
        9 => Course::Fails(Blame::Hopeless),
        10 => Course::Fails(Blame::Slot),
        _ => Course::TakesDownWorker,
    }
}

/// Whose things there are.
pub const NAMESPACES: &[&str] = &["default", "other"];

/// Whose things the client of that number asks about: those of each namespace by turns.
#[must_use]
pub fn namespace(client: u64) -> Namespace {
    let number = usize::try_from(client).unwrap_or_default();
    Namespace::named(NAMESPACES[number % NAMESPACES.len()])
}

/// Whose work a worker of that number may be given in that life, in the world of a seed. There is always one left that may be
/// given everybody's.
#[must_use]
pub fn clientele(seed: u64, profile: &Profile, worker: u64, life: u64) -> Clientele {
    let mut dice = Dice::of(&[seed, 4, worker, life]);
    if !profile.restricts || worker + 1 == profile.workers || dice.chance(20) {
        return Clientele::Everybody;
    }
    let some = NAMESPACES.iter().filter(|_| dice.chance(50)).map(|name| Namespace::named(name));
    Clientele::Only(some.collect())
}

/// A job somebody might want.
pub fn job(dice: &mut Dice) -> (JobSpec, u64) {
    let stages: Vec<StageSpec> = (0..dice.between(1, 3))
        .map(|at| StageSpec {
            kind: if at > 0 && dice.chance(40) { StageKind::Gather { require: Require::All } } else { StageKind::Map },
            attempts: u32::try_from(dice.between(1, 4)).unwrap_or(1),
            backoff_ms: dice.between(1, 300),
            max_backoff_ms: dice.between(1, 2_000),
            max_parallel: u32::try_from(dice.below(12).saturating_sub(8)).unwrap_or(0),
            ..StageSpec::default()
        })
        .map(with_rules)
        .collect();
    let priority = i32::try_from(dice.below(3)).unwrap_or(0);
    let inputs = if dice.chance(20) { dice.between(10, 30) } else { dice.between(1, 8) };
    let name = format!("job-{}", inputs % 3);
    let spec = JobSpec { name, stages, priority, ..JobSpec::default() };
    (with_gathers(with_ends(spec, inputs), inputs), inputs)
}

/// The stage, with what it might say of failures. Its own numbers decide, so that nobody else's dice fall differently.
fn with_rules(stage: StageSpec) -> StageSpec {
    let dice = &mut Dice::of(&[6, stage.backoff_ms, stage.max_backoff_ms, stage.attempts.into()]);
    StageSpec {
        policy: policy(dice),
        canary: u32::try_from(dice.below(12).saturating_sub(9)).unwrap_or(0),
        breaker: *dice.pick(&[Breaker::Auto, Breaker::On, Breaker::Off]).unwrap_or(&Breaker::Auto),
        ..stage
    }
}

/// The job, with gathers of other kinds: by groups, as a tree, and of what came through.
fn with_gathers(mut spec: JobSpec, inputs: u64) -> JobSpec {
    let dice = &mut Dice::of(&[9, spec.stages.first().map_or(0, |stage| stage.backoff_ms), inputs]);
    let mut stages = Vec::new();
    // How many groups there may still be: one, once everything is one item.
    let mut units = inputs;
    for stage in spec.stages.drain(..) {
        if stage.kind == StageKind::Map || !dice.chance(70) {
            units = if stage.kind == StageKind::Map { units } else { 1 };
            stages.push(stage);
            continue;
        }
        let some = [Require::All, Require::Any, Require::Count(dice.between(1, inputs)), Require::Millionths(600_000)];
        let require = *dice.pick(&some).unwrap_or(&Require::All);
        let width = dice.between(2, 4);
        if units > 1 && dice.chance(50) {
            // Those of a later one have to divide those of an earlier one.
            units = if units == inputs { dice.between(1, inputs.min(4)) } else { 1 };
            stages.push(StageSpec { kind: StageKind::Groups { require, groups: units }, ..stage });
            continue;
        }
        let below = if require.is_partial() { Require::Any } else { Require::All };
        while units > width && dice.chance(80) {
            stages.push(StageSpec { kind: StageKind::Ranges { require: below, width }, ..stage.clone() });
            units = units.div_ceil(width);
        }
        units = 1;
        stages.push(StageSpec { kind: StageKind::Gather { require }, ..stage });
    }
    JobSpec { stages, ..spec }
}

/// The job, with what might end it before its items.
fn with_ends(spec: JobSpec, inputs: u64) -> JobSpec {
    let dice = &mut Dice::of(&[7, spec.stages.first().map_or(0, |stage| stage.backoff_ms), inputs]);
    let now = dice.chance(50);
    let at = if dice.chance(50) { HaltAt::Items(dice.between(1, 4)) } else { HaltAt::Percent(20) };
    let halt = dice.chance(20).then_some(Halt { at, now });
    let deadline_ms = if dice.chance(10) { dice.between(500, 20_000) } else { 0 };
    let dice = &mut Dice::of(&[10, spec.stages.first().map_or(0, |stage| stage.backoff_ms), inputs]);
    let queue_timeout_ms = if dice.chance(15) { dice.between(200, 8_000) } else { 0 };
    JobSpec { halt, deadline_ms, queue_timeout_ms, ..spec }
}

/// What a stage might say of failures.
fn policy(dice: &mut Dice) -> FaultPolicy {
    let exits = |from, to| FaultRule { class: FaultClass::Exit, codes: (from, to) };
    let rules = |dice: &mut Dice, rule| if dice.chance(15) { vec![rule] } else { Vec::new() };
    FaultPolicy { on: rules(dice, exits(1, 3)), never: rules(dice, exits(2, 2)), filter: rules(dice, exits(1, 1)) }
}

/// How an item fails, whenever it does: always alike.
#[must_use]
pub fn fault(seed: u64, item: &ItemKey, blame: Blame) -> Fault {
    let mut dice = Dice::of(&[seed, 5, u64::from(item.stage), item.index]);
    let class = match blame {
        Blame::Item => FaultClass::Exit,
        Blame::Hopeless => FaultClass::Command,
        Blame::Slot => FaultClass::Lost,
        Blame::Infrastructure => FaultClass::Infrastructure,
    };
    Fault { class, code: i32::try_from(dice.between(1, 4)).unwrap_or(1), print: 0 }
}

/// Which groups inputs are of, for stages that gather by groups: input `n` is of group `n` modulo their number.
#[must_use]
pub fn groups(spec: &JobSpec, inputs: u64) -> Vec<(u16, Vec<Run>)> {
    let runs = |groups: u64| (0..inputs).map(|input| Run { inputs: 1, group: Some(input % groups) }).collect();
    let keyed = (0_u16..).zip(&spec.stages).filter_map(|(at, stage)| match stage.kind {
        StageKind::Groups { groups, .. } => Some((at, runs(groups.max(1)))),
        _ => None,
    });
    keyed.collect()
}

/// A service somebody might want.
pub fn service(dice: &mut Dice) -> ServicePlan {
    let few = |dice: &mut Dice, low| u32::try_from(dice.between(low, 3)).unwrap_or(1);
    ServicePlan { shards: few(dice, 1), replicas: few(dice, 1), merges: few(dice, 0) }
}

/// The detail by which an outcome tells its attempt.
#[must_use]
pub fn detail_of(id: AttemptId) -> Vec<u8> {
    [id.epoch.to_be_bytes(), id.number.to_be_bytes()].concat()
}
