//! The HTTP gateway: `/healthz`, and queries for whoever has curl.

use std::{convert::Infallible, time::Duration};

use axum::{
    Extension, Router,
    body::Body,
    extract::{
        Path, Query, Request, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use longshore_contract::header as contract_header;
use longshore_proto::{head, v1};
use longshore_root::CallError;
use serde::Deserialize;
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    api::{
        caller::Caller,
        services::{Answered, Asked, Outcome, QueryFailure, Services},
    },
    error::{Broken, Error, Refused, Unavailable},
    limits,
    net::{
        bodies::{self, NoBody},
        details::MEMORY_RETRY,
        problem::problem,
        sending::{self, Until},
        streams::Cut,
    },
    replica::{Coverage, QueryError},
};

/// How complete the answer is: `answered/shards`.
const COVERAGE: HeaderName = HeaderName::from_static(contract_header::COVERAGE);
/// The missing shards, each with its reason.
const MISSING: HeaderName = HeaderName::from_static(contract_header::MISSING);

/// The share of the service that is in the answer, by the weights of its shards: `1.000000` when it is complete.
const COVERED: HeaderName = HeaderName::from_static(contract_header::COVERED);

/// The time a query was given, where that is less than was asked for.
const DEADLINE: HeaderName = HeaderName::from_static(head::DEADLINE_MS);

/// Whether it serves.
pub fn health() -> Router {
    Router::new().route("/healthz", get(|| async { "ok\n" }))
}

/// The routes of queries.
pub fn routes(services: Services) -> Router {
    Router::new()
        .route("/v1/services/{name}/query", post(query).options(methods).fallback(not_allowed))
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
    if options.deadline_ms == Some(0) {
        return bad("deadline_ms: 0 leaves no time; without it a query has its service's");
    }
    let account = services.account(&caller);
    let body = match bodies::read(request.into_body(), &account).await {
        Ok(body) => body,
        Err(why) => return unread(why),
    };
    let deadline = options.deadline_ms.map(Duration::from_millis);
    let Outcome { answered, cut } =
        services.ask(&caller, Asked { service, body, head, deadline, require, account }).await;
    let mut response = match answered {
        Ok(answered) => sent(answered),
        Err(QueryFailure::Unasked(error)) => unasked(&error),
        Err(QueryFailure::Failed(error)) => failed(&error),
    };
    if let Some(cut) = cut.and_then(|cut| u64::try_from(cut.as_millis()).ok()) {
        response.headers_mut().insert(DEADLINE, cut.into());
    }
    response
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

/// An answer on its way: all but a small one in pieces, as it is read.
fn sent(Answered { answer, turn, account }: Answered) -> Response {
    let complete = answer.coverage.is_complete();
    let status = if complete { StatusCode::OK } else { StatusCode::PARTIAL_CONTENT };
    let mut headers = coverage_headers(&answer.coverage);
    headers.extend(answer.head.clone());
    let size = answer.size();
    if size <= limits::SMALL_ANSWER_BYTES {
        return (status, headers, answer.whole()).into_response();
    }
    headers.insert(header::CONTENT_LENGTH, size.into());
    let until = Until { held: turn, outstanding: account.outstanding(), cut: Cut::of_this_stream() };
    let sent = sending::send(answer.pieces, until, None, Ok::<_, Infallible>, None);
    (status, headers, Body::from_stream(ReceiverStream::new(sent))).into_response()
}

/// A body that is not here whole.
fn unread(why: NoBody) -> Response {
    let (status, code) = match why {
        NoBody::NoRoom(error) => return unasked(&error.into()),
        NoBody::Late => (StatusCode::REQUEST_TIMEOUT, "body_too_slow"),
        NoBody::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "invalid_argument"),
        NoBody::Broken(_) => (StatusCode::BAD_REQUEST, "invalid_argument"),
    };
    problem(status, code, &why.to_string(), None)
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
            Unavailable::Memory => (StatusCode::SERVICE_UNAVAILABLE, "memory_full"),
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
fn retry_after(unavailable: Unavailable) -> u64 {
    match unavailable {
        Unavailable::Busy => 1,
        Unavailable::Memory => MEMORY_RETRY.as_secs(),
        Unavailable::Stopping | Unavailable::Ended => 5,
        // Somebody has to make room first.
        Unavailable::Full => 60,
    }
}

fn failed(error: &QueryError) -> Response {
    let text = error.to_string();
    match error {
        QueryError::TooFewParts { no_room: true, coverage, .. }
        | QueryError::Merge { cause: CallError::NoRoom(_), coverage } => {
            let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, "memory_full", &text, Some(coverage));
            response.headers_mut().insert(header::RETRY_AFTER, MEMORY_RETRY.as_secs().into());
            response
        }
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
