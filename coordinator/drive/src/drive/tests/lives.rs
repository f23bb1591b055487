//! One life of a worker at a time, and leases that run from what has arrived.

use super::*;
use crate::{ANSWER_MS, presence::LOOK_MS};

const COPY: Incarnation = Incarnation([2; 16]);

pub(super) fn copy(link: u64) -> Peer {
    Peer { incarnation: COPY, ..peer(link) }
}

/// The first life is there, on link 1, and a copy of it says hello on link 2; answers the ping.
pub(super) fn met(drive: &mut TestDrive) -> u64 {
    drive.hello(at(1), peer(1), hello());
    assert_eq!(drive.turns(), [Turn::Admit(peer(1))]);
    settle(drive);
    drive.hello(at(10), copy(2), hello());
    assert_eq!((drive.core().life(WORKER), drive.links().of(WORKER)), (Some(LIFE), Some(LinkId(1))));
    pinged(drive)
}

pub(super) fn pinged(drive: &mut TestDrive) -> u64 {
    match drive.turns()[..] {
        [.., Turn::Ping(_, ping)] => ping,
        ref other => panic!("nobody is asked: {other:?}"),
    }
}

/// Whether that is the link that speaks, some moments later.
pub(super) fn is_admitted(drive: &mut TestDrive, now_ms: u64, peer: Peer) -> bool {
    passes(drive, now_ms);
    let admitted = drive.turns().contains(&Turn::Admit(peer));
    assert_eq!(admitted, drive.links().speaks(WORKER, peer.link));
    assert_eq!(admitted, drive.core().knows(WORKER, peer.incarnation));
    admitted
}

fn beat(drive: &mut TestDrive, now_ms: u64, number: u64, answered: u64) -> Heard {
    drive.word(at(now_ms), peer(1), Word::Heartbeat(Beat { number, answered })).0
}

#[test]
fn another_life_is_refused_when_the_one_that_is_there_answers() {
    let mut drive = drive();
    let ping = met(&mut drive);
    drive.word(at(11), peer(1), Word::Pong(ping + 1));
    assert_eq!(drive.turns(), [], "that was no answer");
    drive.word(at(12), peer(1), Word::Pong(ping));
    assert_eq!(drive.turns(), [Turn::Refuse(copy(2))]);
    assert!(!is_admitted(&mut drive, 10 + ANSWER_MS, copy(2)));
    assert!(drive.ended(at(5_000), copy(2)).is_empty());
    assert_eq!(drive.links().of(WORKER), Some(LinkId(1)));
}

#[test]
fn another_life_takes_over_when_no_answer_comes_in_time() {
    let mut drive = drive();
    let ping = met(&mut drive);
    assert!(!is_admitted(&mut drive, 9 + ANSWER_MS, copy(2)));
    assert!(is_admitted(&mut drive, 10 + ANSWER_MS, copy(2)));
    assert_eq!(drive.word(at(3_000), peer(1), Word::Pong(ping)).0, Heard::Replaced, "too late");
    assert!(matches!(orders_of(&settle(&mut drive), 2)[0], Order::Welcome { .. }));
}

#[test]
fn another_life_takes_over_when_the_link_of_the_one_that_was_there_ends() {
    let mut drive = drive();
    met(&mut drive);
    drive.ended(at(20), peer(1));
    assert!(is_admitted(&mut drive, 20, copy(2)));
}

#[test]
fn another_life_takes_over_when_the_one_that_was_there_leaves() {
    let mut drive = drive();
    met(&mut drive);
    drive.word(at(20), peer(1), Word::Goodbye);
    assert!(is_admitted(&mut drive, 20, copy(2)));
}

#[test]
fn nobody_is_asked_who_has_no_link_or_no_lease() {
    let mut drive = drive();
    drive.hello(at(1), peer(1), hello());
    drive.ended(at(2), peer(1));
    drive.hello(at(3), copy(2), hello());
    assert!(is_admitted(&mut drive, 3, copy(2)), "a restart is in at once");
    let late = 4 + Settings::default().lease_ms;
    passes(&mut drive, late);
    drive.hello(at(late), peer(3), hello());
    assert!(is_admitted(&mut drive, late, peer(3)));
}

#[test]
fn a_lease_that_runs_out_ends_the_waiting() {
    let mut drive = drive();
    drive.hello(at(1), peer(1), hello());
    let last = 1 + Settings::default().lease_ms;
    passes(&mut drive, last);
    drive.hello(at(last), copy(2), hello());
    drive.turns();
    assert!(is_admitted(&mut drive, last + 1, copy(2)));
}

#[test]
fn the_same_life_on_a_new_link_is_in_at_once_and_asked_there() {
    let mut drive = drive();
    let first = met(&mut drive);
    drive.hello(at(20), peer(3), hello());
    let turns = drive.turns();
    assert_eq!(turns, [Turn::Admit(peer(3)), Turn::Ping(peer(3), first + 1)]);
    drive.word(at(21), peer(3), Word::Pong(first));
    assert_eq!(drive.turns(), [], "it was asked that on another link");
    drive.word(at(22), peer(3), Word::Pong(first + 1));
    assert_eq!(drive.turns(), [Turn::Refuse(copy(2))]);
}

