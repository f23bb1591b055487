//! How items of a stage come to be, and where their input is.

use super::Require;

/// How items of a stage come to be. A further kind is a variant here and what does not compile then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StageKind {
    /// Each input of the job, or each output of the stage before, is an item.
    Map,
    /// All outputs of the stage before are one item. Never the kind of the first stage of a job whose inputs are its items.
    Gather {
        /// How much of it has to be there.
        require: Require,
    },
    /// The outputs of the stage before that come from inputs of one group are one item, whose index is the group's. Which
    /// inputs those are is said by the job's [`GroupsRecord`](crate::GroupsRecord)s.
    Groups {
        /// How much of a group has to be there.
        require: Require,
        /// How many groups there are.
        groups: u64,
    },
    /// The outputs of the stage before that come from `width` neighbouring inputs, or neighbouring items of the last stage before
    /// that gathers, are one item: a level of a tree.
    Ranges {
        /// How much of a range has to be there.
        require: Require,
        /// At least 2.
        width: u64,
    },
}

/// Where an item's input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The job's input of the item's index.
    Input,
    /// One output of an item of the stage before.
    Output {
        /// That item's index.
        parent: u64,
        /// Which of its outputs.
        ordinal: u64,
    },
    /// All outputs of the stage before, in order of lineage: by the inputs they come from.
    Everything,
    /// Those outputs of the stage before that are of the group, or the range, of the item's index.
    Group,
}

/// How far the stages before one are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Before {
    /// Every item of theirs has ended, and no further ones come.
    pub ended: bool,
    /// Items of theirs that failed.
    pub failed: u64,
}

impl StageKind {
    /// The rule by which it gathers, if it does.
    #[must_use]
    pub fn require(self) -> Option<Require> {
        match self {
            Self::Map => None,
            Self::Gather { require } | Self::Groups { require, .. } | Self::Ranges { require, .. } => Some(require),
        }
    }

    /// Whether its items are made of several outputs.
    #[must_use]
    pub fn gathers(self) -> bool {
        self.require().is_some()
    }

    /// Whether each output of the stage before is an item of its own here: a child of the item that left it.
    pub(crate) fn has_children(self) -> bool {
        !self.gathers()
    }

    /// Where an item's input is; `parent` is the item of the stage before that it is a child of, and which of its outputs.
    pub(crate) fn source(self, parent: Option<(u64, u64)>) -> Source {
        match (self, parent) {
            (Self::Map, Some((parent, ordinal))) => Source::Output { parent, ordinal },
            (Self::Map, None) => Source::Input,
            (Self::Gather { .. }, _) => Source::Everything,
            (Self::Groups { .. } | Self::Ranges { .. }, _) => Source::Group,
        }
    }
}
