//! The HTTP gateway: `/healthz`, and queries for whoever has curl.

use std::time::Duration;

use axum::{
    Extension, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequest, Path, Query, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use longshore_contract::header as contract_header;
use longshore_proto::v1::{self, require::Rule};
use serde::Deserialize;
use tokio::time::timeout;
use tower_http::timeout::TimeoutError;

use crate::{
    api::{
        caller::Caller,
        services::{Asked, QueryFailure, Services},
        validate::Invalid,
    },
    error::{Broken, Error, Refused, Unavailable},
    limits,
    net::problem::problem,
    replica::{Coverage, QueryError},
};

/// How complete the answer is: `answered/shards`.
const COVERAGE: HeaderName = HeaderName::from_static(contract_header::COVERAGE);
/// The missing shards, each with its reason.
const MISSING: HeaderName = HeaderName::from_static(contract_header::MISSING);

/// Whether it serves.
pub fn health() -> Router {
    Router::new().route("/healthz", get(|| async { "ok\n" }))
}

/// The routes of queries.
pub fn routes(services: Services) -> Router {
    Router::new()
        .route("/v1/services/{name}/query", post(query))
        .layer(DefaultBodyLimit::max(limits::QUERY_BYTES))
        .with_state(services)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    deadline_ms: Option<u64>,
    require: Option<String>,
}

async fn query(
    State(services): State<Services>,
    Extension(caller): Extension<Caller>,
    Path(service): Path<String>,
    Query(options): Query<Options>,
    request: Request,
) -> Response {
    let require = match options.require.as_deref().map(parse_require).transpose() {
        Ok(require) => require,
        Err(why) => return problem(StatusCode::BAD_REQUEST, "invalid_argument", &why.to_string(), None),
    };
    let body = match timeout(limits::QUERY_BODY_TIME, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => body,
        Ok(Err(rejected)) if is_timeout(&rejected) => return late(),
        Ok(Err(rejected)) => return problem(rejected.status(), "invalid_argument", &rejected.body_text(), None),
        Err(_) => return late(),
    };
    let deadline = options.deadline_ms.filter(|ms| *ms > 0).map(Duration::from_millis);
    match services.ask(&caller, Asked { service, body, deadline, require }).await {
        Ok(answer) => {
            let complete = answer.coverage.is_complete();
            let status = if complete { StatusCode::OK } else { StatusCode::PARTIAL_CONTENT };
            (status, coverage_headers(&answer.coverage), answer.body).into_response()
        }
        Err(QueryFailure::Unasked(error)) => unasked(&error),
        Err(QueryFailure::Failed(error)) => failed(&error),
    }
}

/// A body that does not come, or comes too slowly.
fn late() -> Response {
    problem(StatusCode::REQUEST_TIMEOUT, "body_too_slow", "the body of the query did not come in time", None)
}

fn is_timeout(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<TimeoutError>() || error.source().is_some_and(is_timeout)
}

/// `all`, `deadline`, a share with a point in it, or a number of parts.
fn parse_require(text: &str) -> Result<v1::Require, Invalid> {
    let rule =
        match text {
            "all" => Rule::All(true),
            "deadline" => Rule::Deadline(true),
            share if share.contains('.') => {
                Rule::Fraction(share.parse().map_err(|_| Invalid(format!("require={share} is not a share")))?)
            }
            count => Rule::Count(count.parse().map_err(|_| {
                Invalid(format!("require={count} is none of all, deadline, a share like 0.5, a count"))
            })?),
        };
    Ok(v1::Require { rule: Some(rule) })
}

fn coverage_headers(coverage: &Coverage) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let counts = format!("{}/{}", coverage.answered(), coverage.shards());
    let missing: String = coverage
        .missing()
        .chars()
        .map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' })
        .take(2_048)
        .collect();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(counts) = HeaderValue::from_str(&counts) {
        headers.insert(COVERAGE, counts);
    }
    if !missing.is_empty()
        && let Ok(missing) = HeaderValue::from_str(&missing)
    {
        headers.insert(MISSING, missing);
    }
    headers
}

/// The one place where errors become HTTP's statuses.
pub fn unasked(error: &Error) -> Response {
    let (code, name) = match error {
        Error::Refused(refused, _) => match refused {
            Refused::Invalid => (StatusCode::BAD_REQUEST, "invalid_argument"),
            Refused::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            Refused::Exists => (StatusCode::CONFLICT, "already_exists"),
            Refused::NotNow => (StatusCode::CONFLICT, "failed_precondition"),
            Refused::Denied => (StatusCode::FORBIDDEN, "permission_denied"),
            Refused::Stranger => (StatusCode::UNAUTHORIZED, "unauthenticated"),
            Refused::Expired => (StatusCode::GONE, "expired"),
            Refused::UsedUp => (StatusCode::GONE, "used_up"),
        },
        Error::Unavailable(unavailable, _) => match unavailable {
            Unavailable::Busy => (StatusCode::TOO_MANY_REQUESTS, "busy"),
            Unavailable::Full => (StatusCode::TOO_MANY_REQUESTS, "resource_exhausted"),
            Unavailable::Stopping | Unavailable::Ended => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        },
        Error::Broken(broken, _) => match broken {
            Broken::Data => (StatusCode::INTERNAL_SERVER_ERROR, "data_loss"),
            Broken::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        },
    };
    problem(code, name, &error.to_string(), None)
}

fn failed(error: &QueryError) -> Response {
    let text = error.to_string();
    match error {
        QueryError::TooFewParts { refused: true, coverage, .. } => {
            problem(StatusCode::BAD_REQUEST, "refused", &text, Some(coverage))
        }
        QueryError::TooFewParts { timed_out: true, coverage, .. } => {
            problem(StatusCode::GATEWAY_TIMEOUT, "deadline_exceeded", &text, Some(coverage))
        }
        QueryError::TooFewParts { coverage, .. } => {
            problem(StatusCode::SERVICE_UNAVAILABLE, "too_few_parts", &text, Some(coverage))
        }
        QueryError::Merge { coverage, .. } => problem(StatusCode::BAD_GATEWAY, "merge_failed", &text, Some(coverage)),
        QueryError::PartsTooLarge { .. } => problem(StatusCode::BAD_GATEWAY, "parts_too_large", &text, None),
    }
}
