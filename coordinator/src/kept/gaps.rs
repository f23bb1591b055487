//! What a walk by lineage did not find: roots of which something failed or was filtered, or which are not there.

use std::ops::Range;

/// So many are remembered one by one: as many as a gather is told of.
const MOST: usize = 1_000;

/// One root of which not everything came through, and the first that did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    pub root: u64,
    /// The stage in which it ended.
    pub stage: u16,
    /// Its number there.
    pub index: u64,
    /// It ended well: there was nothing in it.
    pub filtered: bool,
}

/// Those of a walk, in order of their roots.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    pub count: u64,
    pub first: Vec<Gap>,
    last_root: Option<u64>,
}

impl Gaps {
    /// One more, unless its root was added last.
    pub fn add(&mut self, gap: Gap) {
        if self.last_root.replace(gap.root) != Some(gap.root) {
            self.count += 1;
            if self.first.len() < MOST {
                self.first.push(gap);
            }
        }
    }

    /// Neighbouring roots that have not succeeded themselves. Of ranges without an end nobody can say so.
    pub fn add_roots(&mut self, stage: u16, roots: Range<u64>) {
        if roots.is_empty() || roots.end == u64::MAX {
            return;
        }
        let room = (MOST - self.first.len()) as u64;
        for root in roots.start..roots.end.min(roots.start.saturating_add(room)) {
            self.first.push(Gap { root, stage, index: root, filtered: false });
        }
        self.count += roots.end - roots.start;
        self.last_root = Some(roots.end - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(root: u64) -> Gap {
        Gap { root, stage: 1, index: 9, filtered: true }
    }

    #[test]
    fn a_root_counts_once_and_all_are_counted_though_few_are_named() {
        let mut gaps = Gaps::default();
        gaps.add(gap(3));
        gaps.add(gap(3));
        gaps.add_roots(0, 4..6);
        gaps.add_roots(0, 6..u64::MAX);
        assert_eq!((gaps.count, gaps.first.iter().map(|gap| gap.root).collect::<Vec<_>>()), (3, vec![3, 4, 5]));
        gaps.add_roots(0, 10..10_000_010);
        assert_eq!((gaps.count, gaps.first.len()), (10_000_003, MOST));
    }
}
