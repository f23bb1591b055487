//! What work demands of a worker's labels.

use std::{collections::BTreeMap, fmt, str::FromStr};

/// Most bytes of a label's name or value.
const BYTES: usize = 63;

/// One demand on a worker's labels: `disk=ssd`, `zone!=b`, or `gpu`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Constraint {
    /// The label has this value.
    Is(String, String),
    /// The label has another value, or is not there.
    IsNot(String, String),
    /// The label is there.
    Has(String),
}

/// A text that is no constraint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is LABEL, LABEL=VALUE or LABEL!=VALUE, of letters, digits, '-', '_', '.' and '/', at most 63 each")]
pub struct NoConstraint;

impl Constraint {
    /// The label it is about.
    #[must_use]
    pub fn label(&self) -> &str {
        match self {
            Self::Is(label, _) | Self::IsNot(label, _) | Self::Has(label) => label,
        }
    }

    /// Whether these labels meet it.
    #[must_use]
    pub fn is_met(&self, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::Is(label, value) => labels.get(label) == Some(value),
            Self::IsNot(label, value) => labels.get(label) != Some(value),
            Self::Has(label) => labels.contains_key(label),
        }
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(label, value) => write!(f, "{label}={value}"),
            Self::IsNot(label, value) => write!(f, "{label}!={value}"),
            Self::Has(label) => f.write_str(label),
        }
    }
}

/// Docker's `==` is understood too.
impl FromStr for Constraint {
    type Err = NoConstraint;

    fn from_str(text: &str) -> Result<Self, NoConstraint> {
        let is_plain =
            |word: &str| word.len() <= BYTES && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
        let label = |word: &str| (is_plain(word) && !word.is_empty()).then(|| word.to_owned()).ok_or(NoConstraint);
        let value = |word: &str| is_plain(word).then(|| word.to_owned()).ok_or(NoConstraint);
        if let Some((name, other)) = text.split_once("!=") {
            return Ok(Self::IsNot(label(name)?, value(other)?));
        }
        match text.split_once("==").or_else(|| text.split_once('=')) {
            Some((name, wanted)) => Ok(Self::Is(label(name)?, value(wanted)?)),
            None => Ok(Self::Has(label(text)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constraint_is_read_as_it_is_written_and_met_by_what_it_says() {
        let labels = BTreeMap::from([("disk".to_owned(), "ssd".to_owned()), ("gpu".to_owned(), String::new())]);
        for (text, met) in [
            ("disk=ssd", true),
            ("disk=hdd", false),
            ("disk!=hdd", true),
            ("disk!=ssd", false),
            ("zone!=b", true),
            ("zone=b", false),
            ("gpu", true),
            ("zone", false),
        ] {
            let constraint: Constraint = text.parse().expect("a constraint");
            assert_eq!((constraint.to_string().as_str(), constraint.is_met(&labels)), (text, met));
        }
        assert_eq!("disk==ssd".parse::<Constraint>().expect("a constraint").to_string(), "disk=ssd");
    }

    #[test]
    fn what_is_no_constraint_is_refused() {
        let long = "l".repeat(64);
        for bad in ["", "=ssd", "!=b", "a b", "disk=a=b", "a\n", "disk>3", &long] {
            assert_eq!(bad.parse::<Constraint>(), Err(NoConstraint), "{bad:?}");
        }
    }
}
