//! The laws of a [`Partial`], to be called from the tests of whoever writes one, best with random values.
//!
//! ```
//! # use merger_sdk::{Partial, laws};
//! # use serde::{Deserialize, Serialize};
//! #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
//! struct Count(u64);
//!
//! impl Partial for Count {
//!     fn merge(&mut self, other: Self) {
//!         self.0 += other.0;
//!     }
//! }
//!
//! laws::hold(&Count(1), &Count(2), &Count(3)).unwrap();
//! ```

use std::fmt::Debug;

use crate::partial::Partial;

/// Two sides that should be equal are not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the merge is not {law}:\n  left:  {left}\n  right: {right}")]
pub struct LawBroken {
    /// Which law, as an adjective.
    pub law: &'static str,
    /// One side.
    pub left: String,
    /// The other.
    pub right: String,
}

/// What the laws ask of a partial result beside being one.
pub trait Comparable: Partial + Clone + PartialEq + Debug {}

impl<P: Partial + Clone + PartialEq + Debug> Comparable for P {}

/// Checks every law that applies to `P` on these three values.
///
/// # Errors
/// The first law that does not hold, with both sides.
pub fn hold<P: Comparable>(a: &P, b: &P, c: &P) -> Result<(), LawBroken> {
    associative(a, b, c)?;
    for value in [a, b, c] {
        identity(value)?;
        portable(value)?;
    }
    if P::COMMUTATIVE {
        commutative(a, b)?;
    }
    Ok(())
}

/// Merging (a, b) with c is merging a with (b, c).
///
/// # Errors
/// When it is not.
pub fn associative<P: Comparable>(a: &P, b: &P, c: &P) -> Result<(), LawBroken> {
    let left = merged(merged(a.clone(), b.clone()), c.clone());
    let right = merged(a.clone(), merged(b.clone(), c.clone()));
    same("associative", &left, &right)
}

/// Merging with the default value changes nothing, on either side.
///
/// # Errors
/// When it does.
pub fn identity<P: Comparable>(a: &P) -> Result<(), LawBroken> {
    same("neutral to the default on the right", &merged(a.clone(), P::default()), a)?;
    same("neutral to the default on the left", &merged(P::default(), a.clone()), a)
}

/// Merging a with b is merging b with a.
///
/// # Errors
/// When it is not.
pub fn commutative<P: Comparable>(a: &P, b: &P) -> Result<(), LawBroken> {
    same("commutative", &merged(a.clone(), b.clone()), &merged(b.clone(), a.clone()))
}

/// A value written as JSON and read again is the same value.
///
/// # Errors
/// When it is not, or cannot be written or read.
pub fn portable<P: Comparable>(a: &P) -> Result<(), LawBroken> {
    let broken = |error: serde_json::Error| LawBroken {
        law: "portable",
        left: format!("{a:?}"),
        right: format!("an error: {error}"),
    };
    let json = serde_json::to_vec(a).map_err(broken)?;
    same("portable", a, &serde_json::from_slice(&json).map_err(broken)?)
}

fn merged<P: Partial>(mut a: P, b: P) -> P {
    a.merge(b);
    a
}

fn same<P: Comparable>(law: &'static str, left: &P, right: &P) -> Result<(), LawBroken> {
    if left == right {
        return Ok(());
    }
    Err(LawBroken { law, left: format!("{left:?}"), right: format!("{right:?}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::{Deserialize, Serialize};

    /// Breaks one law, which one says `BREAK`.
    #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
    struct Crooked<const BREAK: u8>(i64);

    impl<const BREAK: u8> Partial for Crooked<BREAK> {
        fn merge(&mut self, other: Self) {
            self.0 = match BREAK {
                0 => self.0 - other.0,
                1 => self.0 + other.0 + 1,
                _ => other.0,
            };
        }
    }

    #[test]
    fn each_broken_law_is_named() {
        let law = |result: Result<(), LawBroken>| result.unwrap_err().law;
        assert_eq!(law(hold(&Crooked::<0>(1), &Crooked(2), &Crooked(3))), "associative");
        assert_eq!(law(hold(&Crooked::<1>(1), &Crooked(2), &Crooked(3))), "neutral to the default on the right");
        assert_eq!(law(commutative(&Crooked::<2>(1), &Crooked(2))), "commutative");
    }

    #[test]
    fn a_value_that_json_cannot_carry_is_not_portable() {
        #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
        struct Score(f64);
        impl Partial for Score {
            fn merge(&mut self, other: Self) {
                self.0 = self.0.max(other.0);
            }
        }
        assert_eq!(portable(&Score(f64::INFINITY)).unwrap_err().law, "portable");
        portable(&Score(0.5)).unwrap();
    }
}
