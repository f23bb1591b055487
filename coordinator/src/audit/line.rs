//! One line of the audit.

use std::net::IpAddr;

use serde::Serialize;

use crate::{
    api::caller::{Caller, Origin},
    limits,
};

/// What is asked for, for the audit. Whatever somebody else has chosen in it is cut to a length.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// RFC 3339, UTC.
    time: String,
    pub principal: String,
    via: &'static str,
    pub peer: Option<IpAddr>,
    pub namespace: Option<String>,
    pub method: String,
    pub resource: String,
    decision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Line {
    /// Of what somebody may do.
    pub fn of(caller: &Caller, method: &'static str, resource: String) -> Self {
        let namespace = Some(caller.namespace.to_string());
        Self::new(caller.to_string(), caller.origin, namespace, method, resource, "allowed", None)
    }

    /// Of what is asked now.
    pub fn new(
        principal: String,
        origin: Origin,
        namespace: Option<String>,
        method: &str,
        resource: String,
        decision: &'static str,
        reason: Option<String>,
    ) -> Self {
        let time = humantime::format_rfc3339_millis(std::time::SystemTime::now()).to_string();
        let Origin { via, from: peer } = origin;
        let (principal, method, resource) = (cut(principal), cut(method.to_owned()), cut(resource));
        let (namespace, reason) = (namespace.map(cut), reason.map(cut));
        Self { time, principal, via, peer, namespace, method, resource, decision, reason }
    }
}

/// No more than may be, at the boundary of a character; that it was more is seen.
fn cut(mut word: String) -> String {
    if word.len() > limits::AUDIT_WORD_BYTES {
        let more = '…';
        let mut at = limits::AUDIT_WORD_BYTES - more.len_utf8();
        while !word.is_char_boundary(at) {
            at -= 1;
        }
        word.truncate(at);
        word.push(more);
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_word_is_cut_at_a_character_and_that_is_seen() {
        assert_eq!(cut("é".repeat(128)), "é".repeat(128));
        assert_eq!(cut("é".repeat(129)), format!("{}…", "é".repeat(126)));
        let cut = cut(format!("a{}", "é".repeat(1_000_000)));
        assert_eq!(cut, format!("a{}…", "é".repeat(126)));
        assert_eq!(cut.len(), limits::AUDIT_WORD_BYTES);
    }

    #[test]
    fn every_word_that_others_choose_is_cut() {
        let long = || "x".repeat(1 << 20);
        let line = Line::new(long(), Origin::default(), Some(long()), &long(), long(), "denied", Some(long()));
        assert!(serde_json::to_string(&line).unwrap().len() < 6 * limits::AUDIT_WORD_BYTES);
    }
}
