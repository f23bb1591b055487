//! What a search finds, and in what order.

use std::cmp::Ordering;

use merger_sdk::Partial;
use serde::{Deserialize, Serialize};

/// Most documents in an answer.
pub const HITS_MAX: usize = 10;

/// One document that has words of the query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    /// Its path below the shard's data.
    pub file: String,
    /// How many different words of the query it has.
    pub words: u32,
    /// How often it has them, together.
    pub count: u64,
    /// A line of the text around the first of them.
    pub snippet: String,
}

impl Hit {
    /// Better ones first. Everything is compared, so that equal means the same.
    pub(super) fn rank(&self, other: &Self) -> Ordering {
        let better = (other.words, other.count).cmp(&(self.words, self.count));
        better.then_with(|| (&self.file, &self.snippet).cmp(&(&other.file, &other.snippet)))
    }
}

/// At most [`HITS_MAX`] hits, the best first, also when it comes from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Hit>")]
pub struct Ranking(Vec<Hit>);

impl From<Vec<Hit>> for Ranking {
    fn from(mut hits: Vec<Hit>) -> Self {
        hits.sort_unstable_by(Hit::rank);
        hits.truncate(HITS_MAX);
        Self(hits)
    }
}

impl Ranking {
    /// The hits, the best first.
    pub fn hits(&self) -> &[Hit] {
        &self.0
    }
}

/// What was found, in one shard or several.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Found {
    /// How many documents have any of the words.
    pub matching: u64,
    /// How many documents were searched.
    pub searched: u64,
    /// The best of them.
    pub hits: Ranking,
}

impl Partial for Found {
    fn merge(&mut self, other: Self) {
        self.matching = self.matching.saturating_add(other.matching);
        self.searched = self.searched.saturating_add(other.searched);
        let mut hits = std::mem::take(&mut self.hits.0);
        hits.extend(other.hits.0);
        self.hits = Ranking::from(hits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use merger_sdk::laws;
    use proptest::prelude::*;

    fn hit() -> impl Strategy<Value = Hit> {
        // Few values, so that ties and equal hits are common.
        (0..4_u8, 1..3_u32, 1..4_u64, 0..2_u8).prop_map(|(file, words, count, snippet)| Hit {
            file: file.to_string(),
            words,
            count,
            snippet: snippet.to_string(),
        })
    }

    fn found() -> impl Strategy<Value = Found> {
        let hits = proptest::collection::vec(hit(), 0..2 * HITS_MAX).prop_map(Ranking::from);
        (any::<u64>(), any::<u64>(), hits).prop_map(|(matching, searched, hits)| Found { matching, searched, hits })
    }

    proptest! {
        #[test]
        fn found_keeps_the_laws(a in found(), b in found(), c in found()) {
            laws::hold(&a, &b, &c).map_err(|broken| TestCaseError::fail(broken.to_string()))?;
        }

        #[test]
        fn the_best_of_all_shards_are_the_best_of_each(hits in proptest::collection::vec(hit(), 0..60), shards in 1..5_usize) {
            let of = |hits: Vec<Hit>| Found { hits: hits.into(), ..Found::default() };
            let mut merged = Found::default();
            for shard in 0..shards {
                merged.merge(of(hits.iter().skip(shard).step_by(shards).cloned().collect()));
            }
            prop_assert_eq!(merged, of(hits));
        }
    }

    #[test]
    fn more_words_beat_more_occurrences() {
        let hit = |file: &str, words, count| Hit { file: file.into(), words, count, snippet: String::new() };
        let ranking = Ranking::from(vec![hit("c", 1, 9), hit("b", 2, 2), hit("a", 1, 9), hit("d", 2, 3)]);
        let files: Vec<_> = ranking.hits().iter().map(|hit| hit.file.as_str()).collect();
        assert_eq!(files, ["d", "b", "a", "c"]);
    }

    #[test]
    fn a_ranking_from_elsewhere_is_put_in_order_and_cut() {
        let hits: Vec<_> =
            (0..99).map(|count| Hit { file: "a".into(), words: 1, count, snippet: String::new() }).collect();
        let ranking: Ranking = serde_json::from_str(&serde_json::to_string(&hits).unwrap()).unwrap();
        assert_eq!(ranking.hits().len(), HITS_MAX);
        assert_eq!(ranking.hits()[0].count, 98);
    }
}
