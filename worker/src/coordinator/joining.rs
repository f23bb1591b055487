//! How a worker becomes a member of a cluster on other machines, and stays one.
//!
//! With a join token: the coordinator is recognised by the pin in it, and told nothing before. Then it is sent the token's
//! secret and a request for a certificate; the key that this is for stays here. From then on the certificate is shown, and
//! no token is needed.

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use longshore_local::TokenSource;
use longshore_proto::v1::{self, members_client::MembersClient};
use longshore_trust::{
    Identity, IdentityError, Key, KeyError, Pin, Roots, RootsError, SharedIdentity, Token, TokenError, TokenKind,
    Trouble, pki_types::CertificateDer,
};
use longshore_way::{AddressError, Credentials, Way, WayError, Wire};
use tokio::time::{sleep, timeout};
use tonic::{Code, Status, transport::Endpoint};

use super::connection::{Coordinator, Refused};
use crate::{
    causes,
    home::{Home, HomeError},
    pauses::Pauses,
};

/// How long a coordinator may take to sign a certificate.
const SIGNING: Duration = Duration::from_secs(30);

/// How long a connection may take, with its handshake.
const CONNECTING: Duration = Duration::from_secs(5);

/// How long a coordinator may take to say whether we may come in.
const ASKING: Duration = Duration::from_secs(5);

