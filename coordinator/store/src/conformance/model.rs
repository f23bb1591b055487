//! A scenario that a store and a model both follow.

use std::{collections::BTreeMap, ops::Bound};

use crate::{Batch, Entry, Epoch, Key, Op, Store, Value};

/// One step of a scenario that a store and a model both take.
#[derive(Debug, Clone)]
pub enum Step {
    /// Commits.
    Commit(Batch),
    /// Reads one key.
    Get(Key),
    /// Scans.
    Scan {
        /// Keys begin with it.
        prefix: Key,
        /// Keys are greater.
        after: Option<Key>,
        /// At most so many.
        limit: usize,
    },
    /// Drops the store and opens it again.
    Reopen,
}

/// Follows the steps with a store and a `BTreeMap`; `open` opens the same disk each time, empty at first.
///
/// # Panics
/// When they differ, at once or after the last step.
pub fn follow(open: &mut dyn FnMut() -> Box<dyn Store>, steps: &[Step]) {
    let mut model = Model::default();
    let mut store = Some(open());
    for (number, step) in steps.iter().enumerate() {
        let current = store.as_mut().expect("put back after each step");
        match step {
            Step::Commit(batch) => {
                current
                    .commit(Epoch::default(), batch)
                    .unwrap_or_else(|error| panic!("step {number}: commit failed: {error}"));
                model.apply(batch);
            }
            Step::Get(key) => {
                let found = current.get(key).unwrap_or_else(|error| panic!("step {number}: get failed: {error}"));
                assert_eq!(found.as_ref(), model.0.get(key), "step {number}: get {key:?}");
            }
            Step::Scan { prefix, after, limit } => {
                let found = current.scan(prefix, after.as_deref(), *limit);
                let found = found.unwrap_or_else(|error| panic!("step {number}: scan failed: {error}"));
                assert_eq!(found, model.scan(prefix, after.as_deref(), *limit), "step {number}: {step:?}");
            }
            Step::Reopen => {
                drop(store.take());
                store = Some(open());
            }
        }
    }
    drop(store);
    assert_eq!(everything(&*open()), model.scan(b"", None, usize::MAX), "after opening again");
}

/// All entries.
///
/// # Panics
/// When they cannot be read.
pub fn everything(store: &dyn Store) -> Vec<Entry> {
    store.scan(b"", None, usize::MAX).unwrap_or_else(|error| panic!("scan of everything failed: {error}"))
}

#[derive(Default)]
struct Model(BTreeMap<Key, Value>);

impl Model {
    fn apply(&mut self, batch: &Batch) {
        for op in &batch.ops {
            match op {
                Op::Put(key, value) => drop(self.0.insert(key.clone(), value.clone())),
                Op::Delete(key) => drop(self.0.remove(key)),
            }
        }
    }

    /// Written the slow and obvious way on purpose.
    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<Entry> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let greater = self.0.range::<[u8], _>((from, Bound::Unbounded));
        let matching = greater.filter(|(key, _)| key.starts_with(prefix)).take(limit);
        matching.map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}
