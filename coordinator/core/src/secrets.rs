//! Secrets: what jobs and services are given and nobody is shown. The core sees names, versions and sealed bytes, never a value.

mod put_secret;
mod remove_secret;
mod secret;

pub use self::secret::{Sealed, SecretName, SecretRecord};
pub(crate) use self::{put_secret::put_secret, remove_secret::remove_secret};
