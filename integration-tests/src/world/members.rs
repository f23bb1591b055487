//! What is wanted of tokens and members: they are made, used, used up, stolen, renewed and revoked, by the workers of the world
//! and by strangers, over and over with the same few names, so that wishes meet.

use longshore_core::{Digest, MembersInput, TokenId, TokenKind, TokenTerms, TokensOf, WorkerId};

use super::{state::World, worker::sixteen};

/// Machines that join and are never seen as workers.
const MACHINES: u64 = 3;

/// The key of a machine, by its id.
fn key_of(worker: WorkerId, nth: u64) -> Digest {
    let mut key = [0; 32];
    key[..16].copy_from_slice(&worker.0);
    key[31] = u8::try_from(nth).unwrap_or(u8::MAX);
    key
}

fn token_id(number: u8) -> TokenId {
    TokenId([number; 5])
}

impl World {
    /// Something that is wanted of tokens and members.
    pub(super) fn members_wish(&mut self) -> MembersInput {
        match self.dice.below(20) {
            0..=3 => self.wants_token(),
            4..=12 => self.wants_to_join(),
            13..=14 => {
                let worker = self.machine();
                let (from, to) = (self.dice.below(4) / 3, self.dice.below(2));
                MembersInput::Renew { worker, from: key_of(worker, from), to: key_of(worker, to) }
            }
            15..=17 => self.wants_it_gone(),
            18 => MembersInput::RemoveTokens {
                tokens: vec![self.some_token()],
                made_before_ms: 0,
                whose: TokensOf::Everybody,
            },
            _ => {
                let token = self.some_token();
                self.made_tokens += 1;
                let (new, overlap_ms) = (self.made_tokens, self.dice.below(3_000));
                MembersInput::RotateToken { token, overlap_ms, new: (token_id(new), [new; 32]) }
            }
        }
    }

    fn wants_token(&mut self) -> MembersInput {
        self.made_tokens += 1;
        let number = self.made_tokens;
        let uses = u32::try_from(self.dice.below(4)).unwrap_or(1);
        let kind = TokenKind::Join { uses, labels: std::collections::BTreeMap::new() };
        let terms = TokenTerms { kind, name: format!("token {number}"), namespaces: Vec::new() };
        let ttl_ms = *self.dice.pick(&[0, 1_000, 60_000, 3_600_000]).unwrap_or(&0);
        MembersInput::CreateToken { token: token_id(number), secret: [number; 32], terms, ttl_ms }
    }

    fn wants_to_join(&mut self) -> MembersInput {
        let token = self.some_token();
        let worker = self.machine();
        let owner = if self.dice.chance(10) { self.machine() } else { worker };
        let secret = if self.dice.chance(10) { [0; 32] } else { [token.0[0]; 32] };
        MembersInput::Join { token, secret, worker, key: key_of(owner, 0), name: format!("machine {worker}") }
    }

    /// Of the workers that have work to do the first alone is ever shut out, and only if there are others.
    fn wants_it_gone(&mut self) -> MembersInput {
        let worker = match self.dice.below(2) {
            0 if self.profile.workers > 1 => self.workers[0].id,
            _ => WorkerId(sixteen(9, self.dice.below(MACHINES))),
        };
        MembersInput::RemoveWorker { worker, revoke: self.dice.chance(80) }
    }

    fn machine(&mut self) -> WorkerId {
        match self.dice.below(3) {
            0 => self.workers[0].id,
            _ => WorkerId(sixteen(9, self.dice.below(MACHINES))),
        }
    }

    fn some_token(&mut self) -> TokenId {
        let newest = u64::from(self.made_tokens);
        // Now and then one that there never was.
        let oldest = if self.dice.chance(10) { 0 } else { newest.saturating_sub(2).max(1) };
        token_id(u8::try_from(self.dice.between(oldest, newest.max(oldest))).unwrap_or(0))
    }
}
