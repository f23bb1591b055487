//! What the checked-in data directories hold: every kind of record, in every state, and blobs of both kinds.

use std::path::Path;

use bytes::Bytes;
use longshore_blobs::BlobStore;
use longshore_core::{
    ItemKey, JobId, JobRecord, JobSpec, JobState, Losses, Namespace, Now, OutcomeRecord, Record, ServiceName,
    ServicePlan, ServiceRecord, StageKind, StageSpec, TroubleRecord, WorkerId, WorkerRecord,
};
use longshore_drive::Page as _;
use longshore_proto::v1::{self, BlobList, BlobListRef, NamedBlob, SubmitRequest};
use longshore_store::{Epoch, Options, SledStore};
use prost::Message;

use crate::{
    kept::{directory, records::Writer, rooms::Rooms},
    open::{begin_epoch, start_committer},
};

/// The epoch that wrote them.
pub const EPOCH_KEPT: u64 = 41;

/// A job that runs: a map stage and a gather stage. Its item 2 is in trouble.
pub const RUNNING: JobId = JobId([0xA1; 16]);

/// A job that succeeded: two map stages of 300 items each.
pub const SUCCEEDED: JobId = JobId([0xA2; 16]);

/// A job of which items 1 and 2 failed; the coordinator itself gave up the second one.
pub const FAILED: JobId = JobId([0xA3; 16]);

/// A job that was cancelled.
pub const CANCELLED: JobId = JobId([0xA4; 16]);

/// Items of each stage of the job that succeeded.
pub const SUCCESSES: u64 = 300;

/// The item whose outputs are in a list of their own.
pub const LISTED: ItemKey = ItemKey { job: SUCCEEDED, stage: 1, index: 299 };

/// The bytes of a large blob, which is an input.
pub fn large() -> Vec<u8> {
    (0..70_000_u32).map(|at| (at / 1_000) as u8).collect()
}

/// Inputs of a job.
pub fn inputs(count: u64) -> BlobList {
    let large = NamedBlob { path: "dir/large".to_owned(), ..named(&large()) };
    let small = (1..count).map(|at| NamedBlob { path: format!("dir/{at}"), ..named(format!("input {at}").as_bytes()) });
    BlobList { blobs: std::iter::once(large).chain(small).collect() }
}

fn named(content: &[u8]) -> NamedBlob {
    let digest = Bytes::copy_from_slice(blake3::hash(content).as_bytes());
    NamedBlob { digest, size: content.len() as u64, ..NamedBlob::default() }
}

/// The submission of a job with such stages.
pub fn submission(name: &str, kinds: &[v1::StageKind], inputs_count: u64) -> SubmitRequest {
    let stages = kinds.iter().enumerate().map(|(at, kind)| v1::Stage {
        name: format!("stage-{at}"),
        kind: (*kind).into(),
        container: Some(v1::Container { image: "busybox".to_owned(), ..v1::Container::default() }),
        ..v1::Stage::default()
    });
    let list = inputs(inputs_count).encode_to_vec();
    SubmitRequest {
        idempotency_key: String::new(),
        spec: Some(v1::JobSpec { name: name.to_owned(), stages: stages.collect(), ..v1::JobSpec::default() }),
        inputs: vec![BlobListRef { count: inputs_count, ..list_ref(&list) }],
    }
}

fn list_ref(list: &[u8]) -> BlobListRef {
    BlobListRef { digest: Bytes::copy_from_slice(blake3::hash(list).as_bytes()), count: 0, size: 0 }
}

/// Every job's submission.
pub fn submissions() -> [(JobId, SubmitRequest); 4] {
    use v1::StageKind::{Gather, Map};
    [
        (RUNNING, submission("running", &[Map, Gather], 3)),
        (SUCCEEDED, submission("succeeded", &[Map, Map], SUCCESSES)),
        (FAILED, submission("failed", &[Map], 3)),
        (CANCELLED, submission("cancelled", &[Map], 2)),
    ]
}

/// The specification of the service that is deployed.
pub fn service() -> v1::ServiceSpec {
    let container = Some(v1::Container { image: "busybox".to_owned(), ..v1::Container::default() });
    let leaf = v1::LeafSpec { container: container.clone(), shards: 4, replicas: 2, ..v1::LeafSpec::default() };
    let merge = v1::MergeSpec { container, replicas: 1, concurrency: 0, builtin: None, stream: false };
    v1::ServiceSpec { name: "search".to_owned(), leaf: Some(leaf), merge: Some(merge), ..v1::ServiceSpec::default() }
}

/// The outcome of a success with one output.
pub fn success(item: &ItemKey) -> v1::Outcome {
    let output = NamedBlob { path: format!("out/{}", item.index), ..named(b"an output") };
    v1::Outcome {
        outputs: Some(BlobList { blobs: vec![output] }),
        worker: "worker one".to_owned(),
        duration_us: 1_000 + item.index,
        attempt: 1,
        ..v1::Outcome::default()
    }
}

/// The outputs that are in a list of their own.
pub fn listed() -> BlobList {
    BlobList { blobs: (0..9).map(|at| NamedBlob { path: format!("many/{at}"), ..named(b"an output") }).collect() }
}

/// The outcome of a failure.
pub fn failure() -> v1::Outcome {
    let failure = v1::Failure {
        class: v1::FailureClass::Exit.into(),
        code: 7,
        message: "exit code 7".to_owned(),
        stderr_tail: Bytes::from_static(b"no such file\n"),
        ..v1::Failure::default()
    };
    v1::Outcome { failure: Some(failure), worker: "worker two".to_owned(), attempt: 3, ..v1::Outcome::default() }
}

