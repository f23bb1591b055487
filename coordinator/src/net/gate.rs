//! The gate that every request passes, gRPC's and HTTP's alike: who calls, and what they may do.
//!
//! ```text
//! connection: Peer ──► bounds of headers ──► origin ──► Caller ──► rights ──► the method, which is handed the Caller
//! ```
//!
//! A connection knows how it came in. By the socket the kernel says which user calls; by TCP a token has to be shown with
//! every request, or the certificate of a member with the connection. What a caller says of itself counts for nothing.

mod denied;
mod ending;
mod guests;
mod known;
mod origin;
mod peer;
mod refused;
mod rights;

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{body::Body, response::Response};
use futures_util::future::{BoxFuture, Either};
use http::{HeaderMap, Request, header};
use longshore_core::Namespace;
use longshore_local::{Entrance, TokenDigest, User};
use longshore_proto::{NAMESPACE_METADATA, namespace};
use tonic::Status;
use tower::{Layer, Service};

use self::{
    ending::{Last, heard_while, while_standing},
    known::{Known, persons},
    refused::{Refused, answer},
};
pub use self::{
    origin::Hosts,
    peer::{Peer, Via},
    rights::{Verdict, decide},
};
use crate::{
    api::caller::{Caller, Principal},
    audit::Audit,
    limits,
    members::{allowance::Allowance, register::Register, standing::Standing},
};

/// Whether a caller may call this gRPC method.
pub fn may(caller: &Caller, path: &str) -> bool {
    decide(Some(caller.role), "POST", path) == Verdict::Allowed
}

/// All that a certificate which has expired is good for.
const RENEW: &str = "/longshore.v1.Members/Renew";

/// Who is known here. As a layer, it lets nobody else through.
#[derive(Debug, Clone)]
pub struct Gate {
    owner: User,
    token: TokenDigest,
    register: Arc<Register>,
    hosts: Arc<Hosts>,
    audit: Option<Arc<Audit>>,
}

/// A request that goes on.
struct Passed {
    /// Who makes it, if that is known.
    caller: Option<Caller>,
    /// How long they are known; `None` means as long as the coordinator lives.
    standing: Option<Standing>,
    /// What they may have under way; `None` means whatever there is room for.
    allowance: Option<Arc<Allowance>>,
}

impl Gate {
    /// For the coordinator whose entrance and register these are, and which is called by these names from other machines.
    pub fn of(entrance: &Entrance, register: Arc<Register>, hosts: Arc<Hosts>) -> Self {
        Self { owner: entrance.owner(), token: entrance.token(), register, hosts, audit: None }
    }

    /// The same, which tells this of what is denied.
    pub fn audited(self, audit: Arc<Audit>) -> Self {
        Self { audit: Some(audit), ..self }
    }

    /// Who is at the other end; `None` when nothing is shown.
    fn known(&self, peer: &Peer, headers: &HeaderMap, path: &str) -> Result<Option<Known>, Refused> {
        if let Via::Socket(Some(user)) = peer.via
            && (user == self.owner || user == User::ROOT)
        {
            return Ok(Some(Known::admin(Principal::User(user))));
        }
        if let Some(key) = peer.key() {
            // The connection's, whatever is shown with a request.
            let known = Known::member(&*self.register.member_of_key(&key).ok_or(Refused::NoMember)?)?;
            let may_come_late = path == RENEW;
            return if peer.has_expired() && !may_come_late { Err(Refused::Late) } else { Ok(Some(known)) };
        }
        let Some(shown) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
        if let Some(token) = persons(shown) {
            return Known::by_token(&self.register, token, peer.from).map(Some);
        }
        match (self.token.admits(shown), peer.via) {
            // The entrance's token is for this machine.
            (_, Via::Tls(_)) => Err(Refused::WrongToken),
            (true, _) => Ok(Some(Known::admin(Principal::Token))),
            (false, Via::Socket(user)) => Err(Refused::Stranger(user)),
            (false, Via::Port) => Err(Refused::WrongToken),
        }
    }

