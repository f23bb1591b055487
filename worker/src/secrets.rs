//! The secrets of a stage or replica, as the coordinator has told them: held while something here may need them, given to
//! processes by the shim, and nowhere written or shown.

mod mask;

use std::{fmt, sync::Arc};

use bytes::Bytes;
use longshore_proto::v1::{Container, Failure, SecretUse, SecretValue, secret_use::As};
use longshore_shim::{Given, Hidden, Log, Secret};
use zeroize::Zeroizing;

pub(crate) use self::mask::CUT;
use self::mask::Mask;
use crate::runtime::PullSecret;

/// It was not told.
const NOT_THERE: &str = "it is not there, or cannot be opened: see `longshore secret ls`";

/// A secret cannot be given to a process, or shown to a registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("secret {name}: {why}")]
pub(crate) struct NotGiven {
    name: String,
    why: &'static str,
}

/// Everything that a container names of secrets. Cheap to clone.
#[derive(Clone, Default)]
pub struct Secrets(Option<Arc<Inner>>);

struct Inner {
    all: Vec<Held>,
    mask: Mask,
}

struct Held {
    name: String,
    version: u64,
    value: Zeroizing<Vec<u8>>,
}

/// Names alone.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.versions()).finish()
    }
}

impl Secrets {
    /// As they were told.
    #[must_use]
    pub fn new(told: Vec<SecretValue>) -> Self {
        if told.is_empty() {
            return Self::default();
        }
        let held = |secret: SecretValue| Held {
            name: secret.name,
            version: secret.version,
            value: Zeroizing::new(secret.value.to_vec()),
        };
        let all: Vec<Held> = told.into_iter().map(held).collect();
        let mask = Mask::of(all.iter().map(|secret| &secret.value[..]));
        Self(Some(Arc::new(Inner { all, mask })))
    }

    /// Which they are, and which version of each: what keys are made of, never a value.
    #[must_use]
    pub fn versions(&self) -> Vec<(String, u64)> {
        self.all().iter().map(|secret| (secret.name.clone(), secret.version)).collect()
    }

    /// The value of one of them.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.all().iter().find(|secret| secret.name == name).map(|secret| &secret.value[..])
    }

    /// What the registry of the container's image is shown, where it names a secret for that which was told.
    pub(crate) fn pull_secret(&self, container: &Container) -> Option<PullSecret> {
        let name = &container.pull_secret;
        let value = self.get(name)?;
        Some(PullSecret { name: name.as_str().into(), value: value.into() })
    }

    /// Whether what the registry of the container's image is to be shown was told.
    ///
    /// # Errors
    /// When it names a secret for that which is not here.
    pub(crate) fn has_pull_secret(&self, container: &Container) -> Result<(), NotGiven> {
        let name = &container.pull_secret;
        let is_here = name.is_empty() || self.get(name).is_some();
        if is_here { Ok(()) } else { Err(NotGiven { name: name.clone(), why: NOT_THERE }) }
    }

    /// A log without their values.
    pub(crate) fn hide_in_log(&self, log: Log) -> Log {
        match &self.0 {
            Some(inner) => inner.mask.log(log),
            None => log,
        }
    }

    /// Takes their values out of what a failure says.
    pub(crate) fn hide_in_failure(&self, failure: &mut Failure) {
        if let Some(inner) = &self.0 {
            inner.mask.failure(failure);
        }
    }

    /// A text without their values.
    pub(crate) fn hide_in_text(&self, text: String) -> String {
        match &self.0 {
            Some(inner) => inner.mask.text(&text),
            None => text,
        }
    }

    /// The first bytes of something longer, without them.
    pub(crate) fn hide_in_beginning(&self, bytes: Bytes) -> Bytes {
        match &self.0 {
            Some(inner) => inner.mask.beginning(&bytes).into(),
            None => bytes,
        }
    }

    /// What a process of the container is given.
    ///
    /// # Errors
    /// When one that it names is not here, or cannot be a variable.
    pub(crate) fn given(&self, container: &Container) -> Result<Vec<Secret>, NotGiven> {
        container.secrets.iter().map(|used| self.given_one(used)).collect()
    }

    fn given_one(&self, used: &SecretUse) -> Result<Secret, NotGiven> {
        let name = &used.name;
        let refused = |why| NotGiven { name: name.clone(), why };
        let value = self.get(name).ok_or_else(|| refused(NOT_THERE))?;
        let (given, value) = match used.r#as.as_ref() {
            Some(As::Env(variable)) => {
                if value.contains(&0) {
                    return Err(refused("it has a NUL, which no variable can have: give it as a file"));
                }
                (Given::Env(variable.clone()), value.strip_suffix(b"\n").unwrap_or(value))
            }
            Some(As::File(file)) => (Given::File(file.clone()), value),
            None => return Err(refused("neither a variable nor a file is named")),
        };
        Ok(Secret { given, value: Hidden(value.to_vec()) })
    }

    fn all(&self) -> &[Held] {
        self.0.as_ref().map_or(&[], |inner| &inner.all)
    }
}

/// Whether any is given as a file, so that there is a directory of them.
pub(crate) fn has_files(container: &Container) -> bool {
    container.secrets.iter().any(|used| matches!(used.r#as, Some(As::File(_))))
}

/// Bytes that they take in a frame.
pub(crate) fn frame_bytes(secrets: &[Secret]) -> usize {
    let name = |given: &Given| match given {
        Given::Env(name) | Given::File(name) => name.len(),
    };
    secrets.iter().map(|secret| secret.value.0.len() + name(&secret.given) + 16).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(name: &str, given: As) -> SecretUse {
        SecretUse { name: name.to_owned(), r#as: Some(given) }
    }

    fn told(name: &str, value: &'static [u8]) -> SecretValue {
        SecretValue { name: name.to_owned(), version: 3, value: value.into() }
    }

    #[test]
    fn a_process_is_given_what_its_container_names() {
        let secrets = Secrets::new(vec![told("db", b"hunter2\n"), told("key", b"\0\xff\n"), told("pull", b"x")]);
        let (env, file) = (|name: &str| As::Env(name.to_owned()), |name: &str| As::File(name.to_owned()));
        let given = |uses: Vec<SecretUse>| secrets.given(&Container { secrets: uses, ..Container::default() });
        let all = given(vec![used("db", env("DB")), used("db", file("db.txt")), used("key", file("key"))]).unwrap();
        let is = |given, value: &[u8]| Secret { given, value: Hidden(value.to_vec()) };
        let wanted = [
            is(Given::Env("DB".to_owned()), b"hunter2"),
            is(Given::File("db.txt".to_owned()), b"hunter2\n"),
            is(Given::File("key".to_owned()), b"\0\xff\n"),
        ];
        assert_eq!(all, wanted);
        assert!(given(vec![used("key", env("KEY"))]).unwrap_err().to_string().contains("NUL"));
        assert!(
            given(vec![used("gone", env("GONE"))]).unwrap_err().to_string().contains("secret gone: it is not there")
        );
        assert_eq!(secrets.get("pull"), Some(&b"x"[..]));
        assert_eq!(format!("{secrets:?}"), r#"[("db", 3), ("key", 3), ("pull", 3)]"#);
    }
}
