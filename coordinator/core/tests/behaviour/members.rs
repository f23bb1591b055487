//! Members and tokens: who may join, how often, for how long, and who is out.

use std::collections::BTreeMap;

use longshore_core::{
    Applicant, Joining, MemberRecord, MembersInput, Namespace, Notice, Outbox, Record, Refusal, Reply, TokenId,
    TokenKind, TokenRecord, TokenRole, TokenTerms, TokensOf,
};

use crate::stage::{Stage, WALL_MS, given, life, map, only, reply, spec, told, worker_id};

const HOUR_MS: u64 = 3_600_000;

pub fn token_id(number: u8) -> TokenId {
    TokenId([number; 5])
}

fn labels() -> BTreeMap<String, String> {
    BTreeMap::from([("gpu".to_owned(), "yes".to_owned())])
}

/// A join token whose secret's digest is its number over and over.
pub fn create(token: u8, uses: u32, ttl_ms: u64) -> MembersInput {
    let kind = TokenKind::Join { uses, labels: labels() };
    let terms = TokenTerms { kind, name: "rack 3".to_owned(), namespaces: vec![Namespace::named("vision")] };
    MembersInput::CreateToken { token: token_id(token), secret: [token; 32], terms, ttl_ms }
}

fn persons(token: u8) -> MembersInput {
    let kind = TokenKind::Person { role: TokenRole::Read };
    let terms = TokenTerms { kind, name: String::new(), namespaces: Vec::new() };
    MembersInput::CreateToken { token: token_id(token), secret: [token; 32], terms, ttl_ms: 0 }
}

pub fn join(worker: u8, token: u8, key: u8) -> MembersInput {
    MembersInput::Join {
        token: token_id(token),
        secret: [token; 32],
        worker: worker_id(worker),
        key: [key; 32],
        name: format!("worker-{worker}"),
    }
}

fn renew(worker: u8, from: u8, to: u8) -> MembersInput {
    MembersInput::Renew { worker: worker_id(worker), from: [from; 32], to: [to; 32] }
}

fn remove(worker: u8, revoke: bool) -> MembersInput {
    MembersInput::RemoveWorker { worker: worker_id(worker), revoke }
}

fn joined(out: &Outbox) -> &MemberRecord {
    match reply(out) {
        Reply::Joined(member) => member,
        other => panic!("it has not joined: {other:?}"),
    }
}

fn refused(out: &Outbox) -> &Refusal {
    assert_eq!((&out.records, &out.notices), (&Vec::new(), &Vec::new()), "a refusal changes nothing");
    match reply(out) {
        Reply::Refused(refusal) => refusal,
        other => panic!("it is not refused: {other:?}"),
    }
}

fn token(it: &Stage, number: u8) -> &TokenRecord {
    it.core.ledger().token(token_id(number)).expect("the token is there")
}

#[test]
fn a_use_goes_with_the_member_in_one_step() {
    let mut it = Stage::new();
    it.ask(create(1, 2, HOUR_MS));
    let out = it.ask(join(7, 1, 70));
    let member = joined(&out).clone();
    let [Record::Token(token), Record::Member(kept)] = out.records.as_slice() else { panic!("{out:?}") };
    assert_eq!((token.used, kept), (1, &member));
    assert_eq!((member.id, member.key, member.token), (worker_id(7), [70; 32], token_id(1)));
    assert_eq!((member.name.as_str(), member.joined_ms), ("worker-7", WALL_MS));
    assert_eq!((member.labels, member.namespaces), (labels(), vec![Namespace::named("vision")]));
    assert_eq!(out.notices, [Notice::Token(token_id(1)), Notice::Member(worker_id(7))]);
}

#[test]
fn as_many_join_as_may_and_whoever_is_late_is_told_by_whom_it_was_used_up() {
    let mut it = Stage::new();
    it.ask(create(1, 2, HOUR_MS));
    for worker in [3, 4] {
        it.now_ms += 5;
        joined(&it.ask(join(worker, 1, worker)));
    }
    let by = Some(("worker-4".to_owned(), WALL_MS + 10));
    assert_eq!(refused(&it.ask(join(5, 1, 5))), &Refusal::TokenUsedUp { by });
    assert_eq!(token(&it, 1).used, 2);
}

