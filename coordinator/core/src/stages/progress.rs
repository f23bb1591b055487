//! How far a stage is: the state of each of its items, and the counts.

use std::{collections::BTreeMap, ops::Range};

/// How far a stage is.
///
/// An item costs one byte here.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Stage {
    marks: Vec<Mark>,
    succeeded: u64,
    failed: u64,
    filtered: u64,
    withdrawn: u64,
    /// Item of the stage before, by the index of the first item here that its outputs became.
    parents: BTreeMap<u64, u64>,
}

/// | from | to | when |
/// |---|---|---|
/// | `Pending` | `Succeeded` | its first valid completion |
/// | `Pending` | `Filtered` | a completion that says that there is nothing in it |
/// | `Pending` | `Failed` | its tries are used up, or there is no hope |
/// | `Failed` | `Pending` | it is retried |
/// | `Succeeded` | `Pending` | it was made of less than there will be, or what it was made of is withdrawn |
/// | `Pending` | `Withdrawn` | the success that left it is |
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum ItemState {
    /// Not ended.
    Pending,
    /// Its outcome is committed.
    Succeeded,
    /// It was given up.
    Failed,
    /// It has ended well and left nothing: there was nothing in it.
    Filtered,
    /// There is no such item any more.
    Withdrawn,
}

/// What is remembered of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Mark {
    Pending,
    Succeeded,
    /// It succeeded and left nothing.
    Barren,
    Failed,
    Filtered,
    Withdrawn,
}

impl Mark {
    fn state(self) -> ItemState {
        match self {
            Self::Pending => ItemState::Pending,
            Self::Succeeded | Self::Barren => ItemState::Succeeded,
            Self::Failed => ItemState::Failed,
            Self::Filtered => ItemState::Filtered,
            Self::Withdrawn => ItemState::Withdrawn,
        }
    }
}

impl Stage {
    /// A stage with room for that many items, all pending.
    pub(crate) fn with_room(items: u64) -> Self {
        let mut stage = Self::default();
        stage.grow(items);
        stage
    }

    /// Items there is room for: the next that comes has this index.
    pub(crate) fn room(&self) -> u64 {
        self.marks.len() as u64
    }

    /// Items that are there.
    pub(crate) fn items(&self) -> u64 {
        self.room() - self.withdrawn
    }

    fn grow(&mut self, items: u64) {
        let items = usize::try_from(items).unwrap_or(usize::MAX);
        if self.marks.len() < items {
            self.marks.resize(items, Mark::Pending);
        }
    }

    /// The item has succeeded and left so many outputs.
    pub(crate) fn succeed(&mut self, index: u64, outputs: u64) {
        self.set(index, if outputs > 0 { Mark::Succeeded } else { Mark::Barren });
    }

    /// The item has ended well, with nothing in it.
    pub(crate) fn filter(&mut self, index: u64) {
        self.set(index, Mark::Filtered);
    }

    /// The item has failed.
    pub(crate) fn fail(&mut self, index: u64) {
        self.set(index, Mark::Failed);
    }

    /// The item is pending again.
    pub(crate) fn reopen(&mut self, index: u64) {
        self.set(index, Mark::Pending);
    }

    /// These are items no more, whoever left them.
    pub(crate) fn withdraw(&mut self, first: u64, items: u64) {
        for index in first..first.saturating_add(items) {
            self.set(index, Mark::Withdrawn);
        }
        self.parents.remove(&first);
    }

    fn set(&mut self, index: u64, mark: Mark) {
        self.grow(index + 1);
        let Some(slot) = usize::try_from(index).ok().and_then(|index| self.marks.get_mut(index)) else {
            return;
        };
        let before = std::mem::replace(slot, mark);
        for (which, by) in [(before, -1), (mark, 1)] {
            match which.state() {
                ItemState::Pending => {}
                ItemState::Succeeded => self.succeeded = self.succeeded.saturating_add_signed(by),
                ItemState::Failed => self.failed = self.failed.saturating_add_signed(by),
                ItemState::Filtered => self.filtered = self.filtered.saturating_add_signed(by),
                ItemState::Withdrawn => self.withdrawn = self.withdrawn.saturating_add_signed(by),
            }
        }
    }

    /// The outputs of `parent`, an item of the stage before, are items here from `first_child` on.
    pub(crate) fn add_children(&mut self, parent: u64, first_child: u64, outputs: u64) {
        self.grow(first_child.saturating_add(outputs));
        self.parents.insert(first_child, parent);
    }

    fn mark(&self, index: u64) -> Mark {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        self.marks.get(index).copied().unwrap_or(Mark::Pending)
    }

    /// Where an item stands; items that do not exist yet are pending.
    #[must_use]
    pub fn state(&self, index: u64) -> ItemState {
        self.mark(index).state()
    }

    /// Whether the item has succeeded and left something.
    pub(crate) fn is_bearing(&self, index: u64) -> bool {
        self.mark(index) == Mark::Succeeded
    }

    /// Items that succeeded.
    #[must_use]
    pub fn succeeded(&self) -> u64 {
        self.succeeded
    }

    /// Items that failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// Items that had nothing in them.
    #[must_use]
    pub fn filtered(&self) -> u64 {
        self.filtered
    }

    /// Items that succeeded, were filtered, or failed.
    pub(crate) fn ended(&self) -> u64 {
        self.succeeded + self.filtered + self.failed
    }

    /// The first failed item of these.
    pub(crate) fn failed_in(&self, range: Range<u64>) -> Option<u64> {
        let (from, to) = (usize::try_from(range.start).ok()?, usize::try_from(range.end).ok()?);
        let found = self.marks.get(from..to)?.iter().position(|mark| *mark == Mark::Failed)?;
        Some(range.start + found as u64)
    }

    /// The item of the stage before, and which of its outputs, that item `index` was made from.
    #[must_use]
    pub fn parent(&self, index: u64) -> Option<(u64, u64)> {
        let (first, parent) = self.parents.range(..=index).next_back()?;
        Some((*parent, index - first))
    }

    /// Where the outputs of items of the stage before are here, in order: the item, its first child, and how many there are.
    pub(crate) fn families(&self) -> impl Iterator<Item = (u64, u64, u64)> {
        let ends = self.parents.keys().copied().skip(1).chain(std::iter::once(self.room()));
        self.parents.iter().zip(ends).map(|((first, parent), end)| {
            let there = (*first..end).take_while(|index| self.state(*index) != ItemState::Withdrawn).count() as u64;
            (*parent, *first, there)
        })
    }
}
