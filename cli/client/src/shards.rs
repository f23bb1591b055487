//! Dividing files among the shards of a service.

use std::{cmp::Reverse, collections::BinaryHeap};

/// Divides files among `shards` shards so that the shards come out about equally large.
///
/// `files` are names and sizes in bytes; the answer has one list of indexes into it per shard, each in order of name.
/// Deterministic in the set of files, not in their order: the largest file first, each to the lightest shard (Graham's
/// LPT rule: the heaviest shard weighs at most 4/3 of the best possible). Shards stay empty when there are fewer files.
pub fn divide(files: &[(&str, u64)], shards: u32) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.sort_unstable_by_key(|&i| (Reverse(files[i].1), files[i].0));
    // Lightest first; among equally light ones the one with fewest files, so that empty files are spread too.
    let mut lightest: BinaryHeap<_> = (0..shards as usize).map(|shard| Reverse((0_u64, 0_usize, shard))).collect();
    let mut divided = vec![Vec::new(); shards as usize];
    for file in order {
        let Some(Reverse((bytes, count, shard))) = lightest.pop() else {
            break;
        };
        divided[shard].push(file);
        lightest.push(Reverse((bytes.saturating_add(files[file].1), count + 1, shard)));
    }
    for shard in &mut divided {
        shard.sort_unstable_by_key(|&i| files[i].0);
    }
    divided
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_goes_first_to_the_lightest_shard() {
        let files = [("a", 5), ("b", 9), ("c", 4), ("d", 6)];
        assert_eq!(divide(&files, 2), [vec![1, 2], vec![0, 3]]);
    }

    #[test]
    fn every_file_is_in_exactly_one_shard_and_the_order_of_files_does_not_matter() {
        let names: Vec<String> = (0..100).map(|i| format!("{i:03}")).collect();
        let files: Vec<(&str, u64)> = names.iter().zip(0..).map(|(n, i)| (n.as_str(), i * 37 % 11)).collect();
        let mut turned = files.clone();
        turned.reverse();
        let by_name = |files: &[(&str, u64)]| -> Vec<Vec<String>> {
            let divided = divide(files, 7);
            let name = |&i: &usize| files[i].0.to_owned();
            divided.iter().map(|shard| shard.iter().map(name).collect()).collect()
        };
        assert_eq!(by_name(&files), by_name(&turned));
        let mut all: Vec<String> = by_name(&files).concat();
        all.sort();
        assert_eq!(all, names);
    }

    #[test]
    fn empty_files_are_spread_and_shards_may_stay_empty() {
        let files = [("a", 0), ("b", 0), ("c", 0)];
        assert_eq!(divide(&files, 4), [vec![0], vec![1], vec![2], vec![]]);
    }
}
