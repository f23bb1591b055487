//! A job and how far it is: what its records add up to.

use std::collections::BTreeMap;

use crate::{
    attempts::Trouble,
    ids::ItemKey,
    record::{JobRecord, OutcomeRecord},
    stages::{Before, ItemState, Source, Stage, StageSpec},
};

/// A job and how far it is.
#[derive(Debug, PartialEq, Eq)]
pub struct Job {
    /// As kept.
    pub record: JobRecord,
    stages: Vec<Stage>,
    troubles: BTreeMap<(u16, u64), Trouble>,
}

impl Job {
    pub(crate) fn new(record: JobRecord) -> Self {
        let inputs = std::iter::once(record.inputs).chain(std::iter::repeat(0));
        let stages = record.spec.stages.iter().zip(inputs);
        let stages = stages.map(|(spec, inputs)| Stage::with_room(spec.kind.rules().room(inputs))).collect();
        Self { record, stages, troubles: BTreeMap::new() }
    }

    pub(crate) fn apply_outcome(&mut self, outcome: &OutcomeRecord) {
        let at = usize::from(outcome.item.stage);
        let Some(stage) = self.stages.get_mut(at) else {
            return;
        };
        let state = if outcome.success { ItemState::Succeeded } else { ItemState::Failed };
        stage.set(outcome.item.index, state);
        if outcome.success && outcome.outputs > 0 && self.has_children(at) {
            self.stages[at + 1].add_children(outcome.item.index, outcome.first_child, outcome.outputs);
        }
    }

    pub(crate) fn apply_outcome_gone(&mut self, item: &ItemKey) {
        if let Some(stage) = self.stages.get_mut(usize::from(item.stage)) {
            stage.set(item.index, ItemState::Pending);
        }
    }

    pub(crate) fn apply_trouble(&mut self, item: &ItemKey, trouble: Trouble) {
        self.troubles.insert((item.stage, item.index), trouble);
    }

    pub(crate) fn apply_trouble_gone(&mut self, item: &ItemKey) {
        self.troubles.remove(&(item.stage, item.index));
    }

    /// Whether each output of stage `at` is an item of the one after it.
    #[must_use]
    pub(crate) fn has_children(&self, at: usize) -> bool {
        self.spec(at + 1).is_some_and(|next| next.kind.rules().has_children())
    }

    pub(crate) fn spec(&self, at: usize) -> Option<&StageSpec> {
        self.record.spec.stages.get(at)
    }

    /// How far stage `at` is.
    #[must_use]
    pub fn stage(&self, at: usize) -> Option<&Stage> {
        self.stages.get(at)
    }

    /// How many stages it has.
    #[must_use]
    pub fn stage_count(&self) -> usize {
        self.stages.len()
    }

    /// How far the stages before stage `at` are.
    fn before(&self, at: usize) -> Before {
        let mut before = Before { ended: true, failed: 0 };
        for (spec, stage) in self.record.spec.stages.iter().zip(&self.stages).take(at) {
            let rules = spec.kind.rules();
            before.ended = before.ended && rules.is_final(before) && stage.ended() == rules.items(stage.room(), before);
            before.failed += stage.failed();
        }
        before
    }

    /// Items stage `at` has by now; 0 when there is no such stage.
    #[must_use]
    pub fn items(&self, at: usize) -> u64 {
        let (Some(spec), Some(stage)) = (self.spec(at), self.stages.get(at)) else {
            return 0;
        };
        spec.kind.rules().items(stage.room(), self.before(at))
    }

    /// Whether stage `at` gets no further items.
    #[must_use]
    pub fn is_final(&self, at: usize) -> bool {
        self.spec(at).is_none_or(|spec| spec.kind.rules().is_final(self.before(at)))
    }

    /// Where the input of an existing item of stage `at` is.
    #[must_use]
    pub fn source(&self, at: usize, index: u64) -> Option<Source> {
        Some(self.spec(at)?.kind.rules().source(self.stages.get(at)?.parent(index)))
    }

    /// Where an item stands, if the stage it names exists.
    #[must_use]
    pub(crate) fn state(&self, item: &ItemKey) -> Option<ItemState> {
        Some(self.stages.get(usize::from(item.stage))?.state(item.index))
    }

    /// Failed items, over all stages in order.
    pub(crate) fn failed_items(&self) -> impl Iterator<Item = ItemKey> {
        let job = self.record.id;
        (0_u16..)
            .zip(&self.stages)
            .flat_map(move |(stage, state)| state.failed_items().map(move |index| ItemKey { job, stage, index }))
    }

    /// How many items failed, over all stages.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.before(self.stages.len()).failed
    }

    /// Whether nothing is left to run.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.before(self.stages.len()).ended
    }

    pub(crate) fn trouble(&self, item: &ItemKey) -> Option<Trouble> {
        self.troubles.get(&(item.stage, item.index)).copied()
    }
}
