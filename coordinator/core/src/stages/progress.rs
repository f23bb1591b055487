//! How far a stage is: the state of each of its items, and the counts.

use std::collections::BTreeMap;

/// How far a stage is.
///
/// An item costs one byte here.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Stage {
    states: Vec<ItemState>,
    succeeded: u64,
    failed: u64,
    /// Item of the stage before, by the index of the first item here that its outputs became.
    parents: BTreeMap<u64, u64>,
}

/// | from | to | when |
/// |---|---|---|
/// | `Pending` | `Succeeded` | its first valid completion |
/// | `Pending` | `Failed` | its tries are used up, or there is no hope |
/// | `Failed` | `Pending` | it is retried |
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum ItemState {
    /// Not ended.
    Pending,
    /// Its outcome is committed.
    Succeeded,
    /// It was given up.
    Failed,
}

impl Stage {
    /// A stage with room for that many items, all pending.
    pub(crate) fn with_room(items: u64) -> Self {
        let mut stage = Self::default();
        stage.grow(items);
        stage
    }

    /// Items there is room for.
    pub(crate) fn room(&self) -> u64 {
        self.states.len() as u64
    }

    fn grow(&mut self, items: u64) {
        let items = usize::try_from(items).unwrap_or(usize::MAX);
        if self.states.len() < items {
            self.states.resize(items, ItemState::Pending);
        }
    }

    /// The item's state is this now.
    pub(crate) fn set(&mut self, index: u64, state: ItemState) {
        self.grow(index + 1);
        let Some(slot) = usize::try_from(index).ok().and_then(|index| self.states.get_mut(index)) else {
            return;
        };
        let before = std::mem::replace(slot, state);
        for (which, by) in [(before, -1), (state, 1)] {
            match which {
                ItemState::Pending => {}
                ItemState::Succeeded => self.succeeded = self.succeeded.saturating_add_signed(by),
                ItemState::Failed => self.failed = self.failed.saturating_add_signed(by),
            }
        }
    }

    /// The outputs of `parent`, an item of the stage before, are items here from `first_child` on.
    pub(crate) fn add_children(&mut self, parent: u64, first_child: u64, outputs: u64) {
        self.grow(first_child.saturating_add(outputs));
        self.parents.insert(first_child, parent);
    }

    /// Where an item stands; items that do not exist yet are pending.
    #[must_use]
    pub fn state(&self, index: u64) -> ItemState {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        self.states.get(index).copied().unwrap_or(ItemState::Pending)
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

    /// Items that succeeded or failed.
    pub(crate) fn ended(&self) -> u64 {
        self.succeeded + self.failed
    }

    /// Indices of failed items.
    pub(crate) fn failed_items(&self) -> impl Iterator<Item = u64> {
        (0_u64..).zip(&self.states).filter(|(_, state)| **state == ItemState::Failed).map(|(index, _)| index)
    }

    /// The item of the stage before, and which of its outputs, that item `index` was made from.
    #[must_use]
    pub fn parent(&self, index: u64) -> Option<(u64, u64)> {
        let (first, parent) = self.parents.range(..=index).next_back()?;
        Some((*parent, index - first))
    }
}
