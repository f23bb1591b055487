//! What every request passes, gRPC's and HTTP's alike, as one stack of layers.
//!
//! ```text
//! gate (bounds of headers, origin, who calls, what they may) ──► deadline ──► span ──► shedding ──► the method
//! ```
//!
//! Workers' links and questions after its health do not pass the last two: a coordinator with too much to do must not lose its workers
//! too, nor be taken for dead.

use std::convert::Infallible;

use axum::{BoxError, Router, body::Body, error_handling::HandleErrorLayer, response::Response};
use http::{HeaderMap, Request};
use tower::{Service, ServiceBuilder, limit::GlobalConcurrencyLimitLayer, load_shed::LoadShedLayer};
use tower_http::trace::TraceLayer;
use tracing::{Level, Span};

use super::{
    deadline::DeadlineLayer,
    gate::{Gate, is_grpc},
    http::unasked,
};
use crate::{api::caller::Caller, error::Error, limits};

/// Puts the layers for everybody before the routes.
pub fn before(
    routes: Router,
    gate: Gate,
) -> impl Service<Request<Body>, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static {
    ServiceBuilder::new().layer(gate).layer(DeadlineLayer).service(routes)
}

/// Routes whose requests have a span each, and are answered at once when too many wait for an answer already. Together, since
/// each layer on a router costs every request a box.
pub fn shedding(routes: Router) -> Router {
    let layers = ServiceBuilder::new()
        .layer(TraceLayer::new_for_http().make_span_with(span).on_failure(()))
        .layer(HandleErrorLayer::new(too_many))
        .layer(LoadShedLayer::new())
        .layer(GlobalConcurrencyLimitLayer::new(limits::REQUESTS));
    routes.layer(layers)
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

async fn too_many(headers: HeaderMap, _: BoxError) -> Response {
    let error = Error::full(format!("{} requests are waiting for an answer already", limits::REQUESTS));
    if is_grpc(&headers) { tonic::Status::from(error).into_http() } else { unasked(&error) }
}
