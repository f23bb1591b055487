//! Tokens and members as kept messages, and back.

use bytes::Bytes;
use longshore_core::{MemberRecord, Namespace, TokenId, TokenKind, TokenRecord, TokenRole, TokenTerms, WorkerId};

use super::{convert::digest, error::Malformed, v1};

/// A token, but for its id.
pub fn token_to_kept(token: TokenRecord) -> v1::Token {
    let TokenRecord { id: _, secret, terms, used, created_ms, expires_ms } = token;
    let TokenTerms { kind, name, namespaces } = terms;
    let (join, role) = match kind {
        TokenKind::Join { uses, labels } => (Some(v1::JoinTerms { uses, labels }), v1::TokenRole::Unspecified),
        TokenKind::Person { role } => (None, role_to_kept(role)),
    };
    let (role, namespaces) = (role.into(), names(namespaces));
    v1::Token { secret: secret.to_vec().into(), join, role, name, namespaces, used, created_ms, expires_ms }
}

/// The token of that id.
pub fn token_from_kept(id: TokenId, token: v1::Token) -> Result<TokenRecord, Malformed> {
    let v1::Token { secret, join, role, name, namespaces, used, created_ms, expires_ms } = token;
    let kind = match join {
        Some(v1::JoinTerms { uses, labels }) => TokenKind::Join { uses, labels },
        None => TokenKind::Person { role: role_from_kept(role)? },
    };
    let terms = TokenTerms { kind, name, namespaces: namespaces_of(&namespaces) };
    Ok(TokenRecord { id, secret: digest("secret", &secret)?, terms, used, created_ms, expires_ms })
}

fn role_to_kept(role: TokenRole) -> v1::TokenRole {
    match role {
        TokenRole::Admin => v1::TokenRole::Admin,
        TokenRole::Submit => v1::TokenRole::Submit,
        TokenRole::Read => v1::TokenRole::Read,
        TokenRole::Query => v1::TokenRole::Query,
    }
}

fn role_from_kept(role: i32) -> Result<TokenRole, Malformed> {
    match v1::TokenRole::try_from(role) {
        Ok(v1::TokenRole::Admin) => Ok(TokenRole::Admin),
        Ok(v1::TokenRole::Submit) => Ok(TokenRole::Submit),
        Ok(v1::TokenRole::Read) => Ok(TokenRole::Read),
        Ok(v1::TokenRole::Query) => Ok(TokenRole::Query),
        Ok(v1::TokenRole::Unspecified) => Err(Malformed::Missing { field: "role" }),
        Err(_) => Err(Malformed::Unknown { field: "role", value: role }),
    }
}

/// A member, but for its id.
pub fn member_to_kept(member: MemberRecord) -> v1::Member {
    let MemberRecord { id: _, key, previous_key, name, labels, namespaces, joined_ms, token, revoked_ms } = member;
    v1::Member {
        key: key.to_vec().into(),
        previous_key: previous_key.map_or_else(Bytes::new, |key| key.to_vec().into()),
        name,
        labels,
        namespaces: names(namespaces),
        joined_ms,
        token: token.0.to_vec().into(),
        revoked_ms,
    }
}

/// The member of that id.
pub fn member_from_kept(id: WorkerId, member: v1::Member) -> Result<MemberRecord, Malformed> {
    let v1::Member { key, previous_key, name, labels, namespaces, joined_ms, token, revoked_ms } = member;
    let previous_key = (!previous_key.is_empty()).then(|| digest("previous_key", &previous_key)).transpose()?;
    Ok(MemberRecord {
        id,
        key: digest("key", &key)?,
        previous_key,
        name,
        labels,
        namespaces: namespaces_of(&namespaces),
        joined_ms,
        token: token[..].try_into().map(TokenId).map_err(|_| Malformed::Missing { field: "token" })?,
        revoked_ms,
    })
}

fn names(namespaces: Vec<Namespace>) -> Vec<String> {
    namespaces.iter().map(|namespace| namespace.name().to_owned()).collect()
}

fn namespaces_of(names: &[String]) -> Vec<Namespace> {
    names.iter().map(|name| Namespace::named(name)).collect()
}
