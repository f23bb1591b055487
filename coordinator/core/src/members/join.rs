//! A worker wants to join, with a token.

use std::collections::BTreeMap;

use crate::{
    ids::{Digest, Now, RequestId, WorkerId},
    ledger::Ledger,
    members::{
        member::MemberRecord,
        token::{TokenId, TokenKind, TokenRecord, is_same},
    },
    outbox::{Notice, Outbox, Refusal, Reply},
    record::Record,
    state::State,
};

/// Who wants to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applicant {
    /// The token that was shown.
    pub token: TokenId,
    /// SHA-256 of the secret that was shown.
    pub secret: Digest,
    /// Who wants to be the member.
    pub worker: WorkerId,
    /// SHA-256 of its key.
    pub key: Digest,
    /// What it calls itself.
    pub name: String,
}

/// What joining would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joining {
    /// Nothing: it has joined so before.
    Again,
    /// Another use of the token is burned.
    Anew,
}

/// What it would do, were it asked now; `wall_ms` is unix milliseconds.
pub(crate) fn look(state: &State, wall_ms: u64, applicant: &Applicant) -> Result<Joining, Refusal> {
    admit(state, wall_ms, applicant).map(|admitted| match admitted {
        Admitted::Before(_) => Joining::Again,
        Admitted::Now { .. } => Joining::Anew,
    })
}

/// Keeps the member and that its token was used, in one step. Whoever asks again with the same key and token, because the
/// answer was lost, is answered again.
pub(crate) fn join(state: &mut State, now: Now, request: RequestId, applicant: Applicant, out: &mut Outbox) {
    let reply = match admit(state, now.wall_ms, &applicant) {
        Err(refusal) => Reply::Refused(refusal),
        Ok(Admitted::Before(member)) => Reply::Joined(member),
        Ok(Admitted::Now { mut token, labels }) => {
            token.used = token.used.saturating_add(1);
            let member = MemberRecord {
                id: applicant.worker,
                key: applicant.key,
                previous_key: None,
                name: applicant.name,
                labels,
                namespaces: token.terms.namespaces.clone(),
                joined_ms: now.wall_ms,
                token: token.id,
                revoked_ms: 0,
            };
            out.notices.extend([Notice::Token(token.id), Notice::Member(member.id)]);
            state.keep(Record::Token(token), out);
            state.keep(Record::Member(member.clone()), out);
            Reply::Joined(member)
        }
    };
    out.replies.push((request, reply));
}

/// How somebody is let in.
enum Admitted {
    /// It was, with this token and this key.
    Before(MemberRecord),
    /// With a use of this token.
    Now { token: TokenRecord, labels: BTreeMap<String, String> },
}

fn admit(state: &State, wall_ms: u64, applicant: &Applicant) -> Result<Admitted, Refusal> {
    let ledger = &state.ledger;
    let token = shown(ledger, applicant).ok_or(Refusal::NoSuchToken)?;
    let worker = applicant.worker;
    let (by_id, by_key) = (ledger.member(worker), ledger.member_of_key(&applicant.key));
    if [by_id, by_key].into_iter().flatten().any(MemberRecord::is_revoked) {
        return Err(Refusal::WorkerRevoked(worker));
    }
    if by_id.is_some_and(|member| !member.has_key(&applicant.key)) || by_key.is_some_and(|member| member.id != worker) {
        return Err(Refusal::WorkerIsAnother(worker));
    }
    // One that is no member is of the coordinator's own machine: it would be shut out by whoever has a copy of its id.
    if by_id.is_none() && state.fleet.worker(worker).is_some() {
        return Err(Refusal::WorkerIsAnother(worker));
    }
    if let Some(member) = by_id.filter(|member| member.token == token.id) {
        return Ok(Admitted::Before(member.clone()));
    }
    let TokenKind::Join { labels, .. } = &token.terms.kind else { return Err(Refusal::NotForJoining) };
    if token.has_expired(wall_ms) {
        return Err(Refusal::TokenExpired { expired_ms: token.expires_ms });
    }
    if token.is_used_up() {
        let by = ledger.members().filter(|member| member.token == token.id).max_by_key(|member| member.joined_ms);
        return Err(Refusal::TokenUsedUp { by: by.map(|member| (member.name.clone(), member.joined_ms)) });
    }
    Ok(Admitted::Now { labels: labels.clone(), token: token.clone() })
}

/// The token of which the secret was shown. Where there is none, as long is spent on it.
fn shown<'a>(ledger: &'a Ledger, applicant: &Applicant) -> Option<&'a TokenRecord> {
    let token = ledger.token(applicant.token);
    let is_right = is_same(token.map_or(&[0; 32], |token| &token.secret), &applicant.secret);
    token.filter(|_| is_right)
}
