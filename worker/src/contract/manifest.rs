//! What a command is told of its parts, and of what is not among them: a file of JSON. `docs/containers.md` has every field.

use std::io;

use longshore_proto::v1::{FailureClass, Missing, MissingInput, NamedBlob, WhyMissing};
use serde::Serialize;

#[derive(Serialize)]
struct Manifest<'a> {
    parts: Vec<Part<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing_inputs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<Vec<Absent<'a>>>,
}

#[derive(Serialize)]
struct Part<'a> {
    index: usize,
    name: &'a str,
    path: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    input: &'a str,
    size: u64,
    digest: String,
}

#[derive(Serialize)]
struct Absent<'a> {
    input: &'a str,
    stage: &'a str,
    why: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<i32>,
}

/// The manifest of parts that lie under these names. A merge knows of nothing missing.
pub(super) fn of(parts: &[NamedBlob], names: &[String], missing: Option<&Missing>) -> io::Result<Vec<u8>> {
    let hex = |digest: &[u8]| digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = parts.iter().zip(names).enumerate().map(|(index, (part, name))| Part {
        index,
        name,
        path: &part.path,
        input: &part.origin,
        size: part.size,
        digest: hex(&part.digest),
    });
    let manifest = Manifest {
        parts: parts.collect(),
        missing_inputs: missing.map(|missing| missing.count),
        missing: missing.map(|missing| missing.first.iter().map(absent).collect()),
    };
    serde_json::to_vec(&manifest).map_err(io::Error::other)
}

fn absent(input: &MissingInput) -> Absent<'_> {
    let (why, failed) = match input.why() {
        WhyMissing::Failed => ("failed", true),
        WhyMissing::Filtered => ("filtered", false),
        WhyMissing::Unspecified => ("no-item", false),
    };
    let class = match input.class() {
        FailureClass::Unspecified => "unknown",
        FailureClass::Exit => "exit",
        FailureClass::Signal => "signal",
        FailureClass::OutOfMemory => "out-of-memory",
        FailureClass::Timeout => "timeout",
        FailureClass::Image => "image",
        FailureClass::Command => "command",
        FailureClass::Output => "output",
        FailureClass::SlotLost => "slot-lost",
        FailureClass::Infrastructure => "infrastructure",
        FailureClass::Refused => "refused",
    };
    Absent {
        input: &input.path,
        stage: &input.stage,
        why,
        class: failed.then_some(class),
        code: (failed && input.code != 0).then_some(input.code),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn manifest() -> Value {
        let part = NamedBlob { path: "out/a".to_owned(), origin: "in/a".to_owned(), size: 3, ..NamedBlob::default() };
        let mut failed =
            MissingInput { path: "in/b".to_owned(), stage: "count".to_owned(), code: 7, ..MissingInput::default() };
        failed.set_why(WhyMissing::Failed);
        failed.set_class(FailureClass::Exit);
        let mut filtered = MissingInput { path: "in/c".to_owned(), ..failed.clone() };
        filtered.set_why(WhyMissing::Filtered);
        let missing = Missing { count: 9, first: vec![failed, filtered] };
        serde_json::from_slice(&of(&[part], &["000000-a".to_owned()], Some(&missing)).unwrap()).unwrap()
    }

    #[test]
    fn parts_tell_where_they_come_from_and_what_is_missing_tells_why() {
        let manifest = manifest();
        assert_eq!((&manifest["parts"][0]["input"], &manifest["missing_inputs"]), (&"in/a".into(), &9.into()));
        let missing = &manifest["missing"];
        let told =
            serde_json::json!({ "input": "in/b", "stage": "count", "why": "failed", "class": "exit", "code": 7 });
        assert_eq!(missing[0], told);
        assert_eq!(missing[1], serde_json::json!({ "input": "in/c", "stage": "count", "why": "filtered" }));
    }

    #[test]
    fn a_merge_is_told_of_its_parts_alone() {
        let told: Value = serde_json::from_slice(&of(&[], &[], None).unwrap()).unwrap();
        assert_eq!(told, serde_json::json!({ "parts": [] }));
    }

    #[test]
    fn every_field_is_documented() {
        let page = include_str!("../../../docs/containers.md");
        let start = page.find("### The manifest").unwrap();
        let section = &page[start..][..page[start + 3..].find("\n##").unwrap()];
        let manifest = manifest();
        let objects = [&manifest, &manifest["parts"][0], &manifest["missing"][0]];
        let fields: Vec<_> = objects.iter().flat_map(|object| object.as_object().unwrap().keys()).collect();
        assert_eq!(fields.len(), 14);
        for field in fields {
            assert!(section.contains(&format!("`{field}`")), "docs/containers.md does not say what {field} is");
        }
    }
}
