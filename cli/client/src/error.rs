//! What can go wrong when the coordinator is asked something, and whose move it then is.

use std::error::Error as _;

use longshore_local::LocalWayError;
use longshore_proto::v1::Coverage;
use longshore_way::{AddressError, WayError};
use prost::Message;
use tonic::{Code, Status};

use crate::escape;

/// Whose move it is after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The caller must change something: a name, a spec, a file.
    Refused,
    /// The caller may not do this.
    Forbidden,
    /// Nothing is wrong with the request; it may succeed later.
    Unavailable,
    /// A fault on this side or the other.
    Broken,
}

impl Kind {
    /// Whose move it is after no connection was made.
    pub fn of_way(error: &WayError) -> Kind {
        match error {
            WayError::Local(LocalWayError::Nobody { .. }) | WayError::Nobody { .. } => Kind::Unavailable,
            WayError::Local(LocalWayError::Unresolved { .. } | LocalWayError::NotLoopback { .. })
            | WayError::Unresolved { .. }
            | WayError::Unpinned { .. } => Kind::Refused,
            WayError::Trouble { .. } if !error.is_refusal() => Kind::Unavailable,
            WayError::Local(_) | WayError::Trouble { .. } => Kind::Forbidden,
        }
    }
}

/// A call to the coordinator failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The address cannot be one of a coordinator.
    #[error(transparent)]
    BadAddress(#[from] AddressError),
    /// Somebody is there, but nobody whom we may ask or may trust. Nothing was sent.
    #[error("cannot go in at {address}")]
    NoEntry {
        /// Where.
        address: String,
        /// Why.
        source: WayError,
    },
    /// No connection could be made.
    #[error("no coordinator answers at {address}")]
    NoCoordinator {
        /// Where it was looked for.
        address: String,
        /// Why the connection failed.
        source: tonic::transport::Error,
    },
    /// The connection was lost and did not come back in time.
    #[error("cannot {doing}: the coordinator at {address} went away ({cause})")]
    Lost {
        /// Where it was.
        address: String,
        /// What was asked, as a verb phrase.
        doing: String,
        /// What the transport said.
        cause: String,
    },
    /// TLS is spoken there, and was not spoken to it.
    #[error("cannot {doing}: {address} speaks TLS")]
    SpeaksTls {
        /// Where, without a scheme.
        address: String,
        /// What was asked, as a verb phrase.
        doing: String,
    },
    /// The coordinator answered with an error.
    #[error("cannot {doing}: {}", escape::block(.status.message().as_bytes()))]
    Answered {
        /// What was asked, as a verb phrase.
        doing: String,
        /// What it answered.
        status: Box<Status>,
    },
}

impl CallError {
    pub(crate) fn unreached(address: &str, error: tonic::transport::Error) -> CallError {
        let address = address.to_owned();
        match WayError::among(&error) {
            Some(refusal) if refusal.is_refusal() => CallError::NoEntry { address, source: refusal },
            _ => CallError::NoCoordinator { address, source: error },
        }
    }

    pub(crate) fn new(address: &str, doing: &str, status: Status) -> CallError {
        let doing = doing.to_owned();
        match cause_of_loss(&status) {
            Some(cause) if cause.contains(longshore_way::SPEAKS_TLS) => {
                let address = address.split_once("://").map_or(address, |(_, rest)| rest);
                CallError::SpeaksTls { address: address.to_owned(), doing }
            }
            Some(cause) => CallError::Lost { address: address.to_owned(), doing, cause },
            None => CallError::Answered { doing, status: Box::new(status) },
        }
    }

    /// Whose move it is.
    pub fn kind(&self) -> Kind {
        match self {
            CallError::BadAddress(_) | CallError::SpeaksTls { .. } => Kind::Refused,
            CallError::NoEntry { source, .. } => Kind::of_way(source),
            CallError::NoCoordinator { .. } | CallError::Lost { .. } => Kind::Unavailable,
            CallError::Answered { status, .. } => kind_of(status.code()),
        }
    }

    /// The gRPC code, when the coordinator answered one.
    pub fn code(&self) -> Option<Code> {
        match self {
            CallError::Answered { status, .. } => Some(status.code()),
            _ => None,
        }
    }

