//! Why a request goes no further, and how whoever made it is told.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use longshore_core::{Namespace, TokenId, WorkerId};
use longshore_local::User;
use longshore_proto::{END_METADATA, REVOKED, namespace::BadNamespace};
use tonic::{Code, Status, metadata::MetadataValue};

use crate::{
    api::caller::{Caller, Principal},
    error::date,
    limits,
    net::{details, problem::problem},
};

/// Why a request goes no further.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("the headers of a request have at most {} bytes", limits::HEADER_BYTES)]
    Headers,
    #[error("requests from other origins are refused")]
    Foreign,
    #[error("this coordinator belongs to another user{}", whom(.0))]
    Stranger(Option<User>),
    #[error(
        "a token is needed: send the header `authorization: Bearer TOKEN`, with what is in the coordinator's token file, or from another machine a token of `longshore token create`"
    )]
    NoToken,
    #[error("the token is not the one of this coordinator, which has a new one at each start")]
    WrongToken,
    #[error("the token is unknown here: it was removed, or is another coordinator's")]
    UnknownToken(Option<TokenId>),
    #[error("the token has expired at {}", date(*.expired_ms))]
    ExpiredToken { token: TokenId, expired_ms: u64 },
    #[error("too many requests of this connection wait already, since a wrong token was shown")]
    TooManyWrong,
    #[error("as many connections as may be are open with what was shown: use one for many requests")]
    TooManyConnections,
    #[error(transparent)]
    Namespace(#[from] BadNamespace),
    #[error("a request is about one namespace, and names several")]
    Namespaces,
    #[error("{} may not do this", in_its_role(.0))]
    Denied(Caller),
    #[error("{caller} may not ask about namespace {}: it is for {}", .caller.namespace, names(.theirs))]
    NotTheirs { caller: Caller, theirs: Vec<Namespace> },
    #[error("worker {0} was revoked")]
    Revoked(WorkerId),
    #[error("the certificate is of no member: the worker was taken off the list, and has to join again")]
    NoMember,
    #[error("the certificate has expired, and is only good to be renewed")]
    Late,
    #[error("there is no such thing here")]
    Unknown,
}

/// Somebody, and for a person what the token is good for.
fn in_its_role(caller: &Caller) -> String {
    match caller.principal {
        Principal::Person(_) => format!("{caller} (role {}, namespace {})", caller.role, caller.namespace),
        _ => caller.to_string(),
    }
}

fn names(namespaces: &[Namespace]) -> String {
    let names: Vec<&str> = namespaces.iter().map(Namespace::name).collect();
    names.join(", ")
}

fn whom(user: &Option<User>) -> String {
    user.map_or_else(String::new, |user| format!(", and you are {user}"))
}

impl Refused {
    /// What kind of denial it is, for the audit; `None` where it says something about the request alone.
    pub fn kind(&self) -> Option<&'static str> {
        match self {
            Self::Headers | Self::TooManyConnections | Self::Namespace(_) | Self::Namespaces | Self::Unknown => None,
            Self::Foreign => Some("foreign"),
            Self::Stranger(_) => Some("stranger"),
            Self::NoToken => Some("no token"),
            Self::WrongToken => Some("wrong token"),
            Self::UnknownToken(_) => Some("unknown token"),
            Self::ExpiredToken { .. } => Some("expired token"),
            Self::TooManyWrong => Some("too many wrong"),
            Self::Denied(_) => Some("role"),
            Self::NotTheirs { .. } => Some("namespace"),
            Self::Revoked(_) => Some("revoked"),
            Self::NoMember => Some("no member"),
            Self::Late => Some("late"),
        }
    }

    /// Who was refused, where that is known.
    pub fn caller(&self) -> Option<&Caller> {
        match self {
            Self::Denied(caller) | Self::NotTheirs { caller, .. } => Some(caller),
            _ => None,
        }
    }

    /// The id of the token that was shown, which proves nothing.
    pub fn token(&self) -> Option<TokenId> {
        match self {
            Self::UnknownToken(token) => *token,
            Self::ExpiredToken { token, .. } => Some(*token),
            _ => None,
        }
    }

    /// Who was refused, as far as that is known.
    pub fn whom(&self) -> String {
        match self {
            Self::Denied(caller) | Self::NotTheirs { caller, .. } => caller.to_string(),
            Self::Revoked(worker) => format!("worker {worker}"),
            Self::Stranger(Some(user)) => user.to_string(),
            _ => "nobody".to_owned(),
        }
    }

    /// Whether a token was shown that is none: whoever guesses has to wait.
    pub fn is_guess(&self) -> bool {
        matches!(self, Self::WrongToken | Self::UnknownToken(_))
    }

    fn status(&self) -> Status {
        let code = match self {
            Self::Headers | Self::Namespace(_) | Self::Namespaces => Code::InvalidArgument,
            Self::NoToken
            | Self::WrongToken
            | Self::UnknownToken(_)
            | Self::ExpiredToken { .. }
            | Self::NoMember
            | Self::Late => Code::Unauthenticated,
            Self::TooManyWrong | Self::TooManyConnections => Code::ResourceExhausted,
            Self::Foreign | Self::Stranger(_) | Self::Denied(_) | Self::NotTheirs { .. } | Self::Revoked(_) => {
                Code::PermissionDenied
            }
            Self::Unknown => Code::Unimplemented,
        };
        let mut status = details::status(code, &self.to_string(), None);
        if let Self::Revoked(_) = self {
            status.metadata_mut().insert(END_METADATA, MetadataValue::from_static(REVOKED));
        }
        status
    }

    /// The answer to a request.
    pub fn answer(&self, is_grpc: bool) -> Response {
        // A page of strangers shall not get an answer that looks like one.
        let is_grpc = is_grpc && !matches!(self, Self::Foreign);
        match self {
            Self::Headers if !is_grpc => {
                problem(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", &self.to_string(), None)
            }
            Self::Foreign => problem(StatusCode::FORBIDDEN, "forbidden", &self.to_string(), None),
            _ => answer(&self.status(), is_grpc),
        }
    }
}

/// A status as the answer to a request.
pub fn answer(status: &Status, is_grpc: bool) -> Response {
    if is_grpc {
        return status.clone().into_http();
    }
    let (http, code) = match status.code() {
        Code::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated"),
        Code::PermissionDenied => (StatusCode::FORBIDDEN, "permission_denied"),
        Code::ResourceExhausted => (StatusCode::TOO_MANY_REQUESTS, "resource_exhausted"),
        Code::Unimplemented => (StatusCode::NOT_FOUND, "not_found"),
        _ => (StatusCode::BAD_REQUEST, "invalid_argument"),
    };
    let mut response = problem(http, code, status.message(), None).into_response();
    if http == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