#[test]
fn a_token_without_a_number_of_uses_is_never_used_up() {
    let mut it = Stage::new();
    it.ask(create(1, 0, 0));
    (0..20).for_each(|worker| drop(joined(&it.ask(join(worker, 1, worker))).clone()));
    assert_eq!(token(&it, 1).used, 20);
}

#[test]
fn whoever_asks_again_with_its_key_is_answered_again_and_burns_nothing() {
    let mut it = Stage::new();
    it.ask(create(1, 1, 1_000));
    let first = joined(&it.ask(join(7, 1, 70))).clone();
    // The answer was lost; by now the token is used up, and has expired.
    it.now_ms += 5_000;
    let again = it.ask(join(7, 1, 70));
    assert_eq!(joined(&again), &first);
    assert_eq!(again.records, []);
    let mut it = it.restart(2);
    assert_eq!(joined(&it.ask(join(7, 1, 70))), &first);
}

#[test]
fn with_another_token_it_joins_anew_and_has_what_that_one_says() {
    let mut it = Stage::new();
    it.ask(create(1, 1, 0));
    it.ask(create(2, 1, 0));
    it.ask(join(7, 1, 70));
    it.now_ms += 9;
    let again = joined(&it.ask(join(7, 2, 70))).clone();
    assert_eq!((again.token, again.joined_ms), (token_id(2), WALL_MS + 9));
    assert_eq!(token(&it, 2).used, 1);
}

#[test]
fn an_unknown_token_and_a_wrong_secret_look_alike() {
    let mut it = Stage::new();
    it.ask(create(1, 1, 0));
    assert_eq!(refused(&it.ask(join(7, 2, 70))), &Refusal::NoSuchToken);
    let mut wrong = join(7, 1, 70);
    if let MembersInput::Join { secret, .. } = &mut wrong {
        secret[31] ^= 1;
    }
    assert_eq!(refused(&it.ask(wrong.clone())), &Refusal::NoSuchToken);
    it.ask(join(7, 1, 70));
    assert_eq!(refused(&it.ask(wrong)), &Refusal::NoSuchToken, "not even a member is answered without the secret");
    let nothing = MembersInput::Join {
        token: token_id(9),
        secret: [0; 32],
        worker: worker_id(1),
        key: [1; 32],
        name: String::new(),
    };
    assert_eq!(refused(&it.ask(nothing)), &Refusal::NoSuchToken);
}

#[test]
fn a_token_is_good_until_its_end_and_for_ever_if_it_has_none() {
    let mut it = Stage::new();
    it.ask(create(1, 0, 1_000));
    it.ask(create(2, 0, 0));
    it.now_ms += 999;
    joined(&it.ask(join(1, 1, 1)));
    it.now_ms += 1;
    assert_eq!(refused(&it.ask(join(2, 1, 2))), &Refusal::TokenExpired { expired_ms: WALL_MS + 1_000 });
    it.now_ms += 1_000 * HOUR_MS;
    joined(&it.ask(join(3, 2, 3)));
}

#[test]
fn nobody_joins_with_a_persons_token() {
    let mut it = Stage::new();
    it.ask(persons(1));
    assert_eq!(refused(&it.ask(join(7, 1, 70))), &Refusal::NotForJoining);
}

#[test]
fn an_id_and_a_key_are_one_workers() {
    let mut it = Stage::new();
    it.ask(create(1, 0, 0));
    it.ask(join(7, 1, 70));
    assert_eq!(refused(&it.ask(join(7, 1, 71))), &Refusal::WorkerIsAnother(worker_id(7)));
    assert_eq!(refused(&it.ask(join(8, 1, 70))), &Refusal::WorkerIsAnother(worker_id(8)));
    it.ask(join(8, 1, 80));
    assert_eq!(refused(&it.ask(renew(8, 80, 70))), &Refusal::WorkerIsAnother(worker_id(8)));
}

#[test]
fn nobody_takes_over_the_id_of_a_worker_that_is_here_without_being_a_member() {
    let mut it = Stage::new();
    it.ask(create(1, 0, 0));
    it.join(7, 1);
    assert_eq!(refused(&it.ask(join(7, 1, 70))), &Refusal::WorkerIsAnother(worker_id(7)), "and no use is burned");
    joined(&it.ask(join(8, 1, 80)));
    it.join(8, 1);
    it.ask(create(2, 0, 0));
    assert_eq!(joined(&it.ask(join(8, 2, 80))).token, token_id(2), "a member that is here joins again");
}

