//! How complete an answer has to be, as people write it: the same on the command line, in a specification and over HTTP.

use std::str::FromStr;

use crate::v1::{Require, require::Rule};

/// What can be written.
pub const EXPECTED: &str = "`all`, `deadline`, a fraction such as `0.5`, or `count=3`";

/// What was written is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRequire {
    /// It could be either.
    #[error("`{0}` could be a count or a fraction: write `count={0}` or `fraction={0}`")]
    Ambiguous(String),
    /// It is nothing of the kind.
    #[error("expected {EXPECTED}")]
    Unknown,
}

/// `all`, `deadline`, a fraction with a point, `fraction=1` or `count=3`. A bare whole number could mean either and is refused.
impl FromStr for Require {
    type Err = BadRequire;

    fn from_str(text: &str) -> Result<Self, BadRequire> {
        let rule = match (text, text.split_once('=')) {
            ("all", _) => Some(Rule::All(true)),
            ("deadline", _) => Some(Rule::Deadline(true)),
            (_, Some(("count", count))) => number(count).map(Rule::Count),
            (_, Some(("fraction", share))) => fraction(share),
            (_, None) if text.contains('.') => fraction(text),
            (_, None) if number(text).is_some() => return Err(BadRequire::Ambiguous(text.to_owned())),
            _ => None,
        };
        rule.map(|rule| Self { rule: Some(rule) }).ok_or(BadRequire::Unknown)
    }
}

fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|count| *count > 0)
}

fn fraction(text: &str) -> Option<Rule> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let share: f64 = text.parse().ok().filter(|_| plain)?;
    (share > 0.0 && share <= 1.0).then_some(Rule::Fraction(share))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_which_rule_is_meant() {
        for (text, rule) in [
            ("all", Rule::All(true)),
            ("deadline", Rule::Deadline(true)),
            ("0.5", Rule::Fraction(0.5)),
            ("1.0", Rule::Fraction(1.0)),
            ("count=3", Rule::Count(3)),
            ("fraction=1", Rule::Fraction(1.0)),
        ] {
            assert_eq!(text.parse(), Ok(Require { rule: Some(rule) }), "{text}");
        }
        for bad in
            ["0", "0.0", "1.5", "count=0", "some", "", "count=", "count=0.5", "fraction=nan", "-0.5", "5e-1", "all=1"]
        {
            assert_eq!(bad.parse::<Require>(), Err(BadRequire::Unknown), "{bad}");
        }
        let ambiguous = "1".parse::<Require>().unwrap_err().to_string();
        assert_eq!(ambiguous, "`1` could be a count or a fraction: write `count=1` or `fraction=1`");
    }
}
