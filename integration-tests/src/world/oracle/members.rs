//! Whether what is kept of tokens and members may be, and whether whoever asked is told the truth.

use longshore_core::{
    Input, MemberRecord, MembersInput, Now, Record, Refusal, Reply, TokenId, TokenKind, TokenRecord, WorkerId,
};

use super::{
    check::{Check, demand},
    state::{Oracle, Seen},
};
use crate::world::coverage::Coverage;

impl Oracle {
    /// Whether a step has taken the worker off the list, or out.
    pub(super) fn is_out(&self, seen: Seen<'_>, worker: WorkerId) -> bool {
        seen.out.records.iter().any(|record| match record {
            Record::Member(member) => member.id == worker && member.is_revoked(),
            Record::MemberGone(gone) => *gone == worker,
            _ => false,
        })
    }

    pub(super) fn membership_may_be(&mut self, seen: Seen<'_>, record: &Record, coverage: &mut Coverage) -> Check {
        let ask = match seen.input {
            Input::Members { ask, .. } => Some(ask),
            _ => None,
        };
        match record {
            Record::Token(token) => self.token_may_be(seen, ask, token, coverage),
            Record::TokenGone(token) => {
                coverage.saw("a token removed");
                self.promises.token_gone(*token);
                self.token_may_go(seen, ask, *token)
            }
            Record::Member(member) => self.member_may_be(seen, ask, member, coverage),
            Record::MemberGone(worker) => {
                coverage.saw("a member taken off the list");
                self.promises.member_gone(*worker);
                let asked =
                    matches!(ask, Some(MembersInput::RemoveWorker { worker: it, revoke: false }) if it == worker);
                let here = self.workers.contains_key(worker);
                demand!(asked && !here && self.live.member(*worker).is_some(), "{worker} is taken off the list");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn token_may_be(
        &self,
        seen: Seen<'_>,
        ask: Option<&MembersInput>,
        token: &TokenRecord,
        coverage: &mut Coverage,
    ) -> Check {
        let id = token.id;
        let Some(before) = self.live.token(id) else {
            coverage.saw("a token made");
            let made = match ask {
                Some(MembersInput::CreateToken { token: it, .. }) => *it == id,
                Some(MembersInput::RotateToken { new: (it, _), .. }) => *it == id,
                _ => false,
            };
            demand!(made && token.used == 0, "nobody asked for token {id}");
            return Ok(());
        };
        let same = before.secret == token.secret && before.terms == token.terms;
        demand!(same, "token {id} is another one now");
        let may = match ask {
            Some(MembersInput::Join { token: it, worker, .. }) => {
                // The use and the member are one step.
                let joins = |record: &Record| matches!(record, Record::Member(member) if member.id == *worker);
                let one_more = token.used == before.used + 1 && token.expires_ms == before.expires_ms;
                *it == id && one_more && seen.out.records.iter().any(joins) && is_good(before, seen.now)
            }
            Some(MembersInput::RotateToken { token: it, .. }) => {
                coverage.saw("a token rotated");
                let sooner = before.expires_ms == 0 || token.expires_ms <= before.expires_ms;
                *it == id && token.used == before.used && token.expires_ms != 0 && sooner
            }
            _ => false,
        };
        demand!(may, "{token:?} after {before:?}");
        Ok(())
    }

    fn token_may_go(&self, seen: Seen<'_>, ask: Option<&MembersInput>, id: TokenId) -> Check {
        let token = self.live.token(id).ok_or_else(|| format!("there is no token {id}"))?;
        let may = match ask {
            Some(MembersInput::RemoveTokens { tokens, .. }) => tokens.contains(&id),
            _ => matches!(seen.input, Input::Tick) && token.has_expired(seen.now.wall_ms),
        };
        demand!(may, "token {id} is gone");
        Ok(())
    }

    fn member_may_be(
        &self,
        seen: Seen<'_>,
        ask: Option<&MembersInput>,
        member: &MemberRecord,
        coverage: &mut Coverage,
    ) -> Check {
        let before = self.live.member(member.id);
        demand!(!before.is_some_and(MemberRecord::is_revoked), "revoked {} is changed", member.id);
        let may = match ask {
            Some(MembersInput::Join { worker, key, token, .. }) => {
                coverage.saw(if before.is_some() { "a worker that joined again" } else { "a worker that joined" });
                let uses = |record: &Record| matches!(record, Record::Token(it) if it.id == *token);
                let burns = seen.out.records.iter().any(uses);
                let own = before.map_or(!self.workers.contains_key(worker), |before| before.has_key(key));
                member.id == *worker && member.key == *key && member.token == *token && burns && own
            }
            Some(MembersInput::Renew { worker, from, to }) => {
                coverage.saw("a key renewed");
                member.id == *worker && member.key == *to && before.is_some_and(|before| before.has_key(from))
            }
            Some(MembersInput::RemoveWorker { worker, revoke: true }) => {
                coverage.saw("a member revoked");
                if seen.out.records.contains(&Record::WorkerGone(*worker)) {
                    coverage.saw("a member revoked while it was here");
                }
                member.id == *worker && member.is_revoked()
            }
            _ => false,
        };
        demand!(may, "{member:?} after {before:?}");
        Ok(())
    }

    /// Against what is kept now, with this step's records.
    pub(super) fn members_reply_is_true(&self, seen: Seen<'_>, ask: &MembersInput, reply: &Reply) -> Check {
        let changes = !seen.out.records.is_empty();
        let member = |worker: &WorkerId| self.live.member(*worker);
        let is_true = match (ask, reply) {
            (MembersInput::CreateToken { token, .. }, Reply::TokenMade(made)) => {
                made.id == *token && self.live.token(*token) == Some(made)
            }
            (MembersInput::CreateToken { token, .. }, Reply::Refused(Refusal::TokenExists(_))) => {
                self.live.token(*token).is_some() && !changes
            }
            (MembersInput::RotateToken { new, .. }, Reply::TokenMade(made)) => self.live.token(new.0) == Some(made),
            (MembersInput::RotateToken { token, new, .. }, Reply::Refused(_)) => {
                (self.live.token(*token).is_none() || self.live.token(new.0).is_some()) && !changes
            }
            (MembersInput::RemoveTokens { tokens, .. }, Reply::TokensRemoved(_)) => {
                tokens.iter().all(|token| self.live.token(*token).is_none())
            }
            (MembersInput::RemoveTokens { .. }, Reply::Refused(Refusal::NoSuchToken)) => !changes,
            (MembersInput::Join { worker, key, token, .. }, Reply::Joined(joined)) => {
                member(worker) == Some(joined) && joined.has_key(key) && joined.token == *token && !joined.is_revoked()
            }
            (MembersInput::Join { .. }, Reply::Refused(refusal)) => {
                !changes && self.is_refused_rightly(seen.now, ask, refusal)
            }
            (MembersInput::Renew { worker, to, .. }, Reply::Renewed(renewed)) => {
                member(worker) == Some(renewed) && renewed.key == *to && !renewed.is_revoked()
            }
            (MembersInput::Renew { worker, from, .. }, Reply::Refused(_)) => {
                !changes && member(worker).is_none_or(|member| member.is_revoked() || !member.has_key(from))
            }
            (MembersInput::RemoveWorker { worker, revoke }, Reply::WorkerRemoved { .. }) => {
                if *revoke {
                    self.live.is_revoked(*worker)
                } else {
                    member(worker).is_none()
                }
            }
            (MembersInput::RemoveWorker { worker, .. }, Reply::Refused(Refusal::WorkerIsHere(_))) => {
                self.workers.contains_key(worker) && !changes
            }
            (MembersInput::RemoveWorker { worker, .. }, Reply::Refused(_)) => member(worker).is_none() && !changes,
            _ => false,
        };
        demand!(is_true, "{reply:?} to {ask:?}");
        Ok(())
    }

    /// Notes how somebody was refused.
    pub(super) fn note_refusal(seen: Seen<'_>, coverage: &mut Coverage) {
        for (_, reply) in &seen.out.replies {
            match reply {
                Reply::Refused(Refusal::NoSuchToken) => coverage.saw("a wrong secret"),
                Reply::Refused(Refusal::TokenExpired { .. }) => coverage.saw("a token that has expired"),
                Reply::Refused(Refusal::TokenUsedUp { .. }) => coverage.saw("a token used up"),
                Reply::Refused(Refusal::WorkerIsAnother(_)) => coverage.saw("a key that is another's"),
                _ => {}
            }
        }
    }

    fn is_refused_rightly(&self, now: Now, ask: &MembersInput, refusal: &Refusal) -> bool {
        let MembersInput::Join { token, secret, worker, key, .. } = ask else { return false };
        let token = self.live.token(*token);
        match refusal {
            Refusal::NoSuchToken => token.is_none_or(|token| token.secret != *secret),
            Refusal::TokenExpired { .. } => token.is_some_and(|token| token.has_expired(now.wall_ms)),
            Refusal::TokenUsedUp { .. } => token.is_some_and(is_used_up),
            Refusal::WorkerRevoked(_) => true,
            Refusal::WorkerIsAnother(_) => match self.live.member(*worker) {
                Some(member) => !member.has_key(key),
                None => self.workers.contains_key(worker) || self.live.is_members(key),
            },
            _ => false,
        }
    }
}

fn is_used_up(token: &TokenRecord) -> bool {
    matches!(token.terms.kind, TokenKind::Join { uses, .. } if uses != 0 && token.used >= uses)
}

/// Whether somebody may join with it.
fn is_good(token: &TokenRecord, now: Now) -> bool {
    !is_used_up(token) && !token.has_expired(now.wall_ms)
}
