//! The cases of the suite: each opens an empty disk through `open`, as often as it needs.

use super::model::{Step, everything};
use crate::{Batch, CommitError, Entry, Epoch, MAX_KEY_BYTES, MAX_VALUE_BYTES, Op, RESERVED, Reader, Refusal, Store};

type Open<'a> = &'a mut dyn FnMut() -> Box<dyn Store>;

/// Every case.
pub(super) const ALL: &[fn(Open<'_>)] = &[
    an_empty_store_holds_nothing,
    what_was_committed_is_there_after_opening_again,
    later_changes_of_a_key_win_within_a_batch,
    deleting_what_is_not_there_is_fine,
    a_scan_stays_within_its_prefix,
    a_scan_goes_on_where_the_last_one_stopped,
    the_largest_keys_and_values_are_kept,
    what_is_out_of_bounds_is_refused_whole,
    a_reader_sees_commits_from_another_thread,
    many_entries_in_one_batch_are_kept,
    an_epoch_rises_at_each_beginning_and_is_kept,
    a_commit_under_another_epoch_is_refused_and_leaves_everything,
];

fn ok<T, E: std::fmt::Display>(result: Result<T, E>, what: &str) -> T {
    result.unwrap_or_else(|error| panic!("{what} failed: {error}"))
}

fn commit(store: &mut dyn Store, ops: impl IntoIterator<Item = Op>) {
    ok(store.commit(Epoch::default(), &ops.into_iter().collect()), "commit");
}

fn put(key: &[u8], value: &[u8]) -> Op {
    Op::Put(key.to_vec(), value.to_vec())
}

fn delete(key: &[u8]) -> Op {
    Op::Delete(key.to_vec())
}

fn entry(key: &[u8], value: &[u8]) -> Entry {
    (key.to_vec(), value.to_vec())
}

fn an_empty_store_holds_nothing(open: Open<'_>) {
    let mut store = open();
    assert_eq!(ok(store.get(b"a"), "get"), None);
    assert_eq!(everything(&*store), []);
    ok(store.commit(Epoch::default(), &Batch::new()), "an empty commit");
    ok(store.settle(), "settle");
    drop(store);
    assert_eq!(everything(&*open()), []);
}

fn what_was_committed_is_there_after_opening_again(open: Open<'_>) {
    for round in 0..5u8 {
        let mut store = open();
        assert_eq!(everything(&*store).len(), usize::from(round));
        commit(&mut *store, [put(&[round], b"value")]);
    }
    let expected: Vec<_> = (0..5u8).map(|round| entry(&[round], b"value")).collect();
    assert_eq!(everything(&*open()), expected);
}

fn later_changes_of_a_key_win_within_a_batch(open: Open<'_>) {
    let mut store = open();
    commit(&mut *store, [put(b"old", b"0")]);
    commit(
        &mut *store,
        [put(b"a", b"1"), put(b"a", b"2"), delete(b"old"), put(b"old", b"3"), put(b"b", b"4"), delete(b"b")],
    );
    drop(store);
    assert_eq!(everything(&*open()), [entry(b"a", b"2"), entry(b"old", b"3")]);
}

fn deleting_what_is_not_there_is_fine(open: Open<'_>) {
    let mut store = open();
    commit(&mut *store, [delete(b"nothing"), put(b"a", b"")]);
    commit(&mut *store, [delete(b"a")]);
    commit(&mut *store, [delete(b"a")]);
    drop(store);
    assert_eq!(everything(&*open()), []);
}

fn a_scan_stays_within_its_prefix(open: Open<'_>) {
    let mut store = open();
    let keys: [&[u8]; 7] = [b"a", b"a\x00", b"a\xfe\xff", b"a\xff", b"a\xff\xff", b"b", b"\xfe\xff"];
    commit(&mut *store, keys.map(|key| put(key, key)));
    let scan = |prefix: &[u8], after: Option<&[u8]>| -> Vec<Vec<u8>> {
        ok(store.scan(prefix, after, 100), "scan").into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(scan(b"a", None), keys[..5]);
    assert_eq!(scan(b"a\xff", None), keys[3..5]);
    assert_eq!(scan(b"", None), keys);
    assert_eq!(scan(b"\xfe", None), keys[6..]);
    assert_eq!(scan(b"\xff", None), keys[7..]);
    assert_eq!(scan(b"a", Some(b"A")), keys[..5]);
    assert_eq!(scan(b"a", Some(b"b")), keys[7..]);
    assert_eq!(scan(b"a", Some(b"\xff\xff")), keys[7..]);
}

fn a_scan_goes_on_where_the_last_one_stopped(open: Open<'_>) {
    let mut store = open();
    let keys: Vec<Vec<u8>> = (0..250u16).map(|n| [b"k".as_slice(), &n.to_be_bytes()].concat()).collect();
    commit(&mut *store, keys.iter().map(|key| put(key, b"")));
    for limit in [1, 7, 250, 1000] {
        let (mut found, mut after): (Vec<Vec<u8>>, Option<Vec<u8>>) = (Vec::new(), None);
        loop {
            let part = ok(store.scan(b"k", after.as_deref(), limit), "scan");
            assert!(part.len() <= limit);
            let Some((last, _)) = part.last() else { break };
            after = Some(last.clone());
            found.extend(part.into_iter().map(|(key, _)| key));
        }
        assert_eq!(found, keys, "in parts of {limit}");
    }
    assert_eq!(ok(store.scan(b"k", None, 0), "scan"), []);
}

fn the_largest_keys_and_values_are_kept(open: Open<'_>) {
    let mut store = open();
    let entries: Vec<Entry> = (0..40u8).map(|n| (vec![n; MAX_KEY_BYTES], vec![!n; MAX_VALUE_BYTES])).collect();
    commit(&mut *store, entries.iter().map(|(key, value)| put(key, value)));
    drop(store);
    assert_eq!(everything(&*open()), entries);
}

fn what_is_out_of_bounds_is_refused_whole(open: Open<'_>) {
    let mut store = open();
    let bad = [
        put(b"big", &[0; MAX_VALUE_BYTES + 1]),
        put(&[b'k'; MAX_KEY_BYTES + 1], b""),
        put(b"", b"v"),
        put(&[RESERVED], b"v"),
        delete(&[RESERVED, 1]),
        delete(b""),
    ];
    for op in bad {
        let refused = store
            .commit(Epoch::default(), &Batch { ops: vec![put(b"good", b"1"), op.clone(), put(b"good too", b"1")] });
        assert!(matches!(refused, Err(CommitError::Refused(_))), "{:?} gave {refused:?}", op.key());
        assert_eq!(everything(&*store), []);
    }
    let values = (0..17_000u32).map(|n| put(&n.to_be_bytes(), &[0; MAX_VALUE_BYTES]));
    let refused = store.commit(Epoch::default(), &values.collect());
    assert!(matches!(refused, Err(CommitError::Refused(Refusal::BatchTooLarge { .. }))), "{refused:?}");
    commit(&mut *store, [put(b"a", b"1")]);
    drop(store);
    assert_eq!(everything(&*open()), [entry(b"a", b"1")]);
}

fn a_reader_sees_commits_from_another_thread(open: Open<'_>) {
    let mut store = open();
    let reader = store.reader();
    commit(&mut *store, [put(b"a", b"1"), put(b"b", b"2")]);
    let read = move || (ok(Reader::get(&*reader, b"a"), "get"), ok(reader.scan(b"b", None, 9), "scan"));
    let seen = std::thread::spawn(read).join().unwrap_or_else(|_| panic!("the reader panicked"));
    assert_eq!(seen, (Some(b"1".to_vec()), vec![entry(b"b", b"2")]));
    assert!(store.size_bytes() > 0);
}

fn many_entries_in_one_batch_are_kept(open: Open<'_>) {
    let mut store = open();
    let keys: Vec<[u8; 4]> = (0..20_000u32).map(u32::to_be_bytes).collect();
    commit(&mut *store, keys.iter().map(|key| put(key, b"some value")));
    commit(&mut *store, keys.iter().step_by(2).map(|key| delete(key)));
    drop(store);
    let kept: Vec<_> = everything(&*open()).into_iter().map(|(key, _)| key).collect();
    let expected: Vec<_> = keys.iter().skip(1).step_by(2).map(|key| key.to_vec()).collect();
    assert_eq!(kept, expected);
}

fn an_epoch_rises_at_each_beginning_and_is_kept(open: Open<'_>) {
    let mut before = Epoch::default();
    for at_least in [0, 0, 7, 3] {
        let mut store = open();
        let epoch = ok(store.begin_epoch(Epoch(at_least)), "begin an epoch");
        assert!(epoch > before && epoch >= Epoch(at_least), "{epoch} came after {before}");
        ok(store.commit(epoch, &Batch::from_iter([put(b"epoch", epoch.to_string().as_bytes())])), "commit");
        before = epoch;
        assert_eq!(everything(&*store), [entry(b"epoch", epoch.to_string().as_bytes())], "and nothing else shows");
    }
    assert_eq!(before, Epoch(8));
}

fn a_commit_under_another_epoch_is_refused_and_leaves_everything(open: Open<'_>) {
    let mut store = open();
    let old = ok(store.begin_epoch(Epoch::default()), "begin an epoch");
    ok(store.commit(old, &Batch::from_iter([put(b"a", b"1")])), "commit");
    let new = ok(store.begin_epoch(Epoch::default()), "begin an epoch");
    let change = Batch::from_iter([put(b"a", b"2"), put(b"b", b"2")]);
    for wrong in [Epoch::default(), old, new.next()] {
        let refused = store.commit(wrong, &change);
        assert!(
            matches!(&refused, Err(error @ CommitError::Fenced { epoch, current }) if error.is_fatal()
                && (*epoch, *current) == (wrong, new)),
            "{refused:?}"
        );
        assert_eq!(everything(&*store), [entry(b"a", b"1")]);
    }
    drop(store);
    let mut store = open();
    assert_eq!(everything(&*store), [entry(b"a", b"1")]);
    assert!(matches!(store.commit(old, &change), Err(CommitError::Fenced { .. })), "also after opening again");
    ok(store.commit(new, &change), "a commit under the epoch that holds");
    assert_eq!(everything(&*store), [entry(b"a", b"2"), entry(b"b", b"2")]);
}

/// A long random scenario, the same for the same seed.
pub(super) fn scenario(seed: u64) -> Vec<Step> {
    let mut random = Random(seed);
    (0..300).map(|_| step(&mut random)).collect()
}

fn step(random: &mut Random) -> Step {
    match random.below(20) {
        0 => Step::Reopen,
        1..=3 => Step::Get(key(random)),
        4..=6 => {
            let prefix = key(random)[..1].to_vec();
            let after = (random.below(2) == 0).then(|| key(random));
            Step::Scan { prefix, after, limit: random.below(50) as usize }
        }
        _ => Step::Commit((0..=random.below(60)).map(|_| op(random)).collect()),
    }
}

fn op(random: &mut Random) -> Op {
    let key = key(random);
    if random.below(3) == 0 {
        return Op::Delete(key);
    }
    let size = if random.below(10) == 0 { random.below(MAX_VALUE_BYTES as u64 + 1) } else { random.below(100) };
    Op::Put(key, vec![random.below(256) as u8; size as usize])
}

/// One of 900 keys, so that overwriting is common.
fn key(random: &mut Random) -> Vec<u8> {
    format!("{}{}", ["a", "b", "c"][random.below(3) as usize], random.below(300)).into_bytes()
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
