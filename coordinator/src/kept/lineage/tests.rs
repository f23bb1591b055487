//! Whatever order things were committed in, they are walked in the order of their inputs.

use std::collections::BTreeMap;

use longshore_core::OutcomeRecord;
use longshore_store::{Batch, Epoch, MemoryDisk, Store};
use proptest::{collection::vec, prelude::*};

use super::*;

const JOB: JobId = JobId([3; 16]);

/// An item by its descent: its root, then which output each time.
type Descent = Vec<u64>;

/// How many outputs items leave, by their stage and descent: nothing means that they fail.
type Leaves = fn(usize, &Descent) -> Option<u64>;

/// A job of so many map stages, whose items were committed in some order.
struct Run {
    reader: Arc<dyn Reader>,
    stages: Vec<StageSpec>,
    /// The items of each stage, by their numbers.
    numbered: Vec<Vec<Descent>>,
}

impl Run {
    /// `turns` decide whose turn it is among those that wait, over and over, and how many are kept together.
    fn of(stages: usize, roots: u64, leaves: Leaves, turns: &[usize]) -> Self {
        let mut store = MemoryDisk::new().open();
        let mut turns = turns.iter().copied().chain(std::iter::once(0)).cycle();
        let mut numbered: Vec<Vec<Descent>> = vec![Vec::new(); stages];
        numbered[0] = (0..roots).map(|root| vec![root]).collect();
        let mut waiting: Vec<(usize, u64)> = (0..roots).map(|root| (0, root)).collect();
        while !waiting.is_empty() {
            let mut together = Vec::new();
            for _ in 0..turns.next().unwrap_or_default() % 300 + 1 {
                if waiting.is_empty() {
                    break;
                }
                let (stage, index) = waiting.swap_remove(turns.next().unwrap_or_default() % waiting.len());
                let descent = numbered[stage][usize::try_from(index).unwrap()].clone();
                let Some(outputs) = leaves(stage, &descent) else { continue };
                let item = ItemKey { job: JOB, stage: u16::try_from(stage).unwrap(), index };
                let mut record = OutcomeRecord::ended(item, true, detail(&descent));
                record.outputs = outputs;
                if let Some(next) = numbered.get_mut(stage + 1) {
                    record.first_child = next.len() as u64;
                    for ordinal in 0..outputs {
                        waiting.push((stage + 1, next.len() as u64));
                        next.push([&descent[..], &[ordinal]].concat());
                    }
                }
                together.push(record);
            }
            let mut batch = Batch::new();
            outcomes::put(&mut batch, together);
            store.commit(Epoch::default(), &batch).unwrap();
        }
        Self { reader: store.reader(), stages: vec![StageSpec::default(); stages], numbered }
    }

    fn successes(&self, at: usize, roots: Vec<Range<u64>>) -> Vec<(u64, Bytes)> {
        let at = u16::try_from(at).unwrap();
        successes(Arc::clone(&self.reader), (JOB, &self.stages), at, roots).map(Result::unwrap).collect()
    }

    fn items(&self, at: usize, roots: Vec<Range<u64>>) -> Vec<Descendant> {
        let at = u16::try_from(at).unwrap();
        items(Arc::clone(&self.reader), (JOB, &self.stages), at, roots).map(Result::unwrap).collect()
    }

    /// The items of a stage in order of descent, with their numbers.
    fn wanted(&self, at: usize, roots: &[Range<u64>]) -> Vec<(Descent, u64)> {
        let sorted: BTreeMap<_, _> = self.numbered[at].iter().cloned().zip(0..).collect();
        let of = |range: &Range<u64>| {
            let range = range.clone();
            sorted.iter().filter(move |(descent, _)| range.contains(&descent[0])).map(|(d, n)| (d.clone(), *n))
        };
        roots.iter().flat_map(of).collect()
    }
}

fn detail(descent: &Descent) -> Vec<u8> {
    format!("{descent:?}").into_bytes()
}

/// None to two outputs each, and some fail.
fn some(stage: usize, descent: &Descent) -> Option<u64> {
    let sum = descent.iter().sum::<u64>() + stage as u64;
    (sum % 11 != 5).then_some(sum % 3)
}

