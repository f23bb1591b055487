//! Which role may call what: one table, and nothing that is not in it.

use crate::api::caller::Role::{self, Admin, Query, Read, Submit, Worker};

/// What is said to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Allowed,
    /// Not known who calls, who may not do this.
    Unauthenticated,
    /// Known who calls, who may not do this.
    Denied,
    /// There is no such thing to be called.
    Unknown,
}

/// Who may call something.
#[derive(Debug, Clone, Copy)]
enum Who {
    /// Whoever gets through to the port.
    Everybody,
    /// These.
    Roles(&'static [Role]),
}

/// All who are known.
const KNOWN: Who = Who::Roles(&[Admin, Submit, Read, Query, Worker]);
const OPERATORS: Who = Who::Roles(&[Admin]);
const READERS: Who = Who::Roles(&[Admin, Submit, Read]);
const SUBMITTERS: Who = Who::Roles(&[Admin, Submit]);
const ASKERS: Who = Who::Roles(&[Admin, Submit, Query]);
const WORKERS: Who = Who::Roles(&[Admin, Worker]);
const UPLOADERS: Who = Who::Roles(&[Admin, Submit, Worker]);
const DOWNLOADERS: Who = Who::Roles(&[Admin, Submit, Read, Worker]);

/// Every method there is. gRPC's are named by their path, HTTP's by method and path, in which `*` is any method, or one component.
const TABLE: [(&str, Who); 46] = [
    ("/longshore.v1.Jobs/Submit", SUBMITTERS),
    ("/longshore.v1.Jobs/Cancel", SUBMITTERS),
    ("/longshore.v1.Jobs/Retry", SUBMITTERS),
    ("/longshore.v1.Jobs/Pause", SUBMITTERS),
    ("/longshore.v1.Jobs/Resume", SUBMITTERS),
    ("/longshore.v1.Jobs/Change", SUBMITTERS),
    ("/longshore.v1.Jobs/Remove", SUBMITTERS),
    ("/longshore.v1.Jobs/List", READERS),
    ("/longshore.v1.Jobs/Get", READERS),
    ("/longshore.v1.Jobs/Watch", READERS),
    ("/longshore.v1.Jobs/Items", READERS),
    ("/longshore.v1.Jobs/Explain", READERS),
    ("/longshore.v1.Jobs/Events", READERS),
    ("/longshore.v1.Jobs/Recipe", READERS),
    ("/longshore.v1.Jobs/FollowLogs", READERS),
    ("/longshore.v1.Blobs/Missing", UPLOADERS),
    ("/longshore.v1.Blobs/Put", UPLOADERS),
    ("/longshore.v1.Blobs/Get", DOWNLOADERS),
    ("/longshore.v1.Blobs/Door", DOWNLOADERS),
    ("/longshore.v1.Services/Deploy", SUBMITTERS),
    ("/longshore.v1.Services/Remove", SUBMITTERS),
    ("/longshore.v1.Services/List", READERS),
    ("/longshore.v1.Services/Get", READERS),
    ("/longshore.v1.Services/Query", ASKERS),
    ("/longshore.v1.Services/Ask", ASKERS),
    ("/longshore.v1.Secrets/Put", SUBMITTERS),
    ("/longshore.v1.Secrets/List", SUBMITTERS),
    ("/longshore.v1.Secrets/Remove", SUBMITTERS),
    ("/longshore.v1.Agent/Link", WORKERS),
    ("/longshore.v1.Agent/Leaves", WORKERS),
    ("/longshore.v1.Agent/Workers", READERS),
    // Whoever joins is known by the secret in the request.
    ("/longshore.v1.Members/Join", Who::Everybody),
    ("/longshore.v1.Members/Renew", WORKERS),
    ("/longshore.v1.Members/CreateToken", OPERATORS),
    ("/longshore.v1.Members/ListTokens", OPERATORS),
    ("/longshore.v1.Members/RemoveTokens", OPERATORS),
    ("/longshore.v1.Members/RotateToken", OPERATORS),
    ("/longshore.v1.Members/RemoveWorker", OPERATORS),
    ("/longshore.v1.Members/DrainWorker", OPERATORS),
    ("/grpc.health.v1.Health/Check", KNOWN),
    ("/grpc.health.v1.Health/Watch", KNOWN),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", KNOWN),
    ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", KNOWN),
    ("GET /healthz", Who::Everybody),
    ("HEAD /healthz", Who::Everybody),
    // All methods but POST are answered by what is allowed, which says more than "no such thing".
    ("* /v1/services/*/query", ASKERS),
];

/// Whether somebody of this role (of none, if it is not known who calls) may make a call. Pure, and deny by default.
pub fn decide(role: Option<Role>, method: &str, path: &str) -> Verdict {
    match (who(method, path), role) {
        (Some(Who::Everybody), _) => Verdict::Allowed,
        // Strangers do not learn what there is.
        (_, None) => Verdict::Unauthenticated,
        (None, Some(_)) => Verdict::Unknown,
        (Some(Who::Roles(roles)), Some(role)) if roles.contains(&role) => Verdict::Allowed,
        (Some(Who::Roles(_)), Some(_)) => Verdict::Denied,
    }
}

/// What a call is called here: a stranger may ask for anything, at any length.
pub fn row(method: &str, path: &str) -> &'static str {
    find(method, path).map_or("something else", |(row, _)| row)
}

fn who(method: &str, path: &str) -> Option<Who> {
    find(method, path).map(|(_, who)| who)
}

fn find(method: &str, path: &str) -> Option<(&'static str, Who)> {
    let names = |row: &str| match row.split_once(' ') {
        None => row == path && method == "POST",
        Some((verb, pattern)) => ["*", method].contains(&verb) && is_like(path, pattern),
    };
    TABLE.into_iter().find(|(row, _)| names(row))
}

fn is_like(path: &str, pattern: &str) -> bool {
    let (mut path, mut pattern) = (path.split('/'), pattern.split('/'));
    loop {
        match (path.next(), pattern.next()) {
            (None, None) => return true,
            (Some(component), Some("*")) if !component.is_empty() => {}
            (Some(component), Some(wanted)) if component == wanted => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests;
