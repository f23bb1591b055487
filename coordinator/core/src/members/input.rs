//! What can be asked about tokens and members.

use crate::{
    ids::{Digest, WorkerId},
    members::token::{TokenId, TokenTerms},
};

/// Which tokens are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokensOf {
    /// All.
    Everybody,
    /// Those to join with.
    Workers,
    /// Those of people.
    People,
}

/// One thing that is asked about tokens and members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MembersInput {
    /// Somebody wants a token.
    CreateToken {
        /// Its id.
        token: TokenId,
        /// SHA-256 of its secret.
        secret: Digest,
        /// What it says.
        terms: TokenTerms,
        /// How long it is good, milliseconds; 0 means for ever.
        ttl_ms: u64,
    },
    /// Somebody wants tokens to be good for nothing any more.
    RemoveTokens {
        /// These.
        tokens: Vec<TokenId>,
        /// And all that were made before, unix milliseconds.
        made_before_ms: u64,
        /// Of those made before, which.
        whose: TokensOf,
    },
    /// Somebody wants another token like one that there is.
    RotateToken {
        /// The one that there is.
        token: TokenId,
        /// How much longer it is good at most, milliseconds.
        overlap_ms: u64,
        /// Id of the other, and SHA-256 of its secret.
        new: (TokenId, Digest),
    },
    /// A worker wants to join.
    Join {
        /// The token it has.
        token: TokenId,
        /// SHA-256 of the secret it has shown.
        secret: Digest,
        /// The worker.
        worker: WorkerId,
        /// SHA-256 of its key's SubjectPublicKeyInfo. That it has that key is known.
        key: Digest,
        /// For people.
        name: String,
    },
    /// A member wants another certificate.
    Renew {
        /// The member.
        worker: WorkerId,
        /// The key it has come with.
        from: Digest,
        /// The key it wants the certificate for.
        to: Digest,
    },
    /// Somebody wants a worker off the list.
    RemoveWorker {
        /// The worker.
        worker: WorkerId,
        /// Whether it is to be shut out for good.
        revoke: bool,
    },
}
