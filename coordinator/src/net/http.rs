//! The HTTP gateway: `/healthz`, and queries for whoever has curl.

use std::{convert::Infallible, time::Duration};

use axum::{
    Extension, Router,
    body::{Body, Bytes},
    extract::{
        DefaultBodyLimit, FromRequest, Path, Query, Request, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use longshore_contract::header as contract_header;
use longshore_proto::{CHUNK_BYTES, v1};
use longshore_root::CallError;
use serde::Deserialize;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tower_http::timeout::TimeoutError;

use crate::{
    api::{
        caller::Caller,
        services::{Answered, Asked, QueryFailure, Services},
    },
    error::{Broken, Error, Refused, Unavailable},
    limits,
    net::{problem::problem, sending},
    replica::{Coverage, QueryError},
};

/// How complete the answer is: `answered/shards`.
const COVERAGE: HeaderName = HeaderName::from_static(contract_header::COVERAGE);
/// The missing shards, each with its reason.
const MISSING: HeaderName = HeaderName::from_static(contract_header::MISSING);

/// The share of the service that is in the answer, by the weights of its shards: `1.000000` when it is complete.
const COVERED: HeaderName = HeaderName::from_static(contract_header::COVERED);

/// Whether it serves.
pub fn health() -> Router {
    Router::new().route("/healthz", get(|| async { "ok\n" }))
}

/// The routes of queries.
pub fn routes(services: Services) -> Router {
    Router::new()
        .route("/v1/services/{name}/query", post(query).options(methods).fallback(not_allowed))
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
    service: Result<Path<String>, PathRejection>,
    options: Result<Query<Options>, QueryRejection>,
    request: Request,
) -> Response {
    let bad = |why: &str| problem(StatusCode::BAD_REQUEST, "invalid_argument", why, None);
    let (service, options) = match (service, options) {
        (Ok(Path(service)), Ok(Query(options))) => (service, options),
        (Err(rejected), _) => return bad(&rejected.body_text()),
        (_, Err(rejected)) => return bad(&rejected.body_text()),
    };
    let require = match options.require.as_deref().map(str::parse::<v1::Require>).transpose() {
        Ok(require) => require,
        Err(why) => return bad(&format!("require: {why}")),
    };
    let head = request.headers().clone();
    let body = match timeout(limits::QUERY_BODY_TIME, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => body,
        Ok(Err(rejected)) if is_timeout(&rejected) => return late(),
        Ok(Err(rejected)) => return problem(rejected.status(), "invalid_argument", &rejected.body_text(), None),
        Err(_) => return late(),
    };
    let deadline = options.deadline_ms.filter(|ms| *ms > 0).map(Duration::from_millis);
    match services.ask(&caller, Asked { service, body, head, deadline, require }).await {
        Ok(answered) => sent(answered),
        Err(QueryFailure::Unasked(error)) => unasked(&error),
        Err(QueryFailure::Failed(error)) => failed(&error),
    }
}

/// What a query can be asked by.
const ALLOWED: HeaderValue = HeaderValue::from_static("POST, OPTIONS");

async fn methods() -> Response {
    (StatusCode::NO_CONTENT, [(header::ALLOW, ALLOWED)]).into_response()
}

async fn not_allowed(method: Method) -> Response {
    let why = format!("a query is asked by POST, not by {method}");
    let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", &why, None);
    response.headers_mut().insert(header::ALLOW, ALLOWED);
    response
}

/// An answer on its way: a large one in chunks, as it is read.
fn sent(Answered { answer, turn }: Answered) -> Response {
    let complete = answer.coverage.is_complete();
    let status = if complete { StatusCode::OK } else { StatusCode::PARTIAL_CONTENT };
    let mut headers = coverage_headers(&answer.coverage);
    headers.extend(answer.head.clone());
    let size = answer.size();
    if size <= CHUNK_BYTES as u64 {
        return (status, headers, answer.whole()).into_response();
    }
    headers.insert(header::CONTENT_LENGTH, size.into());
    let sent = sending::send(answer.pieces, turn, None, Ok::<_, Infallible>, None);
    (status, headers, Body::from_stream(ReceiverStream::new(sent))).into_response()
}

/// A body that does not come, or comes too slowly.
fn late() -> Response {
    problem(StatusCode::REQUEST_TIMEOUT, "body_too_slow", "the body of the query did not come in time", None)
}

fn is_timeout(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<TimeoutError>() || error.source().is_some_and(is_timeout)
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
    // What a container calls a page is none of ours.
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    if let Ok(covered) = HeaderValue::from_str(&share(coverage.covered())) {
        headers.insert(COVERED, covered);
    }
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

/// A share with six digits, rounded down: what is not all does not look so.
fn share(covered: f64) -> String {
    format!("{:.6}", (covered * 1e6).floor() / 1e6)
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
            Unavailable::Full => (StatusCode::INSUFFICIENT_STORAGE, "resource_exhausted"),
            Unavailable::Stopping | Unavailable::Ended => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        },
        Error::Broken(broken, _) => match broken {
            Broken::Data => (StatusCode::INTERNAL_SERVER_ERROR, "data_loss"),
            Broken::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        },
    };
    let mut response = problem(code, name, &error.to_string(), None);
    if let Error::Unavailable(unavailable, _) = error {
        response.headers_mut().insert(header::RETRY_AFTER, retry_after(*unavailable).into());
    }
    response
}

/// Seconds after which it is worth asking again.
fn retry_after(unavailable: Unavailable) -> u16 {
    match unavailable {
        Unavailable::Busy => 1,
        Unavailable::Stopping | Unavailable::Ended => 5,
        // Somebody has to make room first.
        Unavailable::Full => 60,
    }
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
        QueryError::Merge { cause: CallError::Late(_), coverage } => {
            problem(StatusCode::GATEWAY_TIMEOUT, "deadline_exceeded", &text, Some(coverage))
        }
        QueryError::Merge { coverage, .. } | QueryError::Join { coverage, .. } => {
            problem(StatusCode::BAD_GATEWAY, "merge_failed", &text, Some(coverage))
        }
        QueryError::PartsTooLarge { .. } => problem(StatusCode::BAD_GATEWAY, "parts_too_large", &text, None),
    }
}