#[test]
fn the_newest_waits_but_no_longer_than_the_first_would_have() {
    let mut drive = drive();
    met(&mut drive);
    drive.hello(at(1_000), copy(3), hello());
    assert!(
        matches!(drive.turns()[..], [Turn::Replace(it), Turn::Ping(asked, _)] if (it, asked) == (copy(2), peer(1)))
    );
    drive.ended(at(1_001), copy(2));
    assert!(is_admitted(&mut drive, 10 + ANSWER_MS, copy(3)));
}

#[test]
fn whoever_hangs_up_is_not_let_in() {
    let mut drive = drive();
    met(&mut drive);
    drive.ended(at(20), copy(2));
    assert!(!is_admitted(&mut drive, 10 + ANSWER_MS, copy(2)));
    assert_eq!(drive.newcomers().count(), 0);
}

#[test]
fn a_lease_runs_from_the_newest_answer_that_is_known_to_have_arrived() {
    let lease_ms = Settings::default().lease_ms;
    let mut drive = drive();
    drive.hello(at(0), peer(1), hello());
    assert_eq!(beat(&mut drive, 1_000, 1, 0), Heard::Told);
    assert_eq!(drive.turns()[1..], [Turn::Answer(peer(1), 1)]);
    assert_eq!(beat(&mut drive, 2_000, 2, 1), Heard::Told);
    // Nothing arrives any more, but the worker goes on being heard.
    for number in 3..12 {
        assert_eq!(beat(&mut drive, number * 1_000 - 500, number, 1), Heard::Told);
    }
    passes(&mut drive, 1_000 + lease_ms);
    assert!(drive.core().knows(WORKER, LIFE));
    passes(&mut drive, 1_001 + lease_ms);
    assert!(!drive.core().knows(WORKER, LIFE));
    assert_eq!(beat(&mut drive, 14_000, 13, 12), Heard::Unknown);
}

#[test]
fn what_was_answered_on_an_earlier_link_proves_nothing_and_numbers_nobody_gave_neither() {
    let lease_ms = Settings::default().lease_ms;
    let mut drive = drive();
    drive.hello(at(0), peer(1), hello());
    beat(&mut drive, 1_000, 7, 0);
    drive.hello(at(2_000), peer(2), hello());
    passes(&mut drive, 3_000);
    for answered in [7, 8, u64::MAX] {
        drive.word(at(3_000), peer(2), Word::Heartbeat(Beat { number: 1, answered }));
    }
    passes(&mut drive, 2_001 + lease_ms);
    assert!(!drive.core().knows(WORKER, LIFE));
}

#[test]
fn a_worker_that_does_not_count_its_heartbeats_is_heard_as_before() {
    let lease_ms = Settings::default().lease_ms;
    let mut drive = drive();
    drive.hello(at(0), peer(1), hello());
    drive.turns();
    passes(&mut drive, 3_000);
    drive.turns();
    drive.word(at(3_000), peer(1), Word::Heartbeat(OLD));
    assert_eq!(drive.turns(), [], "and not answered");
    passes(&mut drive, 3_000 + lease_ms);
    assert!(drive.core().knows(WORKER, LIFE));
}

#[test]
fn an_answer_to_a_ping_prolongs_the_lease_from_when_it_was_asked() {
    let lease_ms = Settings::default().lease_ms;
    let mut drive = drive();
    let ping = met(&mut drive);
    drive.word(at(500), peer(1), Word::Pong(ping));
    passes(&mut drive, 10 + lease_ms);
    assert!(drive.core().knows(WORKER, LIFE));
    passes(&mut drive, 11 + lease_ms);
    assert!(!drive.core().knows(WORKER, LIFE));
}

#[test]
fn nobody_was_silent_while_the_driver_itself_was_away() {
    let lease_ms = Settings::default().lease_ms;
    let mut drive = drive();
    drive.hello(at(0), peer(1), hello());
    assert_eq!(drive.next_tick_ms(), Some(LOOK_MS), "it looks at the clock as long as somebody has a lease");
    drive.tick(at(LOOK_MS));
    // It is stopped for ten leases.
    let back_ms = LOOK_MS + 10 * lease_ms;
    drive.tick(at(back_ms));
    assert!(drive.core().knows(WORKER, LIFE));
    // All but one look of it counts for nothing.
    let over_ms = back_ms + lease_ms - 2 * LOOK_MS;
    passes(&mut drive, over_ms);
    assert!(drive.core().knows(WORKER, LIFE));
    passes(&mut drive, over_ms + 1);
    assert!(!drive.core().knows(WORKER, LIFE));
}

#[test]
fn whoever_waits_waits_on_when_the_driver_was_away() {
    let mut drive = drive();
    met(&mut drive);
    drive.tick(at(60_000));
    assert!(!drive.links().speaks(WORKER, LinkId(2)), "the first could not be heard meanwhile");
    assert_eq!(drive.newcomers().next(), Some((copy(2), 59_000 + ANSWER_MS)));
    assert!(is_admitted(&mut drive, 59_000 + ANSWER_MS, copy(2)));
}

#[test]
fn time_goes_on_when_nobody_has_a_link() {
    let mut drive = drive();
    submit(&mut drive, at(1));
    drive.hello(at(1), peer(1), hello());
    drive.ended(at(1), peer(1));
    drive.tick(at(2 + Settings::default().lease_ms));
    assert!(!drive.core().knows(WORKER, LIFE));
}
