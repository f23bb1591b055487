//! Whatever is asked about tokens and members, to the function that answers it.

use crate::{
    ids::{Now, RequestId},
    members::{
        create_token::create_token,
        input::MembersInput,
        join::{Applicant, join},
        remove_tokens::remove_tokens,
        remove_worker::remove_worker,
        renew::renew,
        rotate_token::rotate_token,
    },
    outbox::Outbox,
    state::State,
};

/// Answers it.
pub(crate) fn answer(state: &mut State, now: Now, request: RequestId, ask: MembersInput, out: &mut Outbox) {
    match ask {
        MembersInput::CreateToken { token, secret, terms, ttl_ms } => {
            create_token(state, now, request, (token, secret), (terms, ttl_ms), out);
        }
        MembersInput::RemoveTokens { tokens, made_before_ms, whose } => {
            remove_tokens(state, request, &tokens, (made_before_ms, whose), out);
        }
        MembersInput::RotateToken { token, overlap_ms, new } => {
            rotate_token(state, now, request, (token, overlap_ms), new, out);
        }
        MembersInput::Join { token, secret, worker, key, name } => {
            join(state, now, request, Applicant { token, secret, worker, key, name }, out);
        }
        MembersInput::Renew { worker, from, to } => renew(state, request, worker, (from, to), out),
        MembersInput::RemoveWorker { worker, revoke } => {
            remove_worker(state, now, request, (worker, revoke), out);
        }
    }
}
