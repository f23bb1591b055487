//! Somebody wants tokens to be good for nothing any more.

use crate::{
    ids::RequestId,
    members::{
        input::TokensOf,
        token::{TokenId, TokenKind, TokenRecord},
    },
    outbox::{Notice, Outbox, Refusal, Reply},
    record::Record,
    state::State,
};

/// Forgets these tokens, and all of a kind that were made before then, unix milliseconds; or none, where one of these is not there.
/// Who joined with them stays.
pub(crate) fn remove_tokens(
    state: &mut State,
    request: RequestId,
    ids: &[TokenId],
    (made_before_ms, whose): (u64, TokensOf),
    out: &mut Outbox,
) {
    if ids.iter().any(|id| state.ledger.token(*id).is_none()) {
        out.replies.push((request, Reply::Refused(Refusal::NoSuchToken)));
        return;
    }
    let is_old = |token: &TokenRecord| token.created_ms < made_before_ms && is_meant(&token.terms.kind, whose);
    let goes = |token: &&TokenRecord| is_old(token) || ids.contains(&token.id);
    let removed: Vec<TokenRecord> = state.ledger.tokens().filter(goes).cloned().collect();
    for token in &removed {
        state.keep(Record::TokenGone(token.id), out);
        out.notices.push(Notice::Token(token.id));
    }
    out.replies.push((request, Reply::TokensRemoved(removed)));
}

fn is_meant(kind: &TokenKind, whose: TokensOf) -> bool {
    match whose {
        TokensOf::Everybody => true,
        TokensOf::Workers => matches!(kind, TokenKind::Join { .. }),
        TokensOf::People => matches!(kind, TokenKind::Person { .. }),
    }
}