/// First and longest pause while nobody answers.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// Why a worker is not a member.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The address is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// What was given is no token to join with.
    #[error("this token is not good for joining")]
    Token(#[from] TokenError),
    /// It cannot be read.
    #[error("the token cannot be read")]
    Unread(#[source] longshore_local::TokenError),
    /// It is a token for other machines, at an address of this one.
    #[error("{address} is an address of this machine, where no token to join is needed and none is taken")]
    Here {
        /// The address.
        address: String,
    },
    /// It is another coordinator, it does not speak TLS, or clocks are apart. It was told nothing.
    #[error(transparent)]
    Way(#[from] WayError),
    /// The coordinator does not know the token.
    #[error("the coordinator does not know this token: {0}")]
    Unknown(String),
    /// The token was good once.
    #[error("the token is good no more: {0}")]
    Expired(String),
    /// As many have joined with it as may.
    #[error("{0}")]
    UsedUp(String),
    /// This worker's id is another's.
    #[error("this worker's id is that of another worker: {0}")]
    OtherKey(String),
    /// The member was revoked.
    #[error("this worker was shut out of the cluster: {0}")]
    Revoked(String),
    /// It is a member no more.
    #[error("this worker is not a member of the cluster any more: {0}")]
    NoMember(String),
    /// Its certificate is not taken any more.
    #[error(transparent)]
    Shown(Trouble),
    /// Another process is linked as this member.
    #[error("the certificate of this worker has expired, and another process is linked as this worker: {0}")]
    Linked(String),
    /// The coordinator says something else.
    #[error("the coordinator has not made this worker a member: {0}")]
    Told(String),
    /// What it sent makes no identity.
    #[error("what the coordinator has sent makes no sense")]
    Identity(#[from] IdentityError),
    /// The roots that it sent are not those of one cluster.
    #[error("what the coordinator has sent makes no sense")]
    Roots(#[from] RootsError),
    /// They are not those that the token pins.
    #[error("the coordinator has sent roots of another cluster than the one that its certificate is of")]
    OtherRoots,
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Nothing can be kept.
    #[error(transparent)]
    Home(#[from] HomeError),
}

impl JoinError {
    /// Whether it has to do with whether this worker may come in.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        !matches!(self, Self::Home(_) | Self::Key(_) | Self::Address(_) | Self::Told(_))
    }

    /// The next thing to do, where there is one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Token(TokenError::Newer { .. }) => "run the version of longshore that the coordinator is of",
            Self::Token(_) | Self::Unread(_) => {
                "copy the whole token that `longshore worker token create` has printed on the coordinator's machine"
            }
            Self::Here { .. } => {
                "leave the token out, or name an address where the coordinator listens with TLS (https://…)"
            }
            Self::Way(WayError::Unpinned { .. }) => {
                "a worker needs a token to join: `longshore worker token create` there"
            }
            Self::Way(error) => return error.hint(),
            Self::Unknown(_) | Self::Expired(_) | Self::UsedUp(_) | Self::NoMember(_) | Self::Shown(_) => {
                "make a new token there with `longshore worker token create`, and start this worker with --token-file FILE"
            }
            Self::OtherKey(_) | Self::Linked(_) => {
                "was this directory copied from another worker? give this one another with --data, or make it a new worker \
                 by removing worker-id and identity from it"
            }
            Self::Revoked(_) => {
                "if that was a mistake, make it a new worker: remove worker-id and identity from its directory, and join with a \
                 new token"
            }
            Self::Told(_) | Self::Identity(_) | Self::Roots(_) | Self::OtherRoots | Self::Key(_) => return None,
            Self::Address(_) | Self::Home(_) => return None,
        };
        Some(hint.to_owned())
    }
}

/// A coordinator that lets us in, as far as is known, and as whom.
pub(crate) struct Entered {
    /// It.
    pub coordinator: Coordinator,
    /// Who we are there, if it is on another machine.
    pub identity: Option<SharedIdentity>,
}

/// The way in to the coordinator at `address`: as a member, joining first where that is needed and there is a token for it; on
/// this machine as ever. A coordinator that has to be asked and does not answer is waited for.
pub(crate) async fn enter(
    home: &Home,
    address: &str,
    token: Option<TokenSource>,
    name: &str,
) -> Result<Entered, JoinError> {
    let join = match token.as_ref().map(join_token).transpose()? {
        None => None,
        Some(Ok(join)) => Some(join),
        Some(Err(other)) => {
            let coordinator = Coordinator::at(address, token)?;
            // Where a worker is known by its certificate, no other token helps, however often it is shown.
            return if coordinator.is_local() {
                Ok(Entered { coordinator, identity: None })
            } else {
                Err(other.into())
            };
        }
    };
    let known = home.identity()?.filter(|known| join.as_ref().is_none_or(|token| trusts(known, token.pin())));
    if let Some(known) = known {
        match as_member(home, address, known).await {
            Ok(entered) => return Ok(entered),
            Err(refused) if join.is_none() || !refused.may_join_again() => return Err(refused),
            Err(refused) => tracing::info!(reason = %refused, "joining again"),
        }
    }
    let Some(join) = join else {
        return Ok(Entered { coordinator: Coordinator::at(address, None)?, identity: None });
    };
    let identity = SharedIdentity::new(join_with(home, address, &join, name).await?);
    let coordinator = Coordinator::at(address, Credentials::Member(identity.clone()))?;
    Ok(Entered { coordinator, identity: Some(identity) })
}

impl JoinError {
    /// Whether another token would help.
    fn may_join_again(&self) -> bool {
        matches!(self, Self::NoMember(_) | Self::Shown(_) | Self::Way(WayError::Trouble { .. }))
    }
}

/// The token, if it is one to join with; or that it is one of another kind.
fn join_token(source: &TokenSource) -> Result<Result<Token, TokenError>, JoinError> {
    let (text, _) = source.read().map_err(JoinError::Unread)?;
    match Token::parse_as(TokenKind::Join, text.secret()) {
        Ok(token) => Ok(Ok(token)),
        // The coordinator's own, or a person's.
        Err(other @ (TokenError::NoToken | TokenError::OtherKind { .. })) => Ok(Err(other)),
        Err(error) => Err(error.into()),
    }
}

fn trusts(known: &Identity, pin: Pin) -> bool {
    let roots = known.roots().certificates().iter();
    roots.filter_map(|root| longshore_trust::Certificate::read(root).ok()).any(|root| root.key == pin)
}

/// As the member this worker is already. One whose certificate has expired asks for another first.
async fn as_member(home: &Home, address: &str, known: Identity) -> Result<Entered, JoinError> {
    let has_expired =
        longshore_trust::system_clock().current_time().is_some_and(|now| known.certificate().not_after < now.as_secs());
    let identity = SharedIdentity::new(known);
    let coordinator = Coordinator::at(address, Credentials::Member(identity.clone()))?;
    if coordinator.is_local() {
        return Ok(Entered { coordinator, identity: None });
    }
    if has_expired {
        match renew(&coordinator, home, &identity).await {
            Ok(()) | Err(RenewError::Unanswered(_)) => {}
            Err(RenewError::Refused(error)) => return Err(error),
        }
    }
    match timeout(ASKING, coordinator.ensure_not_refused()).await {
        Ok(Err(Refused::Told(told))) => Err(JoinError::NoMember(told)),
        Ok(Err(Refused::Denied(told))) => Err(JoinError::Revoked(told)),
        Ok(Err(Refused::Way(error))) => Err(error.into()),
        // Whoever takes longer to answer is waited for by the link.
        Ok(Ok(())) | Err(_) => Ok(Entered { coordinator, identity: Some(identity) }),
    }
}

/// Makes this worker a member; waits for a coordinator that does not answer.
async fn join_with(home: &Home, address: &str, token: &Token, name: &str) -> Result<Identity, JoinError> {
    let way = Way::to(address, Credentials::Pin(token.pin()))?;
    if !way.is_secure() {
        return Err(JoinError::Here { address: address.to_owned() });
    }
    let key = home.key()?;
    let asked = v1::JoinRequest {
        token_id: Bytes::copy_from_slice(&token.id().0),
        secret: Bytes::copy_from_slice(token.secret()),
        worker_id: Bytes::copy_from_slice(home.id().as_bytes()),
        csr: key.request()?.into(),
        name: name.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let membership = patiently(|| ask_to_join(&way, &asked)).await?;
    let identity = identity(&key, &membership)?;
    if !trusts(&identity, token.pin()) {
        return Err(JoinError::OtherRoots);
    }
    home.keep_identity(&identity)?;
    tracing::info!(cluster = %identity.roots().cluster(), "joined: from now on no token is needed");
    Ok(identity)
}

/// Why there was no answer: nobody is there yet, or it is refused.
enum Unjoined {
    NotYet(String),
    Refused(JoinError),
}

async fn patiently<F>(mut ask: impl FnMut() -> F) -> Result<v1::Membership, JoinError>
where
    F: Future<Output = Result<v1::Membership, Unjoined>>,
{
    let mut pauses = Pauses::apart(PAUSES.0, PAUSES.1);
    let mut said = None;
    loop {
        match ask().await {
            Ok(membership) => return Ok(membership),
            Err(Unjoined::Refused(error)) => return Err(error),
            Err(Unjoined::NotYet(why)) if said.as_ref() != Some(&why) => {
                tracing::warn!(reason = why, "not joined yet; trying again");
                said = Some(why);
            }
            Err(Unjoined::NotYet(_)) => {}
        }
        sleep(pauses.next()).await;
    }
}

async fn ask_to_join(way: &Way, asked: &v1::JoinRequest) -> Result<v1::Membership, Unjoined> {
    let set_up = |endpoint: Endpoint| endpoint.connect_timeout(CONNECTING);
    let wire = Wire::connect(way, set_up).await.map_err(|error| match WayError::among(&error) {
        Some(way @ WayError::Nobody { .. }) => Unjoined::NotYet(causes::in_a_line(&way)),
        Some(way @ WayError::Trouble { source: Trouble::HungUp, .. }) => Unjoined::NotYet(causes::in_a_line(&way)),
        Some(way) => Unjoined::Refused(way.into()),
        None => Unjoined::NotYet(causes::in_a_line(&error)),
    })?;
    let mut members = MembersClient::new(wire);
    match timeout(SIGNING, members.join(asked.clone())).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) => Err(of_status(&status)),
        Err(_) => Err(Unjoined::NotYet("the coordinator does not answer".to_owned())),
    }
}

fn of_status(status: &Status) -> Unjoined {
    let told = status.message().to_owned();
    Unjoined::Refused(match status.code() {
        Code::NotFound => JoinError::Unknown(told),
        Code::DeadlineExceeded => JoinError::Expired(told),
        Code::OutOfRange => JoinError::UsedUp(told),
        Code::AlreadyExists => JoinError::OtherKey(told),
        Code::PermissionDenied => JoinError::Revoked(told),
        Code::Unauthenticated => JoinError::NoMember(told),
        Code::FailedPrecondition => JoinError::Linked(told),
        Code::Unavailable | Code::ResourceExhausted | Code::Aborted | Code::Cancelled | Code::Unknown => {
            return Unjoined::NotYet(told);
        }
        _ => JoinError::Told(told),
    })
}

/// Who we are from now on, by what the coordinator has sent.
fn identity(key: &Arc<Key>, membership: &v1::Membership) -> Result<Identity, JoinError> {
    let roots = roots(&membership.roots, &membership.cluster)?;
    // What has signed it is among the roots, which the coordinator has.
    let own = membership.chain.iter().take(1).map(der).collect();
    Ok(Identity::new(Arc::clone(key), own, roots)?)
}

fn der(der: &Bytes) -> CertificateDer<'static> {
    CertificateDer::from(der.to_vec())
}

