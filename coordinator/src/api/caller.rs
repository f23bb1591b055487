//! Who calls.

use std::fmt;

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

/// Who calls, as far as the gate has found out. Every use case is handed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// What it may do.
    pub role: Role,
    /// How that is known.
    pub principal: Principal,
}

/// How it is known who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Principal {
    /// The kernel says so.
    User(User),
    /// It has the coordinator's token.
    Token,
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.principal {
            Principal::User(user) => user.fmt(f),
            Principal::Token => f.write_str("whoever has the token"),
        }
    }
}
