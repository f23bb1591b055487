//! What the audit is told of a denial: of the gate's own, and of those behind it.

use axum::response::Response;
use http::Method;
use tonic::{Code, Status};

use super::{peer::Peer, refused::Refused, rights};
use crate::{
    api::caller::{Caller, Origin},
    audit::Denied,
};

/// What the gate has denied; nothing where it was for the request alone.
pub fn by_gate(refused: &Refused, peer: Option<&Peer>, method: &Method, path: &str) -> Option<Denied> {
    Some(Denied {
        kind: refused.kind()?,
        principal: refused.whom(),
        origin: peer.map(Peer::origin).unwrap_or_default(),
        namespace: refused.caller().map(|caller| caller.namespace.to_string()),
        method: rights::row(method.as_str(), path),
        resource: refused.token().map_or_else(String::new, |token| format!("token {token}")),
        reason: refused.to_string(),
    })
}

/// What was denied behind the gate, by the answer.
pub fn behind(caller: Caller, row: &'static str, answer: &Response) -> Option<Denied> {
    let status = Status::from_header_map(answer.headers()).filter(|status| status.code() == Code::PermissionDenied)?;
    let (principal, namespace) = (caller.to_string(), Some(caller.namespace.to_string()));
    let (origin, reason): (Origin, _) = (caller.origin, status.message().to_owned());
    Some(Denied { kind: "use", principal, origin, namespace, method: row, resource: String::new(), reason })
}
