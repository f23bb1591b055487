//! The core's records as kept messages, and back.
//!
//! Records are taken apart without `..`, so that a field which the core gains cannot be forgotten here.

use std::sync::Arc;

use bytes::Bytes;
use longshore_core::{
    FaultPolicy, GivenUp, Growth, ImageRecord, ItemKey, JobId, JobRecord, JobSpec, JobState, Losses, LostOn, Needs,
    OutcomeRecord, Require, ServiceName, ServicePlan, ServiceRecord, StageKind, StageSpec, TroubleRecord, WorkerId,
    WorkerRecord,
};
use prost::Message;

pub use super::values::{digest, namespace_from_kept};
use super::{
    control, cuts,
    error::{LoadError, Malformed},
    faults, flow, needs, v1,
    values::namespace_to_kept,
};
use crate::limits::LOSSES;

/// The message that an entry of the store holds.
pub fn decode<T: Message + Default>(key: &[u8], value: Vec<u8>) -> Result<T, LoadError> {
    T::decode(Bytes::from(value)).map_err(|error| LoadError::malformed(key, error))
}

/// A job, but for its id.
pub fn job_to_kept(job: JobRecord) -> v1::Job {
    let JobRecord {
        id: _,
        namespace,
        key,
        spec,
        inputs,
        detail,
        state,
        reason,
        submitted_ms,
        ended_ms,
        meaning,
        paused,
        awaits,
        retried,
        going,
        due_ms,
        cut,
    } = job;
    let JobSpec { name, stages, priority, after, after_any, halt, deadline_ms, queue_timeout_ms } = spec;
    let needs = needs::table(&stages);
    v1::Job {
        idempotency_key: key,
        stages: stages.into_iter().map(|stage| stage_to_kept(stage, &needs)).collect(),
        needs: needs.iter().map(|needs| needs::to_kept(needs)).collect(),
        priority,
        inputs,
        submission: detail.to_vec().into(),
        state: state_to_kept(state).into(),
        reason,
        submitted_ms,
        ended_ms,
        namespace: namespace_to_kept(&namespace),
        name,
        meaning: meaning.map(|meaning| control::meaning_to_kept(&meaning)),
        pause: paused.map(|pause| control::pause_to_kept(*pause)),
        retried: retried.map(|retried| control::retried_to_kept(*retried)),
        going: going.map(|going| control::going_to_kept(*going)),
        after: control::after_to_kept(&after, &after_any, &awaits),
        halt: halt.map(cuts::halt_to_kept),
        deadline_ms,
        due_ms,
        cut: cut.map(cuts::to_kept),
        queue_timeout_ms,
    }
}

/// The job of that id.
pub fn job_from_kept(id: JobId, job: v1::Job) -> Result<JobRecord, Malformed> {
    let state = state_from_kept(job.state)?;
    let v1::Job {
        idempotency_key,
        stages,
        priority,
        inputs,
        submission,
        state: _,
        reason,
        submitted_ms,
        ended_ms,
        namespace,
        name,
        meaning,
        pause,
        retried,
        going,
        after,
        halt,
        deadline_ms,
        due_ms,
        cut,
        needs,
        queue_timeout_ms,
    } = job;
    if stages.is_empty() {
        return Err(Malformed::Missing { field: "stages" });
    }
    let needs = needs.into_iter().map(needs::from_kept).collect::<Result<Vec<_>, _>>()?;
    let stages = stages.into_iter().map(|stage| stage_from_kept(stage, &needs)).collect::<Result<_, _>>()?;
    let [after, after_any, awaits] = control::after_from_kept(after.unwrap_or_default())?;
    Ok(JobRecord {
        id,
        namespace: namespace_from_kept(&namespace)?,
        key: idempotency_key,
        spec: JobSpec {
            name,
            stages,
            priority,
            after,
            after_any,
            halt: halt.map(cuts::halt_from_kept),
            deadline_ms,
            queue_timeout_ms,
        },
        inputs,
        detail: digest("submission", &submission)?,
        state,
        reason,
        submitted_ms,
        ended_ms,
        meaning: meaning.map(control::meaning_from_kept).transpose()?.map(Box::new),
        paused: pause.map(control::pause_from_kept).transpose()?.map(Box::new),
        awaits,
        retried: retried.map(control::retried_from_kept).transpose()?.map(Box::new),
        going: going.map(control::going_from_kept).transpose()?.map(Box::new),
        due_ms,
        cut: cut.map(cuts::from_kept).transpose()?,
    })
}

fn state_to_kept(state: JobState) -> v1::JobState {
    match state {
        JobState::Running => v1::JobState::Running,
        JobState::Succeeded => v1::JobState::Succeeded,
        JobState::Failed => v1::JobState::Failed,
        JobState::Cancelled => v1::JobState::Cancelled,
        JobState::Removing => v1::JobState::Removing,
    }
}

