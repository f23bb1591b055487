//! Image references: what may be asked of an engine, what it is asked to pull, and of which registry.

use std::fmt;

use crate::runtime::ImageDigest;

/// The registry of names that name none.
pub(super) const HUB: &str = "docker.io";

/// What is put before names of the hub's own.
const HUB_LIBRARY: &str = "library/";

/// Other names of the hub, which configurations and references use.
const HUB_TOO: [&str; 2] = ["index.docker.io", "registry-1.docker.io"];

/// Longest reference: a name (255 by the distribution specification), a tag (128) and a digest (135), rounded up.
const LONGEST: usize = 640;

/// A checked image reference.
///
/// The reference ends up in the path of a request to the engine, so nothing but the characters of the grammar in the
/// OCI distribution specification passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reference {
    /// An image's id, `sha256:` and 64 hexadecimal digits: looked up, never pulled.
    Id(String),
    /// A name to look up or pull.
    Name {
        /// Repository, with the registry if one was named.
        repository: String,
        /// Tag, or digest where one was given. Without either it is `latest`, since an engine that is asked for a
        /// repository alone pulls every tag of it.
        version: String,
    },
}

/// Why a text is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoReference {
    #[error("no image is named")]
    Empty,
    #[error("longer than {LONGEST} bytes")]
    TooLong,
    #[error("{0:?} is no sha256 digest")]
    Digest(String),
    #[error("not an image name: [registry[:port]/]name[:tag], the name in lower case")]
    Name,
    #[error("not a tag: at most 128 letters, digits, '_', '.', '-'")]
    Tag,
}

impl Reference {
    /// Reads a reference.
    pub(super) fn parse(text: &str) -> Result<Self, NoReference> {
        if text.is_empty() {
            return Err(NoReference::Empty);
        }
        if text.len() > LONGEST {
            return Err(NoReference::TooLong);
        }
        if is_digest(text) {
            return Ok(Self::Id(text.to_owned()));
        }
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) if is_digest(digest) => (named, Some(digest)),
            Some((_, digest)) => return Err(NoReference::Digest(digest.to_owned())),
            None => (text, None),
        };
        let (repository, tag) = split_tag(named);
        if !is_repository(repository) {
            return Err(NoReference::Name);
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(NoReference::Tag);
        }
        let version = digest.or(tag).unwrap_or("latest");
        Ok(Self::Name { repository: repository.into(), version: version.into() })
    }

    /// Exactly this image of the same repository. An id is exact already.
    pub(super) fn at(self, digest: &ImageDigest) -> Self {
        match self {
            Self::Name { repository, .. } => Self::Name { repository, version: digest.to_string() },
            id @ Self::Id(_) => id,
        }
    }

    /// Whether it names one image, whatever a tag says by now.
    pub(super) fn is_exact(&self) -> bool {
        match self {
            Self::Id(_) => true,
            Self::Name { version, .. } => is_digest(version),
        }
    }

    /// The digest by which its registry knows this image, among those that an engine tells (`repository@digest`); none where
    /// the image did not come from there.
    pub(super) fn digest_among(&self, told: &[String]) -> Option<(String, ImageDigest)> {
        let found = told.iter().filter_map(|told| {
            let (repository, digest) = told.split_once('@')?;
            // Engines that give all names a registry say so of what is in none.
            let elsewhere = !repository.starts_with("localhost/");
            Some((repository.to_owned(), ImageDigest::parse(digest)?)).filter(|_| elsewhere)
        });
        let mut found = found.filter(|(repository, _)| match self {
            Self::Id(_) => true,
            Self::Name { repository: own, .. } => familiar(own) == familiar(repository),
        });
        let first = found.next()?;
        match self {
            Self::Name { version, .. } if first.1.to_string() != *version => {
                Some(found.find(|(_, digest)| digest.to_string() == *version).unwrap_or(first))
            }
            _ => Some(first),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => f.write_str(id),
            Self::Name { repository, version } if is_digest(version) => write!(f, "{repository}@{version}"),
            Self::Name { repository, version } => write!(f, "{repository}:{version}"),
        }
    }
}

/// The registry of a repository: what stands before the first slash, where that is a host's name.
pub(super) fn registry_of(repository: &str) -> &str {
    match repository.split_once('/') {
        Some((host, _)) if host == "localhost" || host.contains(['.', ':']) => one_hub(host),
        _ => HUB,
    }
}

/// The hub has many names.
pub(super) fn one_hub(host: &str) -> &str {
    if HUB_TOO.contains(&host) { HUB } else { host }
}

/// A repository without what may be left out.
fn familiar(repository: &str) -> &str {
    if registry_of(repository) != HUB {
        return repository;
    }
    let named = [HUB].iter().chain(&HUB_TOO).find_map(|hub| repository.strip_prefix(*hub)?.strip_prefix('/'));
    let named = named.unwrap_or(repository);
    named.strip_prefix(HUB_LIBRARY).unwrap_or(named)
}

