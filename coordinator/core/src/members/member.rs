//! What is kept of a member: a worker that has joined from another machine.

use std::collections::BTreeMap;

use crate::{
    ids::{Digest, Namespace, WorkerId},
    members::token::TokenId,
};

/// A worker that has joined. It is known by its key: what it says of itself counts for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRecord {
    /// The worker.
    pub id: WorkerId,
    /// SHA-256 of its key's SubjectPublicKeyInfo.
    pub key: Digest,
    /// That of the key it renewed from, which is good until it comes with the newer one: the answer may have been lost.
    pub previous_key: Option<Digest>,
    /// For people.
    pub name: String,
    /// As its token said.
    pub labels: BTreeMap<String, String>,
    /// Whose work it may be given, as its token said; none means all.
    pub namespaces: Vec<Namespace>,
    /// Unix milliseconds.
    pub joined_ms: u64,
    /// The token it joined with.
    pub token: TokenId,
    /// When it was revoked, unix milliseconds; 0 means it was not.
    pub revoked_ms: u64,
}

impl MemberRecord {
    /// Whether the key is its own.
    #[must_use]
    pub fn has_key(&self, key: &Digest) -> bool {
        self.keys().any(|own| own == key)
    }

    /// Its keys.
    pub fn keys(&self) -> impl Iterator<Item = &Digest> {
        std::iter::once(&self.key).chain(&self.previous_key)
    }

    /// Whether it may do nothing any more.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.revoked_ms != 0
    }

    /// It has come with one of its keys, and has this one from now on.
    pub(crate) fn renew(&mut self, from: Digest, to: Digest) {
        self.key = to;
        self.previous_key = (from != to).then_some(from);
    }
}
