//! Somebody wants a token.

use crate::{
    ids::{Digest, Now, RequestId},
    members::token::{TokenId, TokenRecord, TokenTerms},
    outbox::{Notice, Outbox, Refusal, Reply},
    record::Record,
    state::State,
};

/// Keeps a token that is good from now on for so long, milliseconds; 0 means for ever.
pub(crate) fn create_token(
    state: &mut State,
    now: Now,
    request: RequestId,
    (id, secret): (TokenId, Digest),
    (terms, ttl_ms): (TokenTerms, u64),
    out: &mut Outbox,
) {
    if state.ledger.token(id).is_some() {
        out.replies.push((request, Reply::Refused(Refusal::TokenExists(id))));
        return;
    }
    let created_ms = now.wall_ms;
    let expires_ms = if ttl_ms == 0 { 0 } else { created_ms.saturating_add(ttl_ms) };
    let token = TokenRecord { id, secret, terms, used: 0, created_ms, expires_ms };
    state.keep(Record::Token(token.clone()), out);
    state.expiry.may_come(&token, now);
    out.notices.push(Notice::Token(id));
    out.replies.push((request, Reply::TokenMade(token)));
}