    /// Whether the caller may not ask about that namespace, whatever else it may do.
    pub fn is_about_namespace(&self) -> bool {
        self.code() == Some(Code::PermissionDenied) && self.to_string().contains("may not ask about namespace")
    }

    /// Whether no worker that is here could ever run what was submitted.
    pub fn fits_nowhere(&self) -> bool {
        self.code() == Some(Code::FailedPrecondition)
            && self.to_string().contains("could run on no worker that is here")
    }

    /// What became of each shard, when a query failed for want of parts.
    pub fn coverage(&self) -> Option<Coverage> {
        let CallError::Answered { status, .. } = self else {
            return None;
        };
        let details = tonic_types::Status::decode(status.details()).ok()?.details;
        let coverage = details.iter().find(|any| any.type_url.ends_with("/longshore.v1.Coverage"))?;
        Coverage::decode(&*coverage.value).ok().filter(|coverage| coverage.shards > 0)
    }

    /// The next thing to type or to do, where there is an obvious one.
    pub fn hint(&self) -> Option<String> {
        match self {
            CallError::NoCoordinator { .. } => {
                Some("start one with `longshore up`, or name another with --addr or LONGSHORE_ADDR".to_owned())
            }
            CallError::Lost { .. } => Some("what was submitted goes on once the coordinator is back".to_owned()),
            CallError::Answered { status, doing } => match status.code() {
                Code::FailedPrecondition if doing.starts_with("remove job") && status.message().contains("not ended") => {
                    Some("cancel it first, or remove it with --force".to_owned())
                }
                Code::FailedPrecondition if doing.starts_with("retry job") && status.message().contains("not ended") => {
                    Some("wait for it with `longshore wait`, or cancel it first".to_owned())
                }
                Code::FailedPrecondition if doing.contains("job `") && status.message().contains("has ended") => {
                    Some("longshore job show, or retry what failed of it: `longshore job retry`".to_owned())
                }
                Code::FailedPrecondition if self.fits_nowhere() => Some("longshore worker ls --format wide".to_owned()),
                Code::AlreadyExists if status.message().contains("idempotency key") => Some(
                    "look at that job with `longshore job show`, or give another --idempotency-key".to_owned(),
                ),
                Code::NotFound | Code::InvalidArgument if doing.contains("job `") => {
                    Some("longshore job ls".to_owned())
                }
                Code::NotFound if doing.contains("service `") => Some("longshore service ls".to_owned()),
                Code::NotFound | Code::InvalidArgument if doing == "remove tokens" || doing.contains("token `") => {
                    Some("longshore token ls".to_owned())
                }
                Code::NotFound if doing.contains("token") => Some("longshore token ls".to_owned()),
                Code::NotFound | Code::InvalidArgument if doing.contains("worker `") => {
                    Some("longshore worker ls".to_owned())
                }
                Code::FailedPrecondition if doing.contains("worker `") && status.message().contains("is here") => {
                    Some("stop it there first, or shut it out at once with --revoke".to_owned())
                }
                Code::PermissionDenied => of_denial(status.message()),
                Code::Unauthenticated if status.message().contains("expired") || status.message().contains("removed") => {
                    Some("ask an admin for another token (`longshore token create`), then `longshore login`".to_owned())
                }
                Code::Unauthenticated => Some(
                    "a coordinator has a new token at each start: read its token file anew; as its own user no token is needed"
                        .to_owned(),
                ),
                Code::Unimplemented => {
                    Some("coordinator and client are of different versions; run the same one".to_owned())
                }
                Code::ResourceExhausted if status.message().contains("ask its operator") => None,
                // Nothing but time is missing; its words say what there is too much of.
                Code::Unavailable if status.message().contains("already") => {
                    Some("try again in a moment, or with fewer at once".to_owned())
                }
                Code::ResourceExhausted if status.message().contains("memory for queries") => Some(
                    "ask again in a moment, or for less at once; `longshore coordinator --query-memory SIZE` gives queries more"
                        .to_owned(),
                ),
                Code::ResourceExhausted => Some("try again later, or make room on the coordinator's disk".to_owned()),
                _ => None,
            },
            CallError::NoEntry { source, .. } => source.hint(),
            CallError::SpeaksTls { address, .. } => {
                Some(format!("say so in its address: `longshore login https://{address}`, or --addr https://{address}"))
            }
            CallError::BadAddress(_) => None,
        }
    }

