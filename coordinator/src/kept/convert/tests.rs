//! Records come back as they were, and what is not as it should be is refused by name.

use std::collections::BTreeMap;

use longshore_core::{
    MemberRecord, Namespace, Record, ServiceName, TokenId, TokenKind, TokenRecord, TokenRole, TokenTerms,
};
use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::kept::members;

/// Any job a coordinator may keep.
pub fn jobs() -> impl Strategy<Value = JobRecord> {
    let states = prop_oneof![
        Just(JobState::Running),
        Just(JobState::Succeeded),
        Just(JobState::Failed),
        Just(JobState::Cancelled)
    ];
    let numbers = (any::<u64>(), any::<u64>(), any::<u64>(), any::<i32>());
    let names = (any::<[u8; 16]>(), any::<[u8; 32]>(), whose(), ".{0,20}", ".{0,20}");
    (names, vec(stages(), 1..5), states, numbers).prop_map(|(names, stages, state, numbers)| {
        let (id, detail, namespace, key, reason) = names;
        let (inputs, submitted_ms, ended_ms, priority) = numbers;
        let spec = JobSpec { stages, priority };
        JobRecord { id: JobId(id), namespace, key, spec, inputs, detail, state, reason, submitted_ms, ended_ms }
    })
}

fn whose() -> impl Strategy<Value = Namespace> {
    prop_oneof![Just("default".to_owned()), "[a-z0-9]{1,9}"].prop_map(|name| Namespace::named(&name))
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
    let names = (whose(), "[a-z]{1,9}").prop_map(|(namespace, name)| ServiceName { namespace, name });
    (names, any::<u64>(), option::of(plan), any::<[u8; 32]>())
        .prop_map(|(name, generation, plan, detail)| ServiceRecord { name, generation, plan, detail })
}

fn workers() -> impl Strategy<Value = WorkerRecord> {
    (any::<[u8; 16]>(), ".{0,20}").prop_map(|(id, name)| WorkerRecord { id: WorkerId(id), name })
}

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    proptest::collection::btree_map("[a-z]{1,9}", ".{0,9}", 0..4)
}

fn namespaces() -> impl Strategy<Value = Vec<Namespace>> {
    vec("[a-z]{1,9}", 0..4).prop_map(|names| names.iter().map(|name| Namespace::named(name)).collect())
}

fn tokens() -> impl Strategy<Value = TokenRecord> {
    let role =
        prop_oneof![Just(TokenRole::Admin), Just(TokenRole::Submit), Just(TokenRole::Read), Just(TokenRole::Query)];
    let kind = prop_oneof![
        (any::<u32>(), labels()).prop_map(|(uses, labels)| TokenKind::Join { uses, labels }),
        role.prop_map(|role| TokenKind::Person { role }),
    ];
    let terms = (kind, ".{0,20}", namespaces());
    (any::<[u8; 5]>(), any::<[u8; 32]>(), terms, any::<u32>(), any::<[u64; 2]>()).prop_map(
        |(id, secret, (kind, name, namespaces), used, [created_ms, expires_ms])| {
            let terms = TokenTerms { kind, name, namespaces };
            TokenRecord { id: TokenId(id), secret, terms, used, created_ms, expires_ms }
        },
    )
}

fn all_members() -> impl Strategy<Value = MemberRecord> {
    let keys = (any::<[u8; 32]>(), option::of(any::<[u8; 32]>()));
    let said = (".{0,20}", labels(), namespaces());
    (any::<[u8; 16]>(), keys, said, any::<[u64; 2]>(), any::<[u8; 5]>()).prop_map(
        |(id, (key, previous_key), (name, labels, namespaces), [joined_ms, revoked_ms], token)| {
            let (id, token) = (WorkerId(id), TokenId(token));
            MemberRecord { id, key, previous_key, name, labels, namespaces, joined_ms, token, revoked_ms }
        },
    )
}