    /// Who calls, or why it is refused.
    fn judge<B>(&self, request: &Request<B>) -> Result<Passed, Refused> {
        let (method, path) = (request.method().as_str(), request.uri().path());
        if headers_bytes(request.headers()) > limits::HEADER_BYTES as usize {
            return Err(Refused::Headers);
        }
        let peer = request.extensions().get::<Peer>();
        let is_foreign = match peer {
            Some(Peer { via: Via::Tls(_), here, .. }) => self.hosts.is_foreign(request.headers(), request.uri(), *here),
            _ => origin::is_foreign(request.headers(), request.uri()),
        };
        if is_foreign {
            return Err(Refused::Foreign);
        }
        if decide(None, method, path) == Verdict::Allowed {
            // Whoever it is: what they show is not looked at.
            return Ok(Passed { caller: None, standing: None, allowance: None });
        }
        let peer = peer.ok_or(Refused::NoToken)?;
        let Some(known) = self.known(peer, request.headers(), path)? else {
            return Err(match peer.via {
                Via::Socket(user) => Refused::Stranger(user),
                Via::Port | Via::Tls(_) => Refused::NoToken,
            });
        };
        if known.standing.as_ref().is_some_and(|standing| !peer.is_of(standing)) {
            return Err(Refused::TooManyConnections);
        }
        peer.is_known_now();
        let caller = known.calls(named(request.headers())?, peer.origin())?;
        match decide(Some(caller.role), method, path) {
            Verdict::Allowed => {
                Ok(Passed { caller: Some(caller), standing: known.standing, allowance: known.allowance })
            }
            Verdict::Unknown => Err(Refused::Unknown),
            Verdict::Denied | Verdict::Unauthenticated => Err(Refused::Denied(caller)),
        }
    }
}

/// Whose things a request says that it is about, if it says so.
fn named(headers: &HeaderMap) -> Result<Option<Namespace>, Refused> {
    let mut all = headers.get_all(NAMESPACE_METADATA).iter();
    let Some(said) = all.next() else { return Ok(None) };
    if all.next().is_some() {
        // Whoever is in between may look at another than we do.
        return Err(Refused::Namespaces);
    }
    let name = String::from_utf8_lossy(said.as_bytes());
    namespace::check(&name)?;
    Ok(Some(Namespace::named(&name)))
}

/// What headers take, counted as HTTP/2 counts them (RFC 9113, section 6.5.2).
fn headers_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum()
}

/// Whether a request is one of gRPC, and wants to be answered so.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

impl<S> Layer<S> for Gate {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated { gate: self.clone(), inner }
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
    S: Service<Request<Body>, Response = Response, Error = Infallible, Future: Send + 'static> + Clone + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<S::Future, BoxFuture<'static, Result<Response, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let is_grpc = is_grpc(request.headers());
        let peer = request.extensions().get::<Peer>();
        if let Some(pause) = peer.and_then(Peer::pause) {
            // The one that is ready is used later, and its clone is made ready for others.
            let clone = self.clone();
            let mut later = std::mem::replace(self, clone);
            return Either::Right(Box::pin(async move {
                if pause.over().await { later.call(request).await } else { Ok(Refused::TooManyWrong.answer(is_grpc)) }
            }));
        }
        match self.gate.judge(&request) {
            Ok(Passed { caller, standing, allowance }) => {
                let is_member = caller.as_ref().is_some_and(|caller| matches!(caller.principal, Principal::Member(_)));
                if let Some(caller) = &caller {
                    request.extensions_mut().insert(caller.clone());
                }
                if let Some(allowance) = allowance {
                    request.extensions_mut().insert(allowance);
                }
                let row = rights::row(request.method().as_str(), request.uri().path());
                let (Some(standing), Some(caller)) = (standing, caller) else {
                    return Either::Left(self.inner.call(request));
                };
                let last = last(is_member, is_grpc);
                request.extensions_mut().insert(standing.clone());
                let request = request.map(|body| heard_while(body, standing.clone(), last.clone()));
                let answering = while_standing(self.inner.call(request), standing, last);
                let audit = self.gate.audit.clone();
                Either::Right(Box::pin(async move {
                    let answer = answering.await?;
                    if let Some(audit) = &audit {
                        denied::behind(caller, row, &answer).into_iter().for_each(|denied| audit.deny(denied));
                    }
                    Ok(answer)
                }))
            }
            Err(refused) => {
                if let Some(peer) = peer.filter(|_| refused.is_guess()) {
                    peer.was_wrong();
                }
                tracing::debug!(path = request.uri().path(), %refused, "a request is refused");
                if let Some(audit) = &self.gate.audit {
                    let denied = denied::by_gate(&refused, peer, request.method(), request.uri().path());
                    denied.into_iter().for_each(|denied| audit.deny(denied));
                }
                Either::Right(Box::pin(std::future::ready(Ok(refused.answer(is_grpc)))))
            }
        }
    }
}

/// What is said to whoever is known no more, in the middle of something.
fn last(is_member: bool, is_grpc: bool) -> Last {
    if is_member {
        let status = Status::permission_denied("this worker was revoked, or taken off the list");
        return Last { status, answer, is_grpc };
    }
    let status =
        Status::unauthenticated("what was shown is good for nothing any more: it was removed, revoked, or has expired");
    Last { status, answer, is_grpc }
}

#[cfg(test)]
mod tests;
