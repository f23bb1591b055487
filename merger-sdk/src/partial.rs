//! Partial results that know how complete they are, and the merge that follows from them.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::answer::Answer;
use crate::error::AnswerError;
use crate::merge::{Merge, MergeRequest, Part};

/// A result for some of the shards, closed under merging: merged with another it is again a result of the same kind.
///
/// Three laws must hold, or the answer would depend on the shape of the tree; [`laws`](crate::laws) tests them:
/// - *associative*: merging (a, b) with c gives what merging a with (b, c) gives;
/// - *identity*: merging with `Default::default()`, on either side, changes nothing;
/// - *commutative*, where [`COMMUTATIVE`](Partial::COMMUTATIVE) says so: the order of the two does not matter.
///
/// Floating-point sums are the usual way to break the first: add integers, or compare instead of adding.
pub trait Partial: Default + Serialize + DeserializeOwned + Send + 'static {
    /// Whether the order of merging is free. If not, parts are merged in the order of their shards, which means that
    /// they are held back until the last has come.
    const COMMUTATIVE: bool = true;

    /// Takes up another result, which covers other shards (later ones, unless the merge is commutative).
    fn merge(&mut self, other: Self);

    /// Whether no more is needed, whatever else there is to come: then a merge whose parts come as leaves answer answers at once, and
    /// the other leaves are not waited for. Only asked where the merge is commutative; merging must not undo it.
    fn is_enough(&self) -> bool {
        false
    }
}

/// How complete a result is. Coverages add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Claim")]
pub struct Coverage {
    shards: u32,
    answered: u32,
}

/// A coverage as it came from outside.
#[derive(Debug, Deserialize)]
struct Claim {
    shards: u32,
    answered: u32,
}

/// More answers than shards.
#[derive(Debug, thiserror::Error)]
#[error("a coverage of {} of {} shards", .0.answered, .0.shards)]
struct Impossible(Claim);

impl TryFrom<Claim> for Coverage {
    type Error = Impossible;

    fn try_from(claim: Claim) -> Result<Self, Impossible> {
        Self::new(claim.shards, claim.answered).ok_or(Impossible(claim))
    }
}

impl Coverage {
    /// One shard that has answered.
    pub const ONE: Self = Self { shards: 1, answered: 1 };

    /// `answered` of `shards`; `None` if that is more than there are.
    pub fn new(shards: u32, answered: u32) -> Option<Self> {
        (answered <= shards).then_some(Self { shards, answered })
    }

    /// How many shards were asked.
    pub fn shards(self) -> u32 {
        self.shards
    }

    /// How many of them are in the result.
    pub fn answered(self) -> u32 {
        self.answered
    }

    /// Every shard is in the result.
    pub fn is_complete(self) -> bool {
        self.answered == self.shards
    }

    /// The coverage of two results for different shards.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let shards = self.shards.saturating_add(other.shards);
        Self { shards, answered: self.answered.saturating_add(other.answered) }
    }

    /// The same, when at least `shards` were asked: shards that sent no part are counted here.
    #[must_use]
    pub fn out_of(self, shards: u32) -> Self {
        Self { shards: self.shards.max(shards), ..self }
    }
}

/// A partial result together with its coverage: what leaves answer and [`MergePartials`] joins.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Covered<P> {
    /// How complete the result is.
    pub coverage: Coverage,
    /// The result.
    pub result: P,
}

impl<P> Covered<P> {
    /// The result of one shard.
    pub fn one(result: P) -> Self {
        Self { coverage: Coverage::ONE, result }
    }
}

impl<P: Partial> Partial for Covered<P> {
    const COMMUTATIVE: bool = P::COMMUTATIVE;

    fn merge(&mut self, other: Self) {
        self.coverage = self.coverage.plus(other.coverage);
        self.result.merge(other.result);
    }

    fn is_enough(&self) -> bool {
        self.result.is_enough()
    }
}

/// The merge of leaves (or merges below) that answer `Covered<P>` in JSON. Its answer is one again.
///
/// When fewer parts come than the request says there are shards, the coverage shows it. A part that cannot be read
/// fails the request and is named: it is the fault of a leaf, not of the query.
#[derive(Debug)]
pub struct MergePartials<P>(PhantomData<fn() -> P>);

