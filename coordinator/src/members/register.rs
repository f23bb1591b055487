//! The register: who is known by a token, and who by a key. The gate asks it with each request.
//!
//! What it says is durable: the driver alone changes it, when the records are kept.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use longshore_core::{Digest, Ledger, MemberRecord, TokenId, TokenRecord, WorkerId};
use longshore_trust::SecretDigest;

use super::{
    allowance::Allowance,
    standing::{Standing, Term},
};

/// All tokens and members.
#[derive(Debug, Default)]
pub struct Register {
    tokens: RwLock<HashMap<TokenId, Arc<Token>>>,
    members: RwLock<Members>,
}

#[derive(Debug, Default)]
struct Members {
    by_id: HashMap<WorkerId, Arc<Member>>,
    by_key: HashMap<Digest, WorkerId>,
}

/// A token, and when it was last shown.
#[derive(Debug)]
pub struct Token {
    /// As it is kept.
    pub record: TokenRecord,
    term: Arc<Term>,
    last_used: Arc<Mutex<LastUsed>>,
    allowance: Arc<Allowance>,
}

/// When and where a token was last shown, since the coordinator's start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LastUsed {
    /// Unix milliseconds; 0 means not yet.
    pub at_ms: u64,
    /// From which address; `None` where it has none.
    pub from: Option<IpAddr>,
}

impl Token {
    /// How long whoever has it is known.
    pub fn standing(&self) -> Standing {
        self.term.standing()
    }

    /// What whoever has it may have under way.
    pub fn allowance(&self) -> Arc<Allowance> {
        Arc::clone(&self.allowance)
    }

    /// When it was last shown.
    pub fn last_used(&self) -> LastUsed {
        *self.last_used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is shown now.
    pub fn is_used(&self, at_ms: u64, from: Option<IpAddr>) {
        *self.last_used.lock().unwrap_or_else(PoisonError::into_inner) = LastUsed { at_ms, from };
    }
}

/// A member.
#[derive(Debug)]
pub struct Member {
    /// As it is kept.
    pub record: MemberRecord,
    term: Arc<Term>,
    allowance: Arc<Allowance>,
}

impl Member {
    /// How long it is one.
    pub fn standing(&self) -> Standing {
        self.term.standing()
    }

    /// What it may have under way.
    pub fn allowance(&self) -> Arc<Allowance> {
        Arc::clone(&self.allowance)
    }
}

impl Register {
    /// Takes in what was kept, before anything is served.
    pub fn load(&self, ledger: &Ledger) {
        ledger.tokens().for_each(|token| self.show_token(token.id, Some(token.clone())));
        ledger.members().for_each(|member| self.show_member(member.id, Some(member.clone())));
    }

    /// A token is like this now. Whatever was opened with one that is gone ends.
    pub fn show_token(&self, id: TokenId, record: Option<TokenRecord>) {
        let mut tokens = self.write_tokens();
        let before = tokens.remove(&id);
        let Some(record) = record else {
            before.iter().for_each(|token| token.term.end());
            return;
        };
        let (term, last_used, allowance) = match before {
            Some(before) => {
                before.term.set(record.expires_ms);
                (Arc::clone(&before.term), Arc::clone(&before.last_used), before.allowance())
            }
            None => {
                let term = Arc::new(Term::until(record.expires_ms));
                (term, Arc::default(), Arc::new(Allowance::of_token()))
            }
        };
        tokens.insert(id, Arc::new(Token { record, term, last_used, allowance }));
    }

    /// A member is like this now. Whatever was opened by one that is none any more ends.
    pub fn show_member(&self, id: WorkerId, record: Option<MemberRecord>) {
        let mut members = self.write_members();
        let before = members.by_id.remove(&id);
        for key in before.iter().flat_map(|before| before.record.keys()) {
            members.by_key.remove(key);
        }
        let (term, allowance) = match before {
            Some(before) => (Arc::clone(&before.term), before.allowance()),
            None => (Arc::new(Term::until(0)), Arc::new(Allowance::of_member())),
        };
        match record {
            Some(record) => {
                if record.is_revoked() {
                    term.end();
                }
                members.by_key.extend(record.keys().map(|key| (*key, id)));
                members.by_id.insert(id, Arc::new(Member { record, term, allowance }));
            }
            None => term.end(),
        }
    }

    /// The token of that id, if this is its secret's digest. Where there is no such token, as long is spent on it.
    pub fn token(&self, id: TokenId, secret: SecretDigest) -> Option<Arc<Token>> {
        let token = self.read_tokens().get(&id).cloned();
        let kept = SecretDigest(token.as_ref().map_or([0; 32], |token| token.record.secret));
        let is_right = kept == secret;
        token.filter(|_| is_right)
    }

    /// The worker as a member, revoked or not.
    pub fn member(&self, id: WorkerId) -> Option<Arc<Member>> {
        self.read_members().by_id.get(&id).cloned()
    }

    /// The member that has this key, revoked or not.
    pub fn member_of_key(&self, key: &Digest) -> Option<Arc<Member>> {
        let members = self.read_members();
        members.by_id.get(members.by_key.get(key)?).cloned()
    }

    /// All tokens, the oldest first.
    pub fn tokens(&self) -> Vec<Arc<Token>> {
        let mut tokens: Vec<_> = self.read_tokens().values().cloned().collect();
        tokens.sort_unstable_by_key(|token| (token.record.created_ms, token.record.id));
        tokens
    }

    /// All members, by id.
    pub fn members(&self) -> Vec<Arc<Member>> {
        let mut members: Vec<_> = self.read_members().by_id.values().cloned().collect();
        members.sort_unstable_by_key(|member| member.record.id);
        members
    }

    fn read_tokens(&self) -> RwLockReadGuard<'_, HashMap<TokenId, Arc<Token>>> {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_tokens(&self) -> RwLockWriteGuard<'_, HashMap<TokenId, Arc<Token>>> {
        self.tokens.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_members(&self) -> RwLockReadGuard<'_, Members> {
        self.members.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_members(&self) -> RwLockWriteGuard<'_, Members> {
        self.members.write().unwrap_or_else(PoisonError::into_inner)
    }
}