    /// Whether asking again, unchanged, is reasonable at once.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            CallError::NoCoordinator { .. } | CallError::Lost { .. } => true,
            CallError::Answered { status, .. } => status.code() == Code::Unavailable,
            CallError::BadAddress(_) | CallError::NoEntry { .. } | CallError::SpeaksTls { .. } => false,
        }
    }
}

/// What to do about something that one's token is not good for.
fn of_denial(why: &str) -> Option<String> {
    if why.contains("may not ask about namespace") {
        return Some("ask an admin for a token that may: `longshore token create --namespace NAME`".to_owned());
    }
    let role = if why.contains("role submit") { "admin" } else { "submit" };
    let may_not = why.contains("(role ") && why.contains("may not do this");
    may_not.then(|| format!("ask an admin for a token with `--role {role}`"))
}

fn kind_of(code: Code) -> Kind {
    match code {
        Code::InvalidArgument | Code::NotFound | Code::AlreadyExists | Code::FailedPrecondition | Code::OutOfRange => {
            Kind::Refused
        }
        Code::PermissionDenied | Code::Unauthenticated => Kind::Forbidden,
        Code::Unavailable | Code::ResourceExhausted | Code::Aborted | Code::DeadlineExceeded => Kind::Unavailable,
        _ => Kind::Broken,
    }
}

/// A status that was made on this side because the transport failed carries the failure as its source; one that the
/// coordinator sent has none.
fn cause_of_loss(status: &Status) -> Option<String> {
    let mut deepest = status.source()?;
    while let Some(next) = deepest.source() {
        deepest = next;
    }
    Some(deepest.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: Status) -> CallError {
        CallError::new("http://127.0.0.1:7077", "show job `x`", status)
    }

    #[test]
    fn an_answer_names_what_was_asked_and_escapes_what_was_said() {
        let error = answered(Status::not_found("no such job: \u{1b}[31mx"));
        assert_eq!(error.to_string(), "cannot show job `x`: no such job: \\x1b[31mx");
        assert_eq!(error.kind(), Kind::Refused);
    }

    #[test]
    fn what_a_token_is_not_good_for_is_told_with_the_one_to_ask_for() {
        let hint = |why: &str| answered(Status::permission_denied(why)).hint().unwrap_or_default();
        assert!(hint("whoever has the token X (role query, namespace a) may not do this").contains("--role submit"));
        assert!(hint("whoever has the token X (role submit, namespace a) may not do this").contains("--role admin"));
        assert!(hint("X may not ask about namespace b: it is for a").contains("--namespace NAME"));
        assert_eq!(hint("worker 1 may not do this"), "");
    }

    #[test]
    fn tls_that_was_not_spoken_to_is_named_with_the_address_to_type() {
        let said = std::io::Error::other(longshore_way::SPEAKS_TLS);
        let error = answered(Status::from_error(Box::new(said)));
        assert!(!error.is_transient() && error.to_string().ends_with("127.0.0.1:7077 speaks TLS"), "{error}");
        assert!(error.hint().unwrap().contains("longshore login https://127.0.0.1:7077"));
    }

    #[test]
    fn a_broken_transport_is_a_loss_and_worth_another_try() {
        let io = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "reset by peer");
        let error = answered(Status::from_error(Box::new(io)));
        assert!(matches!(error, CallError::Lost { .. }), "{error:?}");
        assert!(error.is_transient());
        assert!(error.to_string().contains("reset by peer"));
    }

    #[test]
    fn coverage_is_read_from_the_details_and_nothing_else_is_taken_for_it() {
        let coverage = Coverage { shards: 4, answered: 1, ..Coverage::default() };
        let any = prost_types::Any {
            type_url: "type.googleapis.com/longshore.v1.Coverage".to_owned(),
            value: coverage.encode_to_vec(),
        };
        let details = tonic_types::Status { code: 14, message: "1 of 4".to_owned(), details: vec![any] };
        let details = details.encode_to_vec().into();
        let error = answered(Status::with_details(Code::Unavailable, "1 of 4", details));
        assert_eq!(error.coverage(), Some(coverage));
        assert_eq!(answered(Status::unavailable("x")).coverage(), None);
    }
}
