//! Partial results that are there already, and what is made of others: each keeps the laws if what it is made of does.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::partial::Partial;

/// A number of something, added up; at most [`u64::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Total(pub u64);

impl Partial for Total {
    fn merge(&mut self, other: Self) {
        self.0 = self.0.saturating_add(other.0);
    }
}

/// The greatest `MOST` of something, the greatest first. What is equal has to be the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<T>", bound(deserialize = "T: Ord + Deserialize<'de>"))]
pub struct Best<T, const MOST: usize>(Vec<T>);

impl<T, const MOST: usize> Best<T, MOST> {
    /// The greatest first.
    pub fn items(&self) -> &[T] {
        &self.0
    }
}

impl<T, const MOST: usize> Default for Best<T, MOST> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Ord, const MOST: usize> From<Vec<T>> for Best<T, MOST> {
    fn from(mut items: Vec<T>) -> Self {
        items.sort_unstable_by(|a, b| b.cmp(a));
        items.truncate(MOST);
        Self(items)
    }
}

impl<T, const MOST: usize> Partial for Best<T, MOST>
where
    T: Ord + Serialize + DeserializeOwned + Send + 'static,
{
    fn merge(&mut self, other: Self) {
        let mut items = std::mem::take(&mut self.0);
        items.extend(other.0);
        *self = Self::from(items);
    }
}

/// One after the other, in the order of shards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed<T>(pub Vec<T>);

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Serialize + DeserializeOwned + Send + 'static> Partial for Listed<T> {
    const COMMUTATIVE: bool = false;

    fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

/// Both, each for itself. There is enough when there is of both.
impl<A: Partial, B: Partial> Partial for (A, B) {
    const COMMUTATIVE: bool = A::COMMUTATIVE && B::COMMUTATIVE;

    fn merge(&mut self, other: Self) {
        self.0.merge(other.0);
        self.1.merge(other.1);
    }

    fn is_enough(&self) -> bool {
        self.0.is_enough() && self.1.is_enough()
    }
}

/// Name by name. Only of keys that JSON can have as names: texts and whole numbers.
impl<K, P> Partial for BTreeMap<K, P>
where
    K: Ord + Serialize + DeserializeOwned + Send + 'static,
    P: Partial,
{
    const COMMUTATIVE: bool = P::COMMUTATIVE;

    fn merge(&mut self, other: Self) {
        for (key, partial) in other {
            self.entry(key).or_default().merge(partial);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::laws;
    use crate::partial::{Coverage, Covered};

    /// All of them in one: names, pairs, the best, totals and lists, with how complete it is.
    type Everything = Covered<BTreeMap<u8, (Best<u8, 3>, (Total, Listed<u8>))>>;

    /// What has no order.
    type Unordered = Covered<BTreeMap<String, (Best<(u8, String), 2>, Total)>>;

    fn coverage() -> impl Strategy<Value = Coverage> {
        (0..1_000_u32, 0..1_000_u32).prop_map(|(a, b)| Coverage::new(a.max(b), a.min(b)).unwrap())
    }

    fn everything() -> impl Strategy<Value = Everything> {
        let best = proptest::collection::vec(0..9_u8, 0..6).prop_map(Best::from);
        let listed = proptest::collection::vec(any::<u8>(), 0..4).prop_map(Listed);
        let inner = (best, (any::<u64>().prop_map(Total), listed));
        (coverage(), proptest::collection::btree_map(0..4_u8, inner, 0..4))
            .prop_map(|(coverage, result)| Covered { coverage, result })
    }

    fn unordered() -> impl Strategy<Value = Unordered> {
        let best = proptest::collection::vec((0..3_u8, "[ab]"), 0..5).prop_map(Best::from);
        (coverage(), proptest::collection::btree_map("[abc]", (best, any::<u64>().prop_map(Total)), 0..4))
            .prop_map(|(coverage, result)| Covered { coverage, result })
    }

    fn held(kept: Result<(), laws::LawBroken>) -> Result<(), TestCaseError> {
        kept.map_err(|broken| TestCaseError::fail(broken.to_string()))
    }

    proptest! {
        #[test]
        fn whatever_they_are_put_together_to_keeps_the_laws(a in everything(), b in everything(), c in everything()) {
            held(laws::hold(&a, &b, &c))?;
        }

        #[test]
        fn what_claims_to_be_commutative_is(a in unordered(), b in unordered(), c in unordered()) {
            held(laws::hold(&a, &b, &c))?;
            held(laws::commutative(&a, &b))?;
        }
    }

    #[test]
    fn what_has_an_order_does_not_claim_to_have_none() {
        const { assert!(Unordered::COMMUTATIVE && !Everything::COMMUTATIVE) };
        let listed = |item: u8| Listed(vec![item]);
        assert!(laws::commutative(&listed(1), &listed(2)).is_err());
    }

    #[test]
    fn the_best_are_the_greatest_and_no_more_than_so_many_also_from_elsewhere() {
        let best: Best<u8, 2> = serde_json::from_str("[1, 9, 5]").unwrap();
        assert_eq!(best.items(), [9, 5]);
    }
}