fn state_from_kept(state: i32) -> Result<JobState, Malformed> {
    match v1::JobState::try_from(state) {
        Ok(v1::JobState::Running) => Ok(JobState::Running),
        Ok(v1::JobState::Succeeded) => Ok(JobState::Succeeded),
        Ok(v1::JobState::Failed) => Ok(JobState::Failed),
        Ok(v1::JobState::Cancelled) => Ok(JobState::Cancelled),
        Ok(v1::JobState::Removing) => Ok(JobState::Removing),
        Ok(v1::JobState::Unspecified) => Err(Malformed::Missing { field: "state" }),
        Err(_) => Err(Malformed::Unknown { field: "state", value: state }),
    }
}

fn stage_to_kept(stage: StageSpec, all: &[Arc<Needs>]) -> v1::Stage {
    let StageSpec {
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
    } = stage;
    let FaultPolicy { on, never, filter } = policy;
    let require = kind.require().and_then(flow::require_to_kept);
    let (kind, groups, width) = match kind {
        StageKind::Map => (v1::StageKind::Map, 0, 0),
        StageKind::Gather { .. } => (v1::StageKind::Gather, 0, 0),
        StageKind::Groups { groups, .. } => (v1::StageKind::Groups, groups, 0),
        StageKind::Ranges { width, .. } => (v1::StageKind::Ranges, 0, width),
    };
    // As it was before they could be chosen.
    let losses = if losses == LOSSES { 0 } else { losses };
    v1::Stage {
        kind: kind.into(),
        attempts,
        backoff_ms,
        max_backoff_ms,
        max_parallel,
        losses,
        retry_on: faults::to_kept(on),
        retry_never: faults::to_kept(never),
        filter: faults::to_kept(filter),
        canary,
        breaker: cuts::breaker_to_kept(breaker).into(),
        require,
        groups,
        width,
        needs: needs::number(needs.as_ref(), all),
        growth: growth.map(|Growth { hundredths, up_to_bytes }| v1::Growth { hundredths, up_to_bytes }),
    }
}

fn stage_from_kept(stage: v1::Stage, all: &[Option<Arc<Needs>>]) -> Result<StageSpec, Malformed> {
    let v1::Stage {
        kind,
        attempts,
        backoff_ms,
        max_backoff_ms,
        max_parallel,
        losses,
        retry_on,
        retry_never,
        filter,
        canary,
        breaker,
        require,
        groups,
        width,
        needs,
        growth,
    } = stage;
    let require = require.map_or(Require::All, flow::require_from_kept);
    let kind = match v1::StageKind::try_from(kind) {
        Ok(v1::StageKind::Map) => StageKind::Map,
        Ok(v1::StageKind::Gather) => StageKind::Gather { require },
        Ok(v1::StageKind::Groups) => StageKind::Groups { require, groups },
        Ok(v1::StageKind::Ranges) => StageKind::Ranges { require, width },
        Ok(v1::StageKind::Unspecified) => return Err(Malformed::Missing { field: "stage's kind" }),
        Err(_) => return Err(Malformed::Unknown { field: "stage's kind", value: kind }),
    };
    if attempts == 0 {
        return Err(Malformed::Missing { field: "stage's attempts" });
    }
    let losses = if losses == 0 { LOSSES } else { losses };
    let policy = FaultPolicy {
        on: faults::from_kept(retry_on)?,
        never: faults::from_kept(retry_never)?,
        filter: faults::from_kept(filter)?,
    };
    let needs = needs::numbered(needs, all)?;
    Ok(StageSpec {
        kind,
        attempts,
        backoff_ms,
        max_backoff_ms,
        max_parallel,
        losses,
        policy,
        canary,
        breaker: cuts::breaker_from_kept(breaker)?,
        needs,
        growth: growth.map(|v1::Growth { hundredths, up_to_bytes }| Growth { hundredths, up_to_bytes }),
    })
}

/// An outcome, but for its item and whether it is a success: the key says both. `skipped` is for bundles.
pub fn outcome_to_kept(outcome: OutcomeRecord, skipped: u64) -> v1::Outcome {
    let OutcomeRecord {
        item: _,
        success: _,
        outputs,
        first_child,
        detail,
        given_up,
        filtered,
        spared,
        revocable,
        tries,
    } = outcome;
    let given_up = given_up.map(|given_up| given_up_to_kept(*given_up));
    v1::Outcome { skipped, outputs, first_child, detail: detail.into(), given_up, filtered, spared, revocable, tries }
}

