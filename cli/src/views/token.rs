//! Tokens, as far as they may be shown: never what they are.

use longshore_client::v1::{TokenKind, TokenRole, TokenView};
use serde_json::{Value, json};

use crate::{
    amounts::{age, moment, now_ms},
    printer::{Values, View},
    table,
};

/// Tokens.
#[derive(Debug)]
pub struct TokenList(pub Vec<TokenView>);

impl View for TokenList {
    fn text(&self) -> String {
        let rows = self.0.iter().map(|token| {
            [
                token.id.clone(),
                good_for(token),
                token.name.clone(),
                token.namespaces.join(","),
                used(token),
                expires(token),
                last_used(token),
            ]
        });
        table::table(["ID", "FOR", "NAME", "NAMESPACES", "USED", "EXPIRES", "LAST SHOWN"], rows)
    }

    fn values(&self) -> Values {
        Values::Many(self.0.iter().map(value).collect())
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|token| token.id.clone()).collect()
    }
}

fn value(token: &TokenView) -> Value {
    json!({
        "id": token.id,
        "for": good_for(token),
        "name": token.name,
        "namespaces": token.namespaces,
        "labels": token.labels,
        "created": moment(token.created_ms),
        "expires": moment(token.expires_ms),
        "uses": (token.kind() == TokenKind::Join && token.uses > 0).then_some(token.uses),
        "used": token.used,
        "used_by": token.used_by,
        "last_shown": moment(token.last_used_ms),
        "last_shown_from": token.last_used_from,
    })
}

/// What a token is good for, in one word.
pub fn good_for(token: &TokenView) -> String {
    let word = match (token.kind(), token.role()) {
        (TokenKind::Join, _) => "join",
        (_, TokenRole::Admin) => "admin",
        (_, TokenRole::Submit) => "submit",
        (_, TokenRole::Read) => "read",
        (_, TokenRole::Query) => "query",
        _ => "unknown",
    };
    word.to_owned()
}

fn used(token: &TokenView) -> String {
    // An older coordinator tells only of those that are still there.
    let used = (token.used as usize).max(token.used_by.len());
    match (token.kind(), token.uses) {
        (TokenKind::Join, 0) => format!("{used}"),
        (TokenKind::Join, uses) => format!("{used}/{uses}"),
        _ => String::new(),
    }
}

fn expires(token: &TokenView) -> String {
    match moment(token.expires_ms) {
        Some(_) if token.expires_ms <= now_ms() => "expired".to_owned(),
        Some(at) => at,
        None => "never".to_owned(),
    }
}

fn last_used(token: &TokenView) -> String {
    match token.last_used_ms {
        0 => String::new(),
        at if token.last_used_from.is_empty() => format!("{} ago", age(at, now_ms())),
        at => format!("{} ago from {}", age(at, now_ms()), token.last_used_from),
    }
}
