//! Records come back as they were, and what is not as it should be is refused by name.

use std::collections::BTreeMap;

use longshore_core::{
    Breaker, Constraint, Cut, DrainRecord, FaultClass, FaultRule, Going, GroupsRecord, Halt, HaltAt, Meaning,
    MemberRecord, Namespace, Now, Pause, PausedBy, Record, Retried, Run, Sealed, SecretName, SecretRecord, ServiceName,
    TokenId, TokenKind, TokenRecord, TokenRole, TokenTerms, TombstoneRecord, User, WithdrawnRecord,
};
use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::kept::{control, members};

/// Any job a coordinator may keep.
pub fn jobs() -> impl Strategy<Value = JobRecord> {
    let states = prop_oneof![
        Just(JobState::Running),
        Just(JobState::Succeeded),
        Just(JobState::Failed),
        Just(JobState::Cancelled),
        Just(JobState::Removing)
    ];
    let numbers = (any::<u64>(), any::<u64>(), any::<u64>(), any::<i32>(), cuts());
    let names = (any::<[u8; 16]>(), any::<[u8; 32]>(), whose(), ".{0,20}", ".{0,20}", ".{0,20}");
    let controlled = (option::of(meanings()), option::of(pauses()), option::of(retries()), option::of(goings()));
    let after = vec((any::<[u8; 16]>().prop_map(JobId), any::<[bool; 2]>()), 0..5);
    (names, vec(stages(), 1..5), states, numbers, controlled, after).prop_map(
        |(names, stages, state, numbers, controlled, after)| {
            let (meaning, paused, retried, going) = controlled;
            let (meaning, paused, going) = (meaning.map(Box::new), paused.map(Box::new), going.map(Box::new));
            let retried = retried.map(Box::new);
            let some = |which: fn(bool, bool) -> bool| -> Vec<JobId> {
                after.iter().filter(|(_, [any, awaits])| which(*any, *awaits)).map(|(job, _)| *job).collect()
            };
            let mut awaits = some(|_, awaits| awaits);
            awaits.sort_unstable();
            let (after, after_any) = (some(|any, _| !any), some(|any, _| any));
            let (id, detail, namespace, key, reason, name) = names;
            let (inputs, submitted_ms, ended_ms, priority, (halt, cut, [deadline_ms, queue_timeout_ms], due_ms)) =
                numbers;
            let spec = JobSpec { name, stages, priority, after, after_any, halt, deadline_ms, queue_timeout_ms };
            JobRecord {
                id: JobId(id),
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
            }
        },
    )
}

fn meanings() -> impl Strategy<Value = Meaning> {
    any::<[[u8; 32]; 2]>().prop_map(|[spec, inputs]| Meaning { spec, inputs })
}

fn pauses() -> impl Strategy<Value = Pause> {
    (".{0,20}", any::<u64>(), any::<bool>()).prop_map(|(why, since_ms, stop)| Pause {
        by: PausedBy::Person,
        why,
        since_ms,
        stop,
    })
}

fn retries() -> impl Strategy<Value = Retried> {
    let place = || option::of((any::<u16>(), any::<u64>()));
    (any::<[u64; 2]>(), place(), place()).prop_map(|([failed, unended], next, until)| Retried {
        failed,
        unended,
        next,
        until,
    })
}

fn goings() -> impl Strategy<Value = Going> {
    (any::<u16>(), any::<u64>(), vec(any::<u64>(), 0..4)).prop_map(|(stage, index, items)| Going {
        stage,
        index,
        items,
    })
}

fn tombstones() -> impl Strategy<Value = TombstoneRecord> {
    (any::<[u8; 16]>(), whose(), ".{1,20}", option::of(meanings()), any::<u64>()).prop_map(
        |(job, namespace, key, meaning, until_ms)| TombstoneRecord {
            job: JobId(job),
            namespace,
            key,
            meaning: meaning.map(Box::new),
            until_ms,
        },
    )
}

fn drains() -> impl Strategy<Value = DrainRecord> {
    (any::<[u8; 16]>(), any::<u64>()).prop_map(|(id, since_ms)| DrainRecord { worker: WorkerId(id), since_ms })
}