/// A colon after the last slash begins the tag; one before it, a registry's port.
fn split_tag(named: &str) -> (&str, Option<&str>) {
    match named.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (named, None),
    }
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
}

fn is_repository(text: &str) -> bool {
    let mut parts = text.split('/').peekable();
    let first = parts.next().unwrap_or_default();
    let first_is_registry = parts.peek().is_some() && is_registry(first);
    (first_is_registry || is_component(first)) && parts.all(is_component)
}

fn is_component(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|&byte| plain(byte))
        && bytes.last().is_some_and(|&byte| plain(byte))
        && bytes.iter().all(|&byte| plain(byte) || matches!(byte, b'.' | b'_' | b'-'))
        && !text.contains("..")
}

fn is_registry(text: &str) -> bool {
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    !host.is_empty()
        && !host.contains("..")
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = text.as_bytes();
    bytes.len() <= 128
        && bytes.first().is_some_and(|&byte| word(byte))
        && bytes.iter().all(|&byte| word(byte) || matches!(byte, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(repository: &str, version: &str) -> Result<Reference, NoReference> {
        Ok(Reference::Name { repository: repository.into(), version: version.into() })
    }

    #[test]
    fn the_usual_forms_are_read() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        assert_eq!(Reference::parse("busybox"), name("busybox", "latest"));
        assert_eq!(Reference::parse("alpine:3.20"), name("alpine", "3.20"));
        assert_eq!(Reference::parse("localhost:5000/a/b__c"), name("localhost:5000/a/b__c", "latest"));
        assert_eq!(Reference::parse("ghcr.io/x/y:V1.0-rc_1"), name("ghcr.io/x/y", "V1.0-rc_1"));
        assert_eq!(Reference::parse(&format!("x/y:1@{digest}")), name("x/y", &digest));
        assert_eq!(Reference::parse(&digest), Ok(Reference::Id(digest)));
    }

    #[test]
    fn the_registry_is_what_docker_takes_for_one() {
        for of_hub in ["busybox", "ann/tool", "docker.io/ann/tool", "index.docker.io/library/busybox"] {
            assert_eq!(registry_of(of_hub), HUB, "{of_hub}");
        }
        assert_eq!(registry_of("localhost/a"), "localhost");
        assert_eq!(registry_of("127.0.0.1:5000/team/one"), "127.0.0.1:5000");
        assert_eq!(registry_of("ghcr.io/x/y"), "ghcr.io");
    }

    #[test]
    fn a_digest_counts_only_for_the_repository_that_was_asked_for() {
        let (one, other) = (ImageDigest([1; 32]), ImageDigest([2; 32]));
        let found = |asked: &str, told: &[String]| {
            Reference::parse(asked).unwrap().digest_among(told).map(|(_, digest)| digest)
        };
        let told = [format!("ghcr.io/x/y@{one}"), format!("busybox@{other}")];
        assert_eq!(found("ghcr.io/x/y:1", &told), Some(one));
        assert_eq!(found("docker.io/library/busybox", &told), Some(other), "the same by its whole name");
        assert_eq!(found("mine:latest", &told), None, "its operator gave it another name");
        assert_eq!(found("x/y", &told), None, "of another registry");
        assert_eq!(found("mine", &[format!("localhost/mine@{one}")]), None, "of none");
        let twice = [format!("a@{one}"), format!("a@{other}")];
        assert_eq!(found(&format!("a@{other}"), &twice), Some(other));
        assert_eq!(found(&ImageDigest([3; 32]).to_string(), &told), Some(one), "an id is of any");
        assert_eq!(found("a", &[]), None);
    }

    #[test]
    fn a_reference_is_moved_to_a_digest_of_its_repository() {
        let digest = ImageDigest([0xab; 32]);
        let moved = Reference::parse("x/y:1").unwrap().at(&digest).to_string();
        assert_eq!(moved, format!("x/y@sha256:{}", "ab".repeat(32)));
        let id = ImageDigest([1; 32]).to_string();
        assert_eq!(Reference::parse(&id).unwrap().at(&digest).to_string(), id);
    }

    #[test]
    fn nothing_that_could_leave_the_path_of_a_request_passes() {
        let long = "a".repeat(LONGEST + 1);
        for hostile in [
            "",
            "../x",
            "a/../b",
            "a..b",
            "/a",
            "a/",
            "a//b",
            "a b",
            "a?b",
            "a#b",
            "a%2fb",
            "A",
            "a:",
            "a:b:c",
            "a:-x",
            "a@b",
            "a@sha256:00",
            "a\n",
            "a\0",
            "x:99999/y",
            "\u{e9}",
            &long,
        ] {
            assert!(Reference::parse(hostile).is_err(), "{hostile:?}");
        }
    }
}
