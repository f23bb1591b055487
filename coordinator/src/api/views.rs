//! What people are shown, in the words of the wire.

use longshore_core::{JobState, JobView, MemberRecord, Pause, PausedBy, ReplicaPhase, Role, WorkerView};
use longshore_proto::{
    ImageDigest, head,
    v1::{self, PartView},
};
use longshore_root::Share;
use uuid::Uuid;

use crate::{
    drive::deployed::Entry,
    kept::submission::Submission,
    replica::{Answer, Candidate, Coverage},
    workers::sessions::About,
};

mod cut_short;

/// An id of 16 bytes as people read it.
pub fn id(bytes: [u8; 16]) -> String {
    Uuid::from_bytes(bytes).to_string()
}

/// A job's state.
pub fn state(state: JobState) -> v1::JobState {
    match state {
        JobState::Running => v1::JobState::Running,
        JobState::Succeeded => v1::JobState::Succeeded,
        JobState::Failed => v1::JobState::Failed,
        // Of one that is being removed nobody makes a view.
        JobState::Cancelled | JobState::Removing => v1::JobState::Cancelled,
    }
}

/// A job. Without its submission (the blob is damaged) only names are missing.
pub fn job(view: &JobView, submission: Option<&Submission>) -> v1::JobView {
    let record = &view.record;
    let state = state(record.state);
    let reason = match (view.idle_because, record.cut) {
        (_, Some(cut)) => cut_short::words(view, cut, submission),
        (Some(why), None) => why.to_owned(),
        (None, None) => record.reason.clone(),
    };
    let stages = view.stages.iter().enumerate().map(|(at, counts)| {
        let spec = submission.and_then(|submission| submission.stages().get(at));
        v1::StageView {
            name: spec.map_or_else(|| at.to_string(), |spec| spec.name.clone()),
            kind: spec.map_or(0, |spec| spec.kind().max(v1::StageKind::Map).into()),
            image: spec
                .and_then(|spec| spec.container.as_ref())
                .map_or(String::new(), |container| container.image.clone()),
            items: counts.items,
            items_final: counts.is_final,
            queued: counts.queued,
            running: counts.running,
            succeeded: counts.succeeded,
            failed: counts.failed,
            backing_off: counts.backing_off,
            failed_attempts: counts.failed_attempts,
            filtered: counts.filtered,
            gathered: counts.gathered.map_or(0, |gathered| gathered.inputs),
            gathered_of: counts.gathered.map_or(0, |gathered| gathered.of),
            groups: counts.gathered.map_or(0, |gathered| gathered.groups),
            groups_short: counts.gathered.map_or(0, |gathered| gathered.short),
            image_digest: counts.image.map_or_else(String::new, |digest| ImageDigest(digest).to_string()),
        }
    });
    v1::JobView {
        job_id: id(record.id.0),
        name: submission.map_or(String::new(), |submission| submission.name().to_owned()),
        state: state.into(),
        submitted_ms: record.submitted_ms,
        ended_ms: record.ended_ms,
        stages: stages.collect(),
        reason,
        recent_failures: Vec::new(),
        namespace: record.namespace.name().to_owned(),
        paused: record.paused.as_deref().map(paused),
        waits_for: record.awaits.iter().map(|job| id(job.0)).collect(),
        priority: record.spec.priority,
        retry_under_way: record.retried.as_ref().is_some_and(|retried| retried.next.is_some()),
        due_ms: record.due_ms,
        failure_groups: Vec::new(),
    }
}

fn paused(pause: &Pause) -> v1::Paused {
    let by = match pause.by {
        PausedBy::Person => v1::PausedBy::Person,
    };
    v1::Paused { by: by.into(), reason: pause.why.clone(), since_ms: pause.since_ms, stopped: pause.stop }
}