fn stage(gathers: bool) -> StageSpec {
    let kind = if gathers { StageKind::Gather { require: longshore_core::Require::All } } else { StageKind::Map };
    StageSpec { kind, attempts: 3, backoff_ms: 1_500, max_backoff_ms: 60_000, max_parallel: 8, ..StageSpec::default() }
}

fn job(id: JobId, gathers: &[bool], inputs: u64, state: JobState) -> JobRecord {
    let submission = submissions().into_iter().find(|(job, _)| *job == id).unwrap().1;
    let spec = JobSpec { stages: gathers.iter().copied().map(stage).collect(), ..JobSpec::default() };
    let now = Now { steady_ms: 0, wall_ms: 1_767_225_600_000 + u64::from(id.0[0]) };
    let names = (id, Namespace::default(), String::new());
    let ended_ms = if state == JobState::Running { 0 } else { 1_767_312_000_000 };
    let detail = blake3::hash(&submission.encode_to_vec()).into();
    JobRecord { state, ended_ms, ..JobRecord::submitted(now, names, spec, inputs, detail) }
}

/// Every record, in the order in which they are loaded.
pub fn records() -> Vec<Record> {
    let running = job(RUNNING, &[false, true], 3, JobState::Running);
    let spec = JobSpec { priority: -2, ..running.spec };
    let running = JobRecord { key: "photos-2026".to_owned(), spec, ..running };
    let cancelled = JobRecord { reason: "too dear".to_owned(), ..job(CANCELLED, &[false], 2, JobState::Cancelled) };
    let jobs = [
        running,
        job(SUCCEEDED, &[false, false], SUCCESSES, JobState::Succeeded),
        job(FAILED, &[false], 3, JobState::Failed),
        cancelled,
    ];
    let item = |job, stage, index| ItemKey { job, stage, index };
    let first = (0..SUCCESSES).map(|index| (item(SUCCEEDED, 0, index), index));
    let second = (0..SUCCESSES).map(|index| (item(SUCCEEDED, 1, index), 0));
    let some = [(item(RUNNING, 0, 0), 0), (item(FAILED, 0, 0), 0)];
    let mut successes: Vec<_> = some.into_iter().chain(first).chain(second).collect();
    successes.sort_by_key(|(item, _)| *item);
    let failures = [(item(FAILED, 0, 1), failure().encode_to_vec()), (item(FAILED, 0, 2), Vec::new())];
    let trouble = TroubleRecord {
        item: item(RUNNING, 0, 2),
        failures: 1,
        losses: Losses { others: 2, ..Losses::default() },
        mishaps: 5,
        earlier: 0,
        growths: 0,
        detail: failure().encode_to_vec(),
    };
    let plan = ServicePlan { shards: 4, replicas: 2, merges: 1 };
    let spec = blake3::hash(&service().encode_to_vec()).into();
    let service = |name: &str, generation, plan| {
        Record::Service(ServiceRecord { name: ServiceName::in_default(name), generation, plan, detail: spec })
    };
    let worker = |id, name: &str| Record::Worker(WorkerRecord { id: WorkerId([id; 16]), name: name.to_owned() });
    let mut records: Vec<_> = jobs.into_iter().map(Record::Job).collect();
    records.extend(successes.into_iter().map(|(item, first_child)| Record::Outcome(succeeded(item, first_child))));
    records.extend(failures.map(|(item, detail)| Record::Outcome(OutcomeRecord::ended(item, false, detail))));
    records.push(Record::Trouble(trouble));
    records.extend([service("removed", 1, None), service("search", 3, Some(plan))]);
    records.extend([worker(0xB1, "worker one"), worker(0xB2, "worker two")]);
    records
}

fn succeeded(item: ItemKey, first_child: u64) -> OutcomeRecord {
    let (outputs, outcome) = if item == LISTED {
        let list = listed().encode_to_vec();
        let outputs_ref = BlobListRef { count: 9, size: list.len() as u64, ..list_ref(&list) };
        (9, v1::Outcome { outputs: None, outputs_ref: Some(outputs_ref), ..success(&item) })
    } else {
        (1, success(&item))
    };
    OutcomeRecord { outputs, first_child, ..OutcomeRecord::ended(item, true, outcome.encode_to_vec()) }
}

/// Makes a data directory of today's format with all this in it, as a coordinator does: blobs before the records that name
/// them, all by way of the committer.
pub fn write(dir: &Path) {
    directory::claim(dir, &dir.join("store")).unwrap();
    let options = Options { ballast_bytes: 0, ..Options::default() };
    let (mut store, _) = SledStore::open(&dir.join("store"), &options).unwrap();
    let rooms = Rooms::open(dir, &[], false).unwrap().rooms;
    let blobs = rooms.of(&Namespace::default());
    let epoch = begin_epoch(&mut store, Epoch(EPOCH_KEPT)).unwrap();
    keep_blobs(&*blobs);
    let committer = start_committer(store, epoch, rooms.clone()).unwrap();
    let mut writer = Writer::default();
    writer.add(records());
    committer.submit(writer.finish(), Box::new(|kept| kept.unwrap()));
}

fn keep_blobs(blobs: &dyn BlobStore) {
    let mut small: Vec<Vec<u8>> = vec![b"an output".to_vec(), listed().encode_to_vec(), service().encode_to_vec()];
    for (_, submission) in submissions() {
        small.push(inputs(submission.inputs[0].count).encode_to_vec());
        small.push(submission.encode_to_vec());
    }
    small.extend((1..SUCCESSES).map(|at| format!("input {at}").into_bytes()));
    for content in small {
        blobs.append_small(&blake3::hash(&content), &content).unwrap();
    }
    let mut writer = blobs.create().unwrap();
    writer.write(&large()).unwrap();
    writer.finish(Some(blake3::hash(&large()))).unwrap();
}
