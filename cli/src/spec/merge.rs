//! What joins the parts of a service: a container, or one of the merges that are built in.

use std::fmt;

use longshore_client::v1::{
    BuiltinMerge, ConcatMerge, JsonArrayMerge, MergeSpec, SumMerge, TopMerge, builtin_merge::How,
};
use serde::{
    Deserialize, Deserializer,
    de::{
        self, DeserializeSeed, IntoDeserializer as _, MapAccess, Visitor,
        value::{MapAccessDeserializer, StringDeserializer},
    },
};

use super::{SpecError, SpecText, container::with_container, quantity::Count};
use longshore_client::bounds::REPLICAS;

const EXPECTED: &str =
    "a container, `concat`, `json-array`, `sum`, `{sum: FIELD}`, or `{top: 10, by: FIELD, order: descending}`";

with_container! {
    /// The container that joins the parts.
    pub struct MergeFile {
        /// Copies of it; unset means 1.
        replicas: Option<Count<REPLICAS>>,
        /// Merges one replica works on at once; unset means 1 for files, 16 for http.
        concurrency: Option<Count<{ u32::MAX }>>,
        /// It is given parts as leaves answer, and may answer before all have (interface http); unset: all together.
        stream: Option<bool>,
    }
}

/// What joins the parts.
#[derive(Debug, Clone)]
pub(super) enum Merge {
    /// A container.
    Container(Box<MergeFile>),
    /// The coordinator itself.
    Builtin(How),
}

/// Which items are the best.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    Ascending,
    Descending,
}

impl Merge {
    /// As the wire has it.
    pub(super) fn wire(&self, spec: &SpecText) -> Result<MergeSpec, SpecError> {
        match self {
            Self::Builtin(how) => {
                Ok(MergeSpec { builtin: Some(BuiltinMerge { how: Some(how.clone()) }), ..MergeSpec::default() })
            }
            Self::Container(file) => Ok(MergeSpec {
                container: Some(file.container(spec)?),
                replicas: file.replicas.map_or(0, |replicas| replicas.0),
                concurrency: file.concurrency.map_or(0, |concurrency| concurrency.0),
                builtin: None,
                stream: file.stream == Some(true),
            }),
        }
    }
}

impl<'de> Deserialize<'de> for Merge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Merge, D::Error> {
        deserializer.deserialize_any(MergeVisitor)
    }
}

struct MergeVisitor;

impl<'de> Visitor<'de> for MergeVisitor {
    type Value = Merge;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Merge, E> {
        Ok(Merge::Builtin(match name {
            "concat" => How::Concat(ConcatMerge {}),
            "json-array" => How::JsonArray(JsonArrayMerge {}),
            "sum" => How::Sum(SumMerge { field: String::new() }),
            other => return Err(E::custom(format!("`{other}` is not {EXPECTED}"))),
        }))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Merge, A::Error> {
        let Some(first) = map.next_key::<String>()? else {
            return Err(de::Error::custom(format!("expected {EXPECTED}")));
        };
        if ["top", "by", "order", "sum"].contains(&first.as_str()) {
            return builtin(first, map).map(Merge::Builtin);
        }
        let whole = MapAccessDeserializer::new(Begun { first: Some(first), map });
        MergeFile::deserialize(whole).map(|file| Merge::Container(Box::new(file)))
    }
}

fn builtin<'de, A: MapAccess<'de>>(first: String, mut map: A) -> Result<How, A::Error> {
    let (mut most, mut by, mut order, mut sum) = (None, None, None, None);
    let mut key = Some(first);
    while let Some(name) = key {
        match name.as_str() {
            "top" if most.is_none() => most = Some(map.next_value::<u32>()?),
            "by" if by.is_none() => by = Some(map.next_value::<String>()?),
            "order" if order.is_none() => order = Some(map.next_value::<Order>()?),
            "sum" if sum.is_none() => sum = Some(map.next_value::<String>()?),
            other => {
                return Err(de::Error::custom(format!(
                    "`{other}` does not go with a built-in merge: expected {EXPECTED}"
                )));
            }
        }
        key = map.next_key()?;
    }
    match (most, by, order, sum) {
        (Some(most), Some(by), order, None) => {
            Ok(How::Top(TopMerge { most, by, ascending: matches!(order, Some(Order::Ascending)) }))
        }
        (None, None, None, Some(field)) => Ok(How::Sum(SumMerge { field })),
        _ => Err(de::Error::custom(format!("expected {EXPECTED}"))),
    }
}

/// A map whose first key was looked at.
struct Begun<A> {
    first: Option<String>,
    map: A,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Begun<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        match self.first.take() {
            Some(first) => {
                let first: StringDeserializer<A::Error> = first.into_deserializer();
                seed.deserialize(first).map(Some)
            }
            None => self.map.next_key_seed(seed),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

#[cfg(test)]
impl schemars::JsonSchema for Merge {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Merge".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let container = generator.subschema_for::<MergeFile>();
        schemars::json_schema!({ "oneOf": [
            { "enum": ["concat", "json-array", "sum"] },
            { "type": "object", "required": ["sum"], "additionalProperties": false,
              "properties": { "sum": { "type": "string" } } },
            { "type": "object", "required": ["top", "by"], "additionalProperties": false,
              "properties": { "top": { "type": "integer", "minimum": 1, "maximum": 10000 }, "by": { "type": "string" },
                              "order": { "enum": ["ascending", "descending"] } } },
            container,
        ] })
    }
}
