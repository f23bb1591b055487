//! The HTTP gateway, asked as curl would.

use super::Server;

/// What came back.
#[derive(Debug)]
pub struct Answered {
    /// HTTP status.
    pub status: u16,
    /// `longshore-coverage`.
    pub coverage: Option<String>,
    /// `longshore-missing`.
    pub missing: Option<String>,
    /// The body.
    pub body: String,
}

/// Posts a query.
///
/// # Panics
/// When no HTTP answer comes.
pub fn ask(server: &Server, path: &str, body: &str) -> Answered {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let question = agent.post(format!("{}{path}", server.address));
    let question = question.header("authorization", format!("Bearer {}", server.token()));
    let mut answer = question.send(body).unwrap();
    let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    Answered {
        status: answer.status().as_u16(),
        coverage: header("longshore-coverage"),
        missing: header("longshore-missing"),
        body: answer.body_mut().read_to_string().unwrap(),
    }
}
