//! What every request passes, gRPC's and HTTP's alike, as one stack of layers.
//!
//! ```text
//! gate (bounds of headers, origin, who calls, what they may) ──► deadline ──► span ──► turns ──► is it gRPC's? ──► the method
//! ```
//!
//! Workers' links and questions after its health do not pass the last two: a coordinator with too much to do must not lose its workers
//! too, nor be taken for dead.

use std::convert::Infallible;

use axum::{
    Router,
    body::Body,
    middleware::{Next, from_fn},
    response::Response,
};
use http::{Request, StatusCode};
use tower::{Service, ServiceBuilder};
use tower_http::trace::TraceLayer;
use tracing::{Level, Span};

use super::{
    bodies,
    deadline::DeadlineLayer,
    gate::{Gate, is_grpc},
    problem::problem,
    turns::Turns,
    whole,
};
use crate::api::{caller::Caller, services::Services};

/// Puts the layers for everybody before the routes.
pub fn before(
    routes: Router,
    gate: Gate,
) -> impl Service<Request<Body>, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static {
    ServiceBuilder::new().layer(gate).layer(DeadlineLayer).service(routes)
}

/// Routes whose requests have a span each, and are answered when it is their turn, or told at once that it is not. Together, since
/// each layer on a router costs every request a box.
pub fn shedding(routes: Router) -> Router {
    let layers =
        ServiceBuilder::new().layer(TraceLayer::new_for_http().make_span_with(span).on_failure(())).layer(Turns::new());
    routes.layer(layers)
}

/// The methods that ask a service.
const QUERIES: [&str; 2] = ["/longshore.v1.Services/Query", "/longshore.v1.Services/Ask"];

/// Routes of gRPC's methods as with [`grpc_alone`], where bodies of queries are counted as they come, and answers as they are read.
pub fn grpc_of_queries(routes: Router, services: Services) -> Router {
    routes.layer(from_fn(move |request: Request<Body>, next: Next| {
        let services = services.clone();
        async move {
            if !is_grpc(request.headers()) {
                return only_grpc();
            }
            let caller = request.extensions().get::<Caller>();
            let (Some(caller), true) = (caller, QUERIES.contains(&request.uri().path())) else {
                return next.run(request).await;
            };
            let account = services.account(caller);
            let (mut parts, body) = request.into_parts();
            let (body, query) = bodies::counted(body, account);
            parts.extensions.insert(query);
            whole::as_it_is_read(next.run(Request::from_parts(parts, body)).await).await
        }
    }))
}

/// Routes of gRPC's methods, which whoever asks otherwise is told: an answer of gRPC's, always 200, would look like a success.
pub fn grpc_alone(routes: Router) -> Router {
    routes.layer(from_fn(
        async |request: Request<Body>, next: Next| {
            if is_grpc(request.headers()) { next.run(request).await } else { only_grpc() }
        },
    ))
}

fn only_grpc() -> Response {
    let why = "this is a method of gRPC's: send content-type application/grpc; over HTTP there is POST /v1/services/NAME/query";
    problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", why, None)
}

fn span(request: &Request<Body>) -> Span {
    let caller = request.extensions().get::<Caller>();
    tracing::span!(
        Level::DEBUG,
        "request",
        method = %request.method(),
        path = request.uri().path(),
        caller = caller.map(tracing::field::display),
    ,
    )
}
