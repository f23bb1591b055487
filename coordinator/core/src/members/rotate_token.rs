//! Somebody wants another token like one that there is.

use crate::{
    ids::{Digest, Now, RequestId},
    members::{
        create_token::create_token,
        token::{TokenId, TokenRecord},
    },
    outbox::{Notice, Outbox, Refusal, Reply},
    record::Record,
    state::State,
};

/// Keeps a token of the same terms and the same length of life; the old one is good for `overlap_ms` more at most.
pub(crate) fn rotate_token(
    state: &mut State,
    now: Now,
    request: RequestId,
    (old, overlap_ms): (TokenId, u64),
    new: (TokenId, Digest),
    out: &mut Outbox,
) {
    let refusal = match state.ledger.token(old) {
        None => Refusal::NoSuchToken,
        Some(_) if state.ledger.token(new.0).is_some() => Refusal::TokenExists(new.0),
        Some(token) => {
            let (terms, lifetime_ms) = (token.terms.clone(), token.lifetime_ms());
            let until_ms = now.wall_ms.saturating_add(overlap_ms).max(1);
            let expires_ms = if token.expires_ms == 0 { until_ms } else { until_ms.min(token.expires_ms) };
            let token = TokenRecord { expires_ms, ..token.clone() };
            state.expiry.may_come(&token, now);
            state.keep(Record::Token(token), out);
            out.notices.push(Notice::Token(old));
            return create_token(state, now, request, new, (terms, lifetime_ms), out);
        }
    };
    out.replies.push((request, Reply::Refused(refusal)));
}
