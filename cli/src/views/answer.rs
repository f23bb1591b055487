//! Answers of services and how complete they are.

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine};
use longshore_client::v1::{Answer, Coverage, PartView, Share};
use serde_json::{Value, json};

use crate::{
    amounts,
    printer::{Values, View},
    table,
};

/// An answer for programs. (People are given its body as it is.)
#[derive(Debug)]
pub struct AnswerView {
    /// What came.
    pub answer: Answer,
    /// Whether every shard is in it.
    pub complete: bool,
}

impl View for AnswerView {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.answer.body).into_owned()
    }

    fn values(&self) -> Values {
        let mut value = json!({
            "complete": self.complete,
            "coverage": self.answer.coverage.as_ref().map(coverage_value),
            "merge_s": seconds(self.answer.merge_us),
            "total_s": seconds(self.answer.total_us),
            "headers": self.answer.head.iter().map(|field| (&field.name, &field.value)).collect::<BTreeMap<_, _>>(),
        });
        // JSON has no bytes: what is text stays text, the rest is named for what it is.
        match std::str::from_utf8(&self.answer.body) {
            Ok(text) => value["body"] = Value::from(text),
            Err(_) => value["body_base64"] = Value::from(BASE64_STANDARD.encode(&self.answer.body)),
        }
        Values::One(value)
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What became of each shard, and how long it took.
pub fn parts_table(coverage: &Coverage) -> String {
    table::table(
        ["SHARD", "STATE", "TIME", "SIZE", "WORKER", "REPLICA", "ERROR"],
        coverage.parts.iter().map(|part| {
            [
                part.shard.to_string(),
                match (part.ok, &part.share) {
                    (true, _) => "ok",
                    (false, Some(_)) => "in part",
                    (false, None) => "missing",
                }
                .to_owned(),
                format!("{:.3}ms", part.latency_us as f64 / 1_000.0),
                amounts::bytes(part.size),
                part.worker.clone(),
                part.replica.to_string(),
                part.error.clone(),
            ]
        }),
    )
}

fn coverage_value(coverage: &Coverage) -> Value {
    let part = |part: &PartView| {
        json!({
            "shard": part.shard,
            "ok": part.ok,
            "error": part.error,
            "worker": part.worker,
            "replica": part.replica,
            "latency_s": seconds(part.latency_us),
            "size_bytes": part.size,
            "weight": part.weight,
            "share": part.share.as_ref().map(share_value),
        })
    };
    json!({
        "shards": coverage.shards,
        "answered": coverage.answered,
        "in_part": coverage.in_part,
        "covered": coverage.covered,
        "merge": coverage.merge.as_ref().map(share_value),
        "parts": coverage.parts.iter().map(part).collect::<Vec<_>>(),
    })
}

fn share_value(share: &Share) -> Value {
    json!({ "answered": share.answered, "of": share.of, "missing": share.missing })
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1_000_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_is_no_text_is_carried_as_base64() {
        let view = |body: &'static [u8]| {
            let answer = Answer { body: body.into(), ..Answer::default() };
            let view = AnswerView { answer, complete: true };
            match view.values() {
                Values::One(value) => value,
                Values::Many(_) => panic!("one answer is one value"),
            }
        };
        assert_eq!(view(b"text")["body"], "text");
        assert_eq!(view(b"\xff")["body_base64"], "/w==");
    }
}
