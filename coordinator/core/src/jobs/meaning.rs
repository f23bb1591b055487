//! What a submission means: the same work under the same key makes one job, other work is refused.

use std::fmt;

use crate::ids::Digest;

/// What a submission means, however its bytes were put: with defaults filled in, and its inputs one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    /// Of the specification.
    pub spec: Digest,
    /// Of all inputs, in order.
    pub inputs: Digest,
}

/// How two submissions are different.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Differs {
    /// In what is to be done.
    Spec,
    /// In what it is to be done with.
    Inputs,
    /// In both.
    Both,
    /// Somehow: of the older one that was not kept.
    Somehow,
}

impl fmt::Display for Differs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spec => "whose specification is different",
            Self::Inputs => "whose inputs are different",
            Self::Both => "whose specification and inputs are different",
            Self::Somehow => "which is different",
        })
    }
}
