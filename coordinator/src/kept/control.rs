//! What is kept of how jobs and workers are controlled, and back: as in [`super::convert`].

use bytes::Bytes;
use longshore_core::{DrainRecord, Going, JobId, Meaning, Pause, PausedBy, Retried, TombstoneRecord, WorkerId};

use super::{
    error::Malformed,
    v1,
    values::{digest, namespace_from_kept, namespace_to_kept},
};

pub fn meaning_to_kept(meaning: &Meaning) -> v1::Meaning {
    let Meaning { spec, inputs } = meaning;
    v1::Meaning { spec: spec.to_vec().into(), inputs: inputs.to_vec().into() }
}

pub fn meaning_from_kept(meaning: v1::Meaning) -> Result<Meaning, Malformed> {
    let v1::Meaning { spec, inputs } = meaning;
    Ok(Meaning { spec: digest("meaning's spec", &spec)?, inputs: digest("meaning's inputs", &inputs)? })
}

pub fn pause_to_kept(pause: Pause) -> v1::Pause {
    let Pause { by, why, since_ms, stop } = pause;
    let by = match by {
        PausedBy::Person => v1::PausedBy::Person,
    };
    v1::Pause { by: by.into(), why, since_ms, stop }
}

pub fn pause_from_kept(pause: v1::Pause) -> Result<Pause, Malformed> {
    let v1::Pause { by, why, since_ms, stop } = pause;
    let by = match v1::PausedBy::try_from(by) {
        Ok(v1::PausedBy::Person) => PausedBy::Person,
        Ok(v1::PausedBy::Unspecified) => return Err(Malformed::Missing { field: "pause's by" }),
        Err(_) => return Err(Malformed::Unknown { field: "pause's by", value: by }),
    };
    Ok(Pause { by, why, since_ms, stop })
}

pub fn retried_to_kept(retried: Retried) -> v1::Retried {
    let Retried { failed, unended, next, until } = retried;
    let [next, until] = [next, until].map(|it| it.map(|(stage, index)| v1::Place { stage: stage.into(), index }));
    v1::Retried { failed, unended, next, until }
}

pub fn retried_from_kept(retried: v1::Retried) -> Result<Retried, Malformed> {
    let v1::Retried { failed, unended, next, until } = retried;
    Ok(Retried { failed, unended, next: next.map(place).transpose()?, until: until.map(place).transpose()? })
}

pub fn going_to_kept(going: Going) -> v1::Going {
    let Going { stage, index, items } = going;
    v1::Going { next: Some(v1::Place { stage: stage.into(), index }), items }
}

pub fn going_from_kept(going: v1::Going) -> Result<Going, Malformed> {
    let v1::Going { next, items } = going;
    let (stage, index) = place(next.unwrap_or_default())?;
    Ok(Going { stage, index, items })
}

fn place(place: v1::Place) -> Result<(u16, u64), Malformed> {
    let v1::Place { stage, index } = place;
    Ok((u16::try_from(stage).map_err(|_| Malformed::Index)?, index))
}

/// Nothing, of a job that is to run after none. Those that it waits for are some of the others.
pub fn after_to_kept(well: &[JobId], any: &[JobId], awaits: &[JobId]) -> Option<v1::After> {
    let ids = |jobs: &[JobId]| jobs.iter().map(|job| Bytes::copy_from_slice(&job.0)).collect();
    let places = (0_u32..64).zip(well.iter().chain(any)).filter(|(_, job)| awaits.contains(job));
    let awaits = places.fold(0, |bits, (place, _)| bits | 1 << place);
    let after = v1::After { well: ids(well), any: ids(any), awaits };
    (after != v1::After::default()).then_some(after)
}

/// After which it is to run if they end well, after which it is to run however they end, and which of them it waits for.
pub fn after_from_kept(after: v1::After) -> Result<[Vec<JobId>; 3], Malformed> {
    let v1::After { well, any, awaits: bits } = after;
    let id = |id: Bytes| {
        let id = id.as_ref().try_into().map_err(|_| Malformed::Missing { field: "after" });
        id.map(JobId)
    };
    let ids = |jobs: Vec<Bytes>| jobs.into_iter().map(id).collect::<Result<Vec<_>, _>>();
    let (well, any) = (ids(well)?, ids(any)?);
    let places = (0_u32..64).zip(well.iter().chain(&any));
    let mut awaits: Vec<JobId> = places.filter(|(place, _)| bits >> place & 1 == 1).map(|(_, job)| *job).collect();
    awaits.sort_unstable();
    awaits.dedup();
    Ok([well, any, awaits])
}

/// A tombstone, but for its job.
pub fn tombstone_to_kept(tombstone: TombstoneRecord) -> v1::Tombstone {
    let TombstoneRecord { job: _, namespace, key, meaning, until_ms } = tombstone;
    let meaning = meaning.map(|meaning| meaning_to_kept(&meaning));
    v1::Tombstone { namespace: namespace_to_kept(&namespace), idempotency_key: key, meaning, until_ms }
}

/// The tombstone of that job.
pub fn tombstone_from_kept(job: JobId, tombstone: v1::Tombstone) -> Result<TombstoneRecord, Malformed> {
    let v1::Tombstone { namespace, idempotency_key: key, meaning, until_ms } = tombstone;
    let namespace = namespace_from_kept(&namespace)?;
    let meaning = meaning.map(meaning_from_kept).transpose()?.map(Box::new);
    Ok(TombstoneRecord { job, namespace, key, meaning, until_ms })
}

/// A drain, but for its worker.
pub fn drain_to_kept(drain: DrainRecord) -> v1::Drain {
    let DrainRecord { worker: _, since_ms } = drain;
    v1::Drain { since_ms }
}

/// The drain of that worker.
pub fn drain_from_kept(worker: WorkerId, drain: v1::Drain) -> DrainRecord {
    let v1::Drain { since_ms } = drain;
    DrainRecord { worker, since_ms }
}
