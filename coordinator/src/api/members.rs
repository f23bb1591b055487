//! Members: workers join with a token, renew their certificates, and are taken off the list.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use longshore_authority::{Authority, Request};
use longshore_core::{Applicant, Control, Core, Input, Joining, MemberRecord, MembersInput, Reply, TokenId, WorkerId};
use longshore_proto::v1;
use longshore_trust::SecretDigest;
use uuid::Uuid;

use super::{
    caller::{Caller, Origin, Principal},
    views,
};
use crate::{
    audit::{Audit, Denied},
    drive::Handle,
    error::{Error, blocking, chain},
    limits,
    members::{register::Register, standing::now_ms},
    workers::sessions::Sessions,
};

/// What can be asked about members.
#[derive(Clone)]
pub struct Members {
    pub driver: Handle,
    pub register: Arc<Register>,
    pub authority: Arc<Authority>,
    pub audit: Arc<Audit>,
    pub sessions: Arc<Sessions>,
    /// How long their certificates are good.
    pub certificates_for: Duration,
}

/// The certificate that a member has come with.
#[derive(Debug, Clone, Copy)]
pub struct Shown {
    /// SHA-256 of its key.
    pub key: [u8; 32],
    /// It is good to be renewed alone.
    pub has_expired: bool,
}

/// Why a worker has not joined.
pub enum NotJoined {
    /// The token is unknown, or its secret is another. Whoever asks may be guessing.
    Guess,
    /// Anything else.
    Refused(Error),
}

impl<E: Into<Error>> From<E> for NotJoined {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

impl Members {
    /// Makes a worker a member. Whoever asks again with the same key, because the answer was lost, is answered again.
    pub async fn join(&self, origin: Origin, asked: v1::JoinRequest) -> Result<v1::Membership, NotJoined> {
        let token = TokenId(asked.token_id[..].try_into().map_err(|_| Error::invalid("token_id is not 5 bytes"))?);
        let secret = SecretDigest::of(&asked.secret);
        // Before anything is done that costs something.
        if self.register.token(token, secret).is_none() {
            return Err(NotJoined::Guess);
        }
        let worker = WorkerId(asked.worker_id[..].try_into().map_err(|_| Error::invalid("worker_id is not 16 bytes"))?);
        let request = read(asked.csr).await?;
        let members = self.driver.peek(|core| core.ledger().members().len()).await?;
        if members >= limits::MEMBERS {
            return Err(Error::full(format!("there are {members} members, as many as there may be")).into());
        }
        let (key, name) = (request.key().0, shown(&asked.name));
        let applicant = Applicant { token, secret: secret.0, worker, key, name };
        self.note_joining(origin, applicant.clone()).await?;
        let Applicant { token, secret, worker, key, name } = applicant;
        let ask = MembersInput::Join { token, secret, worker, key, name };
        match self.ask(ask).await? {
            Reply::Joined(member) => {
                tracing::info!(%worker, name = member.name, %token, version = shown(&asked.version), "a worker has joined");
                Ok(self.membership(request, member).await?)
            }
            other => Err(Error::of_reply(other).into()),
        }
    }

    /// Tells the audit of somebody who joins, before it is done, and of somebody who may not; whoever joins again changes nothing.
    async fn note_joining(&self, origin: Origin, applicant: Applicant) -> Result<(), Error> {
        const METHOD: &str = "Members/Join";
        let principal = format!("worker {} with token {}", applicant.worker, applicant.token);
        let name = applicant.name.clone();
        match self.driver.peek(move |core| core.look_at_joining(now_ms(), &applicant)).await? {
            Ok(Joining::Again) => Ok(()),
            Ok(Joining::Anew) => self.audit.allow_joining(principal, origin, METHOD, name).await,
            Err(refusal) => {
                let reason = refusal.to_string();
                let (kind, namespace, method) = ("joining", None, METHOD);
                self.audit.deny(Denied { kind, principal, origin, namespace, method, resource: name, reason });
                Err(refusal.into())
            }
        }
    }

    /// A new certificate for a member. Where the one that it has shown has expired, another process may have its key: not while
    /// that one is linked.
    pub async fn renew(
        &self,
        caller: &Caller,
        shown: Option<Shown>,
        asked: v1::RenewRequest,
    ) -> Result<v1::Membership, Error> {
        let (Principal::Member(worker), Some(Shown { key: from, has_expired })) = (&caller.principal, shown) else {
            return Err(Error::denied("only a member that shows its certificate can renew it"));
        };
        let worker = *worker;
        if has_expired && self.sessions.is_linked(worker) {
            let why = "the certificate has expired, and another process is linked as this worker";
            return Err(Error::not_now(why));
        }
        let request = read(asked.csr).await?;
        let to = request.key().0;
        self.audit.allow(caller, "Members/Renew", worker.to_string()).await?;
        match self.ask(MembersInput::Renew { worker, from, to }).await? {
            Reply::Renewed(member) => {
                tracing::debug!(%worker, "a certificate is renewed");
                self.membership(request, member).await
            }
            other => Err(Error::of_reply(other)),
        }
    }

