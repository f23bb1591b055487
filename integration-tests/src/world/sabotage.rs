//! Mistakes the world's own driver can be told to make. Each has to be found, or the oracle is blind to it.

/// A mistake of the driver.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sabotage {
    /// It makes none.
    #[default]
    None,
    /// Answers leave before their records are durable.
    AnswersBeforeDurable,
    /// Orders leave before their records are durable.
    OrdersBeforeDurable,
    /// The records of one outbox may be kept in part.
    TornOutbox,
    /// A new life has the epoch of the one before.
    SameEpoch,
    /// A link whose worker is not known stays open.
    StrangersStay,
    /// The end of an old link is told after the hello on the new one.
    LateLinkLost,
    /// Orders go to whichever link the worker has by the time they leave.
    OrdersFollowTheWorker,
    /// The core is never told that time has passed.
    NoTicks,
}

impl Sabotage {
    /// Every mistake.
    pub const ALL: &'static [Self] = &[
        Self::AnswersBeforeDurable,
        Self::OrdersBeforeDurable,
        Self::TornOutbox,
        Self::SameEpoch,
        Self::StrangersStay,
        Self::LateLinkLost,
        Self::OrdersFollowTheWorker,
        Self::NoTicks,
    ];
}
