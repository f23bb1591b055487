//! What secrets may be called, and the files that processes find them in.

use crate::{bounds::NAME_CHARS, v1::Container};

/// Why a name is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not the name of a secret: that is 1 to {NAME_CHARS} letters, digits, '-', '_' and '.', with no '.' first"
)]
pub struct BadName(pub String);

/// Says whether a secret, or the file that a process finds it in, may be called so.
///
/// # Errors
/// When it may not.
pub fn check(name: &str) -> Result<(), BadName> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let good = (1..=NAME_CHARS).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with('.');
    // What is not one may be of any length.
    if good { Ok(()) } else { Err(BadName(name.chars().take(NAME_CHARS + 1).collect())) }
}

/// The secrets that a container names, each once, in order. Whatever of a container names a secret is listed here, and nowhere else:
/// these are what a worker is told with it.
#[must_use]
pub fn named(container: &Container) -> Vec<&str> {
    let mut names: Vec<&str> = container.secrets.iter().map(|secret| secret.name.as_str()).collect();
    names.extend(Some(container.pull_secret.as_str()).filter(|name| !name.is_empty()));
    names.sort_unstable();
    names.dedup();
    names
}

/// The variable that a secret is given as where no other is named: its name in capitals, with `_` for what no variable has.
#[must_use]
pub fn variable(name: &str) -> String {
    name.to_ascii_uppercase().replace(['-', '.'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_plain_component() {
        for good in ["a", "db-password", "tls.key", "_A-9", &"x".repeat(63)] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["", ".", "..", ".key", "a/b", "a b", "a=b", "a,b", "é", "a\0", &"x".repeat(64)] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_variable_is_the_name_in_capitals() {
        assert_eq!(variable("db-password.v2_x"), "DB_PASSWORD_V2_X");
    }
}
