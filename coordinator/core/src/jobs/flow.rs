//! What flows from items into the stages that gather: kept up with by every outcome, so that a group is known to be there, or
//! short, when the last of what flows into it ends.

use super::{Job, gatherings::share};
use crate::{
    ids::ItemKey,
    record::{GroupsRecord, OutcomeRecord, WithdrawnRecord},
    stages::{Change, Gathering, ItemState, Recount, Share, StageKind},
};

/// A unit, and the group of a gathering that it flows into.
#[derive(Debug, Clone, Copy)]
struct Link {
    gathering: usize,
    /// `None` when whatever changes does not change what its unit gives.
    unit: Option<u64>,
    group: u64,
}

impl Job {
    /// Makes the groups of a stage known.
    pub(crate) fn apply_groups(&mut self, record: &GroupsRecord) {
        let Some(at) = self.gatherings.iter().position(|gathering| gathering.at == usize::from(record.stage)) else {
            return;
        };
        self.gatherings[at].count_record();
        let mut first = record.first;
        for run in &record.runs {
            self.gatherings[at].push_run(first, run.group);
            if let Some(group) = run.group {
                self.add_inputs(at, group, first, run.inputs);
            }
            first = first.saturating_add(run.inputs);
        }
    }

    /// These inputs are of that group.
    fn add_inputs(&mut self, at: usize, group: u64, first: u64, inputs: u64) {
        let units = if self.gatherings[at].chained { self.units_in(at, first, inputs) } else { 0..0 };
        let mut links = Vec::new();
        self.follow(at + 1, group, &mut links);
        let before = self.shares(&links);
        let mut added = 0;
        if self.gatherings[at].chained {
            for unit in units {
                let link = Link { gathering: at, unit: Some(unit), group };
                let share = self.share(&link);
                added += self.gatherings[at - 1].inputs(unit);
                self.gatherings[at].shift(group, Share::default(), share);
            }
        } else {
            added = inputs;
            self.gatherings[at].change(group, Change { open: inputs.cast_signed(), ..Change::default() });
        }
        let added = Change { inputs: added.cast_signed(), ..Change::default() };
        self.gatherings[at].change(group, added);
        for link in &links {
            self.gatherings[link.gathering].change(link.group, added);
        }
        self.shift(&links, &before);
    }

    /// Which groups an item of stage `at` flows into; the unit only where it matters to whoever asks.
    fn links(&self, at: usize, index: u64, with_unit: bool) -> Vec<Link> {
        let mut links = Vec::new();
        let Some(gathering) = self.gatherings.iter().position(|gathering| gathering.at > at) else {
            return links;
        };
        let next = &self.gatherings[gathering];
        let unit = if next.is_of_all() && at > next.from && !with_unit {
            None
        } else {
            let Some(unit) = self.unit_of(at, index, next.from) else { return links };
            Some(unit)
        };
        match unit {
            Some(unit) => self.follow(gathering, unit, &mut links),
            None => {
                links.push(Link { gathering, unit: None, group: 0 });
                self.follow(gathering + 1, 0, &mut links);
            }
        }
        links
    }

    /// The item of stage `from` that this item is behind.
    fn unit_of(&self, mut at: usize, mut index: u64, from: usize) -> Option<u64> {
        while at > from {
            (index, _) = self.stage(at)?.parent(index)?;
            at -= 1;
        }
        Some(index)
    }

    fn follow(&self, mut gathering: usize, mut unit: u64, links: &mut Vec<Link>) {
        while let Some(next) = self.gatherings.get(gathering)
            && let Some(group) = next.group_of(unit, || self.first_input(gathering, unit))
        {
            links.push(Link { gathering, unit: Some(unit), group });
            (gathering, unit) = (gathering + 1, group);
        }
    }

    /// The first input of a unit of a gathering.
    fn first_input(&self, mut gathering: usize, mut unit: u64) -> Option<u64> {
        while self.gatherings.get(gathering)?.chained {
            gathering -= 1;
            let before = &self.gatherings[gathering];
            match before.keys() {
                Some(keys) => return keys.first_of(unit),
                None => unit = before.first_unit(unit)?,
            }
        }
        Some(unit)
    }

