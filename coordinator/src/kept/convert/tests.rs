//! Records come back as they were, and what is not as it should be is refused by name.

use longshore_core::Record;
use proptest::{collection::vec, option, prelude::*};

use super::*;

/// Any job a coordinator may keep.
pub fn jobs() -> impl Strategy<Value = JobRecord> {
    let states = prop_oneof![
        Just(JobState::Running),
        Just(JobState::Succeeded),
        Just(JobState::Failed),
        Just(JobState::Cancelled)
    ];
    let numbers = (any::<u64>(), any::<u64>(), any::<u64>(), any::<i32>());
    let names = (any::<[u8; 16]>(), any::<[u8; 32]>(), ".{0,20}", ".{0,20}");
    (names, vec(stages(), 1..5), states, numbers).prop_map(|(names, stages, state, numbers)| {
        let (id, detail, key, reason) = names;
        let (inputs, submitted_ms, ended_ms, priority) = numbers;
        let spec = JobSpec { stages, priority };
        JobRecord { id: JobId(id), key, spec, inputs, detail, state, reason, submitted_ms, ended_ms }
    })
}

fn stages() -> impl Strategy<Value = StageSpec> {
    let pauses = (any::<u64>(), any::<u64>());
    let kind = prop_oneof![Just(StageKind::Map), Just(StageKind::Gather)];
    (kind, 1..=u32::MAX, pauses, any::<u32>()).prop_map(|(kind, attempts, pauses, max_parallel)| {
        let (backoff_ms, max_backoff_ms) = pauses;
        StageSpec { kind, attempts, backoff_ms, max_backoff_ms, max_parallel }
    })
}

fn items() -> impl Strategy<Value = ItemKey> {
    // Few of each, so that some are of one block; none is the last that can be counted.
    let index = prop_oneof![0..1_000_u64, 0..u64::MAX];
    (0..2_u8, 0..3_u16, index).prop_map(|(job, stage, index)| ItemKey { job: JobId([job; 16]), stage, index })
}

/// How an item may have ended.
pub fn outcomes() -> impl Strategy<Value = OutcomeRecord> {
    (items(), any::<bool>(), any::<u64>(), any::<u64>(), vec(any::<u8>(), 0..300)).prop_map(
        |(item, success, outputs, first_child, detail)| OutcomeRecord { item, success, outputs, first_child, detail },
    )
}

fn troubles() -> impl Strategy<Value = TroubleRecord> {
    (items(), any::<[u32; 3]>(), vec(any::<u8>(), 0..300)).prop_map(|(item, counts, detail)| {
        let [failures, crashes, mishaps] = counts;
        TroubleRecord { item, failures, crashes, mishaps, detail }
    })
}

fn services() -> impl Strategy<Value = ServiceRecord> {
    let plan = (1..=u32::MAX, 1..=u32::MAX, any::<u32>()).prop_map(|(shards, replicas, merges)| ServicePlan {
        shards,
        replicas,
        merges,
    });
    ("[a-z]{1,9}", any::<u64>(), option::of(plan), any::<[u8; 32]>())
        .prop_map(|(name, generation, plan, detail)| ServiceRecord { name, generation, plan, detail })
}

fn workers() -> impl Strategy<Value = WorkerRecord> {
    (any::<[u8; 16]>(), ".{0,20}").prop_map(|(id, name)| WorkerRecord { id: WorkerId(id), name })
}

/// Any record that says that there is something.
pub fn records() -> impl Strategy<Value = Record> {
    prop_oneof![
        jobs().prop_map(Record::Job),
        outcomes().prop_map(Record::Outcome),
        troubles().prop_map(Record::Trouble),
        services().prop_map(Record::Service),
        workers().prop_map(Record::Worker),
    ]
}

/// Through the bytes and back.
fn again<T: Message + Default>(message: &T) -> T {
    decode(b"key", message.encode_to_vec()).unwrap()
}

proptest! {
    #[test]
    fn every_record_comes_back_as_it_was(record in records()) {
        let back = match record.clone() {
            Record::Job(job) => Record::Job(job_from_kept(job.id, again(&job_to_kept(job))).unwrap()),
            Record::Outcome(outcome) => {
                let (item, success) = (outcome.item, outcome.success);
                Record::Outcome(outcome_from_kept(item, success, again(&outcome_to_kept(outcome, 7))))
            }
            Record::Trouble(trouble) => {
                Record::Trouble(trouble_from_kept(trouble.item, again(&trouble_to_kept(trouble))))
            }
            Record::Service(service) => {
                let name = service.name.clone();
                Record::Service(service_from_kept(name, again(&service_to_kept(service))).unwrap())
            }
            Record::Worker(worker) => Record::Worker(worker_from_kept(worker.id, again(&worker_to_kept(worker)))),
            Record::OutcomeGone(_) | Record::TroubleGone(_) | Record::WorkerGone(_) => record.clone(),
        };
        prop_assert_eq!(back, record);
    }
}