/// Any record that says that there is something.
pub fn records() -> impl Strategy<Value = Record> {
    prop_oneof![
        jobs().prop_map(Record::Job),
        outcomes().prop_map(Record::Outcome),
        troubles().prop_map(Record::Trouble),
        services().prop_map(Record::Service),
        workers().prop_map(Record::Worker),
        tokens().prop_map(Record::Token),
        all_members().prop_map(Record::Member),
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
            Record::Token(token) => {
                Record::Token(members::token_from_kept(token.id, again(&members::token_to_kept(token))).unwrap())
            }
            Record::Member(member) => {
                Record::Member(members::member_from_kept(member.id, again(&members::member_to_kept(member))).unwrap())
            }
            Record::OutcomeGone(_)
            | Record::TroubleGone(_)
            | Record::WorkerGone(_)
            | Record::TokenGone(_)
            | Record::MemberGone(_) => record.clone(),
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
    let name = || ServiceName::in_default("search");
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
    assert_eq!(refused(|job| job.namespace = "../up".to_owned()), "it is of a namespace that cannot be");
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
        namespace: Namespace::named(&"n".repeat(63)),
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

#[test]
fn a_token_or_member_without_what_it_must_have_is_refused() {
    let token = v1::Token { secret: vec![1; 32].into(), role: v1::TokenRole::Read.into(), ..v1::Token::default() };
    let refused = |spoil: fn(&mut v1::Token)| {
        let mut spoilt = token.clone();
        spoil(&mut spoilt);
        members::token_from_kept(TokenId([1; 5]), spoilt).unwrap_err().to_string()
    };
    assert!(members::token_from_kept(TokenId([1; 5]), token.clone()).is_ok());
    assert_eq!(refused(|token| token.secret = Bytes::new()), "its secret is missing");
    assert_eq!(refused(|token| token.role = 0), "its role is missing");
    assert_eq!(refused(|token| token.role = 9), "its role has the unknown value 9");
    let member = v1::Member { key: vec![1; 32].into(), token: vec![1; 5].into(), ..v1::Member::default() };
    let refused = |spoil: fn(&mut v1::Member)| {
        let mut spoilt = member.clone();
        spoil(&mut spoilt);
        members::member_from_kept(WorkerId([1; 16]), spoilt).unwrap_err().to_string()
    };
    assert!(members::member_from_kept(WorkerId([1; 16]), member.clone()).is_ok());
    assert_eq!(refused(|member| member.key = Bytes::new()), "its key is missing");
    assert_eq!(refused(|member| member.previous_key = vec![1; 31].into()), "its previous_key has 31 bytes, not 32");
    assert_eq!(refused(|member| member.token = vec![1; 6].into()), "its token is missing");
}

#[test]
fn the_largest_token_and_member_fit_into_an_entry() {
    use crate::limits;
    // A label has a name and a value; together they take the most that they may.
    let label = limits::LABELS_BYTES / limits::LABELS / 2;
    let labels: BTreeMap<_, _> = (0..limits::LABELS).map(|at| (format!("{at:0>label$}"), "v".repeat(label))).collect();
    let namespaces = vec![Namespace::named(&"n".repeat(limits::NAMESPACE_CHARS)); limits::TOKEN_NAMESPACES];
    let name = "\u{10ffff}".repeat(limits::NAME_CHARS);
    let kind = TokenKind::Join { uses: u32::MAX, labels: labels.clone() };
    let terms = TokenTerms { kind, name: name.clone(), namespaces: namespaces.clone() };
    let (used, created_ms, expires_ms) = (u32::MAX, u64::MAX, u64::MAX);
    let token = TokenRecord { id: TokenId([9; 5]), secret: [9; 32], terms, used, created_ms, expires_ms };
    let bytes = members::token_to_kept(token).encoded_len();
    assert!(bytes <= longshore_store::MAX_VALUE_BYTES, "{bytes}");
    let member = MemberRecord {
        id: WorkerId([9; 16]),
        key: [9; 32],
        previous_key: Some([9; 32]),
        name,
        labels,
        namespaces,
        joined_ms: u64::MAX,
        token: TokenId([9; 5]),
        revoked_ms: u64::MAX,
    };
    let bytes = members::member_to_kept(member).encoded_len();
    assert!(bytes <= longshore_store::MAX_VALUE_BYTES, "{bytes}");
}