/// The outcome of that item.
pub fn outcome_from_kept(item: ItemKey, success: bool, outcome: v1::Outcome) -> OutcomeRecord {
    let v1::Outcome { skipped: _, outputs, first_child, detail, given_up, filtered, spared, revocable, tries } =
        outcome;
    let given_up = given_up.map(|given_up| Box::new(given_up_from_kept(given_up)));
    let detail = detail.into();
    OutcomeRecord { item, success, outputs, first_child, detail, given_up, filtered, spared, revocable, tries }
}

fn given_up_to_kept(given_up: GivenUp) -> v1::GivenUp {
    let GivenUp { attempts, losses } = given_up;
    v1::GivenUp { attempts, losses: Some(losses_to_kept(losses)) }
}

fn given_up_from_kept(given_up: v1::GivenUp) -> GivenUp {
    let v1::GivenUp { attempts, losses } = given_up;
    GivenUp { attempts, losses: losses_from_kept(losses.unwrap_or_default()) }
}

fn losses_to_kept(losses: Losses) -> v1::Losses {
    let Losses { slots, workers, others, on } = losses;
    let on = on.into_iter().map(|LostOn { worker, name }| v1::LostOn { worker: worker.0.to_vec().into(), name });
    v1::Losses { slots, workers, others, on: on.collect() }
}

fn losses_from_kept(losses: v1::Losses) -> Losses {
    let v1::Losses { slots, workers, others, on } = losses;
    // Where it was is a help: an id that is none is left out.
    let on = on.into_iter().filter_map(|v1::LostOn { worker, name }| {
        let worker = WorkerId(worker.as_ref().try_into().ok()?);
        Some(LostOn { worker, name })
    });
    Losses { slots, workers, others, on: on.collect() }
}

/// What an item went through, but for the item.
pub fn trouble_to_kept(trouble: TroubleRecord) -> v1::Trouble {
    let TroubleRecord { item: _, failures, losses, mishaps, earlier, growths, detail } = trouble;
    let crashes = losses.others;
    let losses = Losses { others: 0, ..losses };
    let losses = (losses != Losses::default()).then(|| losses_to_kept(losses));
    v1::Trouble { failures, crashes, mishaps, detail: detail.into(), losses, earlier, growths }
}

/// What that item went through.
pub fn trouble_from_kept(item: ItemKey, trouble: v1::Trouble) -> TroubleRecord {
    let v1::Trouble { failures, crashes, mishaps, detail, losses, earlier, growths } = trouble;
    let mut losses = losses.map(losses_from_kept).unwrap_or_default();
    losses.others = crashes;
    TroubleRecord { item, failures, losses, mishaps, earlier, growths, detail: detail.into() }
}

/// A stage's image, but for which stage's.
pub fn image_to_kept(image: ImageRecord) -> v1::Image {
    let ImageRecord { job: _, stage: _, digest } = image;
    v1::Image { digest: digest.to_vec().into() }
}

/// The image of that stage.
pub fn image_from_kept((job, stage): (JobId, u16), image: v1::Image) -> Result<ImageRecord, Malformed> {
    let v1::Image { digest: found } = image;
    Ok(ImageRecord { job, stage, digest: digest("digest", &found)? })
}

/// A service, but for its name.
pub fn service_to_kept(service: ServiceRecord) -> v1::Service {
    let ServiceRecord { name: _, generation, plan, detail } = service;
    v1::Service { generation, plan: plan.map(plan_to_kept), spec: detail.to_vec().into() }
}

/// The service of that name.
pub fn service_from_kept(name: ServiceName, service: v1::Service) -> Result<ServiceRecord, Malformed> {
    let v1::Service { generation, plan, spec } = service;
    let plan = plan.map(plan_from_kept).transpose()?;
    Ok(ServiceRecord { name, generation, plan, detail: digest("spec", &spec)? })
}

fn plan_to_kept(plan: ServicePlan) -> v1::ServicePlan {
    let ServicePlan { shards, replicas, merges } = plan;
    v1::ServicePlan { shards, replicas, merges }
}

fn plan_from_kept(plan: v1::ServicePlan) -> Result<ServicePlan, Malformed> {
    let v1::ServicePlan { shards, replicas, merges } = plan;
    if shards == 0 {
        return Err(Malformed::Missing { field: "plan's shards" });
    }
    if replicas == 0 {
        return Err(Malformed::Missing { field: "plan's replicas" });
    }
    Ok(ServicePlan { shards, replicas, merges })
}

/// A worker, but for its id.
pub fn worker_to_kept(worker: WorkerRecord) -> v1::Worker {
    let WorkerRecord { id: _, name } = worker;
    v1::Worker { name }
}

/// The worker of that id.
pub fn worker_from_kept(id: WorkerId, worker: v1::Worker) -> WorkerRecord {
    let v1::Worker { name } = worker;
    WorkerRecord { id, name }
}

#[cfg(test)]
pub mod tests;
