//! Tokens: made, listed, rotated, removed.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use longshore_authority::Authority;
use longshore_core::{
    Input, MembersInput, Namespace, Refusal, Reply, TokenId, TokenKind, TokenRecord, TokenRole, TokenTerms, TokensOf,
};
use longshore_proto::{namespace, v1};
use longshore_trust::{self as trust, Pin};

use super::{caller::Caller, validate::Invalid, views};
use crate::{
    audit::Audit,
    drive::Handle,
    error::{Error, date},
    limits,
    members::register::{LastUsed, Register, Token},
};

/// Ids are drawn anew so often where one is taken: of a million million few ever are.
const DRAWS: usize = 8;

/// Ids of tokens that go into a line of the audit.
const IDS_IN_A_LINE: usize = limits::AUDIT_WORD_BYTES / 9;

/// What can be asked of tokens.
#[derive(Clone)]
pub struct Tokens {
    pub driver: Handle,
    pub register: Arc<Register>,
    pub authority: Arc<Authority>,
    pub audit: Arc<Audit>,
}

impl Tokens {
    /// Makes a token. Its text is told once and kept nowhere.
    pub async fn create(&self, caller: &Caller, asked: v1::CreateTokenRequest) -> Result<v1::NewToken, Error> {
        let ttl_ms = asked.ttl_ms;
        let terms = terms(asked)?;
        self.ensure_room().await?;
        tracing::debug!(%caller, name = terms.name, "a token is made");
        let told = |token| (caller, "Members/CreateToken", about(token, &terms, ttl_ms));
        let ask = |token, secret| MembersInput::CreateToken { token, secret, terms: terms.clone(), ttl_ms };
        self.draw(kind_of(&terms), told, ask).await
    }

    /// All tokens, the oldest first.
    pub fn list(&self, _: &Caller) -> Vec<v1::TokenView> {
        let mut used_by: HashMap<TokenId, Vec<String>> = HashMap::new();
        for member in self.register.members() {
            used_by.entry(member.record.token).or_default().push(views::id(member.record.id.0));
        }
        let view = |token: &Arc<Token>| {
            let used_by = used_by.remove(&token.record.id).unwrap_or_default();
            v1::TokenView { used_by, ..view(&token.record, token.last_used()) }
        };
        self.register.tokens().iter().map(view).collect()
    }

    /// Ends tokens at once.
    pub async fn remove(&self, caller: &Caller, asked: v1::RemoveTokensRequest) -> Result<Vec<v1::TokenView>, Error> {
        if asked.ids.len() > limits::TOKEN_IDS {
            return Err(Error::invalid(format!("more than {} tokens in one message", limits::TOKEN_IDS)));
        }
        let known = asked.ids.iter().map(|id| self.known(id)).collect::<Result<Vec<_>, _>>()?;
        let (kind, made_before_ms) = (asked.kind(), asked.made_before_ms);
        if let Some(other) = known.iter().find(|token| !is_of(token, kind)) {
            return Err(of_another_kind(&other.record));
        }
        let tokens: Vec<TokenId> = known.iter().map(|token| token.record.id).collect();
        tracing::debug!(%caller, ?tokens, made_before_ms, "tokens are removed");
        self.tell_of_the_end(caller, &tokens, kind, made_before_ms).await?;
        let whose = match kind {
            v1::TokenKind::Unspecified => TokensOf::Everybody,
            v1::TokenKind::Join => TokensOf::Workers,
            v1::TokenKind::Person => TokensOf::People,
        };
        match self.ask(MembersInput::RemoveTokens { tokens, made_before_ms, whose }).await? {
            Reply::TokensRemoved(removed) => Ok(removed.iter().map(|token| view(token, LastUsed::default())).collect()),
            other => Err(Error::of_reply(other)),
        }
    }

    /// Makes a token like another, which stays good for a while.
    pub async fn rotate(&self, caller: &Caller, asked: v1::RotateTokenRequest) -> Result<v1::NewToken, Error> {
        let known = self.known(&asked.id)?;
        let (token, overlap_ms) = (known.record.id, asked.overlap_ms);
        self.ensure_room().await?;
        tracing::debug!(%caller, %token, "a token is rotated");
        let told = |new: TokenId| (caller, "Members/RotateToken", format!("{token}, its successor is {new}"));
        let ask = |new, secret| MembersInput::RotateToken { token, overlap_ms, new: (new, secret) };
        self.draw(kind_of(&known.record.terms), told, ask).await
    }

