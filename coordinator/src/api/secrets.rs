//! Secrets: put, listed by name, removed. Nobody is told a value.

use std::sync::Arc;

use longshore_core::{Input, Refusal, Reply, SecretName, SecretRecord};
use longshore_proto::{secret, v1};
use zeroize::Zeroizing;

use super::{caller::Caller, validate::Invalid};
use crate::{
    audit::Audit,
    drive::Handle,
    error::{Error, blocking, chain},
    limits,
    members::standing::now_ms,
    room::DiskRoom,
    secrets::vault::Vault,
};

/// How often a value is sealed anew where somebody else has put one at the same time.
const TRIES: usize = 8;

/// What can be asked of secrets.
#[derive(Clone)]
pub struct Secrets {
    pub driver: Handle,
    pub vault: Arc<Vault>,
    pub audit: Arc<Audit>,
    pub room: DiskRoom,
}

impl Secrets {
    /// Gives a secret of the caller's namespace a value.
    pub async fn put(&self, caller: &Caller, asked: v1::PutSecretRequest) -> Result<v1::SecretView, Error> {
        let name = name(caller, asked.name)?;
        let value = Arc::new(Zeroizing::new(asked.value.to_vec()));
        if !(1..=limits::SECRET_BYTES).contains(&value.len()) {
            let why = format!("a secret's value has 1 to {} bytes, not {}", limits::SECRET_BYTES, value.len());
            return Err(Invalid(why).into());
        }
        self.room.ensure()?;
        self.ensure_room(&name, value.len()).await?;
        for _ in 0..TRIES {
            let wanted = name.clone();
            let last =
                move |core: &longshore_core::Core| core.ledger().secret(&wanted).map_or(0, |known| known.version);
            let version = self.driver.peek(last).await? + 1;
            self.audit.allow(caller, "Secrets/Put", format!("{} version {version}", name.name)).await?;
            let (vault, sealing, value, by) =
                (Arc::clone(&self.vault), name.clone(), Arc::clone(&value), caller.to_string());
            let sealed = blocking("sealing a secret", move || {
                vault.seal(&sealing, version, &value, by, now_ms()).map_err(|error| Error::internal(chain(&error)))
            })
            .await?;
            let input = name.clone();
            let shown = SecretRecord { name: name.clone(), version, sealed: Some(sealed.clone()) };
            let asked = self.driver.ask(move |request| Input::PutSecret { request, name: input, version, sealed });
            match asked.await? {
                Reply::SecretPut { version } => {
                    tracing::debug!(%caller, secret = %name, version, "a secret is put");
                    return Ok(self.view(&shown));
                }
                Reply::Refused(Refusal::SecretMoved(_)) => {}
                other => return Err(Error::of_reply(other)),
            }
        }
        Err(Refusal::SecretMoved(name).into())
    }

    /// All secrets of the caller's namespace, by name.
    pub async fn list(&self, caller: &Caller) -> Result<Vec<v1::SecretView>, Error> {
        self.audit.allow_reading(caller, "Secrets/List", String::new()).await?;
        Ok(self.vault.all(&caller.namespace).iter().map(|secret| self.view(secret)).collect())
    }

    /// Forgets a secret's value.
    pub async fn remove(&self, caller: &Caller, asked: v1::RemoveSecretRequest) -> Result<(), Error> {
        let name = name(caller, asked.name)?;
        self.audit.allow(caller, "Secrets/Remove", name.name.clone()).await?;
        tracing::debug!(%caller, secret = %name, "a secret is to be removed");
        match self.driver.ask(move |request| Input::RemoveSecret { request, name }).await? {
            Reply::SecretRemoved => Ok(()),
            other => Err(Error::of_reply(other)),
        }
    }

    async fn ensure_room(&self, name: &SecretName, bytes: usize) -> Result<(), Error> {
        let namespace = name.namespace.clone();
        let all =
            self.driver.peek(move |core| core.ledger().secrets_of(&namespace).cloned().collect::<Vec<_>>()).await?;
        let others: Vec<_> = all.iter().filter(|secret| secret.name != *name).collect();
        let living = others.iter().filter_map(|secret| secret.sealed.as_ref());
        let (count, taken) = living.fold((0, 0), |(count, taken), sealed| (count + 1, taken + sealed.size as usize));
        if count >= limits::SECRETS {
            return Err(Error::not_now(format!(
                "there are {count} secrets in this namespace, as many as there may be: remove some"
            )));
        }
        if taken + bytes > limits::SECRETS_BYTES {
            let most = limits::SECRETS_BYTES;
            return Err(Error::not_now(format!(
                "the secrets of this namespace would have more than {most} bytes: remove some"
            )));
        }
        if others.len() >= limits::SECRET_NAMES {
            return Err(Error::not_now("too many names of secrets were used in this namespace: use one of them again"));
        }
        Ok(())
    }

    fn view(&self, secret: &SecretRecord) -> v1::SecretView {
        let sealed = secret.sealed.as_ref();
        v1::SecretView {
            name: secret.name.name.clone(),
            version: secret.version,
            size: sealed.map_or(0, |sealed| sealed.size),
            put_ms: sealed.map_or(0, |sealed| sealed.put_ms),
            by: sealed.map_or_else(String::new, |sealed| sealed.by.clone()),
            unusable: !self.vault.is_usable(secret),
        }
    }
}

fn name(caller: &Caller, name: String) -> Result<SecretName, Invalid> {
    secret::check(&name).map_err(|bad| Invalid(bad.to_string()))?;
    Ok(SecretName { namespace: caller.namespace.clone(), name })
}
