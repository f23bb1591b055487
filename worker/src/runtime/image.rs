//! Images: as they are asked for, as they are, and why there is none.

use std::{fmt, sync::Arc};

pub use longshore_proto::ImageDigest;
use longshore_proto::v1::Container;

/// An image as somebody asks for it.
#[derive(Debug, Clone, Default)]
pub struct ImageRequest {
    /// The reference.
    pub reference: String,
    /// Whose; empty for the namespace that nobody names.
    pub namespace: Arc<str>,
    /// Which image of the reference's repository, where that was agreed on: whatever its tag says by now.
    pub digest: Option<ImageDigest>,
    /// What the asker has for its registry; without, or where that is for others, the worker shows what its own configuration
    /// has.
    pub secret: Option<PullSecret>,
}

impl ImageRequest {
    /// Of the namespace that nobody names, with the worker's own credentials.
    #[must_use]
    pub fn of(reference: impl Into<String>) -> Self {
        Self { reference: reference.into(), ..Self::default() }
    }
}

/// Credentials that came with a request: `user:password`, or a `config.json` of Docker's with some for its registry. It is in
/// no log and no error.
#[derive(Clone, PartialEq, Eq)]
pub struct PullSecret {
    /// Its name, for people.
    pub name: Arc<str>,
    /// Its value, as it was put.
    pub value: Arc<[u8]>,
}

impl fmt::Debug for PullSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PullSecret({}, ..)", self.name)
    }
}

/// What is shown to a registry. It is in no log and no error.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Credentials {
    /// A user and a password.
    Password {
        /// The user.
        user: String,
        /// The password, or a token in its place.
        password: String,
    },
    /// A token by which the registry's own service gives others out.
    IdentityToken(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// An image that is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The reference it was asked for by.
    pub reference: String,
    /// The engine's id of exactly these bytes.
    pub id: String,
    /// What its registry knows it by; `None` where it came from none: then it is what this engine has by that name.
    pub digest: Option<ImageDigest>,
    /// Its ENTRYPOINT.
    pub entrypoint: Vec<String>,
    /// Its CMD.
    pub command: Vec<String>,
    /// Whether it names a USER.
    pub names_user: bool,
}

impl Image {
    /// The full command line of a container, by Docker's rules: the entry point (the container's own, or the image's),
    /// then the arguments (the container's own; the image's CMD only when neither was given).
    #[must_use]
    pub fn argv(&self, container: &Container) -> Vec<String> {
        let own_entrypoint = !container.entrypoint.is_empty();
        let entrypoint = if own_entrypoint { &container.entrypoint } else { &self.entrypoint };
        let arguments =
            if !container.command.is_empty() || own_entrypoint { &container.command } else { &self.command };
        entrypoint.iter().chain(arguments).cloned().collect()
    }
}

/// Why an image cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ImageError {
    /// There is none of that name, here or in its registry, that would run here. Final.
    #[error("image {reference} is not on this engine and cannot be pulled: {cause}")]
    NotFound {
        /// The reference.
        reference: String,
        /// The words of whoever knows, and what to do.
        cause: String,
    },
    /// Its registry does not give it to whoever asks. Final.
    #[error("image {reference} is refused by {registry}: {cause}")]
    Denied {
        /// The reference.
        reference: String,
        /// The registry.
        registry: String,
        /// Its words, what it was shown, and what to do.
        cause: String,
    },
    /// Its registry wants to be asked less often.
    #[error("image {reference} cannot be had now, as {registry} limits how often it is asked: {cause}")]
    RateLimited {
        /// The reference.
        reference: String,
        /// The registry.
        registry: String,
        /// Its words.
        cause: String,
    },
    /// Its registry cannot be asked.
    #[error("image {reference} cannot be had now, as {registry} cannot be reached: {cause}")]
    Unreachable {
        /// The reference.
        reference: String,
        /// The registry.
        registry: String,
        /// The engine's words.
        cause: String,
    },
    /// No name server knows its registry's host, and none has for a while. Final.
    #[error(
        "image {reference} cannot be had: no name server knows the host {registry}: {cause}; correct the image's name, or see on the \
         worker that {registry} can be looked up (`getent hosts`)"
    )]
    NoHost {
        /// The reference.
        reference: String,
        /// The registry.
        registry: String,
        /// The engine's words.
        cause: String,
    },
    /// It does not fit on the engine's disk.
    #[error(
        "image {reference} cannot be pulled, as the engine's disk is full: {cause}; `docker system df` on the worker shows \
         what takes the room"
    )]
    NoRoom {
        /// The reference.
        reference: String,
        /// The engine's words.
        cause: String,
    },
    /// The engine cannot be asked, or the worker cannot do its part.
    #[error("image {reference} cannot be looked up: {cause}")]
    Engine {
        /// The reference.
        reference: String,
        /// The engine's words.
        cause: String,
    },
}

impl ImageError {
    /// Whether asking again would end the same, wherever it is asked.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::NotFound { .. } | Self::Denied { .. } | Self::NoHost { .. } => true,
            Self::RateLimited { .. } | Self::Unreachable { .. } | Self::NoRoom { .. } | Self::Engine { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_shown() {
        let asked = ImageRequest {
            secret: Some(PullSecret { name: "pull".into(), value: (*b"ann:hidden").into() }),
            ..ImageRequest::of("busybox")
        };
        let shown = Credentials::Password { user: "ann".into(), password: "hidden".into() };
        assert!(!format!("{asked:?} {shown:?}").contains("hidden"));
    }
}
