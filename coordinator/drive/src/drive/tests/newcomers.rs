//! Whoever waits for the place of another: many at once, behind slow disks, and as members that are none any more.

use std::collections::BTreeMap;

use longshore_core::{MemberRecord, TokenId};

use super::{
    lives::{copy, is_admitted, met, pinged},
    *,
};
use crate::ANSWER_MS;

#[test]
fn an_answer_to_an_earlier_ping_refuses_whoever_waits_by_then() {
    let mut drive = drive();
    let first = met(&mut drive);
    for link in 3..20 {
        drive.hello(at(10 + link), copy(link), hello());
    }
    assert_eq!(pinged(&mut drive), first + 17);
    drive.word(at(800), peer(1), Word::Pong(first + 18));
    assert_eq!(drive.turns(), [], "nobody has asked that yet");
    drive.word(at(810), peer(1), Word::Pong(first));
    assert_eq!(drive.turns(), [Turn::Refuse(copy(19))]);
    assert!(!is_admitted(&mut drive, 10 + ANSWER_MS, copy(19)));
}

#[test]
fn an_answer_to_what_was_asked_before_anybody_waited_is_none() {
    let mut drive = drive();
    let first = met(&mut drive);
    drive.word(at(20), peer(1), Word::Pong(first));
    drive.hello(at(30), copy(3), hello());
    drive.turns();
    drive.word(at(40), peer(1), Word::Pong(first));
    assert_eq!(drive.turns(), []);
    drive.word(at(50), peer(1), Word::Pong(first + 1));
    assert_eq!(drive.turns(), [Turn::Refuse(copy(3))]);
}

#[test]
fn a_life_that_comes_back_has_as_long_again_to_answer_but_not_again_and_again() {
    let mut drive = drive();
    met(&mut drive);
    for (link, now_ms) in [(3, 1_000), (4, 2_000)] {
        drive.hello(at(now_ms), peer(link), hello());
        settle(&mut drive);
        drive.tick(at(now_ms));
        drive.turns();
    }
    assert!(!is_admitted(&mut drive, 999 + ANSWER_MS, copy(2)));
    assert!(is_admitted(&mut drive, 1_000 + ANSWER_MS, copy(2)));
}

#[test]
fn nobody_is_silent_who_cannot_have_been_asked_yet() {
    let mut drive = drive();
    drive.hello(at(1), peer(1), hello());
    assert!(matches!(drive.advance(), Next::Keep(_)), "its welcome waits for the disk");
    drive.hello(at(10), copy(2), hello());
    drive.turns();
    assert!(!is_admitted(&mut drive, 3_000 + ANSWER_MS, copy(2)));
    drive.kept();
    assert_eq!(drive.next_tick_ms(), Some(0), "it has left: that has to be noted");
    drive.tick(at(3_000 + ANSWER_MS));
    let due_ms = 3_000 + 2 * ANSWER_MS;
    assert!(!is_admitted(&mut drive, due_ms - 1, copy(2)));
    assert!(is_admitted(&mut drive, due_ms, copy(2)));
}

fn member(revoked_ms: u64) -> MemberRecord {
    MemberRecord {
        id: WORKER,
        key: [1; 32],
        previous_key: None,
        name: "one".to_owned(),
        labels: BTreeMap::new(),
        namespaces: Vec::new(),
        joined_ms: 1,
        token: TokenId([1; 5]),
        revoked_ms,
    }
}

/// What becomes of the hello of a worker that is that member.
fn turns_of(record: Option<MemberRecord>, is_member: bool) -> Vec<Turn> {
    let settings = Settings { reunion_ms: 0, ..Settings::default() };
    let core = Core::load(1, settings, at(0), record.map(Record::Member));
    let mut drive: TestDrive = Drive::new(core, at(0), Everything::default(), Inputs::default(), Rules::default());
    drive.hello(at(1), peer(1), Hello { is_member, ..hello() });
    let turns = drive.turns();
    assert_eq!(drive.links().speaks(WORKER, LinkId(1)), turns == [Turn::Admit(peer(1))]);
    turns
}

#[test]
fn whoever_is_shut_out_between_its_hello_and_its_turn_is_told_so() {
    assert_eq!(turns_of(Some(member(0)), true), [Turn::Admit(peer(1))]);
    assert_eq!(turns_of(Some(member(5)), true), [Turn::Bar(peer(1))]);
    assert_eq!(turns_of(None, true), [Turn::Bar(peer(1))], "it was removed");
    assert_eq!(turns_of(None, false), [Turn::Admit(peer(1))]);
}
