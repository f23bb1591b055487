//! Somebody wants tokens to be good for nothing any more.

use crate::{
    ids::RequestId,
    members::token::{TokenId, TokenRecord},
    outbox::{Notice, Outbox, Refusal, Reply},
    record::Record,
    state::State,
};

/// Forgets these tokens, and all that were made before then, unix milliseconds; or none, where one of these is not there.
/// Who joined with them stays.
pub(crate) fn remove_tokens(
    state: &mut State,
    request: RequestId,
    ids: &[TokenId],
    made_before_ms: u64,
    out: &mut Outbox,
) {
    if ids.iter().any(|id| state.ledger.token(*id).is_none()) {
        out.replies.push((request, Reply::Refused(Refusal::NoSuchToken)));
        return;
    }
    let goes = |token: &&TokenRecord| token.created_ms < made_before_ms || ids.contains(&token.id);
    let removed: Vec<TokenRecord> = state.ledger.tokens().filter(goes).cloned().collect();
    for token in &removed {
        state.keep(Record::TokenGone(token.id), out);
        out.notices.push(Notice::Token(token.id));
    }
    out.replies.push((request, Reply::TokensRemoved(removed)));
}
