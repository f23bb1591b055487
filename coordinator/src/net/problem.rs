//! Errors as HTTP answers: a status, and a JSON object that says what went wrong.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde_json::json;

use crate::replica::Coverage;

/// An error's answer; with what became of every shard where that is known.
pub fn problem(status: StatusCode, code: &str, message: &str, coverage: Option<&Coverage>) -> Response {
    let mut body = json!({ "error": { "code": code, "message": message } });
    if let Some(coverage) = coverage {
        let missing: Vec<_> = coverage
            .parts
            .iter()
            .filter_map(|part| Some(json!({ "shard": part.shard, "error": part.error.as_ref()? })))
            .collect();
        body["error"]["coverage"] = json!({
            "answered": coverage.answered(),
            "in_part": coverage.in_part(),
            "covered": coverage.covered(),
            "shards": coverage.shards(),
            "missing": missing,
        });
    }
    (status, Json(body)).into_response()
}