fn one(_: usize, _: &Descent) -> Option<u64> {
    Some(1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_order_of_commits_changes_nothing(
        turns in vec(0..10_000_usize, 1..60),
        roots in 0..600_u64,
        ranges in vec((0..800_u64, 0..400_u64), 0..4),
    ) {
        let run = Run::of(3, roots, some, &turns);
        let ranges: Vec<_> = ranges.into_iter().map(|(from, count)| from..from + count).collect();
        for (at, roots) in (0..3).flat_map(|at| [(at, vec![ALL]), (at, ranges.clone())]) {
            let wanted = run.wanted(at, &roots);
            let succeeded = wanted.iter().filter(|(descent, _)| some(at, descent).is_some());
            let succeeded: Vec<_> = succeeded.map(|(descent, index)| (*index, Bytes::from(detail(descent)))).collect();
            prop_assert_eq!(run.successes(at, roots.clone()), succeeded);
            if at > 0 {
                let items = run.items(at, roots);
                prop_assert_eq!(items.iter().map(|item| item.index).collect::<Vec<_>>(),
                    wanted.iter().map(|(_, index)| *index).collect::<Vec<_>>());
                for (item, (descent, _)) in items.iter().zip(&wanted) {
                    let (parent, ordinal) = item.parent.unwrap();
                    let parent = &run.numbered[at - 1][usize::try_from(parent).unwrap()];
                    prop_assert_eq!([&parent[..], &[ordinal]].concat(), descent.clone());
                }
            }
        }
    }
}

#[test]
fn items_begin_anew_at_a_gather_stage() {
    let (map, gather) = (
        StageSpec::default(),
        StageSpec {
            kind: longshore_core::StageKind::Gather { require: longshore_core::Require::All },
            ..StageSpec::default()
        },
    );
    let stages = [map.clone(), map.clone(), gather.clone(), map.clone(), map, gather];
    let roots: Vec<_> = (0..6).map(|at| root_stage(&stages, at)).collect();
    assert_eq!(roots, [0, 0, 2, 2, 2, 5]);
    assert_eq!((root_stage(&[], 0), root_stage(&stages[..1], 9)), (0, 9));
}

#[test]
fn roots_themselves_are_the_numbers_that_were_asked_for() {
    let run = Run::of(1, 3, one, &[0]);
    let items = run.items(0, vec![1..3, 7..8]);
    assert_eq!(
        items.iter().map(|item| (item.index, item.parent)).collect::<Vec<_>>(),
        [(1, None), (2, None), (7, None)]
    );
}

#[test]
fn a_walk_over_few_of_many_reads_few() {
    struct Counting(Arc<dyn Reader>, std::sync::atomic::AtomicUsize);
    impl Reader for Counting {
        fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, longshore_store::ReadError> {
            self.0.get(key)
        }
        fn scan(
            &self,
            prefix: &[u8],
            after: Option<&[u8]>,
            limit: usize,
        ) -> Result<Vec<longshore_store::Entry>, longshore_store::ReadError> {
            self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            self.0.scan(prefix, after, limit)
        }
    }
    // One after the other, so that numbers are as roots are.
    let run = Run::of(2, 20_000, one, &[299]);
    let counting = Arc::new(Counting(Arc::clone(&run.reader), 0.into()));
    let reads = |roots: Vec<Range<u64>>| {
        counting.1.store(0, std::sync::atomic::Ordering::Relaxed);
        let reader: Arc<dyn Reader> = Arc::clone(&counting) as _;
        let found = successes(reader, (JOB, &run.stages), 1, roots).count();
        (found, counting.1.load(std::sync::atomic::Ordering::Relaxed))
    };
    let (found, looked) = reads(vec![9_000..9_010, 19_000..19_001]);
    assert!(found == 11 && looked <= 30, "{found} {looked}");
    let (found, looked) = reads(vec![ALL]);
    // Each block of each stage once, and that nothing comes after.
    assert!(found == 20_000 && looked <= 2 * (20_000 / 256 + 2) + 200, "{found} {looked}");
}

#[test]
fn what_cannot_be_read_ends_a_walk() {
    let mut store = MemoryDisk::new().open();
    let mut batch = Batch::new();
    let item = ItemKey { job: JOB, stage: 0, index: 4 };
    batch.put(super::super::keys::item_key(super::super::keys::BUNDLE, &item), b"\xff".to_vec());
    store.commit(Epoch::default(), &batch).unwrap();
    let stages = [StageSpec::default(), StageSpec::default()];
    let mut walk = successes(store.reader(), (JOB, &stages), 1, vec![ALL]);
    assert!(walk.next().unwrap().is_err() && walk.next().is_none());
    let mut walk = items(store.reader(), (JOB, &stages), 1, vec![ALL]);
    assert!(walk.next().unwrap().is_err() && walk.next().is_none());
}