/// The roots that were sent, if they are those of the cluster that was named.
fn roots(sent: &[Bytes], cluster: &str) -> Result<Roots, JoinError> {
    let roots = Roots::new(sent.iter().map(der).collect())?;
    if roots.cluster().to_string() == cluster { Ok(roots) } else { Err(JoinError::OtherRoots) }
}

/// Trusts what a coordinator that is trusted already says is to be trusted from now on, and keeps it: so an authority can be
/// replaced while its workers go on.
pub(crate) fn trust(home: &Home, identity: &SharedIdentity, welcome: &v1::Welcome) -> Result<(), JoinError> {
    if welcome.roots.is_empty() {
        return Ok(());
    }
    let now = identity.get();
    let roots = roots(&welcome.roots, &welcome.cluster)?;
    if roots == *now.roots() {
        return Ok(());
    }
    if roots.cluster() != now.roots().cluster() {
        return Err(JoinError::OtherRoots);
    }
    let own = now.chain().iter().take(1).cloned().collect();
    let trusting = Identity::new(Arc::clone(now.key()), own, roots)?;
    home.keep_identity(&trusting)?;
    identity.set(trusting);
    tracing::info!("other certificates of the cluster's authority are trusted from now on");
    Ok(())
}

/// Why there is no new certificate.
#[derive(Debug)]
pub(crate) enum RenewError {
    /// It may come at another time.
    Unanswered(String),
    /// It will not.
    Refused(JoinError),
}