#[test]
fn what_joining_would_do_is_told_before_it_is_done() {
    let mut it = Stage::new();
    let applicant = |worker: u8| Applicant {
        token: token_id(1),
        secret: [1; 32],
        worker: worker_id(worker),
        key: [worker; 32],
        name: String::new(),
    };
    let look = |it: &Stage, worker| it.core.look_at_joining(WALL_MS, &applicant(worker));
    assert_eq!(look(&it, 1), Err(Refusal::NoSuchToken));
    it.ask(create(1, 1, 0));
    assert_eq!(look(&it, 1), Ok(Joining::Anew));
    it.ask(join(1, 1, 1));
    assert_eq!(look(&it, 1), Ok(Joining::Again));
    assert!(matches!(look(&it, 2), Err(Refusal::TokenUsedUp { .. })));
}

#[test]
fn a_renewed_key_replaces_the_older_one_when_it_is_shown() {
    let mut it = Stage::new();
    it.ask(create(1, 0, 0));
    it.ask(join(7, 1, 70));
    let keys = |it: &Stage| it.core.ledger().member(worker_id(7)).map(|member| (member.key, member.previous_key));
    assert_eq!(it.ask(renew(7, 70, 70)).records, [], "the same key is nothing new");
    assert_eq!(it.ask(renew(7, 70, 71)).notices, [Notice::Member(worker_id(7))]);
    assert_eq!(keys(&it), Some(([71; 32], Some([70; 32]))));
    // The answer was lost: it comes with the older one again, and has made another.
    it.ask(renew(7, 70, 72));
    assert_eq!(keys(&it), Some(([72; 32], Some([70; 32]))));
    assert_eq!(refused(&it.ask(renew(7, 71, 71))), &Refusal::WorkerIsAnother(worker_id(7)));
    it.ask(renew(7, 72, 72));
    assert_eq!(keys(&it), Some(([72; 32], None)));
    assert_eq!(refused(&it.ask(renew(7, 70, 70))), &Refusal::WorkerIsAnother(worker_id(7)));
    assert!(it.core.ledger().member_of_key(&[70; 32]).is_none());
    assert_eq!(refused(&it.ask(renew(8, 80, 80))), &Refusal::NoSuchWorker(worker_id(8)));
}

#[test]
fn a_revoked_worker_is_out_its_work_goes_elsewhere_and_nobody_is_blamed() {
    let mut it = Stage::new();
    it.ask(create(1, 0, 0));
    it.ask(join(1, 1, 10));
    it.join(1, 1);
    let held = only(&it.submit(1, spec(&[map()]), 1));
    it.deploy("find", longshore_core::ServicePlan { shards: 1, replicas: 1, merges: 0 }, 1);
    it.join(2, 1);
    let out = it.ask(remove(1, true));
    assert_eq!(reply(&out), &Reply::WorkerRemoved { worker: worker_id(1), name: "worker-1".to_owned() });
    assert!(out.records.contains(&Record::WorkerGone(worker_id(1))));
    assert!(!out.records.iter().any(|record| matches!(record, Record::Trouble(_))), "{out:?}");
    assert_eq!(
        given(&out).iter().map(|(worker, it)| (*worker, it.item)).collect::<Vec<_>>(),
        [(worker_id(2), held.item)]
    );
    assert_eq!(told(&out).len(), 1);
    assert!(!it.core.knows(worker_id(1), life(1)));
    assert!(it.core.ledger().member(worker_id(1)).is_some_and(MemberRecord::is_revoked));
}

#[test]
fn a_revoked_worker_does_not_come_back() {
    let mut it = Stage::new();
    it.ask(create(1, 0, 0));
    it.ask(join(1, 1, 10));
    it.ask(remove(1, true));
    let out = it.join(1, 1);
    assert_eq!((out.orders, out.records), (Vec::new(), Vec::new()));
    assert!(!it.core.knows(worker_id(1), life(1)));
    let out = Refusal::WorkerRevoked(worker_id(1));
    assert_eq!(refused(&it.ask(join(1, 1, 10))), &out);
    assert_eq!(refused(&it.ask(join(1, 1, 11))), &out);
    assert_eq!(refused(&it.ask(renew(1, 10, 10))), &out);
    assert_eq!(
        refused(&it.ask(join(2, 1, 10))),
        &Refusal::WorkerRevoked(worker_id(2)),
        "its key is out, whatever its id"
    );
    let mut it = it.restart(2);
    assert_eq!(refused(&it.ask(renew(1, 10, 10))), &out);
    assert_eq!(it.ask(remove(1, true)).records, [], "it is out already");
}

