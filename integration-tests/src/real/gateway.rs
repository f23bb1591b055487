//! The HTTP gateway, asked as curl would.

use std::collections::BTreeMap;

use ureq::http::Request;

use super::Server;

/// Most bytes of an answer that are read.
const BODY_BYTES: u64 = 256 << 20;

/// What came back.
#[derive(Debug)]
pub struct Answered {
    /// HTTP status.
    pub status: u16,
    /// `longshore-coverage`.
    pub coverage: Option<String>,
    /// `longshore-missing`.
    pub missing: Option<String>,
    /// `retry-after`.
    pub retry_after: Option<String>,
    /// All headers, by their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

/// Posts a query.
///
/// # Panics
/// When no HTTP answer comes.
pub fn ask(server: &Server, path: &str, body: &str) -> Answered {
    ask_like(server, ("POST", path), &[], body)
}

/// Asks by any method, with these headers.
///
/// # Panics
/// When no HTTP answer comes.
pub fn ask_like(server: &Server, (method, path): (&str, &str), headers: &[(&str, &str)], body: &str) -> Answered {
    let config = ureq::Agent::config_builder().http_status_as_error(false).allow_non_standard_methods(true);
    let mut question = Request::builder().method(method).uri(format!("{}{path}", server.address));
    question = question.header("authorization", format!("Bearer {}", server.token()));
    for (name, value) in headers {
        question = question.header(*name, *value);
    }
    let mut answer = config.build().new_agent().run(question.body(body.to_owned()).unwrap()).unwrap();
    let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    Answered {
        status: answer.status().as_u16(),
        coverage: header("longshore-coverage"),
        missing: header("longshore-missing"),
        retry_after: header("retry-after"),
        headers: answer
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect(),
        body: answer.body_mut().with_config().limit(BODY_BYTES).read_to_string().unwrap(),
    }
}