impl<P> MergePartials<P> {
    /// The merge of `P`.
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<P> Default for MergePartials<P> {
    fn default() -> Self {
        Self::new()
    }
}

/// The state of a [`MergePartials`].
#[derive(Debug)]
pub struct Gathered<P> {
    shards: u32,
    merged: Covered<P>,
    /// Parts whose turn comes at the end, by shard: only where the order matters.
    held: BTreeMap<u32, Covered<P>>,
}

impl<P: Partial> Merge for MergePartials<P> {
    type State = Gathered<P>;

    fn begin(&self, request: &MergeRequest) -> Gathered<P> {
        Gathered { shards: request.shards().unwrap_or(0), merged: Covered::default(), held: BTreeMap::new() }
    }

    fn add(&self, state: &mut Gathered<P>, part: Part) -> Result<(), AnswerError> {
        let unreadable =
            |error| AnswerError::Failed(format!("the part of shard {} cannot be read: {error}", part.shard));
        let covered: Covered<P> = serde_json::from_slice(&part.bytes).map_err(unreadable)?;
        if P::COMMUTATIVE {
            state.merged.merge(covered);
        } else {
            state.held.insert(part.shard, covered);
        }
        Ok(())
    }

    fn is_enough(&self, state: &Gathered<P>) -> bool {
        P::COMMUTATIVE && state.merged.is_enough()
    }

    fn finish(&self, state: Gathered<P>) -> Result<Answer, AnswerError> {
        let mut merged = state.merged;
        for covered in state.held.into_values() {
            merged.merge(covered);
        }
        if merged.coverage.answered() == 0 {
            return Err(AnswerError::BadRequest("there is no part to merge".to_owned()));
        }
        merged.coverage = merged.coverage.out_of(state.shards);
        Answer::json(&merged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::laws;

    /// Keeps the order of the shards visible.
    #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
    struct Letters(String);

    impl Partial for Letters {
        const COMMUTATIVE: bool = false;

        fn merge(&mut self, other: Self) {
            self.0.push_str(&other.0);
        }
    }

    fn part(shard: u32, json: &str) -> Part {
        Part { shard, bytes: json.to_owned().into(), content_type: None }
    }

    fn gathered(shards: u32) -> Gathered<Letters> {
        Gathered { shards, merged: Covered::default(), held: BTreeMap::new() }
    }

    #[test]
    fn what_is_not_commutative_is_merged_in_the_order_of_shards() {
        let merge = MergePartials::<Letters>::new();
        let mut state = gathered(3);
        for (shard, letter) in [(2, "c"), (0, "a"), (1, "b")] {
            let json = format!(r#"{{"coverage":{{"shards":1,"answered":1}},"result":"{letter}"}}"#);
            merge.add(&mut state, part(shard, &json)).unwrap();
        }
        let answer = merge.finish(state).unwrap();
        assert_eq!(answer.body(), r#"{"coverage":{"shards":3,"answered":3},"result":"abc"}"#);
    }

    #[test]
    fn shards_that_sent_nothing_show_in_the_coverage() {
        let merge = MergePartials::<Letters>::new();
        let mut state = gathered(5);
        merge.add(&mut state, part(0, r#"{"coverage":{"shards":2,"answered":1},"result":"a"}"#)).unwrap();
        let answer = merge.finish(state).unwrap();
        assert_eq!(answer.body(), r#"{"coverage":{"shards":5,"answered":1},"result":"a"}"#);
    }

    #[test]
    fn no_part_is_an_error_never_an_empty_answer() {
        let error = MergePartials::<Letters>::new().finish(gathered(2)).unwrap_err();
        assert!(matches!(error, AnswerError::BadRequest(_)), "{error}");
    }

    #[test]
    fn an_unreadable_part_is_named_by_its_shard() {
        let merge = MergePartials::<Letters>::new();
        for json in ["", "{", r#"{"coverage":{"shards":1,"answered":2},"result":""}"#] {
            let error = merge.add(&mut gathered(9), part(7, json)).unwrap_err();
            assert!(matches!(error, AnswerError::Failed(_)), "{error}");
            assert!(error.to_string().contains("shard 7"), "{error}");
        }
    }

    #[test]
    fn covered_results_keep_the_laws_of_what_they_cover() {
        let covered = |text: &str| Covered::one(Letters(text.to_owned()));
        laws::hold(&covered("a"), &covered("b"), &covered("c")).unwrap();
    }
}
