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
#[derive(Debug)]
pub(crate) struct Applicant {
    pub token: TokenId,
    /// SHA-256 of the secret that was shown.
    pub secret: Digest,
    pub worker: WorkerId,
    pub key: Digest,
    pub name: String,
}

/// Keeps the member and that its token was used, in one step. Whoever asks again with the same key and token, because the
/// answer was lost, is answered again.
pub(crate) fn join(state: &mut State, now: Now, request: RequestId, applicant: Applicant, out: &mut Outbox) {
    let reply = match admit(state, now, &applicant) {
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

fn admit(state: &State, now: Now, applicant: &Applicant) -> Result<Admitted, Refusal> {
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
    if token.has_expired(now.wall_ms) {
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