    /// The units of a gathering whose first input is one of these: they are in order of that.
    fn units_in(&self, gathering: usize, first: u64, inputs: u64) -> std::ops::Range<u64> {
        let below = |limit: u64| {
            let (mut low, mut high) = (0, self.gatherings[gathering - 1].len());
            while low < high {
                let middle = low.midpoint(high);
                if self.first_input(gathering, middle).is_some_and(|input| input < limit) {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            low
        };
        below(first)..below(first.saturating_add(inputs))
    }

    fn share(&self, link: &Link) -> Share {
        let gathering = &self.gatherings[link.gathering];
        let state = |unit| self.stage(gathering.from).map_or(ItemState::Pending, |stage| stage.state(unit));
        let given = |unit| share(&self.gatherings[..link.gathering], gathering, unit, state(unit));
        link.unit.map_or(Share::default(), given)
    }

    fn shares(&self, links: &[Link]) -> Vec<Share> {
        links.iter().map(|link| self.share(link)).collect()
    }

    /// Hands on what has changed since, from each gathering to the next.
    fn shift(&mut self, links: &[Link], before: &[Share]) {
        for (link, before) in links.iter().zip(before) {
            let after = self.share(link);
            self.gatherings[link.gathering].shift(link.group, *before, after);
        }
    }

    /// Changes an item, and with it what it gives to those who gather.
    fn flow(&mut self, item: &ItemKey, ended: &Ended, act: impl FnOnce(&mut Self)) {
        let at = usize::from(item.stage);
        if self.gatherings.is_empty() {
            return act(self);
        }
        let links = self.links(at, item.index, ended.failed);
        let before = self.shares(&links);
        act(self);
        if let Some(first) = links.first() {
            let gathering = &mut self.gatherings[first.gathering];
            let sign: i64 = if ended.again { -1 } else { 1 };
            let between = at > gathering.from;
            if between
                && ended.failed
                && let Some(unit) = first.unit
            {
                gathering.blame(unit, !ended.again);
            }
            let becomes_items = at + 1 < gathering.at;
            let children = if becomes_items { ended.outputs.cast_signed() } else { 0 };
            let bearing = i64::from(!becomes_items && ended.bears);
            let open = children - i64::from(between);
            gathering.change(first.group, Change { inputs: 0, open: sign * open, bearing: sign * bearing });
        }
        self.shift(&links, &before);
    }

    pub(crate) fn apply_outcome(&mut self, outcome: &OutcomeRecord) {
        let item = outcome.item;
        let at = usize::from(item.stage);
        if at >= self.stages.len() {
            return;
        }
        let (failed, outputs) = if outcome.success { (false, outcome.outputs) } else { (true, 0) };
        let ended = Ended { failed, outputs, bears: outputs > 0, again: false };
        self.flow(&item, &ended, |job| {
            match (outcome.success, outcome.filtered) {
                (true, false) => job.stages[at].succeed(item.index, outputs),
                (true, true) => job.stages[at].filter(item.index),
                (false, _) => {
                    job.stages[at].fail(item.index);
                    if job.spec(at).is_some_and(|spec| spec.attempts != outcome.tries) {
                        job.tries.insert((item.stage, item.index), outcome.tries);
                    }
                }
            }
            if outcome.given_up.is_some() {
                job.given_up.insert((item.stage, item.index));
            }
            if outputs > 0 && job.has_children(at) {
                job.stages[at + 1].add_children(item.index, outcome.first_child, outputs);
            }
        });
    }

    pub(crate) fn apply_outcome_gone(&mut self, item: &ItemKey) {
        if self.state(item) == Some(ItemState::Failed) {
            let ended = Ended { failed: true, outputs: 0, bears: false, again: true };
            self.flow(item, &ended, |job| job.stages[usize::from(item.stage)].reopen(item.index));
        }
        self.given_up.remove(&(item.stage, item.index));
        self.tries.remove(&(item.stage, item.index));
    }

    /// A success counts no more, and what it left is no item any more. Of a ledger that is loaded, only the latter is news.
    pub(crate) fn apply_withdrawn(&mut self, record: &WithdrawnRecord) {
        let (item, at) = (record.item, usize::from(record.item.stage));
        let Some(stage) = self.stages.get(at) else { return };
        let bears = stage.is_bearing(item.index);
        if matches!(stage.state(item.index), ItemState::Succeeded | ItemState::Filtered) {
            let ended = Ended { failed: false, outputs: record.outputs, bears, again: true };
            self.flow(&item, &ended, |job| job.stages[at].reopen(item.index));
        }
        if record.outputs > 0 && self.has_children(at) {
            self.stages[at + 1].withdraw(record.first_child, record.outputs);
        }
    }

    /// Items of stages that gather which this item flows into, and which can be given out.
    pub(crate) fn freed_by(&self, item: &ItemKey) -> Vec<ItemKey> {
        if self.gatherings.is_empty() {
            return Vec::new();
        }
        let links = self.links(usize::from(item.stage), item.index, false);
        let items = links.iter().filter_map(|link| self.gathered(link));
        items.filter(|item| self.is_open(usize::from(item.stage), item.index)).collect()
    }

    /// Items of stages that gather which have succeeded, and into which this item, which failed, would flow.
    pub(crate) fn gathered_without(&self, item: &ItemKey) -> Vec<ItemKey> {
        let links = self.links(usize::from(item.stage), item.index, true);
        let items = links.iter().filter_map(|link| self.gathered(link));
        items.filter(|item| self.has_succeeded(item)).collect()
    }

    /// Whether the item ended well.
    pub(crate) fn has_succeeded(&self, item: &ItemKey) -> bool {
        matches!(self.state(item), Some(ItemState::Succeeded | ItemState::Filtered))
    }

    fn gathered(&self, link: &Link) -> Option<ItemKey> {
        let stage = u16::try_from(self.gatherings[link.gathering].at).ok()?;
        Some(ItemKey { job: self.record.id, stage, index: link.group })
    }

    /// Whether successes of stage `at` may be withdrawn: they gather what may be incomplete, or are made of that.
    pub(crate) fn may_withdraw(&self, at: usize) -> bool {
        let is_partial = |kind: StageKind| kind.require().is_some_and(crate::stages::Require::is_partial);
        self.record.spec.stages.iter().take(at + 1).any(|spec| is_partial(spec.kind))
    }

    /// Indices under which something is kept of stage `at` are smaller than that.
    pub(crate) fn extent(&self, at: usize) -> u64 {
        let records = self.gathering(at).and_then(Gathering::keys).map_or(0, |keys| keys.records);
        self.bound(at).max(records)
    }

    /// How complete what stage `at` gathers is, if it gathers.
    pub(crate) fn gathering(&self, at: usize) -> Option<&Gathering> {
        self.gatherings.iter().find(|gathering| gathering.at == at)
    }

    /// Whether the counts of everything that gathers are those of its items: it looks at all of them.
    pub(crate) fn counts_what_flows(&self) -> bool {
        (0..self.gatherings.len()).all(|gathering| self.recount(gathering).is_some_and(|counts| counts.are_right()))
    }

    fn recount(&self, at: usize) -> Option<Recount<'_>> {
        let gathering = &self.gatherings[at];
        let mut counts = Recount::of(gathering);
        let before = &self.gatherings[..at];
        let units = if gathering.chained { before.last()?.len() } else { self.record.inputs };
        let first = self.stage(gathering.from)?;
        let group_of = |unit| gathering.group_of(unit, || self.first_input(at, unit));
        for unit in 0..units {
            if let Some(group) = group_of(unit) {
                let inputs = before.last().filter(|_| gathering.chained).map_or(1, |before| before.inputs(unit));
                counts.unit(group, inputs, share(before, gathering, unit, first.state(unit)));
            }
        }
        for stage in gathering.from..gathering.at {
            let progress = self.stage(stage)?;
            for index in 0..progress.room() {
                let state = progress.state(index);
                if state == ItemState::Withdrawn {
                    continue;
                }
                let unit = self.unit_of(stage, index, gathering.from)?;
                let Some(group) = group_of(unit) else { continue };
                let is_unit = stage == gathering.from;
                let bears = stage + 1 == gathering.at && progress.is_bearing(index);
                counts.item(group, unit, (is_unit, state), bears);
            }
        }
        Some(counts)
    }
}

/// How an item ended, or that it has not after all.
struct Ended {
    failed: bool,
    outputs: u64,
    bears: bool,
    again: bool,
}
