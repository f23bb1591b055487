//! Where a job stands, and what follows from it.
//!
//! Nobody compares states: whoever has to decide asks a method here, and each method names every state. So a further state
//! does not compile before it is decided what it means.

/// | from | to | when |
/// |---|---|---|
/// | — | `Running` | submitted |
/// | `Running` | `Succeeded` | every item has succeeded |
/// | `Running` | `Failed` | nothing is left to run, and some item has failed |
/// | `Running` | `Cancelled` | someone asked |
/// | `Failed` | `Running` | its failed items are retried |
/// | `Cancelled` | `Running` | it is retried: its failed items, and all that had not ended |
/// | any that has ended | `Removing` | somebody wants it gone: nobody is shown it from then on |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// Items may be dispatched.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended, and some items failed.
    Failed,
    /// Ended because someone asked.
    Cancelled,
    /// Ended, and what is kept of it is being removed.
    Removing,
}

impl JobState {
    /// Nothing of the job runs any more, and nothing of it commits.
    #[must_use]
    pub fn has_ended(self) -> bool {
        match self {
            Self::Running => false,
            Self::Succeeded | Self::Failed | Self::Cancelled | Self::Removing => true,
        }
    }

    /// Its items may be given to workers.
    #[must_use]
    pub fn may_dispatch(self) -> bool {
        match self {
            Self::Running => true,
            Self::Succeeded | Self::Failed | Self::Cancelled | Self::Removing => false,
        }
    }

    /// It ended with every item.
    #[must_use]
    pub fn went_well(self) -> bool {
        match self {
            Self::Succeeded => true,
            Self::Running | Self::Failed | Self::Cancelled | Self::Removing => false,
        }
    }

    /// It is being removed.
    #[must_use]
    pub fn is_going(self) -> bool {
        match self {
            Self::Removing => true,
            Self::Running | Self::Succeeded | Self::Failed | Self::Cancelled => false,
        }
    }

    /// It ended though items of it may not have: a retry goes on with those.
    #[must_use]
    pub fn was_cut_short(self) -> bool {
        match self {
            Self::Cancelled => true,
            Self::Running | Self::Succeeded | Self::Failed | Self::Removing => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::JobState::{self, Cancelled, Failed, Removing, Running, Succeeded};

    const ALL: [JobState; 5] = [Running, Succeeded, Failed, Cancelled, Removing];

    #[test]
    fn a_job_that_has_ended_gives_nothing_out() {
        assert!(ALL.iter().all(|state| !(state.has_ended() && state.may_dispatch())));
        assert_eq!(ALL.map(JobState::has_ended), [false, true, true, true, true]);
        assert!(Running.may_dispatch());
    }

    #[test]
    fn only_a_job_that_has_ended_was_cut_short() {
        assert!(ALL.iter().all(|state| state.has_ended() || !state.was_cut_short()));
    }
}
