//! Tokens that have expired are kept for a while, so that whoever still shows one is told so, and then forgotten.
//!
//! How long tokens are good is told to people as a date, so here alone the wall clock is compared. It may jump: tokens are
//! looked at now and then by the steady one.

use crate::{ids::Now, ledger::Ledger, members::token::TokenRecord};

/// How long after its end a token is known, milliseconds.
const KNOWN_MS: u64 = 24 * 3_600_000;

/// How often tokens are looked at, while there are any that expire, milliseconds.
const LOOK_MS: u64 = 3_600_000;

/// When tokens are looked at next.
#[derive(Debug, Default)]
pub(crate) struct Expiry {
    due_ms: Option<u64>,
}

impl Expiry {
    /// After a start at `now`.
    pub fn of(ledger: &Ledger, now: Now) -> Self {
        let mut expiry = Self::default();
        ledger.tokens().for_each(|token| expiry.may_come(token, now));
        expiry
    }

    /// There is this token.
    pub fn may_come(&mut self, token: &TokenRecord, now: Now) {
        if token.expires_ms != 0 && self.due_ms.is_none() {
            self.due_ms = Some(now.steady_ms.saturating_add(LOOK_MS));
        }
    }

    /// When tokens are looked at next, steady milliseconds, if ever.
    pub fn deadline_ms(&self) -> Option<u64> {
        self.due_ms
    }

    /// The tokens to be forgotten, if it is time to look.
    pub fn look(&mut self, ledger: &Ledger, now: Now) -> Vec<TokenRecord> {
        if self.due_ms.is_none_or(|due_ms| now.steady_ms < due_ms) {
            return Vec::new();
        }
        let over = |token: &&TokenRecord| token.has_expired(now.wall_ms.saturating_sub(KNOWN_MS));
        let (gone, left): (Vec<_>, Vec<_>) = ledger.tokens().partition(over);
        self.due_ms = None;
        left.into_iter().for_each(|token| self.may_come(token, now));
        gone.into_iter().cloned().collect()
    }
}