    /// Takes a worker off the list, or shuts it out.
    pub async fn remove(
        &self,
        caller: &Caller,
        asked: v1::RemoveWorkerRequest,
    ) -> Result<v1::RemoveWorkerResponse, Error> {
        let worker = self.resolve(asked.worker).await?;
        let revoke = asked.revoke;
        tracing::info!(%caller, %worker, revoke, "a worker is removed");
        let method = if revoke { "Members/RemoveWorker revoke" } else { "Members/RemoveWorker" };
        self.audit.allow(caller, method, worker.to_string()).await?;
        match self.ask(MembersInput::RemoveWorker { worker, revoke }).await? {
            Reply::WorkerRemoved { worker, name } => {
                Ok(v1::RemoveWorkerResponse { worker_id: views::id(worker.0), name })
            }
            other => Err(Error::of_reply(other)),
        }
    }

    /// Gives a worker nothing more, or work again.
    pub async fn drain(
        &self,
        caller: &Caller,
        asked: v1::DrainWorkerRequest,
    ) -> Result<v1::DrainWorkerResponse, Error> {
        let worker = self.resolve(asked.worker).await?;
        let name = self.driver.read(move |core| all(core).remove(&worker)).await?.unwrap_or_default();
        let undrain = asked.undrain;
        tracing::info!(%caller, %worker, undrain, "a worker is drained, or not any more");
        let method = if undrain { "Members/DrainWorker undrain" } else { "Members/DrainWorker" };
        self.audit.allow(caller, method, worker.to_string()).await?;
        let ask = if undrain { Control::Undrain { worker } } else { Control::Drain { worker } };
        match self.driver.ask(move |request| Input::Control { request, ask }).await? {
            Reply::Done => Ok(v1::DrainWorkerResponse { worker_id: views::id(worker.0), name }),
            other => Err(Error::of_reply(other)),
        }
    }

    /// The worker of that id; or else the only one whose name that is, or whose id begins so. Names are of a worker's own choice,
    /// and none stands for another's id.
    async fn resolve(&self, asked: String) -> Result<WorkerId, Error> {
        let workers = self.driver.read(all).await?;
        let found = meant(&workers, &asked);
        match found.as_slice() {
            [only] => Ok(*only),
            [] => Err(Error::not_found(format!("no worker {asked:?}"))),
            _ => Err(Error::invalid(format!("{asked:?} means more than one worker: name it by its id"))),
        }
    }

    async fn membership(&self, request: Request, member: MemberRecord) -> Result<v1::Membership, Error> {
        let (authority, life) = (Arc::clone(&self.authority), self.certificates_for);
        let id = Uuid::from_bytes(member.id.0);
        let signed = blocking("signing a certificate", move || {
            authority.sign_worker(&request, id, life).map_err(|error| Error::internal(chain(&error)))
        })
        .await?;
        let der = |certificate: &[u8]| Bytes::copy_from_slice(certificate);
        Ok(v1::Membership {
            chain: signed.chain.iter().map(|certificate| der(certificate)).collect(),
            roots: self.authority.roots().certificates().iter().map(|certificate| der(certificate)).collect(),
            cluster: self.authority.cluster().to_string(),
            expires_ms: signed.expires_ms,
            now_ms: now_ms(),
            labels: member.labels.into_iter().collect(),
            namespaces: member.namespaces.iter().map(ToString::to_string).collect(),
        })
    }

    async fn ask(&self, ask: MembersInput) -> Result<Reply, Error> {
        Ok(self.driver.ask(move |request| Input::Members { request, ask }).await?)
    }
}

/// Whom these words may mean.
fn meant(workers: &BTreeMap<WorkerId, String>, asked: &str) -> Vec<WorkerId> {
    let lower = asked.to_lowercase();
    if let Some(exactly) = workers.keys().find(|id| id.to_string() == lower) {
        return vec![*exactly];
    }
    let begins = |id: &WorkerId| !asked.is_empty() && id.to_string().starts_with(&lower);
    let meant = workers.iter().filter(|(id, name)| *name == asked || begins(id));
    meant.map(|(id, _)| *id).collect()
}

/// Every worker that is here, drained or a member, with its name.
fn all(core: &Core) -> BTreeMap<WorkerId, String> {
    let drained = core.ledger().all_drained().map(|worker| (worker, String::new()));
    let members = core.ledger().members().map(|member| (member.id, member.name.clone()));
    drained.chain(members).chain(core.worker_views().into_iter().map(|worker| (worker.id, worker.name))).collect()
}

/// A signing request whose signature is good.
async fn read(csr: Bytes) -> Result<Request, Error> {
    blocking("reading a signing request", move || Request::read(&csr).map_err(|error| Error::invalid(chain(&error))))
        .await
}

/// A word of a worker's, for people.
fn shown(word: &str) -> String {
    word.chars().filter(|c| !c.is_control()).take(limits::NAME_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_worker_takes_the_id_of_another_by_its_name() {
        let (one, other) = (WorkerId([0x11; 16]), WorkerId([0x22; 16]));
        let named = |name: &str| BTreeMap::from([(one, "red".to_owned()), (other, name.to_owned())]);
        assert_eq!(meant(&named(&one.to_string()), &one.to_string().to_uppercase()), [one]);
        assert_eq!(meant(&named(&one.to_string()[..8]), &one.to_string()[..8]), [one, other]);
        assert_eq!(meant(&named("blue"), &other.to_string()[..4]), [other]);
        assert_eq!((meant(&named("blue"), "red"), meant(&named("red"), "red").len()), (vec![one], 2));
        assert_eq!((meant(&named(""), "").len(), meant(&named("blue"), "Red").len()), (1, 0));
    }
}
