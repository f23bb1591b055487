//! The memory of queries: that there is never more, that all go on, and that it is given back.

use proptest::prelude::*;
use tokio::task::{JoinSet, yield_now};

use super::*;

const MIB: u64 = 1 << 20;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(1)
}

#[tokio::test(start_paused = true)]
async fn queries_that_all_grow_go_on_one_after_the_other_and_none_fails() {
    let memory = Memory::new(64 * MIB);
    let began = Instant::now();
    let mut queries = JoinSet::new();
    for number in 0..20 {
        let account = memory.account("").of(["a", "b", "c"][number % 3]);
        let memory = Arc::clone(&memory);
        queries.spawn(async move {
            let mut held = Vec::new();
            for _ in 0..6 {
                held.push(account.hold(5 * MIB, soon()).await.unwrap());
                assert!(memory.used() <= 64 * MIB, "{}", memory.used());
                yield_now().await;
            }
        });
    }
    while let Some(done) = queries.join_next().await {
        done.unwrap();
    }
    assert_eq!(began.elapsed(), Duration::ZERO, "nobody waited for anybody who waited");
    let state = memory.lock();
    assert_eq!((state.used, state.groups.len(), state.first), (0, 0, None));
}

#[tokio::test(start_paused = true)]
async fn answers_that_nobody_reads_are_bounded_and_whoever_finds_no_room_is_told() {
    let memory = Memory::new(256 * MIB);
    let (mut unread, mut told) = (Vec::new(), 0);
    for _ in 0..24 {
        let account = memory.account("").of("a");
        match account.hold(60 * MIB, soon()).await {
            Ok(held) => unread.push(held.keep(Bytes::from_static(b"an answer"))),
            Err(NoMemory::Now { .. }) => told += 1,
            Err(never) => panic!("{never}"),
        }
    }
    assert_eq!((unread.len(), told), (2, 22), "half of what is shared, and the first");
    let other = memory.account("").of("b");
    assert!(other.hold_now(4 * MIB).is_ok(), "another service finds room");
    drop(unread);
    assert_eq!(memory.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_query_has_half_at_most_and_is_told_that_waiting_is_no_use() {
    let memory = Memory::new(64 * MIB);
    let account = memory.account("").of("a");
    let held = account.hold(32 * MIB, soon()).await.unwrap();
    assert!(matches!(account.hold(1, soon()).await, Err(NoMemory::Ever { most }) if most == 32 * MIB));
    drop(held);
    assert!(account.hold(1, soon()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_is_cut_from_held_bytes_holds_them_to_the_last() {
    let memory = Memory::new(64 * MIB);
    let account = memory.account("").of("a");
    let outstanding = account.outstanding();
    let mut bytes = account.hold_now(10).unwrap().keep(Bytes::from_static(b"0123456789"));
    drop(account);
    let end = bytes.split_off(9);
    drop(bytes);
    assert_eq!(memory.used(), 10);
    assert!(timeout_at(soon(), outstanding.gone()).await.is_err());
    drop(end);
    outstanding.gone().await;
    assert_eq!(memory.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_body_waits_like_everybody_and_whoever_has_gone_takes_nothing() {
    let memory = Memory::new(64 * MIB);
    let full = memory.account("").of("a");
    let (one, other) = (full.hold_now(16 * MIB).unwrap(), full.hold_now(16 * MIB).unwrap());
    let body = memory.account("somebody");
    assert!(body.hold_now(MIB).is_err());
    let waits = tokio::spawn({
        let body = body.lent();
        async move { body.hold(MIB, soon()).await.map(|held| held.bytes()) }
    });
    yield_now().await;
    drop(timeout_at(Instant::now(), body.hold(MIB, soon())).await);
    drop((one, other, full));
    assert_eq!(waits.await.unwrap(), Ok(MIB));
    assert_eq!(memory.used(), 0);
}

proptest! {
    #[test]
    fn there_is_never_more_than_the_limit_and_all_is_given_back(
        steps in prop::collection::vec((0..6_usize, 0..40_u64, any::<bool>()), 0..300)
    ) {
        let memory = Memory::new(64);
        let fresh = |number: usize| memory.account("body").of(["a", "b", "c"][number % 3]);
        let mut queries: Vec<(Account, Vec<Held>)> = (0..6).map(|number| (fresh(number), Vec::new())).collect();
        for (number, bytes, takes) in steps {
            let (account, held) = &mut queries[number];
            if takes {
                held.extend(account.hold_now(bytes).ok());
            } else if bytes % 2 == 0 {
                held.pop();
            } else {
                *account = fresh(number);
            }
            let sum: u64 = queries.iter().flat_map(|(_, held)| held).map(Held::bytes).sum();
            prop_assert_eq!(sum, memory.used());
            prop_assert!(sum <= 64);
        }
        drop(queries);
        let state = memory.lock();
        prop_assert_eq!((state.used, state.groups.len(), state.first), (0, 0, None));
    }
}