    /// Names all tokens that are about to end in the audit, as many to a line as it takes.
    async fn tell_of_the_end(
        &self,
        caller: &Caller,
        ids: &[TokenId],
        kind: v1::TokenKind,
        made_before_ms: u64,
    ) -> Result<(), Error> {
        let all = self.register.tokens();
        let goes = |token: &&Arc<Token>| {
            let is_old = token.record.created_ms < made_before_ms && is_of(token, kind);
            is_old || ids.contains(&token.record.id)
        };
        let ending: Vec<String> = all.iter().filter(goes).map(|token| token.record.id.to_string()).collect();
        let why = (made_before_ms > 0).then(|| format!("all made before {}", date(made_before_ms)));
        let lines = ending.chunks(IDS_IN_A_LINE).map(|ids| ids.join(" "));
        for line in why.into_iter().chain(lines) {
            self.audit.allow(caller, "Members/RemoveTokens", line).await?;
        }
        Ok(())
    }

    /// Makes the secret of a token and has the core keep its digest, when the audit has been told.
    async fn draw<'a>(
        &self,
        kind: trust::TokenKind,
        told: impl Fn(TokenId) -> (&'a Caller, &'static str, String),
        ask: impl Fn(TokenId, [u8; 32]) -> MembersInput,
    ) -> Result<v1::NewToken, Error> {
        for _ in 0..DRAWS {
            let token = trust::Token::new(kind, self.pin());
            let id = TokenId(token.id().0);
            let (caller, method, about) = told(id);
            self.audit.allow(caller, method, about).await?;
            match self.ask(ask(id, token.secret_digest().0)).await? {
                Reply::TokenMade(made) => {
                    let text = token.reveal().as_str().to_owned();
                    return Ok(v1::NewToken { token: text, view: Some(view(&made, LastUsed::default())) });
                }
                Reply::Refused(Refusal::TokenExists(_)) => {}
                other => return Err(Error::of_reply(other)),
            }
        }
        Err(Error::internal("no id was free for a token"))
    }

    fn pin(&self) -> Pin {
        self.authority.pin()
    }

    async fn ensure_room(&self) -> Result<(), Error> {
        let tokens = self.driver.peek(|core| core.ledger().tokens().len()).await?;
        if tokens < limits::TOKENS {
            return Ok(());
        }
        Err(Error::not_now(format!("there are {tokens} tokens, as many as there may be: remove some")))
    }

    fn known(&self, id: &str) -> Result<Arc<Token>, Error> {
        let trust::TokenId(bytes) = id.parse().map_err(|_| Error::invalid(format!("{id:?} is no id of a token")))?;
        let all = self.register.tokens();
        all.into_iter().find(|known| known.record.id.0 == bytes).ok_or_else(|| unknown(id))
    }

    async fn ask(&self, ask: MembersInput) -> Result<Reply, Error> {
        Ok(self.driver.ask(move |request| Input::Members { request, ask }).await?)
    }
}

fn unknown(id: &str) -> Error {
    Error::not_found(format!("no token {}", id.to_uppercase()))
}

fn of_another_kind(token: &TokenRecord) -> Error {
    let id = token.id;
    Error::invalid(match token.terms.kind {
        TokenKind::Join { .. } => {
            format!("token {id} is one to join with: `longshore worker token rm {id}` removes it")
        }
        TokenKind::Person { .. } => format!("token {id} is a person's: `longshore token rm {id}` removes it"),
    })
}

fn is_of(token: &Token, kind: v1::TokenKind) -> bool {
    match kind {
        v1::TokenKind::Unspecified => true,
        v1::TokenKind::Join => kind_of(&token.record.terms) == trust::TokenKind::Join,
        v1::TokenKind::Person => kind_of(&token.record.terms) == trust::TokenKind::Person,
    }
}

