//! What a worker is told of the secrets that a container names.

use std::collections::BTreeSet;

use bytes::Bytes;
use longshore_core::{Namespace, SecretName};
use longshore_proto::{
    secret::named,
    v1::{Container, NamespaceSecrets, SecretValue},
};

use super::vault::{Opened, Unopened, Vault};
use crate::{limits, replica::namespace_on_wire};

/// A container cannot be given its secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untold {
    /// One of them cannot be had.
    #[error(transparent)]
    Unopened(#[from] Unopened),
    /// They are too long together.
    #[error("its secrets have {0} bytes together, more than {most}", most = limits::SECRETS_OF_CONTAINER_BYTES)]
    TooLong(usize),
}

/// Their versions as they are now: when these change, so does what a worker has to be told. 0 stands for one that is not there.
pub fn versions(vault: &Vault, namespace: &Namespace, container: &Container) -> Vec<u64> {
    let name = |name: &str| SecretName { namespace: namespace.clone(), name: name.to_owned() };
    named(container).into_iter().map(|it| vault.get(&name(it)).map_or(0, |secret| secret.version)).collect()
}

/// The newest values of these, by namespace. One that cannot be had is left out: the replicas that name it say so.
pub fn of_namespaces(vault: &Vault, names: BTreeSet<SecretName>) -> Vec<NamespaceSecrets> {
    let mut all: Vec<NamespaceSecrets> = Vec::new();
    let mut bytes = 0;
    for name in names {
        let Ok(Opened { version, value }) = vault.unseal(&name) else { continue };
        bytes += value.len();
        if bytes > limits::SECRETS_TOLD_BYTES {
            tracing::error!(secret = %name, "one worker's replicas name more secrets than it can be told: this one is left out");
            bytes -= value.len();
            continue;
        }
        let namespace = namespace_on_wire(&name.namespace);
        let value = SecretValue { name: name.name, version, value: Bytes::copy_from_slice(&value) };
        match all.last_mut().filter(|last| last.namespace == namespace) {
            Some(last) => last.secrets.push(value),
            None => all.push(NamespaceSecrets { namespace, secrets: vec![value] }),
        }
    }
    all
}

/// All of them could be told now. Costs nothing where none is named.
///
/// # Errors
/// When one cannot be had, or they are too long.
pub fn ensure(vault: &Vault, namespace: &Namespace, container: &Container) -> Result<(), Untold> {
    values(vault, namespace, container).map(drop)
}

/// Their newest values.
///
/// # Errors
/// When one cannot be had, or they are too long.
pub fn values(vault: &Vault, namespace: &Namespace, container: &Container) -> Result<Vec<SecretValue>, Untold> {
    let mut values = Vec::new();
    for name in named(container) {
        let opened = vault.unseal(&SecretName { namespace: namespace.clone(), name: name.to_owned() })?;
        let value = Bytes::copy_from_slice(&opened.value);
        values.push(SecretValue { name: name.to_owned(), version: opened.version, value });
    }
    let bytes = values.iter().map(|secret| secret.value.len()).sum();
    if bytes > limits::SECRETS_OF_CONTAINER_BYTES { Err(Untold::TooLong(bytes)) } else { Ok(values) }
}
