//! Mistakes of a coordinator. Each has to be found, or the oracle is blind to it.

use longshore_drive::Rule;

/// A mistake.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sabotage {
    /// None.
    #[default]
    None,
    /// The drive that ships breaks one of its rules.
    Broken(Rule),
    /// A new life has the epoch of the one before.
    SameEpoch,
}

impl Sabotage {
    /// Every mistake.
    pub fn all() -> impl Iterator<Item = Self> {
        Rule::ALL.iter().map(|rule| Self::Broken(*rule)).chain([Self::SameEpoch])
    }
}
