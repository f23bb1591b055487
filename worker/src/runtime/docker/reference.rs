//! Image references: what may be asked of an engine, and what it is asked to pull.

/// Longest reference: a name (255 by the distribution specification), a tag (128) and a digest (135), rounded up.
const LONGEST: usize = 640;

/// A checked image reference.
///
/// The reference ends up in the path of a request to the engine, so nothing but the characters of the grammar in the
/// OCI distribution specification passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reference {
    /// An image's id, `sha256:` and 64 hexadecimal digits: looked up, never pulled.
    Id,
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
            return Ok(Self::Id);
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
        assert_eq!(Reference::parse(&digest), Ok(Reference::Id));
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