/// A new token, for the audit: its id, what it is good for, where, how long, and whose it is.
fn about(token: TokenId, terms: &TokenTerms, ttl_ms: u64) -> String {
    let good_for = match &terms.kind {
        TokenKind::Join { uses: 0, .. } => "join, any number of times".to_owned(),
        TokenKind::Join { uses, .. } => format!("join, times: {uses}"),
        TokenKind::Person { role } => format!("{role:?}").to_lowercase(),
    };
    let whose: Vec<String> = terms.namespaces.iter().map(ToString::to_string).collect();
    let whose = match (&terms.kind, whose.is_empty()) {
        (TokenKind::Person { role: TokenRole::Admin } | TokenKind::Join { .. }, true) => "all namespaces".to_owned(),
        (TokenKind::Person { .. }, true) => Namespace::default().to_string(),
        (_, false) => whose.join(" "),
    };
    let long = match ttl_ms {
        0 => "without an end".to_owned(),
        _ => format!("for {}", humantime::format_duration(Duration::from_millis(ttl_ms))),
    };
    format!("{token}; {good_for}; {long}; {}; {whose}", terms.name)
}

fn kind_of(terms: &TokenTerms) -> trust::TokenKind {
    match terms.kind {
        TokenKind::Join { .. } => trust::TokenKind::Join,
        TokenKind::Person { .. } => trust::TokenKind::Person,
    }
}

/// What a token is asked to say, if it makes sense.
fn terms(asked: v1::CreateTokenRequest) -> Result<TokenTerms, Invalid> {
    let kind = asked.kind();
    let role = asked.role();
    let v1::CreateTokenRequest { name, namespaces, ttl_ms, uses, labels, .. } = asked;
    if name.chars().count() > limits::NAME_CHARS || name.chars().any(char::is_control) {
        return Err(Invalid(format!("the name of a token has at most {} printable characters", limits::NAME_CHARS)));
    }
    if u128::from(ttl_ms) > limits::TOKEN_TTL.as_millis() {
        return Err(Invalid("a token that has an end is good for ten years at most".to_owned()));
    }
    if namespaces.len() > limits::TOKEN_NAMESPACES {
        return Err(Invalid(format!("a token has at most {} namespaces", limits::TOKEN_NAMESPACES)));
    }
    namespaces.iter().try_for_each(|name| namespace::check(name)).map_err(|bad| Invalid(bad.to_string()))?;
    let kind = match kind {
        v1::TokenKind::Join => {
            if ttl_ms == 0 && (uses != 0 || labels.is_empty() && namespaces.is_empty()) {
                let why = "a token to join with has an end, or says by a label or namespace who may use it any number of times";
                return Err(Invalid(why.to_owned()));
            }
            check_labels(&labels)?;
            TokenKind::Join { uses, labels: labels.into_iter().collect() }
        }
        v1::TokenKind::Person if uses != 0 || !labels.is_empty() => {
            return Err(Invalid("uses and labels are of tokens to join with".to_owned()));
        }
        v1::TokenKind::Person => TokenKind::Person { role: role_of(role, &namespaces)? },
        v1::TokenKind::Unspecified => return Err(Invalid("it is not said what the token is for".to_owned())),
    };
    let namespaces = namespaces.iter().map(|name| Namespace::named(name)).collect();
    Ok(TokenTerms { kind, name, namespaces })
}

fn role_of(role: v1::TokenRole, namespaces: &[String]) -> Result<TokenRole, Invalid> {
    match role {
        v1::TokenRole::Admin if !namespaces.is_empty() => {
            Err(Invalid("an admin's token is good for every namespace: none is named".to_owned()))
        }
        v1::TokenRole::Admin => Ok(TokenRole::Admin),
        v1::TokenRole::Submit => Ok(TokenRole::Submit),
        v1::TokenRole::Read => Ok(TokenRole::Read),
        v1::TokenRole::Query => Ok(TokenRole::Query),
        v1::TokenRole::Unspecified => Err(Invalid("it is not said what the token is good for".to_owned())),
    }
}

