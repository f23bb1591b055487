//! The best items by a number in each.

use std::{cmp::Ordering, collections::BinaryHeap};

use bytes::Bytes;

use super::items::{each, number_at};

/// An item with what it is ranked by. The greater is the worse, so that the top of a heap is the one to go.
#[derive(Debug)]
pub(crate) struct Ranked {
    /// Its number, turned so that the highest is the best.
    number: f64,
    /// Its place in its part; of two equal ones the first is better.
    place: u64,
    item: Bytes,
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        other.number.total_cmp(&self.number).then(self.place.cmp(&other.place))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}

/// The best items of a part, the best first. They share its bytes.
pub(super) fn best(part: &Bytes, most: usize, by: &str, ascending: bool) -> Result<Vec<Ranked>, String> {
    let mut heap: BinaryHeap<Ranked> = BinaryHeap::new();
    let mut place = 0;
    each(part, |item| {
        let number = number_at(item, by)?.as_f64().ok_or_else(|| format!("its number at {by:?} is too large"))?;
        let ranked = Ranked { number: if ascending { -number } else { number }, place, item: Bytes::new() };
        place += 1;
        if heap.len() < most || heap.peek().is_some_and(|worst| ranked < *worst) {
            heap.push(Ranked { item: part.slice_ref(item.as_bytes()), ..ranked });
            if heap.len() > most {
                heap.pop();
            }
        }
        Ok(())
    })?;
    Ok(heap.into_sorted_vec())
}

/// The best of all parts, which come in the order of shards; of equal ones those of the first shard.
pub(super) fn best_of_all(parts: impl Iterator<Item = (u32, Vec<Ranked>)>, most: usize) -> Vec<Bytes> {
    let mut all: Vec<(u32, Ranked)> =
        parts.flat_map(|(shard, part)| part.into_iter().map(move |ranked| (shard, ranked))).collect();
    all.sort_by(|(a_shard, a), (b_shard, b)| {
        b.number.total_cmp(&a.number).then(a_shard.cmp(b_shard)).then(a.place.cmp(&b.place))
    });
    all.truncate(most);
    all.into_iter().map(|(_, ranked)| ranked.item).collect()
}