#[test]
fn only_what_is_gone_is_taken_off_the_list() {
    let mut it = Stage::new();
    it.ask(create(1, 0, 0));
    it.ask(join(1, 1, 10));
    it.join(1, 1);
    assert_eq!(refused(&it.ask(remove(1, false))), &Refusal::WorkerIsHere(worker_id(1)));
    it.goodbye(1);
    let out = it.ask(remove(1, false));
    assert_eq!(
        (&out.records[..], &out.notices[..]),
        (&[Record::MemberGone(worker_id(1))][..], &[Notice::Member(worker_id(1))][..])
    );
    assert!(it.core.ledger().member_of_key(&[10; 32]).is_none());
    assert_eq!(refused(&it.ask(remove(1, false))), &Refusal::NoSuchWorker(worker_id(1)));
    joined(&it.ask(join(1, 1, 11)));
}

#[test]
fn a_worker_that_never_joined_is_not_revoked() {
    let mut it = Stage::new();
    it.join(1, 1);
    for revoke in [false, true] {
        assert_eq!(refused(&it.ask(remove(1, revoke))), &Refusal::WorkerIsNoMember(worker_id(1)));
    }
}

#[test]
fn a_revoked_worker_is_not_waited_for_after_a_start() {
    let mut it = Stage::new();
    it.ask(create(1, 0, 0));
    it.ask(join(1, 1, 10));
    it.join(1, 1);
    let mut it = it.restart(2);
    it.submit(1, spec(&[map()]), 1);
    assert!(given(&it.join(2, 1)).is_empty(), "another may be running it");
    let out = it.ask(remove(1, true));
    assert!(out.records.contains(&Record::WorkerGone(worker_id(1))));
    assert_eq!(given(&out).len(), 1, "nobody is waited for any more");
}

#[test]
fn tokens_that_are_removed_are_gone_at_once_and_all_or_none() {
    let mut it = Stage::new();
    for token in 1..=3 {
        it.ask(create(token, 0, 0));
        it.now_ms += 10;
    }
    it.ask(join(7, 1, 70));
    let some = |tokens: &[u8], made_before_ms| MembersInput::RemoveTokens {
        tokens: tokens.iter().copied().map(token_id).collect(),
        made_before_ms,
        whose: TokensOf::Everybody,
    };
    assert_eq!(refused(&it.ask(some(&[1, 9], 0))), &Refusal::NoSuchToken);
    let out = it.ask(some(&[3], WALL_MS + 10));
    assert_eq!(out.records, [Record::TokenGone(token_id(1)), Record::TokenGone(token_id(3))]);
    assert_eq!(out.notices, [Notice::Token(token_id(1)), Notice::Token(token_id(3))]);
    assert!(matches!(reply(&out), Reply::TokensRemoved(removed) if removed.len() == 2));
    assert_eq!(refused(&it.ask(join(8, 1, 80))), &Refusal::NoSuchToken);
    assert!(it.core.ledger().member(worker_id(7)).is_some(), "whoever has joined stays");
}

#[test]
fn of_older_tokens_those_that_are_meant_go() {
    for (whose, gone) in
        [(TokensOf::Everybody, vec![1, 2, 3]), (TokensOf::Workers, vec![1, 3]), (TokensOf::People, vec![2, 3])]
    {
        let mut it = Stage::new();
        it.ask(create(1, 0, 0));
        it.ask(persons(2));
        it.now_ms += 10;
        it.ask(create(3, 0, 0));
        let out = it.ask(MembersInput::RemoveTokens { tokens: vec![token_id(3)], made_before_ms: WALL_MS + 10, whose });
        let gone: Vec<Record> = gone.into_iter().map(|token| Record::TokenGone(token_id(token))).collect();
        assert_eq!(out.records, gone, "{whose:?}");
    }
}

