//! Who calls.

use std::{fmt, net::IpAddr};

use longshore_core::{Namespace, WorkerId};
use longshore_local::User;

/// What somebody may do here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything: the coordinator's own user, root, and whoever has its token.
    Admin,
    /// Submit work, deploy services, and read.
    Submit,
    /// Look at everything, change nothing.
    Read,
    /// Ask services.
    Query,
    /// Run what it is given.
    Worker,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Admin => "admin",
            Self::Submit => "submit",
            Self::Read => "read",
            Self::Query => "query",
            Self::Worker => "worker",
        })
    }
}

/// Where a request has come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Origin {
    /// The way in: `socket`, `port` or `tls`.
    pub via: &'static str,
    /// The address, where there is one.
    pub from: Option<IpAddr>,
}

/// Who calls, as far as the gate has found out. Every use case is handed it. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// What it may do.
    pub role: Role,
    /// How that is known.
    pub principal: Principal,
    /// Whose things the request is about; that the caller may, the gate has seen.
    pub namespace: Namespace,
    /// Where the request has come from.
    pub origin: Origin,
}

/// How it is known who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// The kernel says so.
    User(User),
    /// It has the token of the coordinator's entrance.
    Token,
    /// It has a person's token, of this id.
    Person(String),
    /// It has the key of a member's certificate.
    Member(WorkerId),
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.principal {
            Principal::User(user) => user.fmt(f),
            Principal::Token => f.write_str("whoever has the token"),
            Principal::Person(token) => write!(f, "whoever has the token {token}"),
            Principal::Member(worker) => write!(f, "worker {worker}"),
        }
    }
}
