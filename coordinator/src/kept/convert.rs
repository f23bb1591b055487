//! The core's records as kept messages, and back.
//!
//! Records are taken apart without `..`, so that a field which the core gains cannot be forgotten here.

use bytes::Bytes;
use longshore_core::{
    Digest, ItemKey, JobId, JobRecord, JobSpec, JobState, Namespace, OutcomeRecord, ServiceName, ServicePlan,
    ServiceRecord, StageKind, StageSpec, TroubleRecord, WorkerId, WorkerRecord,
};
use longshore_proto::namespace;
use prost::Message;

use super::{
    error::{LoadError, Malformed},
    v1,
};

/// The message that an entry of the store holds.
pub fn decode<T: Message + Default>(key: &[u8], value: Vec<u8>) -> Result<T, LoadError> {
    T::decode(Bytes::from(value)).map_err(|error| LoadError::malformed(key, error))
}

/// A job, but for its id.
pub fn job_to_kept(job: JobRecord) -> v1::Job {
    let JobRecord { id: _, namespace, key, spec, inputs, detail, state, reason, submitted_ms, ended_ms } = job;
    let JobSpec { stages, priority } = spec;
    v1::Job {
        idempotency_key: key,
        stages: stages.into_iter().map(stage_to_kept).collect(),
        priority,
        inputs,
        submission: detail.to_vec().into(),
        state: state_to_kept(state).into(),
        reason,
        submitted_ms,
        ended_ms,
        namespace: namespace_to_kept(&namespace),
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
    } = job;
    if stages.is_empty() {
        return Err(Malformed::Missing { field: "stages" });
    }
    let stages = stages.into_iter().map(stage_from_kept).collect::<Result<_, _>>()?;
    Ok(JobRecord {
        id,
        namespace: namespace_from_kept(&namespace)?,
        key: idempotency_key,
        spec: JobSpec { stages, priority },
        inputs,
        detail: digest("submission", &submission)?,
        state,
        reason,
        submitted_ms,
        ended_ms,
    })
}

/// Nothing, for the namespace of all entries of before there were others.
fn namespace_to_kept(namespace: &Namespace) -> String {
    if namespace.is_default() { String::new() } else { namespace.name().to_owned() }
}

/// The namespace of that name. It stands in names of directories, so it is looked at.
pub fn namespace_from_kept(name: &str) -> Result<Namespace, Malformed> {
    if name.is_empty() {
        return Ok(Namespace::default());
    }
    namespace::check(name)?;
    Ok(Namespace::named(name))
}

fn state_to_kept(state: JobState) -> v1::JobState {
    match state {
        JobState::Running => v1::JobState::Running,
        JobState::Succeeded => v1::JobState::Succeeded,
        JobState::Failed => v1::JobState::Failed,
        JobState::Cancelled => v1::JobState::Cancelled,
    }
}

fn state_from_kept(state: i32) -> Result<JobState, Malformed> {
    match v1::JobState::try_from(state) {
        Ok(v1::JobState::Running) => Ok(JobState::Running),
        Ok(v1::JobState::Succeeded) => Ok(JobState::Succeeded),
        Ok(v1::JobState::Failed) => Ok(JobState::Failed),
        Ok(v1::JobState::Cancelled) => Ok(JobState::Cancelled),
        Ok(v1::JobState::Unspecified) => Err(Malformed::Missing { field: "state" }),
        Err(_) => Err(Malformed::Unknown { field: "state", value: state }),
    }
}

fn stage_to_kept(stage: StageSpec) -> v1::Stage {
    let StageSpec { kind, attempts, backoff_ms, max_backoff_ms, max_parallel } = stage;
    let kind = match kind {
        StageKind::Map => v1::StageKind::Map,
        StageKind::Gather => v1::StageKind::Gather,
    };
    v1::Stage { kind: kind.into(), attempts, backoff_ms, max_backoff_ms, max_parallel }
}

fn stage_from_kept(stage: v1::Stage) -> Result<StageSpec, Malformed> {
    let v1::Stage { kind, attempts, backoff_ms, max_backoff_ms, max_parallel } = stage;
    let kind = match v1::StageKind::try_from(kind) {
        Ok(v1::StageKind::Map) => StageKind::Map,
        Ok(v1::StageKind::Gather) => StageKind::Gather,
        Ok(v1::StageKind::Unspecified) => return Err(Malformed::Missing { field: "stage's kind" }),
        Err(_) => return Err(Malformed::Unknown { field: "stage's kind", value: kind }),
    };
    if attempts == 0 {
        return Err(Malformed::Missing { field: "stage's attempts" });
    }
    Ok(StageSpec { kind, attempts, backoff_ms, max_backoff_ms, max_parallel })
}

/// An outcome, but for its item and whether it is a success: the key says both. `skipped` is for bundles.
pub fn outcome_to_kept(outcome: OutcomeRecord, skipped: u64) -> v1::Outcome {
    let OutcomeRecord { item: _, success: _, outputs, first_child, detail } = outcome;
    v1::Outcome { skipped, outputs, first_child, detail: detail.into() }
}

/// The outcome of that item.
pub fn outcome_from_kept(item: ItemKey, success: bool, outcome: v1::Outcome) -> OutcomeRecord {
    let v1::Outcome { skipped: _, outputs, first_child, detail } = outcome;
    OutcomeRecord { item, success, outputs, first_child, detail: detail.into() }
}

/// What an item went through, but for the item.
pub fn trouble_to_kept(trouble: TroubleRecord) -> v1::Trouble {
    let TroubleRecord { item: _, failures, crashes, mishaps, detail } = trouble;
    v1::Trouble { failures, crashes, mishaps, detail: detail.into() }
}

/// What that item went through.
pub fn trouble_from_kept(item: ItemKey, trouble: v1::Trouble) -> TroubleRecord {
    let v1::Trouble { failures, crashes, mishaps, detail } = trouble;
    TroubleRecord { item, failures, crashes, mishaps, detail: detail.into() }
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

/// A digest in a field of a message.
pub fn digest(field: &'static str, bytes: &[u8]) -> Result<Digest, Malformed> {
    match bytes.len() {
        0 => Err(Malformed::Missing { field }),
        count => bytes.try_into().map_err(|_| Malformed::Digest { field, bytes: count }),
    }
}

#[cfg(test)]
pub mod tests;
