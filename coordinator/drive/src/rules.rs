//! The rules, by name, so that a test can break one and see whether anybody notices.

/// One rule of the law.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Replies wait for their records.
    RepliesWait,
    /// Orders wait for their records.
    OrdersWait,
    /// What is shown waits for the records it was seen with.
    ViewsWait,
    /// What waits does so until every earlier record is durable, not only those of the batch that goes next.
    EffectsWaitForAll,
    /// The records of an outbox share a batch.
    OutboxesStayWhole,
    /// A batch that found no room goes again.
    BatchesGoAgain,
    /// Only the newest link of a worker is heard.
    OldLinksAreUnheard,
    /// The end of a link that another has replaced is not told.
    OldLinksEndUntold,
    /// An order goes to the link for which it was given, or nowhere.
    OrdersKeepTheirLink,
    /// A link of a worker that is not known ends.
    StrangersLeave,
    /// Another life of a worker waits while the one that is there is asked.
    LivesAreAsked,
    /// A life that answers stays, and the other has to go.
    AnswersCount,
    /// A life that does not answer is waited for only so long.
    SilenceEnds,
    /// A lease runs from the newest answer that is known to have arrived.
    LeasesAreProven,
    /// The core is told that time passes.
    TimePasses,
}

impl Rule {
    /// Every rule.
    pub const ALL: &'static [Self] = &[
        Self::RepliesWait,
        Self::OrdersWait,
        Self::ViewsWait,
        Self::EffectsWaitForAll,
        Self::OutboxesStayWhole,
        Self::BatchesGoAgain,
        Self::OldLinksAreUnheard,
        Self::OldLinksEndUntold,
        Self::OrdersKeepTheirLink,
        Self::StrangersLeave,
        Self::LivesAreAsked,
        Self::AnswersCount,
        Self::SilenceEnds,
        Self::LeasesAreProven,
        Self::TimePasses,
    ];
}

/// The rules in force: all of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules {
    broken: Option<Rule>,
}

impl Rules {
    /// All rules but one. For tests only, which want to see that it is missed.
    #[cfg(feature = "sabotage")]
    #[must_use]
    pub fn but(broken: Rule) -> Self {
        Self { broken: Some(broken) }
    }

    /// Whether the rule is in force.
    pub(crate) fn hold(self, rule: Rule) -> bool {
        self.broken != Some(rule)
    }
}
