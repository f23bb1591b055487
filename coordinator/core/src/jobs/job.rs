//! A job and how far it is: what its records add up to.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::gatherings::gatherings;
use crate::{
    attempts::Trouble,
    fit::Needs,
    ids::{Digest, ItemKey},
    record::{ImageRecord, JobRecord},
    stages::{Before, Gathering, ItemState, Source, Stage, StageSpec, Status},
};

/// A job and how far it is.
#[derive(Debug, PartialEq, Eq)]
pub struct Job {
    /// As kept.
    pub record: JobRecord,
    pub(super) stages: Vec<Stage>,
    /// Those stages that gather, in order.
    pub(super) gatherings: Vec<Gathering>,
    troubles: BTreeMap<(u16, u64), Trouble>,
    images: BTreeMap<u16, Digest>,
    /// How often failed items were tried, where that is not as often as their stage says.
    pub(super) tries: BTreeMap<(u16, u64), u32>,
    /// By stage what attempts need after their memory has grown once, twice, ….
    grown: Vec<Vec<Arc<Needs>>>,
    /// Items that were given up for what went away under them.
    pub(super) given_up: BTreeSet<(u16, u64)>,
}

impl Job {
    pub(crate) fn new(record: JobRecord) -> Self {
        let gatherings = gatherings(record.spec.stages.iter().map(|spec| spec.kind), record.inputs);
        let room = |at: usize| {
            let gathering = gatherings.iter().find(|gathering| gathering.at == at);
            gathering.map_or(if at == 0 { record.inputs } else { 0 }, Gathering::len)
        };
        let stages = (0..record.spec.stages.len()).map(|at| Stage::with_room(room(at))).collect();
        let grown = record.spec.stages.iter().map(StageSpec::grown).collect();
        let (troubles, images, tries, given_up) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { record, stages, gatherings, troubles, images, tries, grown, given_up }
    }

    pub(crate) fn apply_trouble(&mut self, item: &ItemKey, trouble: Trouble) {
        self.troubles.insert((item.stage, item.index), trouble);
    }

    pub(crate) fn apply_image(&mut self, image: &ImageRecord) {
        self.images.insert(image.stage, image.digest);
    }

    /// Which image the runs of stage `at` are of, where workers have agreed on that.
    #[must_use]
    pub fn image(&self, at: usize) -> Option<Digest> {
        self.images.get(&u16::try_from(at).ok()?).copied()
    }

    /// Whether there is such a stage and nothing was agreed on for it.
    pub(crate) fn lacks_image(&self, at: usize) -> bool {
        self.spec(at).is_some() && self.image(at).is_none()
    }

    pub(crate) fn apply_trouble_gone(&mut self, item: &ItemKey) {
        self.troubles.remove(&(item.stage, item.index));
    }

    /// Whether each output of stage `at` is an item of the one after it.
    #[must_use]
    pub(crate) fn has_children(&self, at: usize) -> bool {
        self.spec(at + 1).is_some_and(|next| next.kind.has_children())
    }

    /// Whether it ended though items of it may not have: a retry goes on with those.
    #[must_use]
    pub fn was_cut_short(&self) -> bool {
        self.record.state.was_cut_short() || self.record.cut.is_some()
    }

    pub(crate) fn spec(&self, at: usize) -> Option<&StageSpec> {
        self.record.spec.stages.get(at)
    }

    /// What an attempt at the item needs of a worker: what its stage says, or more, where its memory has grown.
    #[must_use]
    pub fn needs_of(&self, item: &ItemKey) -> Option<&Arc<Needs>> {
        self.needs(item.stage.into(), self.growths(item.stage.into(), item.index))
    }

    /// What attempts of stage `at` need once memory has grown so often.
    pub(crate) fn needs(&self, at: usize, growths: usize) -> Option<&Arc<Needs>> {
        let steps = self.grown.get(at)?;
        match growths.min(steps.len()).checked_sub(1) {
            Some(step) => steps.get(step),
            None => self.spec(at)?.needs.as_ref(),
        }
    }

    /// How often the memory of items of stage `at` may grow.
    pub(crate) fn most_growths(&self, at: usize) -> usize {
        self.grown.get(at).map_or(0, Vec::len)
    }

    /// How often that of an item has grown.
    pub(crate) fn growths(&self, at: usize, index: u64) -> usize {
        let most = self.most_growths(at);
        if most == 0 {
            return 0;
        }
        let trouble = u16::try_from(at).ok().and_then(|stage| self.troubles.get(&(stage, index)));
        trouble.map_or(0, |trouble| (trouble.growths as usize).min(most))
    }

    /// How often a failed item was tried; 0: not known.
    pub(crate) fn tries(&self, item: &ItemKey) -> u32 {
        let most = self.spec(item.stage.into()).map_or(0, |spec| spec.attempts);
        self.tries.get(&(item.stage, item.index)).copied().unwrap_or(most)
    }