#[test]
fn a_rotated_token_says_the_same_lives_as_long_and_the_older_one_ends_soon() {
    let mut it = Stage::new();
    it.ask(create(1, 1, 2 * HOUR_MS));
    it.ask(join(7, 1, 70));
    it.now_ms += HOUR_MS;
    let rotate = |token, new, overlap_ms| MembersInput::RotateToken {
        token: token_id(token),
        overlap_ms,
        new: (token_id(new), [new; 32]),
    };
    let out = it.ask(rotate(1, 2, 1_000));
    let Reply::TokenMade(made) = reply(&out) else { panic!("{out:?}") };
    assert_eq!((&made.terms, made.used, made.id), (&token(&it, 1).terms, 0, token_id(2)));
    assert_eq!((made.created_ms, made.expires_ms), (WALL_MS + HOUR_MS, WALL_MS + 3 * HOUR_MS));
    assert_eq!(token(&it, 1).expires_ms, WALL_MS + HOUR_MS + 1_000);
    assert_eq!(out.notices, [Notice::Token(token_id(1)), Notice::Token(token_id(2))]);
    it.ask(rotate(2, 3, 900 * HOUR_MS));
    assert_eq!(token(&it, 2).expires_ms, WALL_MS + 3 * HOUR_MS, "never later than it would have");
    it.ask(create(4, 0, 0));
    it.ask(rotate(4, 5, 0));
    assert!(token(&it, 4).has_expired(WALL_MS + it.now_ms) && token(&it, 5).expires_ms == 0);
    assert_eq!(refused(&it.ask(rotate(9, 10, 0))), &Refusal::NoSuchToken);
    assert_eq!(refused(&it.ask(rotate(5, 4, 0))), &Refusal::TokenExists(token_id(4)));
}

#[test]
fn an_id_is_not_given_twice() {
    let mut it = Stage::new();
    it.ask(create(1, 1, 0));
    assert_eq!(refused(&it.ask(persons(1))), &Refusal::TokenExists(token_id(1)));
}

#[test]
fn a_token_is_known_for_a_day_after_its_end_and_then_forgotten() {
    let mut it = Stage::new();
    assert_eq!(it.core.next_deadline_ms(), None);
    it.ask(create(1, 0, 0));
    assert_eq!(it.core.next_deadline_ms(), None, "what lives for ever is not looked after");
    it.ask(create(2, 0, HOUR_MS / 2));
    it.now_ms += HOUR_MS / 2;
    it.ask(create(3, 0, 900 * HOUR_MS));
    assert_eq!(it.core.next_deadline_ms(), Some(HOUR_MS), "another token puts nothing off");
    it.now_ms -= HOUR_MS / 2;
    for _ in 0..24 {
        assert_eq!(it.wait(HOUR_MS).records, []);
    }
    assert!(matches!(refused(&it.ask(join(7, 2, 70))), Refusal::TokenExpired { .. }));
    // A tick between looks forgets nothing, and puts nothing off.
    assert_eq!(it.wait(HOUR_MS / 2).records, []);
    let out = it.wait(HOUR_MS / 2);
    assert_eq!((out.records, out.notices), (vec![Record::TokenGone(token_id(2))], vec![Notice::Token(token_id(2))]));
    assert_eq!(refused(&it.ask(join(7, 2, 70))), &Refusal::NoSuchToken);
    assert_eq!(it.core.next_deadline_ms(), Some(26 * HOUR_MS), "there is another that expires");
}

#[test]
fn after_a_start_tokens_are_looked_after_again() {
    let mut it = Stage::new();
    it.ask(create(2, 0, HOUR_MS));
    it.now_ms += 30 * HOUR_MS;
    let mut it = it.restart(2);
    assert_eq!(it.core.next_deadline_ms(), Some(31 * HOUR_MS));
    assert_eq!(it.wait(HOUR_MS).records, [Record::TokenGone(token_id(2))]);
}

#[test]
fn a_rotated_token_that_lived_for_ever_is_looked_after() {
    let mut it = Stage::new();
    it.ask(create(1, 0, 0));
    let new = (token_id(2), [2; 32]);
    it.ask(MembersInput::RotateToken { token: token_id(1), overlap_ms: 5, new });
    assert_eq!(it.core.next_deadline_ms(), Some(HOUR_MS));
}
