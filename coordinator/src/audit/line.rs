//! One line of the audit.

use std::net::IpAddr;

use serde::Serialize;

use crate::api::caller::Origin;

/// What is asked for, for the audit.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// RFC 3339, UTC.
    time: String,
    pub principal: String,
    via: &'static str,
    pub peer: Option<IpAddr>,
    namespace: Option<String>,
    pub method: String,
    resource: String,
    decision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Line {
    /// Of what is asked now.
    pub fn new(
        principal: String,
        origin: Origin,
        namespace: Option<String>,
        method: String,
        resource: String,
        decision: &'static str,
        reason: Option<String>,
    ) -> Self {
        let time = humantime::format_rfc3339_millis(std::time::SystemTime::now()).to_string();
        Self { time, principal, via: origin.via, peer: origin.from, namespace, method, resource, decision, reason }
    }
}