fn cuts() -> impl Strategy<Value = (Option<Halt>, Option<Cut>, [u64; 2], u64)> {
    let at = prop_oneof![(1..=u64::MAX).prop_map(HaltAt::Items), (1..=100_u32).prop_map(HaltAt::Percent)];
    let halt = (at, any::<bool>()).prop_map(|(at, now)| Halt { at, now });
    let cut = prop_oneof![
        Just(Cut::Halt),
        Just(Cut::Deadline),
        any::<u16>().prop_map(|stage| Cut::Canary { stage }),
        any::<u16>().prop_map(|stage| Cut::Breaker { stage }),
        any::<u16>().prop_map(|stage| Cut::Image { stage }),
        Just(Cut::QueueTimeout),
    ];
    (option::of(halt), option::of(cut), any::<[u64; 2]>(), any::<u64>())
}

fn whose() -> impl Strategy<Value = Namespace> {
    prop_oneof![Just("default".to_owned()), "[a-z0-9]{1,9}"].prop_map(|name| Namespace::named(&name))
}

fn stages() -> impl Strategy<Value = StageSpec> {
    let pauses = (any::<u64>(), any::<u64>());
    let require = prop_oneof![
        Just(Require::All),
        Just(Require::Any),
        (1..=u64::MAX).prop_map(Require::Count),
        (1..=1_000_000_u32).prop_map(Require::Millionths),
    ];
    let kind = (require, any::<u64>(), 0..4_u8).prop_map(|(require, number, which)| match which {
        0 => StageKind::Map,
        1 => StageKind::Gather { require },
        2 => StageKind::Groups { require, groups: number },
        _ => StageKind::Ranges { require, width: number },
    });
    let policy = [faults(), faults(), faults()].prop_map(|[on, never, filter]| FaultPolicy { on, never, filter });
    let breaker = prop_oneof![Just(Breaker::Auto), Just(Breaker::On), Just(Breaker::Off)];
    let growth = option::of((any::<u32>(), any::<u64>()));
    let growth = growth.prop_map(|grows| grows.map(|(hundredths, up_to_bytes)| Growth { hundredths, up_to_bytes }));
    let policy = (policy, any::<u32>(), breaker, needs(), growth);
    (kind, 1..=u32::MAX, pauses, any::<u32>(), 1..=u32::MAX, policy).prop_map(
        |(kind, attempts, pauses, max_parallel, losses, policy)| {
            let ((backoff_ms, max_backoff_ms), (policy, canary, breaker, needs, growth)) = (pauses, policy);
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
        },
    )
}

fn needs() -> impl Strategy<Value = Option<Arc<Needs>>> {
    let user = prop_oneof![Just(User::Any), Just(User::Named), Just(User::Root)];
    let constraint = prop_oneof![
        ("[a-z]{1,5}", "[a-z]{0,5}").prop_map(|(label, value)| Constraint::Is(label, value)),
        ("[a-z]{1,5}", "[a-z]{0,5}").prop_map(|(label, value)| Constraint::IsNot(label, value)),
        "[a-z]{1,5}".prop_map(Constraint::Has),
    ];
    let named = (vec(("[a-z]{1,9}", 1..=u64::MAX), 0..3), vec(constraint, 0..3), "[a-z]{0,9}", user, any::<bool>());
    (any::<[u32; 2]>(), any::<[u64; 4]>(), named).prop_map(
        |([cpu_milli, pids], [memory_bytes, tmp_bytes, shm_bytes, output_bytes], named)| {
            let (resources, constraints, network, user, workdir) = named;
            let resources = resources.into_iter().collect();
            Needs {
                cpu_milli,
                memory_bytes,
                pids,
                tmp_bytes,
                shm_bytes,
                output_bytes,
                resources,
                constraints,
                network,
                user,
                workdir,
            }
            .shared()
        },
    )
}

fn faults() -> impl Strategy<Value = Vec<FaultRule>> {
    let class = prop_oneof![
        Just(FaultClass::Other),
        Just(FaultClass::Exit),
        Just(FaultClass::Signal),
        Just(FaultClass::OutOfMemory),
        Just(FaultClass::Timeout),
        Just(FaultClass::Output),
        Just(FaultClass::Image),
        Just(FaultClass::Command),
        Just(FaultClass::Refused),
        Just(FaultClass::Lost),
        Just(FaultClass::Infrastructure),
    ];
    let codes = prop_oneof![Just((i32::MIN, i32::MAX)), (1..256, 1..256)];
    vec((class, codes).prop_map(|(class, codes)| FaultRule { class, codes }), 0..3)
}