const ID: JobId = JobId([1; 16]);

fn job() -> v1::Job {
    let stage = v1::Stage { kind: v1::StageKind::Map.into(), attempts: 1, ..v1::Stage::default() };
    let state = v1::JobState::Running.into();
    v1::Job { stages: vec![stage], inputs: 5, submission: vec![3; 32].into(), state, ..v1::Job::default() }
}

fn service() -> v1::Service {
    let plan = Some(v1::ServicePlan { shards: 1, replicas: 1, merges: 0 });
    v1::Service { generation: 4, plan, spec: vec![3; 32].into() }
}

/// The error of a job that is as it should be but for this.
fn refused(spoil: impl FnOnce(&mut v1::Job)) -> String {
    let mut spoilt = job();
    spoil(&mut spoilt);
    job_from_kept(ID, spoilt).unwrap_err().to_string()
}

#[test]
fn what_must_be_said_and_is_not_is_named() {
    assert!(job_from_kept(ID, job()).is_ok());
    assert_eq!(refused(|job| job.state = 0), "its state is missing");
    assert_eq!(refused(|job| job.stages.clear()), "its stages is missing");
    assert_eq!(refused(|job| job.stages[0].kind = 0), "its stage's kind is missing");
    assert_eq!(refused(|job| job.stages[0].attempts = 0), "its stage's attempts is missing");
    assert_eq!(refused(|job| job.submission.clear()), "its submission is missing");
    let name = || "search".to_owned();
    let spoilt = |plan, spec: Bytes| service_from_kept(name(), v1::Service { plan, spec, ..service() }).unwrap_err();
    let plan = |shards, replicas| Some(v1::ServicePlan { shards, replicas, merges: 0 });
    assert_eq!(spoilt(None, Bytes::new()).to_string(), "its spec is missing");
    assert_eq!(spoilt(plan(0, 1), service().spec).to_string(), "its plan's shards is missing");
    assert_eq!(spoilt(plan(1, 0), service().spec).to_string(), "its plan's replicas is missing");
}

#[test]
fn what_this_version_does_not_have_is_refused_not_guessed() {
    assert_eq!(refused(|job| job.state = 77), "its state has the unknown value 77");
    assert_eq!(refused(|job| job.stages[0].kind = 9), "its stage's kind has the unknown value 9");
    assert_eq!(refused(|job| job.submission = vec![0; 31].into()), "its submission has 31 bytes, not 32");
}

#[test]
fn fields_of_a_newer_version_are_passed_over() {
    // Field 900, as bytes.
    let newer = |mut bytes: Vec<u8>| {
        prost::encoding::bytes::encode(900, &Bytes::from_static(b"what is to come"), &mut bytes);
        bytes
    };
    let found: v1::Job = decode(b"j", newer(job().encode_to_vec())).unwrap();
    assert_eq!(found, job());
    let found: v1::Service = decode(b"s", newer(service().encode_to_vec())).unwrap();
    assert_eq!(found, service());
}

#[test]
fn an_entry_that_is_no_message_is_named_by_its_key() {
    let error = decode::<v1::Job>(b"j\x01", vec![0xff; 3]).unwrap_err();
    assert!(error.to_string().contains(r"j\x01"), "{error}");
}

#[test]
fn the_largest_job_fits_into_an_entry() {
    use crate::limits;
    let stage = StageSpec {
        kind: StageKind::Gather,
        attempts: u32::MAX,
        backoff_ms: u64::MAX,
        max_backoff_ms: u64::MAX,
        max_parallel: u32::MAX,
    };
    let largest = JobRecord {
        id: ID,
        key: "k".repeat(limits::KEY_BYTES),
        spec: JobSpec { stages: vec![stage; limits::STAGES], priority: i32::MIN },
        inputs: u64::MAX,
        detail: [9; 32],
        state: JobState::Cancelled,
        reason: "r".repeat(limits::REASON_BYTES),
        submitted_ms: u64::MAX,
        ended_ms: u64::MAX,
    };
    let bytes = job_to_kept(largest).encoded_len();
    assert!(bytes <= longshore_store::MAX_VALUE_BYTES, "{bytes}");
}
