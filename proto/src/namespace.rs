//! What the name of a namespace may be.
//!
//! A namespace is whose things these are: jobs, services, blobs, tokens. Its name stands in file names and headers.

use crate::bounds::NAMESPACE_CHARS;

/// The namespace of whoever names none.
pub const DEFAULT: &str = "default";

/// Why a name is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not the name of a namespace: that is 1 to {NAMESPACE_CHARS} small letters, digits and dashes, no dash first or last"
)]
pub struct BadNamespace(pub String);

/// Says whether a name may be a namespace's: a DNS label (RFC 1123, section 2.1) in small letters.
///
/// # Errors
/// When it may not.
pub fn check(name: &str) -> Result<(), BadNamespace> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let good = (1..=NAMESPACE_CHARS).contains(&name.len())
        && name.bytes().all(plain)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if good { Ok(()) } else { Err(BadNamespace(name.chars().take(2 * NAMESPACE_CHARS).collect())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_a_label_in_small_letters() {
        for good in [DEFAULT, "a", "vision-2", "0", &"x".repeat(63)] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["", "-", "a-", "-a", "A", "a.b", "a/b", "..", "a b", "ä", &"x".repeat(64)] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