fn items() -> impl Strategy<Value = ItemKey> {
    // Few of each, so that some are of one block; none is the last that can be counted.
    let index = prop_oneof![0..1_000_u64, 0..u64::MAX];
    (0..2_u8, 0..3_u16, index).prop_map(|(job, stage, index)| ItemKey { job: JobId([job; 16]), stage, index })
}

/// How an item may have ended.
pub fn outcomes() -> impl Strategy<Value = OutcomeRecord> {
    let given_up = option::of((any::<u32>(), losses()));
    let flags = (any::<[bool; 4]>(), any::<u32>());
    (items(), flags, any::<u64>(), any::<u64>(), vec(any::<u8>(), 0..300), given_up).prop_map(
        |(item, ([success, filtered, spared, revocable], tries), outputs, first_child, detail, given_up)| {
            let given_up = given_up.filter(|_| !success);
            let given_up = given_up.map(|(attempts, losses)| Box::new(GivenUp { attempts, losses }));
            OutcomeRecord { item, success, outputs, first_child, detail, given_up, filtered, spared, revocable, tries }
        },
    )
}

fn losses() -> impl Strategy<Value = Losses> {
    let on = (any::<[u8; 16]>(), "[a-z]{0,9}").prop_map(|(id, name)| LostOn { worker: WorkerId(id), name });
    (any::<[u32; 3]>(), vec(on, 0..4)).prop_map(|([slots, workers, others], on)| Losses { slots, workers, others, on })
}

fn troubles() -> impl Strategy<Value = TroubleRecord> {
    (items(), any::<[u32; 4]>(), losses(), vec(any::<u8>(), 0..300)).prop_map(|(item, counts, losses, detail)| {
        let [failures, mishaps, earlier, growths] = counts;
        TroubleRecord { item, failures, losses, mishaps, earlier, growths, detail }
    })
}

