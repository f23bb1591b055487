//! Why an image was not pulled, by the engine's words: it answers 404 or 500 to nearly everything.

use super::{
    credentials::{Shown, Source},
    engine::{EngineError, bounded},
};
use crate::runtime::ImageError;

/// Most characters of the engine's words that stand in a failure, which is cut at 500.
const WORDS: usize = 220;

/// Words of an engine whose disk is full.
const NO_ROOM: [&str; 2] = ["no space left on device", "disk quota exceeded"];

/// Words of a registry that is asked too often.
const TOO_OFTEN: [&str; 4] = ["toomanyrequests", "too many requests", "rate limit", "status: 429"];

/// Words of an engine that cannot reach a registry, or that a registry in trouble leads to.
const OUT_OF_REACH: [&str; 23] = [
    "no such host",
    "server misbehaving",
    "temporary failure in name resolution",
    "connection refused",
    "connection reset",
    "broken pipe",
    "no route to host",
    "network is unreachable",
    "i/o timeout",
    "tls handshake",
    "tls: ",
    "x509: ",
    "context deadline exceeded",
    "client.timeout",
    "request canceled",
    "context canceled",
    "proxyconnect",
    ": eof",
    "unexpected eof",
    "server gave http response to https client",
    "http status: 5",
    "unavailable",
    "bad gateway",
];

/// Words of a registry that does not give an image to whoever asks.
const DENIED: [&str; 6] = [
    "unauthorized",
    "no basic auth credentials",
    "authentication required",
    "denied",
    "forbidden",
    "authorization failed",
];

/// Words of an engine or registry that has none such.
const NONE_SUCH: [&str; 8] = [
    "manifest unknown",
    "not found",
    "no matching manifest",
    "name unknown",
    "name invalid",
    "invalid reference format",
    "no match for platform",
    "cannot be used on this platform",
];

/// What is to be told of a pull that failed.
pub(super) fn of_pull(error: EngineError, reference: &str, registry: &str, shown: &Shown) -> ImageError {
    let (reference, registry) = (reference.to_owned(), registry.to_owned());
    let (status, words) = match &error {
        EngineError::Answered { status, words } => (Some(*status), words.as_str()),
        EngineError::Failed { words } => (None, words.as_str()),
        EngineError::TimedOut { .. } => {
            return ImageError::Unreachable { reference, registry, cause: error.to_string() };
        }
        _ => return ImageError::Engine { reference, cause: error.to_string() },
    };
    // Where the engine itself may not do something, that is nothing of a registry's.
    let said = words.to_lowercase().replace("permission denied", "");
    let has = |some: &[&str]| some.iter().any(|word| said.contains(word));
    let mut cause = bounded(words);
    if let Some((cut, _)) = cause.char_indices().nth(WORDS) {
        cause.truncate(cut);
        cause.push('…');
    }
    if has(&NO_ROOM) {
        ImageError::NoRoom { reference, cause }
    } else if has(&TOO_OFTEN) || status == Some(429) {
        ImageError::RateLimited { reference, registry, cause }
    } else if has(&OUT_OF_REACH) {
        ImageError::Unreachable { reference, registry, cause }
    } else if has(&DENIED) || matches!(status, Some(401 | 403)) {
        let next = match &shown.from {
            Source::Asker(name) => format!("`longshore secret put {name}` gives it another value"),
            Source::NotOfAsker(name, _) => {
                format!("`longshore secret put {name}` gives it a value with some for {registry}")
            }
            _ => format!(
                "`docker login {registry}` on the worker, as the user it runs as, gives it some, or pull_secret names a secret \
                 of yours"
            ),
        };
        let cause = format!("{cause}; {}; {next}", shown.from);
        ImageError::Denied { reference, registry, cause }
    } else if has(&NONE_SUCH) || status == Some(404) {
        let next = format!("`docker pull {reference}` on the worker tries it, `docker image ls` shows what is there");
        ImageError::NotFound { reference, cause: format!("{cause}; {next}") }
    } else {
        ImageError::Engine { reference, cause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u16, words: &str) -> ImageError {
        let error = EngineError::Answered { status, words: words.into() };
        of_pull(error, "127.0.0.1:5000/a", "127.0.0.1:5000", &Shown::default())
    }

    /// As engines from 20.10 on have said it.
    #[test]
    fn the_engines_words_tell_who_refused_and_whether_for_good() {
        for denied in [
            r#"Head "http://127.0.0.1:34675/v2/team/one/manifests/latest": no basic auth credentials"#,
            "unauthorized: authentication required",
            "pull access denied for x/y, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
            "error from registry: denied",
            "failed to authorize: failed to fetch oauth token: unexpected status: 403 Forbidden",
        ] {
            let error = told(500, denied);
            assert!(matches!(error, ImageError::Denied { .. }) && error.is_final(), "{denied}: {error:?}");
            assert!(error.to_string().contains("docker login 127.0.0.1:5000"), "{error}");
        }
        for absent in [
            "manifest for 127.0.0.1:34675/team/one:none not found: manifest unknown: manifest unknown",
            "no matching manifest for linux/amd64 in the manifest list entries",
            "invalid reference format",
        ] {
            let error = told(404, absent);
            assert!(matches!(error, ImageError::NotFound { .. }) && error.is_final(), "{absent}: {error:?}");
        }
        for limited in [
            "toomanyrequests: You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit",
            "received unexpected HTTP status: 429 Too Many Requests",
        ] {
            let error = told(500, limited);
            assert!(matches!(error, ImageError::RateLimited { .. }) && !error.is_final(), "{limited}: {error:?}");
        }
        for away in [
            r#"Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused"#,
            r#"Get "https://nosuch.invalid/v2/": dial tcp: lookup nosuch.invalid on 127.0.0.53:53: no such host"#,
            r#"Get "https://r/v2/": x509: certificate signed by unknown authority"#,
            r#"Get "https://r/v2/": net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)"#,
            "received unexpected HTTP status: 503 Service Unavailable",
            r#"Get "http://127.0.0.1:1/v2/": EOF"#,
        ] {
            let error = told(500, away);
            assert!(matches!(error, ImageError::Unreachable { .. }) && !error.is_final(), "{away}: {error:?}");
        }
        let full = told(500, "failed to register layer: write /var/lib/docker/x: no space left on device");
        assert!(matches!(full, ImageError::NoRoom { .. }) && !full.is_final(), "{full:?}");
        let own = told(500, "open /var/lib/docker/tmp/x: permission denied");
        assert!(matches!(own, ImageError::Engine { .. }) && !own.is_final(), "{own:?}");
    }

    #[test]
    fn a_secret_that_was_refused_or_had_nothing_is_named_with_what_mends_it() {
        let told = |from| {
            let error = EngineError::Answered { status: 500, words: "unauthorized".into() };
            of_pull(error, "r.example/a", "r.example", &Shown { credentials: None, from }).to_string()
        };
        let wrong = told(Source::Asker("pull".into()));
        assert!(wrong.contains("shown the secret pull") && wrong.contains("`longshore secret put pull`"), "{wrong}");
        assert!(!wrong.contains("docker login"), "{wrong}");
        let of_others = told(Source::NotOfAsker("pull".into(), Box::new(Source::Nowhere)));
        assert!(
            of_others.contains("secret pull, which pull_secret names, has none for it, and it was shown no"),
            "{of_others}"
        );
        assert!(
            of_others.contains("`longshore secret put pull` gives it a value with some for r.example"),
            "{of_others}"
        );
    }
}
