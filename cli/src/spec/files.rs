//! `files:` of a spec: what is sent along with a container.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use longshore_client::sent::SentFile;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

/// Files by their paths here, or by their names inside.
#[derive(Debug, Clone, Default)]
pub struct Files(pub Vec<SentFile>);

impl<'de> Deserialize<'de> for Files {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FilesVisitor)
    }
}

struct FilesVisitor;

impl<'de> Visitor<'de> for FilesVisitor {
    type Value = Files;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of files, as `[run.py]`, or names with files, as `{ run.py: scripts/run.py }`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Files, A::Error> {
        let mut files = Vec::new();
        while let Some(from) = list.next_element::<PathBuf>()? {
            files.push(SentFile { from, name: None });
        }
        Ok(Files(files))
    }

    fn visit_map<A: MapAccess<'de>>(self, names: A) -> Result<Files, A::Error> {
        let names = BTreeMap::<String, PathBuf>::deserialize(MapAccessDeserializer::new(names))?;
        Ok(Files(names.into_iter().map(|(name, from)| SentFile { from, name: Some(name) }).collect()))
    }
}

/// For the schemas.
#[cfg(test)]
#[derive(schemars::JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)]
pub enum FilesSchema {
    /// Paths, relative to the spec; each file is called inside as it is here.
    List(Vec<String>),
    /// Names inside, each with a path, relative to the spec.
    Named(BTreeMap<String, String>),
}
