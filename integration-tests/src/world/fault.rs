//! The kinds of faults.

/// One kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The coordinator's process dies now.
    CoordinatorCrash,
    /// It dies when it next decides something, before that is synced.
    CrashBeforeSync,
    /// It dies in the middle of a sync of several outboxes.
    CrashMidSync,
    /// It dies when a sync is done, before anything leaves.
    CrashAfterSync,
    /// It does nothing for a while.
    CoordinatorStall,
    /// Syncs take long for a while.
    SlowDisk,
    /// There is no room for another batch for a while.
    FullDisk,
    /// The wall clock jumps.
    WallJump,
    /// A worker's process dies; its links are closed.
    WorkerCrash,
    /// A worker dies without a word.
    PowerLoss,
    /// A worker's process is stopped for a while.
    WorkerPause,
    /// A worker leaves, and comes back later.
    Goodbye,
    /// A link breaks.
    LinkReset,
    /// A worker hangs up and connects again.
    Reconnect,
    /// A worker's links break several times in a row.
    Flap,
    /// What a worker sends lies unread for a while, in which it dies or connects again.
    Straggle,
    /// Nothing passes between a worker and the coordinator.
    CutBoth,
    /// Nothing passes from a worker to the coordinator.
    CutUp,
    /// Nothing passes from the coordinator to a worker.
    CutDown,
    /// A worker reports results of attempts it does not hold, or of other items than theirs.
    Lie,
    /// A worker's directory is copied, and a second process started in the copy.
    Copy,
    /// Answers to clients get lost, as long as faults last.
    AnswerLost,
}

impl Fault {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::CoordinatorCrash,
        Self::CrashBeforeSync,
        Self::CrashMidSync,
        Self::CrashAfterSync,
        Self::CoordinatorStall,
        Self::SlowDisk,
        Self::FullDisk,
        Self::WallJump,
        Self::WorkerCrash,
        Self::PowerLoss,
        Self::WorkerPause,
        Self::Goodbye,
        Self::LinkReset,
        Self::Reconnect,
        Self::Flap,
        Self::Straggle,
        Self::CutBoth,
        Self::CutUp,
        Self::CutDown,
        Self::Lie,
        Self::Copy,
        Self::AnswerLost,
    ];

    /// Whether a worker's process is gone with what it ran.
    #[must_use]
    pub fn kills(self) -> bool {
        matches!(self, Self::WorkerCrash | Self::PowerLoss | Self::Goodbye | Self::Straggle)
    }
}

/// When the coordinator is going to die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fuse {
    /// Before its next records are synced.
    BeforeSync,
    /// In the middle of the next sync that takes several outboxes.
    MidSync,
    /// After its next sync, before anything leaves.
    AfterSync,
}
