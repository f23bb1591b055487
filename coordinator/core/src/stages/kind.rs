//! Where kinds of stages differ: one interface, which each kind answers in a file of its own.

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
    /// All outputs of the stage before, in the order of its items.
    Everything,
}

/// How far the stages before one are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Before {
    /// Every item of theirs has ended, and no further ones come.
    pub ended: bool,
    /// Items of theirs that failed.
    pub failed: u64,
}

/// What a kind decides of its stages.
pub(crate) trait Kind {
    /// Items a stage has room for when its job is submitted; `inputs` are the job's if the stage is its first, else 0.
    fn room(&self, inputs: u64) -> u64;

    /// Items a stage has by now, of those it has room for.
    fn items(&self, room: u64, before: Before) -> u64;

    /// Whether a stage gets no further items.
    fn is_final(&self, before: Before) -> bool;

    /// Whether each output of the stage before is an item of its own here: a child of the item that left it.
    fn has_children(&self) -> bool;

    /// Where an item's input is; `parent` is the item of the stage before that it is a child of, and which of its outputs.
    fn source(&self, parent: Option<(u64, u64)>) -> Source;
}