fn check_labels(labels: &HashMap<String, String>) -> Result<(), Invalid> {
    let bytes: usize = labels.iter().map(|(name, value)| name.len() + value.len()).sum();
    if labels.len() > limits::LABELS || bytes > limits::LABELS_BYTES {
        let (most, bytes) = (limits::LABELS, limits::LABELS_BYTES);
        return Err(Invalid(format!("a worker has at most {most} labels, of {bytes} bytes together")));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    for (name, value) in labels {
        let fits = name.len() <= limits::LABEL_BYTES && value.len() <= limits::LABEL_BYTES;
        if name.is_empty() || !fits || !name.chars().all(plain) || value.chars().any(char::is_control) {
            return Err(Invalid(format!(
                "{name:?} is no label: its name has letters, digits and -_./, and name and value at most {} bytes",
                limits::LABEL_BYTES
            )));
        }
    }
    Ok(())
}

/// A token for people; who has joined with it is for others to say.
fn view(token: &TokenRecord, last: LastUsed) -> v1::TokenView {
    let (kind, role, uses, labels) = match &token.terms.kind {
        TokenKind::Join { uses, labels } => (v1::TokenKind::Join, v1::TokenRole::Unspecified, *uses, labels.clone()),
        TokenKind::Person { role } => (v1::TokenKind::Person, role_view(*role), 0, BTreeMap::new()),
    };
    v1::TokenView {
        id: token.id.to_string(),
        kind: kind.into(),
        name: token.terms.name.clone(),
        role: role.into(),
        namespaces: token.terms.namespaces.iter().map(ToString::to_string).collect(),
        labels: labels.into_iter().collect(),
        created_ms: token.created_ms,
        expires_ms: token.expires_ms,
        uses,
        used_by: Vec::new(),
        used: token.used,
        last_used_ms: last.at_ms,
        last_used_from: last.from.map_or_else(String::new, |from| from.to_string()),
    }
}

fn role_view(role: TokenRole) -> v1::TokenRole {
    match role {
        TokenRole::Admin => v1::TokenRole::Admin,
        TokenRole::Submit => v1::TokenRole::Submit,
        TokenRole::Read => v1::TokenRole::Read,
        TokenRole::Query => v1::TokenRole::Query,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join() -> v1::CreateTokenRequest {
        let kind = v1::TokenKind::Join.into();
        v1::CreateTokenRequest { kind, ttl_ms: 1_000, uses: 1, ..v1::CreateTokenRequest::default() }
    }

    fn person() -> v1::CreateTokenRequest {
        let (kind, role) = (v1::TokenKind::Person.into(), v1::TokenRole::Submit.into());
        v1::CreateTokenRequest { kind, role, ..v1::CreateTokenRequest::default() }
    }

    fn refused(asked: v1::CreateTokenRequest, word: &str) {
        let why = terms(asked).unwrap_err().0;
        assert!(why.contains(word), "{why}");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        refused(v1::CreateTokenRequest::default(), "what the token is for");
        refused(v1::CreateTokenRequest { role: 0, ..person() }, "good for");
        refused(v1::CreateTokenRequest { uses: 1, ..person() }, "to join with");
        refused(v1::CreateTokenRequest { name: "n".repeat(64), ..person() }, "name");
        refused(v1::CreateTokenRequest { name: "a\nb".to_owned(), ..person() }, "name");
        refused(v1::CreateTokenRequest { ttl_ms: u64::MAX, ..person() }, "ten years");
        refused(v1::CreateTokenRequest { namespaces: vec!["A".to_owned()], ..person() }, "not the name");
        refused(v1::CreateTokenRequest { namespaces: vec!["a".to_owned(); 17], ..person() }, "at most 16");
        let admin = v1::CreateTokenRequest { role: v1::TokenRole::Admin.into(), ..person() };
        refused(v1::CreateTokenRequest { namespaces: vec!["a".to_owned()], ..admin.clone() }, "every namespace");
        assert!(terms(admin).is_ok());
    }

    #[test]
    fn a_token_to_join_with_has_an_end_or_says_who() {
        refused(v1::CreateTokenRequest { ttl_ms: 0, ..join() }, "has an end");
        refused(v1::CreateTokenRequest { ttl_ms: 0, uses: 0, ..join() }, "has an end");
        let labels = HashMap::from([("pool".to_owned(), "a b".to_owned())]);
        let pool = v1::CreateTokenRequest { ttl_ms: 0, uses: 0, labels: labels.clone(), ..join() };
        assert!(terms(pool.clone()).is_ok());
        refused(v1::CreateTokenRequest { uses: 2, ..pool }, "has an end");
        for (name, value) in [("", "v"), ("a b", "v"), ("n", "\u{1b}"), ("n", &"v".repeat(64)), (&"n".repeat(64), "v")]
        {
            let labels = HashMap::from([(name.to_owned(), value.to_owned())]);
            refused(v1::CreateTokenRequest { labels, ..join() }, "is no label");
        }
        let labels = (0..33).map(|at| (format!("l{at}"), String::new())).collect();
        refused(v1::CreateTokenRequest { labels, ..join() }, "at most 32 labels");
        let labels = (0..20).map(|at| (format!("l{at:0>60}"), "v".repeat(60))).collect();
        refused(v1::CreateTokenRequest { labels, ..join() }, "2048 bytes");
    }
}