/// A service.
pub fn service(entry: &Entry) -> v1::ServiceView {
    let replicas: Vec<v1::ReplicaView> = entry
        .view
        .replicas
        .iter()
        .map(|replica| {
            let (merge, shard) = match replica.key.role {
                Role::Leaf { shard } => (false, shard),
                Role::Merge => (true, 0),
            };
            let state = match (replica.phase, &replica.worker) {
                (_, None) => v1::ReplicaState::Unplaced,
                (ReplicaPhase::Starting, _) => v1::ReplicaState::Starting,
                (ReplicaPhase::Ready, _) if !replica.reachable => v1::ReplicaState::Unplaced,
                (ReplicaPhase::Ready, _) => v1::ReplicaState::Ready,
                (ReplicaPhase::Failed, _) => v1::ReplicaState::Failed,
            };
            v1::ReplicaView {
                merge,
                shard,
                number: replica.key.number,
                worker: replica.worker.as_ref().map_or(String::new(), |(_, name)| name.clone()),
                state: state.into(),
                message: replica.message.clone(),
            }
        })
        .collect();
    let some_ready = |candidates: &Vec<Candidate>| candidates.iter().any(|replica| replica.unready.is_none());
    let ready = entry.topology.shards.iter().all(some_ready) && entry.topology.merges.iter().all(some_ready);
    let namespace = entry.namespace.name().to_owned();
    v1::ServiceView { spec: Some((*entry.spec).clone()), generation: entry.view.generation, replicas, ready, namespace }
}

/// A worker.
pub fn worker(about: About, view: WorkerView) -> v1::WorkerView {
    let mut condition = about.condition;
    for (job, stage) in &view.no_images {
        let job = id(job.0);
        let note = format!("it cannot get the image of stage {} of job {job}: `longshore job show {job}`", stage + 1);
        condition.get_or_insert_default().notes.push(note);
    }
    v1::WorkerView {
        worker_id: id(view.id.0),
        name: view.name,
        connected: view.connected,
        slots: view.slots,
        attempts: u32::try_from(view.attempts).unwrap_or(u32::MAX),
        replicas: u32::try_from(view.replicas).unwrap_or(u32::MAX),
        runtime: about.runtime,
        version: about.version,
        condition,
        member: None,
        draining: view.draining,
        offer: about.offer.map(|offer| *offer),
    }
}

/// A member that is not here.
pub fn absent(member: &MemberRecord) -> v1::WorkerView {
    let worker_id = id(member.id.0);
    v1::WorkerView {
        worker_id,
        name: member.name.clone(),
        member: Some(self::member(member)),
        ..v1::WorkerView::default()
    }
}

/// What is kept of a member.
pub fn member(member: &MemberRecord) -> v1::MemberView {
    v1::MemberView {
        labels: member.labels.clone().into_iter().collect(),
        namespaces: member.namespaces.iter().map(ToString::to_string).collect(),
        joined_ms: member.joined_ms,
        revoked_ms: member.revoked_ms,
        token: member.token.to_string(),
    }
}

/// How complete an answer is.
pub fn coverage(coverage: &Coverage) -> v1::Coverage {
    let micros = |duration: std::time::Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    v1::Coverage {
        shards: u32::try_from(coverage.shards()).unwrap_or(u32::MAX),
        answered: u32::try_from(coverage.answered()).unwrap_or(u32::MAX),
        in_part: u32::try_from(coverage.in_part()).unwrap_or(u32::MAX),
        covered: Some(coverage.covered()),
        merge: coverage.merge.as_ref().map(share),
        parts: coverage
            .parts
            .iter()
            .map(|part| PartView {
                shard: part.shard,
                ok: part.error.is_none(),
                error: part.error.clone().unwrap_or_default(),
                worker: part.target.as_ref().map_or(String::new(), |target| target.worker_name.clone()),
                replica: part.target.as_ref().map_or(0, |target| target.key.number),
                latency_us: micros(part.latency),
                size: part.size,
                weight: part.weight,
                share: part.share.as_ref().map(share),
            })
            .collect(),
    }
}

fn share(share: &Share) -> v1::Share {
    v1::Share { answered: share.answered, of: share.of, missing: share.missing.clone() }
}

/// An answer with this body, typed by its completeness.
pub fn answer(answer: &Answer, body: bytes::Bytes) -> v1::QueryResponse {
    let micros = |duration: std::time::Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let complete = answer.coverage.is_complete();
    let answer = v1::Answer {
        coverage: Some(coverage(&answer.coverage)),
        merge_us: micros(answer.merge),
        total_us: micros(answer.total),
        head: head::to_wire(&answer.head),
        body,
    };
    let answer = if complete {
        v1::query_response::Answer::Complete(answer)
    } else {
        v1::query_response::Answer::Partial(answer)
    };
    v1::QueryResponse { answer: Some(answer) }
}
