//! What is kept of a token, and how long it is good.

use std::{collections::BTreeMap, fmt};

use crate::ids::{Digest, Namespace};

/// A token's name, which is no secret. Made outside the core.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(pub [u8; 5]);

impl fmt::Display for TokenId {
    /// In Crockford's base32, as it stands in the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SYMBOLS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let bits = self.0.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        for at in (0..8).rev() {
            write!(f, "{}", char::from(SYMBOLS[(bits >> (5 * at) & 31) as usize]))?;
        }
        Ok(())
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenId({self})")
    }
}

/// What a person's token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenRole {
    /// Everything, in every namespace.
    Admin,
    /// Submit work, deploy services, ask them, and read.
    Submit,
    /// Look at everything, change nothing.
    Read,
    /// Ask services.
    Query,
}

/// What a token is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenKind {
    /// For workers to join with.
    Join {
        /// How many may; 0 means any number.
        uses: u32,
        /// What they are labelled with.
        labels: BTreeMap<String, String>,
    },
    /// For a person, or a program of theirs.
    Person {
        /// What it is good for.
        role: TokenRole,
    },
}

/// What a token says, whoever has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenTerms {
    /// What it is for.
    pub kind: TokenKind,
    /// For people.
    pub name: String,
    /// Of a person's token: those it is good for, none means the default one, and for an admin all. Of a join token: whose
    /// work its workers may be given, none means all.
    pub namespaces: Vec<Namespace>,
}

/// A token, as far as it is kept: never its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// Its id.
    pub id: TokenId,
    /// SHA-256 of its secret.
    pub secret: Digest,
    /// What it says.
    pub terms: TokenTerms,
    /// Workers that have joined with it, also those that were removed since.
    pub used: u32,
    /// Unix milliseconds.
    pub created_ms: u64,
    /// Unix milliseconds; 0 means never.
    pub expires_ms: u64,
}

impl TokenRecord {
    /// Whether it is good no more at this time, unix milliseconds.
    #[must_use]
    pub fn has_expired(&self, wall_ms: u64) -> bool {
        self.expires_ms != 0 && wall_ms >= self.expires_ms
    }

    /// Whether as many workers have joined with it as may.
    pub(crate) fn is_used_up(&self) -> bool {
        matches!(self.terms.kind, TokenKind::Join { uses, .. } if uses != 0 && self.used >= uses)
    }

    /// How long it was good for when it was made, milliseconds; 0 means for ever.
    pub(crate) fn lifetime_ms(&self) -> u64 {
        self.expires_ms.saturating_sub(self.created_ms)
    }
}

/// Whether two digests are the same, in a time that does not say how much of them is.
pub(crate) fn is_same(one: &Digest, other: &Digest) -> bool {
    let differences = one.iter().zip(other).fold(0, |found, (one, other)| found | (one ^ other));
    std::hint::black_box(differences) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_shown_as_it_stands_in_the_token() {
        assert_eq!(TokenId([0; 5]).to_string(), "00000000");
        assert_eq!(TokenId([0xff; 5]).to_string(), "ZZZZZZZZ");
        assert_eq!(TokenId([0x00, 0x44, 0x32, 0x14, 0xc7]).to_string(), "01234567");
        assert_eq!(format!("{:?}", TokenId([0; 5])), "TokenId(00000000)");
    }

    #[test]
    fn digests_are_the_same_when_every_bit_is() {
        let one = [0x5a; 32];
        assert!(is_same(&one, &one));
        for bit in 0..256 {
            let mut other = one;
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_same(&one, &other), "{bit}");
        }
    }
}