fn images() -> impl Strategy<Value = ImageRecord> {
    (any::<[u8; 16]>(), any::<u16>(), any::<[u8; 32]>()).prop_map(|(job, stage, digest)| ImageRecord {
        job: JobId(job),
        stage,
        digest,
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

fn secrets() -> impl Strategy<Value = SecretRecord> {
    let names = (whose(), "[a-z._-]{1,9}").prop_map(|(namespace, name)| SecretName { namespace, name });
    let sealed = (vec(any::<u8>(), 1..9_000), any::<[u8; 8]>(), any::<u32>(), any::<u64>(), ".{0,20}");
    let sealed =
        sealed.prop_map(|(bytes, key, size, put_ms, by)| Sealed { bytes: bytes.into(), key, size, put_ms, by });
    (names, 1..=u64::MAX, option::of(sealed)).prop_map(|(name, version, sealed)| SecretRecord { name, version, sealed })
}

/// Any record that says that there is something.
pub fn records() -> impl Strategy<Value = Record> {
    prop_oneof![
        jobs().prop_map(Record::Job),
        outcomes().prop_map(Record::Outcome),
        troubles().prop_map(Record::Trouble),
        images().prop_map(Record::Image),
        services().prop_map(Record::Service),
        workers().prop_map(Record::Worker),
        tokens().prop_map(Record::Token),
        all_members().prop_map(Record::Member),
        secrets().prop_map(Record::Secret),
        tombstones().prop_map(Record::Tombstone),
        drains().prop_map(Record::Drain),
        groups().prop_map(Record::Groups),
        withdrawals().prop_map(Record::Withdrawn),
    ]
}

fn groups() -> impl Strategy<Value = GroupsRecord> {
    let run = (1..=u64::MAX, option::of(0..u64::MAX)).prop_map(|(inputs, group)| Run { inputs, group });
    let place = (any::<[u8; 16]>(), any::<u16>(), any::<[u64; 2]>());
    (place, vec(run, 0..=GroupsRecord::RUNS)).prop_map(|((job, stage, [number, first]), runs)| GroupsRecord {
        job: JobId(job),
        stage,
        number,
        first,
        runs,
    })
}

fn withdrawals() -> impl Strategy<Value = WithdrawnRecord> {
    (items(), any::<u64>(), 1..=u64::MAX).prop_map(|(item, first_child, outputs)| WithdrawnRecord {
        item,
        first_child,
        outputs,
    })
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
            Record::Groups(groups) => {
                let key = ItemKey { job: groups.job, stage: groups.stage, index: groups.number };
                flow::from_kept(key, again(&flow::groups_to_kept(groups))).unwrap()
            }
            Record::Withdrawn(withdrawn) => {
                let (stage, index) = (withdrawn.item.stage + 1, withdrawn.first_child);
                let key = ItemKey { stage, index, ..withdrawn.item };
                flow::from_kept(key, again(&flow::withdrawn_to_kept(&withdrawn))).unwrap()
            }
            Record::Trouble(trouble) => {
                Record::Trouble(trouble_from_kept(trouble.item, again(&trouble_to_kept(trouble))))
            }
            Record::Image(image) => {
                Record::Image(image_from_kept((image.job, image.stage), again(&image_to_kept(image))).unwrap())
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
            Record::Tombstone(tombstone) => {
                let again = again(&control::tombstone_to_kept(tombstone.clone()));
                Record::Tombstone(control::tombstone_from_kept(tombstone.job, again).unwrap())
            }
            Record::Drain(drain) => {
                Record::Drain(control::drain_from_kept(drain.worker, again(&control::drain_to_kept(drain))))
            }
            // Whether it comes back, its own tests say: it is more than one entry.
            Record::Secret(_)
            | Record::OutcomeGone(_)
            | Record::TroubleGone(_)
            | Record::WorkerGone(_)
            | Record::TokenGone(_)
            | Record::ItemsGone(_)
            | Record::JobGone { .. }
            | Record::TombstoneGone(_)
            | Record::DrainGone(_)
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
        // As many of the others as there may be are refused when they take too much.
        kind: StageKind::Gather { require: Require::All },
        attempts: u32::MAX,
        backoff_ms: u64::MAX,
        max_backoff_ms: u64::MAX,
        max_parallel: u32::MAX,
        losses: u32::MAX,
        ..StageSpec::default()
    };
    let stages = vec![stage; limits::STAGES];
    let after = vec![JobId([9; 16]); limits::AFTER];
    let names = (ID, Namespace::named(&"n".repeat(63)), "k".repeat(limits::KEY_BYTES));
    let name = "\u{10ffff}".repeat(limits::NAME_CHARS);
    let spec = JobSpec {
        name,
        stages: stages.clone(),
        priority: i32::MIN,
        after: after.clone(),
        after_any: Vec::new(),
        halt: Some(Halt { at: HaltAt::Items(u64::MAX), now: true }),
        deadline_ms: u64::MAX,
        queue_timeout_ms: u64::MAX,
    };
    let most = crate::kept::records::spec_bytes(spec.clone());
    assert!(most <= limits::STAGES_BYTES, "{most}");
    let now = Now { steady_ms: 0, wall_ms: u64::MAX };
    let largest = JobRecord {
        due_ms: u64::MAX,
        cut: Some(Cut::Breaker { stage: u16::MAX }),
        meaning: Some(Box::new(Meaning { spec: [9; 32], inputs: [9; 32] })),
        ..JobRecord::submitted(now, names, spec, u64::MAX, [9; 32])
    };
    let words = "r".repeat(limits::REASON_BYTES);
    let pause = Pause { by: PausedBy::Person, why: words.clone(), since_ms: u64::MAX, stop: true };
    let place = Some((u16::MAX, u64::MAX));
    let retried = Retried { failed: u64::MAX, unended: u64::MAX, next: place, until: place };
    let paused =
        JobRecord { paused: Some(Box::new(pause)), awaits: after, retried: Some(retried.into()), ..largest.clone() };
    let ended = JobRecord { state: JobState::Cancelled, reason: words, ended_ms: u64::MAX, ..largest.clone() };
    let going = Going { stage: u16::MAX, index: u64::MAX, items: vec![u64::MAX; limits::STAGES] };
    let spec = JobSpec { stages: stages[..1].to_vec(), ..JobSpec::default() };
    let going =
        JobRecord { state: JobState::Removing, key: String::new(), spec, going: Some(Box::new(going)), ..largest };
    for job in [paused, ended, going] {
        let bytes = job_to_kept(job).encoded_len();
        assert!(bytes + limits::STAGES_BYTES - most <= longshore_store::MAX_VALUE_BYTES, "{bytes}");
    }
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