    /// How far stage `at` is.
    #[must_use]
    pub fn stage(&self, at: usize) -> Option<&Stage> {
        self.stages.get(at)
    }

    /// How far all stages are, in order.
    pub(crate) fn stages(&self) -> impl Iterator<Item = &Stage> {
        self.stages.iter()
    }

    /// How many stages it has.
    #[must_use]
    pub fn stage_count(&self) -> usize {
        self.stages.len()
    }

    /// How far the stages before stage `at` are.
    fn before(&self, at: usize) -> Before {
        // While failed items are still being put back, nothing is complete.
        let mut before = Before { ended: self.unready().is_none(), failed: 0 };
        for (at, stage) in self.stages.iter().enumerate().take(at) {
            before.ended = before.ended && stage.ended() == self.items(at);
            before.failed += stage.failed();
        }
        before
    }

    /// Items stage `at` has by now; 0 when there is no such stage.
    #[must_use]
    pub fn items(&self, at: usize) -> u64 {
        match self.gathering(at) {
            Some(gathering) => gathering.counts().there,
            None => self.stages.get(at).map_or(0, Stage::items),
        }
    }

    /// All items of stage `at` have smaller indices than that. Not each smaller index is an item's, see [`Job::has`].
    #[must_use]
    pub fn bound(&self, at: usize) -> u64 {
        self.stages.get(at).map_or(0, Stage::room)
    }

    /// Whether stage `at` has an item of that index by now.
    #[must_use]
    pub fn has(&self, at: usize, index: u64) -> bool {
        let there = self.stages.get(at).is_some_and(|it| index < it.room() && it.state(index) != ItemState::Withdrawn);
        there && self.gathering(at).is_none_or(|gathering| gathering.status(index) == Status::There)
    }

    /// Whether stage `at` has an item of that index which has not ended.
    #[must_use]
    pub(crate) fn is_open(&self, at: usize, index: u64) -> bool {
        self.has(at, index) && self.stages[at].state(index) == ItemState::Pending
    }

    /// Whether stage `at` gets no further items.
    #[must_use]
    pub fn is_final(&self, at: usize) -> bool {
        self.before(at).ended
    }

    /// Where the input of an existing item of stage `at` is.
    #[must_use]
    pub fn source(&self, at: usize, index: u64) -> Option<Source> {
        Some(self.spec(at)?.kind.source(self.stages.get(at)?.parent(index)))
    }

    /// Where an item stands, if the stage it names exists.
    #[must_use]
    pub(crate) fn state(&self, item: &ItemKey) -> Option<ItemState> {
        Some(self.stages.get(usize::from(item.stage))?.state(item.index))
    }

    /// The stage and index from which on failed items are still to be put back, while it is being retried.
    fn unready(&self) -> Option<(u16, u64)> {
        self.record.retried.as_ref().and_then(|retried| retried.next)
    }

    /// How many of the first of these items of stage `at` may be given out as far as a retry is concerned: those before the first
    /// that it has not come to.
    fn ready(&self, at: usize, items: u64) -> u64 {
        match self.unready() {
            Some((stage, index)) if at == usize::from(stage) && self.gathering(at).is_none() => items.min(index),
            Some((stage, _)) if at >= usize::from(stage) => 0,
            _ => items,
        }
    }

    /// Items of stage `at` that may be given out as far as a retry is concerned.
    pub(crate) fn ready_items(&self, at: usize) -> u64 {
        self.ready(at, self.items(at))
    }

    /// Their indices are smaller than that.
    pub(crate) fn ready_bound(&self, at: usize) -> u64 {
        self.ready(at, self.bound(at))
    }

    /// How many items there are by now that have not ended, over all stages.
    #[must_use]
    pub fn unended(&self) -> u64 {
        (0..self.stages.len()).map(|at| self.items(at).saturating_sub(self.stages[at].ended())).sum()
    }

    /// Items that were given up for what went away under them, in order.
    pub fn given_up(&self) -> impl ExactSizeIterator<Item = ItemKey> {
        let job = self.record.id;
        self.given_up.iter().map(move |(stage, index)| ItemKey { job, stage: *stage, index: *index })
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

    /// Whether the item is to run alone, so that it shows whether workers go down by its fault.
    pub(crate) fn is_suspect(&self, at: usize, index: u64) -> bool {
        let trouble = u16::try_from(at).ok().and_then(|stage| self.troubles.get(&(stage, index)));
        trouble.zip(self.spec(at)).is_some_and(|(trouble, spec)| trouble.losses.are_suspicious(spec.most_losses()))
    }

    pub(crate) fn trouble(&self, item: &ItemKey) -> Option<&Trouble> {
        self.troubles.get(&(item.stage, item.index))
    }
}
