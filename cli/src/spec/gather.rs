//! What a gather stage gathers: everything, by keys, or as a tree, and how much of it has to be there.

use std::fmt;

use longshore_client::v1::{self, gather_require::Rule};
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::{
    quantity::Count,
    require::{Require, RequireVisitor},
};

/// What a gather stage takes.
#[derive(Debug, Clone, Default)]
pub struct Gather(Option<GatherFile>);

/// As a mapping.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct GatherFile {
    /// One item for each key, made of a path: of `{dir}`, `{name}`, `{stem}`, `{ext}` and `{part:N}`.
    by: Option<String>,
    /// Or of what this regular expression finds in the path: its first group.
    r#match: Option<String>,
    /// Whose path that is: the input's that an output comes from, or the output's own; unset means input.
    of: Option<Of>,
    /// How much has to be there: `all`, `any`, a fraction such as `0.95`, or a count as `count=3`; unset means all.
    require: Option<Enough>,
    /// What becomes of inputs, or outputs, without a key; unset means fail.
    unmatched: Option<Unmatched>,
    /// Merge in levels, so many parts at a time: for commands whose outputs they take as inputs again.
    fan_in: Option<Count<{ u32::MAX }>>,
}

/// Whose key it is.
#[derive(Debug, Clone, Copy, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
enum Of {
    /// The input's that an output comes from.
    Input,
    /// The output's own: made when everything before has ended.
    Output,
}

/// What becomes of inputs without a key.
#[derive(Debug, Clone, Copy, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
enum Unmatched {
    /// The job is refused.
    Fail,
    /// They are in no group.
    Skip,
}

/// How much has to be there.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Enough {
    Any,
    Of(Require),
}

impl Gather {
    /// As the wire has it; nothing for everything in one item.
    pub fn wire(&self) -> Option<v1::Gather> {
        let file = self.0.as_ref()?;
        Some(v1::Gather {
            by: file.by.clone().unwrap_or_default(),
            r#match: file.r#match.clone().unwrap_or_default(),
            require: file.require.map(Enough::wire),
            unmatched: match file.unmatched {
                None => v1::Unmatched::Unspecified.into(),
                Some(Unmatched::Fail) => v1::Unmatched::Fail.into(),
                Some(Unmatched::Skip) => v1::Unmatched::Skip.into(),
            },
            fan_in: file.fan_in.map_or(0, |most| most.0),
            level: 0,
            of_outputs: 0,
        })
    }

    /// What kind of stage that is.
    pub fn kind(&self) -> v1::StageKind {
        match self.0.as_ref().and_then(|file| file.of) {
            Some(Of::Output) => v1::StageKind::GatherOutputs,
            Some(Of::Input) | None => v1::StageKind::Gather,
        }
    }
}

impl Enough {
    fn wire(self) -> v1::GatherRequire {
        let rule = match self {
            Self::Any | Self::Of(Require::Deadline) => Rule::Any(true),
            Self::Of(Require::All) => Rule::All(true),
            Self::Of(Require::Fraction(share)) => Rule::Fraction(share),
            Self::Of(Require::Count(count)) => Rule::Count(count.into()),
        };
        v1::GatherRequire { rule: Some(rule) }
    }
}

struct EnoughVisitor;

impl<'de> Visitor<'de> for EnoughVisitor {
    type Value = Enough;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`all`, `any`, a fraction such as `0.95`, or a count as `count=3`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Enough, E> {
        match text {
            "any" => Ok(Enough::Any),
            "deadline" => {
                Err(E::custom("`deadline` is of queries: a gather begins when everything before it has ended"))
            }
            other => other.parse().map(Enough::Of).map_err(|_| E::invalid_value(de::Unexpected::Str(other), &self)),
        }
    }

    fn visit_f64<E: de::Error>(self, share: f64) -> Result<Enough, E> {
        RequireVisitor.visit_f64(share).map(Enough::Of)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Enough, E> {
        RequireVisitor.visit_u64(number).map(Enough::Of)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Enough, A::Error> {
        RequireVisitor.visit_map(map).map(Enough::Of)
    }
}

impl<'de> Deserialize<'de> for Enough {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EnoughVisitor)
    }
}

struct GatherVisitor;

impl<'de> Visitor<'de> for GatherVisitor {
    type Value = Gather;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`all`, or a mapping such as `{ by: '{dir}' }`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Gather, E> {
        match text {
            "all" => Ok(Gather(None)),
            other => Err(E::unknown_variant(other, &["all"])),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Gather, A::Error> {
        GatherFile::deserialize(MapAccessDeserializer::new(map)).map(|file| Gather(Some(file)))
    }
}

impl<'de> Deserialize<'de> for Gather {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(GatherVisitor)
    }
}

#[cfg(test)]
impl schemars::JsonSchema for Enough {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Enough".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let fraction = || serde_json::json!({ "type": "number", "exclusiveMinimum": 0, "maximum": 1 });
        schemars::json_schema!({ "oneOf": [
            { "enum": ["all", "any"] },
            { "type": "string", "pattern": "^(count=[1-9][0-9]*|fraction=.+|[0-9]*\\.[0-9]+)$" },
            fraction(),
            { "type": "object", "properties": { "count": { "type": "integer", "minimum": 1 } },
              "required": ["count"], "additionalProperties": false },
            { "type": "object", "properties": { "fraction": fraction() },
              "required": ["fraction"], "additionalProperties": false },
        ] })
    }
}

#[cfg(test)]
impl schemars::JsonSchema for Gather {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Gather".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let file = generator.subschema_for::<GatherFile>();
        schemars::json_schema!({
            "description": "What a gather stage takes.",
            "oneOf": [
                { "description": "All outputs of the stage before, as the parts of one item.", "const": "all", "type": "string" },
                file,
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<v1::Gather>, String> {
        serde_saphyr::from_str::<Gather>(text).map(|gather| gather.wire()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_gather_is_a_word_or_a_mapping() {
        assert_eq!(read("all"), Ok(None));
        let gather = read("{ by: '{dir}', of: input, require: 0.95, unmatched: skip }").unwrap().unwrap();
        assert_eq!((gather.by.as_str(), gather.unmatched()), ("{dir}", v1::Unmatched::Skip));
        assert_eq!(gather.require.and_then(|require| require.rule), Some(Rule::Fraction(0.95)));
        assert_eq!(read("{ fan_in: 256 }").unwrap().unwrap().fan_in, 256);
    }

    #[test]
    fn rules_are_said_in_the_words_of_services() {
        for (text, rule) in [
            ("all", Rule::All(true)),
            ("any", Rule::Any(true)),
            ("0.5", Rule::Fraction(0.5)),
            ("count=3", Rule::Count(3)),
            ("{ count: 3 }", Rule::Count(3)),
            ("{ fraction: 1 }", Rule::Fraction(1.0)),
        ] {
            let gather = read(&format!("{{ require: {text} }}")).unwrap().unwrap();
            assert_eq!(gather.require.and_then(|require| require.rule), Some(rule), "{text}");
        }
        for (text, why) in
            [("3", "write `{count: 3}`"), ("deadline", "of queries"), ("some", "`any`"), ("0.0", "fraction")]
        {
            let refused = read(&format!("{{ require: {text} }}")).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
        let refused = read("{ of: outputs, by: '{dir}' }").unwrap_err();
        assert!(refused.contains("input, output"), "{refused}");
    }
}
