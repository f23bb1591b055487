//! How complete an answer has to be.

use std::{fmt, str::FromStr};

use longshore_client::{
    require::BadRequire,
    v1::{self, require::Rule},
};
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
};

use super::invalid::{Checked, Invalid};

const EXPECTED: &str = "`all`, `deadline`, a fraction such as `0.5`, or a count as `count=3` or `{count: 3}`";

/// How complete an answer has to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Require {
    /// Every shard.
    All,
    /// Whatever has come by the deadline, but at least one part.
    Deadline,
    /// At least this share of the shards, above 0 and at most 1.
    Fraction(f64),
    /// At least so many shards.
    Count(u32),
}

impl Require {
    /// As the wire has it.
    pub fn wire(self) -> v1::Require {
        let rule = match self {
            Require::All => Rule::All(true),
            Require::Deadline => Rule::Deadline(true),
            Require::Fraction(share) => Rule::Fraction(share),
            Require::Count(count) => Rule::Count(count),
        };
        v1::Require { rule: Some(rule) }
    }

    fn fraction(share: f64) -> Option<Require> {
        (share > 0.0 && share <= 1.0).then_some(Require::Fraction(share))
    }

    fn count(count: u64) -> Option<Require> {
        u32::try_from(count).ok().filter(|&count| count > 0).map(Require::Count)
    }
}

/// As flags and HTTP write it: `all`, `deadline`, `0.5` or `count=3`. A bare whole number could mean either and is refused.
impl FromStr for Require {
    type Err = Invalid;

    fn from_str(text: &str) -> Checked<Require> {
        let read: v1::Require = text.parse().map_err(|why: BadRequire| Invalid(why.to_string()))?;
        Ok(match read.rule {
            None | Some(Rule::All(_)) => Require::All,
            Some(Rule::Deadline(_)) => Require::Deadline,
            Some(Rule::Fraction(share)) => Require::Fraction(share),
            Some(Rule::Count(count)) => Require::Count(count),
        })
    }
}

/// Reads one from any form a spec may have it in.
pub(super) struct RequireVisitor;

impl<'de> Visitor<'de> for RequireVisitor {
    type Value = Require;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Require, E> {
        text.parse().map_err(|_| E::custom(format!("`{text}` is not {EXPECTED}")))
    }

    fn visit_f64<E: de::Error>(self, share: f64) -> Result<Require, E> {
        Require::fraction(share).ok_or_else(|| E::custom(format!("{share} is no fraction above 0 and at most 1")))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Require, E> {
        Err(E::custom(format!(
            "{number} could be a count or a fraction: write `{{count: {number}}}` or `{{fraction: …}}`"
        )))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Require, E> {
        Err(E::custom(format!("`{number}` is not {EXPECTED}")))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Require, A::Error> {
        let bad = |what: &str| de::Error::custom(format!("{what}: expected {EXPECTED}"));
        let rule = match map.next_key::<String>()?.as_deref() {
            Some("count") => Require::count(map.next_value()?).ok_or_else(|| bad("a count is at least 1"))?,
            Some("fraction") => {
                Require::fraction(map.next_value()?).ok_or_else(|| bad("a fraction is above 0 and at most 1"))?
            }
            Some(other) => return Err(bad(&format!("unknown rule `{other}`"))),
            None => return Err(bad("no rule")),
        };
        match map.next_key::<String>()? {
            None => Ok(rule),
            Some(_) => Err(bad("more than one rule")),
        }
    }
}

impl<'de> Deserialize<'de> for Require {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Require, D::Error> {
        deserializer.deserialize_any(RequireVisitor)
    }
}

#[cfg(test)]
impl schemars::JsonSchema for Require {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Require".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let fraction = || serde_json::json!({ "type": "number", "exclusiveMinimum": 0, "maximum": 1 });
        schemars::json_schema!({ "oneOf": [
            { "enum": ["all", "deadline"] },
            { "type": "string", "pattern": "^(count=[1-9][0-9]*|fraction=[0-9.]+)$" },
            fraction(),
            { "type": "object", "properties": { "count": { "type": "integer", "minimum": 1 } },
              "required": ["count"], "additionalProperties": false },
            { "type": "object", "properties": { "fraction": fraction() },
              "required": ["fraction"], "additionalProperties": false },
        ] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_say_which_rule_they_mean() {
        for (text, rule) in [
            ("all", Require::All),
            ("deadline", Require::Deadline),
            ("0.5", Require::Fraction(0.5)),
            ("1.0", Require::Fraction(1.0)),
            ("count=3", Require::Count(3)),
            ("fraction=1", Require::Fraction(1.0)),
        ] {
            assert_eq!(text.parse(), Ok(rule), "{text}");
        }
        for bad in ["3", "1", "0.0", "1.5", "count=0", "some", "", "count="] {
            assert!(bad.parse::<Require>().is_err(), "{bad}");
        }
    }
}
