//! Who is known, by what they show: a token, or the key of a member. What somebody says of itself counts for nothing.

use std::{net::IpAddr, sync::Arc};

use http::HeaderValue;
use longshore_core::{Namespace, TokenId, TokenKind, TokenRole};
use longshore_trust as trust;

use super::refused::Refused;
use crate::{
    api::caller::{Caller, Origin, Principal, Role},
    members::{
        allowance::Allowance,
        register::{Member, Register},
        standing::{Standing, now_ms},
    },
};

/// Somebody who is known.
#[derive(Debug, Clone)]
pub struct Known {
    /// What they may do.
    pub role: Role,
    /// How they are known.
    pub principal: Principal,
    /// Whose things they may name.
    pub whose: Whose,
    /// How long they are known; `None` means as long as the coordinator lives.
    pub standing: Option<Standing>,
    /// What they may have under way; `None` means whatever there is room for.
    pub allowance: Option<Arc<Allowance>>,
}

/// Whose things somebody may ask about.
#[derive(Debug, Clone)]
pub enum Whose {
    /// Everybody's; where nobody is named, the default ones.
    Everybodys,
    /// Those of these; where nobody is named, of the first.
    These(Vec<Namespace>),
}

impl Known {
    /// One who may do everything.
    pub fn admin(principal: Principal) -> Self {
        Self { role: Role::Admin, principal, whose: Whose::Everybodys, standing: None, allowance: None }
    }

    /// Who has this person's token, if it is one.
    pub fn by_token(register: &Register, shown: &str, from: Option<IpAddr>) -> Result<Self, Refused> {
        let token = trust::Token::parse_as(trust::TokenKind::Person, shown).map_err(|_| Refused::UnknownToken(None))?;
        let id = TokenId(token.id().0);
        let unknown = || Refused::UnknownToken(Some(id));
        let found = register.token(id, token.secret_digest()).ok_or_else(unknown)?;
        let (record, now_ms) = (&found.record, now_ms());
        let TokenKind::Person { role } = record.terms.kind else { return Err(unknown()) };
        if record.has_expired(now_ms) {
            return Err(Refused::ExpiredToken { token: id, expired_ms: record.expires_ms });
        }
        found.is_used(now_ms, from);
        let role = match role {
            TokenRole::Admin => Role::Admin,
            TokenRole::Submit => Role::Submit,
            TokenRole::Read => Role::Read,
            TokenRole::Query => Role::Query,
        };
        let whose = match (role, record.terms.namespaces.as_slice()) {
            (Role::Admin, _) => Whose::Everybodys,
            (_, []) => Whose::These(vec![Namespace::default()]),
            (_, some) => Whose::These(some.to_vec()),
        };
        let (standing, allowance) = (Some(found.standing()), Some(found.allowance()));
        Ok(Self { role, principal: Principal::Person(record.id.to_string()), whose, standing, allowance })
    }

    /// A member, whose key was shown.
    pub fn member(member: &Member) -> Result<Self, Refused> {
        let record = &member.record;
        if record.is_revoked() {
            return Err(Refused::Revoked(record.id));
        }
        let whose = match record.namespaces.as_slice() {
            [] => Whose::Everybodys,
            some => Whose::These(some.to_vec()),
        };
        let (standing, allowance) = (Some(member.standing()), Some(member.allowance()));
        Ok(Self { role: Role::Worker, principal: Principal::Member(record.id), whose, standing, allowance })
    }

    /// The caller of a request about the things of `named`, or about their own.
    pub fn calls(&self, named: Option<Namespace>, origin: Origin) -> Result<Caller, Refused> {
        let own = || match &self.whose {
            Whose::Everybodys => Namespace::default(),
            Whose::These(some) => some.first().cloned().unwrap_or_default(),
        };
        let may = |named: &Namespace| match &self.whose {
            Whose::Everybodys => true,
            Whose::These(some) => some.contains(named),
        };
        let is_refused = named.as_ref().is_some_and(|named| !may(named));
        let namespace = named.unwrap_or_else(own);
        let caller = Caller { role: self.role, principal: self.principal.clone(), namespace, origin };
        match &self.whose {
            Whose::These(some) if is_refused => Err(Refused::NotTheirs { caller, theirs: some.clone() }),
            _ => Ok(caller),
        }
    }
}

/// What is shown as a bearer token, if it looks like a person's: others are the coordinator's own.
pub fn persons(shown: &HeaderValue) -> Option<&str> {
    let (scheme, token) = shown.to_str().ok()?.split_once(' ')?;
    let begins = token.trim_start().get(..2).is_some_and(|begin| begin.eq_ignore_ascii_case("LS"));
    let is_own = token.trim_start().starts_with("lsl_");
    (scheme.eq_ignore_ascii_case("bearer") && begins && !is_own).then_some(token)
}
