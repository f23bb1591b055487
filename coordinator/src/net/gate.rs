//! The gate that every request passes, gRPC's and HTTP's alike: who calls, and what they may do.
//!
//! ```text
//! connection: Peer ──► bounds of headers ──► origin ──► Caller ──► rights ──► the method, which is handed the Caller
//! ```
//!
//! A connection knows how it came in. By the socket the kernel says which user calls; by TCP a token has to be shown with
//! every request. What a caller says of itself counts for nothing.

mod origin;
mod rights;

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use futures_util::future::{Either, Ready, ready};
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use longshore_core::Namespace;
use longshore_local::{Entrance, TokenDigest, User};
use longshore_proto::{
    NAMESPACE_METADATA,
    namespace::{self, BadNamespace},
};
use tonic::Status;
use tower::{Layer, Service};

pub use self::rights::{Verdict, decide};
use crate::{
    api::caller::{Caller, Principal, Role},
    limits,
    net::problem::problem,
};

/// How a connection came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// By the socket, from a process of this user; `None` is one whom the kernel cannot name.
    Socket(Option<User>),
    /// By TCP.
    Port,
}

/// The other end of a connection: put into each of its requests.
#[derive(Debug, Clone)]
pub struct Peer {
    via: Via,
    known: Arc<AtomicBool>,
}

impl Peer {
    /// Of a new connection.
    pub fn new(via: Via) -> Self {
        Self { via, known: Arc::default() }
    }

    /// Whether it is known who it is.
    pub fn is_known(&self) -> bool {
        self.known.load(Ordering::Relaxed)
    }

    /// From now on it is known who it is.
    pub fn is_known_now(&self) {
        self.known.store(true, Ordering::Relaxed);
    }
}

/// Whether a caller may call this gRPC method.
pub fn may(caller: &Caller, path: &str) -> bool {
    decide(Some(caller.role), "POST", path) == Verdict::Allowed
}

/// Who is known here. As a layer, it lets nobody else through.
#[derive(Debug, Clone, Copy)]
pub struct Gate {
    owner: User,
    token: TokenDigest,
}

impl Gate {
    /// For the coordinator whose entrance this is.
    pub fn of(entrance: &Entrance) -> Self {
        Self { owner: entrance.owner(), token: entrance.token() }
    }

    fn caller(&self, via: Via, headers: &HeaderMap) -> Option<Caller> {
        let admin = |principal| Caller { role: Role::Admin, principal, namespace: Namespace::default() };
        if let Via::Socket(Some(user)) = via
            && (user == self.owner || user == User::ROOT)
        {
            return Some(admin(Principal::User(user)));
        }
        let shown = headers.get(header::AUTHORIZATION)?;
        self.token.admits(shown).then(|| admin(Principal::Token))
    }

    /// Who calls, or why it is refused.
    fn judge<B>(&self, request: &Request<B>) -> Result<Option<Caller>, Refused> {
        if headers_bytes(request.headers()) > limits::HEADER_BYTES as usize {
            return Err(Refused::Headers);
        }
        if origin::is_foreign(request.headers(), request.uri()) {
            return Err(Refused::Foreign);
        }
        let peer = request.extensions().get::<Peer>();
        let mut caller = peer.and_then(|peer| self.caller(peer.via, request.headers()));
        if let Some(caller) = &mut caller
            && let Some(named) = named(request.headers())?
        {
            caller.namespace = named;
        }
        let verdict =
            decide(caller.as_ref().map(|caller| caller.role), request.method().as_str(), request.uri().path());
        if let (Some(peer), Some(_)) = (peer, &caller) {
            peer.is_known_now();
        }
        match (verdict, caller) {
            (Verdict::Allowed, caller) => Ok(caller),
            (Verdict::Denied, Some(caller)) => Err(Refused::Denied(caller)),
            (Verdict::Unknown, Some(_)) => Err(Refused::Unknown),
            _ => match peer.map(|peer| peer.via) {
                Some(Via::Socket(user)) => Err(Refused::Stranger(user)),
                _ if request.headers().contains_key(header::AUTHORIZATION) => Err(Refused::WrongToken),
                _ => Err(Refused::NoToken),
            },
        }
    }
}

/// Whose things a request says that it is about, if it says so.
fn named(headers: &HeaderMap) -> Result<Option<Namespace>, BadNamespace> {
    let Some(said) = headers.get(NAMESPACE_METADATA) else { return Ok(None) };
    let name = String::from_utf8_lossy(said.as_bytes());
    namespace::check(&name)?;
    Ok(Some(Namespace::named(&name)))
}

/// What headers take, counted as HTTP/2 counts them (RFC 9113, section 6.5.2).
fn headers_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum()
}

/// Why a request goes no further.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("the headers of a request have at most {} bytes", limits::HEADER_BYTES)]
    Headers,
    #[error("requests from other origins are refused")]
    Foreign,
    #[error("this coordinator belongs to another user{}", whom(.0))]
    Stranger(Option<User>),
    #[error(
        "a token is needed: send the header `authorization: Bearer TOKEN`, with what is in the coordinator's token file"
    )]
    NoToken,
    #[error("the token is not the one of this coordinator, which has a new one at each start")]
    WrongToken,
    #[error(transparent)]
    Namespace(#[from] BadNamespace),
    #[error("{0} may not do this")]
    Denied(Caller),
    #[error("there is no such thing here")]
    Unknown,
}

fn whom(user: &Option<User>) -> String {
    user.map_or_else(String::new, |user| format!(", and you are {user}"))
}

impl Refused {
    fn answer(&self, is_grpc: bool) -> Response {
        let text = self.to_string();
        let (http, code, status) = match self {
            Self::Headers => {
                (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", Status::invalid_argument(&text))
            }
            Self::Namespace(_) => (StatusCode::BAD_REQUEST, "invalid_argument", Status::invalid_argument(&text)),
            Self::Foreign => (StatusCode::FORBIDDEN, "forbidden", Status::permission_denied(&text)),
            Self::NoToken | Self::WrongToken => {
                (StatusCode::UNAUTHORIZED, "unauthenticated", Status::unauthenticated(&text))
            }
            Self::Stranger(_) | Self::Denied(_) => {
                (StatusCode::FORBIDDEN, "permission_denied", Status::permission_denied(&text))
            }
            Self::Unknown => (StatusCode::NOT_FOUND, "not_found", Status::unimplemented(&text)),
        };
        // A page of strangers shall not get an answer that looks like one.
        if is_grpc && !matches!(self, Self::Foreign) {
            return status.into_http();
        }
        let mut response = problem(http, code, &text, None).into_response();
        if http == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Whether a request is one of gRPC, and wants to be answered so.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

impl<S> Layer<S> for Gate {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated { gate: *self, inner }
    }
}

/// What is behind the gate.
#[derive(Debug, Clone)]
pub struct Gated<S> {
    gate: Gate,
    inner: S,
}

impl<S> Service<Request<Body>> for Gated<S>
where
    S: Service<Request<Body>, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response, Infallible>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        match self.gate.judge(&request) {
            Ok(caller) => {
                if let Some(caller) = caller {
                    request.extensions_mut().insert(caller);
                }
                Either::Right(self.inner.call(request))
            }
            Err(refused) => {
                tracing::debug!(path = request.uri().path(), %refused, "a request is refused");
                Either::Left(ready(Ok(refused.answer(is_grpc(request.headers())))))
            }
        }
    }
}

#[cfg(test)]
mod tests;