impl<E: Into<JoinError>> From<E> for RenewError {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

/// Gets another certificate for the same key, keeps it, and shows it from the next connection on.
pub(crate) async fn renew(coordinator: &Coordinator, home: &Home, identity: &SharedIdentity) -> Result<(), RenewError> {
    let key = Arc::clone(identity.get().key());
    let asked = v1::RenewRequest { csr: key.request()?.into(), version: env!("CARGO_PKG_VERSION").to_owned() };
    let answered = timeout(SIGNING, coordinator.members().renew(asked)).await;
    let answered = answered.map_err(|_| RenewError::Unanswered("the coordinator does not answer".to_owned()))?;
    let membership = answered.map_err(|status| match coordinator.why_lost(&status) {
        Some(WayError::Trouble { source: refused @ Trouble::Refused(_), .. }) => {
            RenewError::Refused(JoinError::Shown(refused))
        }
        Some(way) => RenewError::Unanswered(causes::in_a_line(&way)),
        None => match of_status(&status) {
            Unjoined::NotYet(why) => RenewError::Unanswered(why),
            Unjoined::Refused(error) => RenewError::Refused(error),
        },
    })?;
    let renewed = self::identity(&key, &membership.into_inner())?;
    if renewed.roots().cluster() != identity.get().roots().cluster() {
        return Err(JoinError::OtherRoots.into());
    }
    home.keep_identity(&renewed)?;
    identity.set(renewed);
    tracing::info!(until = identity.get().certificate().not_after, "there is a new certificate");
    Ok(())
}

#[cfg(test)]
mod tests;
