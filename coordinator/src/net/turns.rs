//! Whose turn it is: how many requests are under way at once, so that neither a stranger nor one token takes what others need.
//!
//! Admins, whoever else has a token, and members have so many turns each; of those one token or one member has a part. Whoever
//! comes when there is none is told at once. Strangers ask for one thing only, to join: their requests, and members' for another
//! certificate, are read whole before they take a turn of their own kind, and wait for it.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    body::{Body, to_bytes},
    response::Response,
};
use futures_util::future::{BoxFuture, Either, Ready, ready};
use http::Request;
use tokio::{sync::Semaphore, time::timeout};
use tonic::Status;
use tower::{Layer, Service, ServiceExt as _};

use super::{
    gate::{Peer, is_grpc},
    http::unasked,
};
use crate::{
    api::caller::{Caller, Role},
    error::Error,
    limits,
    members::allowance::{Allowance, Permit},
};

/// How a worker becomes a member, and stays one.
const JOIN: &str = "/longshore.v1.Members/Join";
const RENEW: &str = "/longshore.v1.Members/Renew";

/// Turns of everybody. As a layer, it answers whoever has none.
#[derive(Debug, Clone)]
pub struct Turns(Arc<Kinds>);

#[derive(Debug)]
struct Kinds {
    admins: Arc<Semaphore>,
    others: Arc<Semaphore>,
    members: Arc<Semaphore>,
    joins: Semaphore,
    renewals: Semaphore,
}

impl Turns {
    /// As many as [`limits`] says.
    pub fn new() -> Self {
        let requests = || Arc::new(Semaphore::new(limits::REQUESTS));
        let joins = || Semaphore::new(limits::JOINS);
        let kinds =
            Kinds { admins: requests(), others: requests(), members: requests(), joins: joins(), renewals: joins() };
        Self(Arc::new(kinds))
    }

    /// For one request, until it is answered.
    fn take<B>(&self, request: &Request<B>) -> Result<(Option<Permit>, Permit), Error> {
        let allowance = request.extensions().get::<Arc<Allowance>>();
        let own = allowance.map(|allowance| allowance.request()).transpose()?;
        let kind = match request.extensions().get::<Caller>().map(|caller| caller.role) {
            Some(Role::Admin) => &self.0.admins,
            Some(Role::Worker) => &self.0.members,
            _ => &self.0.others,
        };
        let turn = Arc::clone(kind)
            .try_acquire_owned()
            .map_err(|_| Error::busy(format!("{} requests are waiting for an answer already", limits::REQUESTS)))?;
        Ok((own, turn))
    }

    /// The turns of those who join, or stay, if that is what a request is about.
    fn joins(&self, path: &str) -> Option<&Semaphore> {
        match path {
            JOIN => Some(&self.0.joins),
            RENEW => Some(&self.0.renewals),
            _ => None,
        }
    }

    /// Answers a request to join once it is whole and its turn has come.
    async fn join<S>(self, inner: S, request: Request<Body>) -> Result<Response, Error>
    where
        S: Service<Request<Body>, Response = Response, Error = Infallible>,
    {
        let peer = request.extensions().get::<Peer>();
        let is_alone = || Error::busy("another request of this connection to join is under way");
        let _alone = peer.map(|peer| peer.joins().ok_or_else(is_alone)).transpose()?;
        let (parts, body) = request.into_parts();
        let whole = timeout(limits::JOIN_TIME, to_bytes(body, limits::JOIN_BYTES)).await;
        let whole = whole.map_err(|_| Error::busy("the request did not come in time; try again"))?;
        let broken =
            |_| Error::invalid(format!("the request is not whole, or has more than {} bytes", limits::JOIN_BYTES));
        let whole = whole.map_err(broken)?;
        let busy = || Error::busy(format!("{} workers are joining already", limits::JOINS));
        let turns = self.joins(parts.uri.path()).ok_or_else(busy)?;
        let _turn = timeout(limits::JOIN_TIME, turns.acquire()).await.map_err(|_| busy())?;
        match inner.oneshot(Request::from_parts(parts, Body::from(whole))).await {
            Ok(response) => Ok(response),
            Err(never) => match never {},
        }
    }
}

impl<S> Layer<S> for Turns {
    type Service = InTurn<S>;

    fn layer(&self, inner: S) -> InTurn<S> {
        InTurn { turns: self.clone(), inner }
    }
}

/// What is behind the layer.
#[derive(Debug, Clone)]
pub struct InTurn<S> {
    turns: Turns,
    inner: S,
}

type Answer = Result<Response, Infallible>;

impl<S> Service<Request<Body>> for InTurn<S>
where
    S: Service<Request<Body>, Response = Response, Error = Infallible, Future: Send + 'static> + Clone + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<Ready<Answer>, BoxFuture<'static, Answer>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let is_grpc = is_grpc(request.headers());
        if self.turns.joins(request.uri().path()).is_some() {
            // A clone has to be made ready before it is used, and is.
            let joined = self.turns.clone().join(self.inner.clone(), request);
            return Either::Right(Box::pin(
                async move { Ok(joined.await.unwrap_or_else(|error| told(error, is_grpc))) },
            ));
        }
        match self.turns.take(&request) {
            Err(error) => Either::Left(ready(Ok(told(error, is_grpc)))),
            Ok(turn) => {
                let answering = self.inner.call(request);
                Either::Right(Box::pin(async move {
                    let _turn = turn;
                    answering.await
                }))
            }
        }
    }
}

fn told(error: Error, is_grpc: bool) -> Response {
    tracing::debug!(%error, "a request has no turn");
    if is_grpc { Status::from(error).into_http() } else { unasked(&error) }
}

#[cfg(test)]
mod tests;
