//! What is shown to a registry: found in Docker's own configuration, as `docker login` leaves it, or given with what is asked.

mod helper;

use std::{
    collections::BTreeMap,
    env, fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL};
use serde::{Deserialize, Serialize};

use self::helper::HelperError;
use super::reference::{HUB, one_hub};
use crate::runtime::{Credentials, PullSecret};

/// How configurations and helpers call the hub.
const HUB_SERVER: &str = "https://index.docker.io/v1/";

/// How Podman calls it.
const HUB_KEY: &str = "index.docker.io/docker.io";

/// Largest configuration that is read.
const CONFIG_BYTES: u64 = 4 << 20;

/// Docker's configuration of the worker's user.
#[derive(Debug, Clone)]
pub(super) struct DockerConfig {
    dir: Option<PathBuf>,
}

/// What there is for a registry, and where it was found: for people, since what it is nobody is told.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    /// Nothing, when it is asked as anybody.
    pub(super) credentials: Option<Credentials>,
    /// Where it was looked for.
    pub(super) from: Source,
}

/// Where credentials were looked for.
#[derive(Debug, Clone, Default)]
pub(super) enum Source {
    /// Nowhere: there is no configuration.
    #[default]
    Nowhere,
    /// In this file, which has some.
    File(PathBuf),
    /// In this file, which has none for the registry.
    NotInFile(PathBuf),
    /// A helper gave them.
    Helper(String),
    /// A helper has none.
    NotInHelper(String),
    /// They came with what is asked, in the secret of this name.
    Asker(Arc<str>),
    /// The secret of this name came with what is asked, and has none for the registry; else it was looked for there.
    NotOfAsker(Arc<str>, Box<Source>),
    /// They cannot be had.
    Trouble(String),
}

impl fmt::Display for Source {
    /// What a registry was shown, as the end of a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nowhere => f.write_str("it was shown no credentials, as the worker has none"),
            Self::File(path) => write!(f, "it was shown the credentials of {}", path.display()),
            Self::NotInFile(path) => write!(f, "it was shown no credentials, as {} has none for it", path.display()),
            Self::Helper(helper) => write!(f, "it was shown what {helper} gave"),
            Self::NotInHelper(helper) => write!(f, "it was shown no credentials, as {helper} has none for it"),
            Self::Asker(name) => write!(f, "it was shown the secret {name}, which pull_secret names"),
            Self::NotOfAsker(name, other) => {
                write!(f, "the secret {name}, which pull_secret names, has none for it, and {other}")
            }
            Self::Trouble(why) => write!(f, "it was shown no credentials, as {why}"),
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
enum ConfigError {
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} is no Docker configuration", path.display())]
    Malformed { path: PathBuf },
    #[error(transparent)]
    Helper(#[from] HelperError),
}

/// What of `config.json` is about registries.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    auths: BTreeMap<String, Auth>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

impl DockerConfig {
    /// The one in `dir`, or else where Docker itself looks: `$DOCKER_CONFIG`, else `.docker` of the user's home.
    pub(super) fn new(dir: Option<PathBuf>) -> Self {
        let usual = || {
            let named = env::var_os("DOCKER_CONFIG").filter(|dir| !dir.is_empty()).map(PathBuf::from);
            named.or_else(|| env::home_dir().map(|home| home.join(".docker")))
        };
        Self { dir: dir.or_else(usual) }
    }

    /// What there is for a registry now: whoever logs in need not start the worker anew.
    pub(super) async fn credentials(&self, registry: &str) -> Shown {
        let Some(path) = self.dir.as_ref().map(|dir| dir.join("config.json")) else { return Shown::default() };
        match find(&path, registry).await {
            Ok(shown) => shown,
            Err(error) => {
                tracing::warn!(registry, %error, "no credentials can be had for a registry");
                Shown { credentials: None, from: Source::Trouble(error.to_string()) }
            }
        }
    }
}

async fn find(path: &Path, registry: &str) -> Result<Shown, ConfigError> {
    let config = match read(path).await {
        Ok(config) => config,
        Err(ConfigError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(Shown::default());
        }
        Err(error) => return Err(error),
    };
    let own = entry(&config.cred_helpers, registry);
    if let Some(helper) = own.or(config.creds_store.as_ref()).filter(|helper| !helper.is_empty()) {
        let found = helper::ask(helper, server_of(registry)).await?;
        let from = if found.is_some() { Source::Helper } else { Source::NotInHelper };
        return Ok(Shown { credentials: found, from: from(helper::program(helper)) });
    }
    Ok(match entry(&config.auths, registry).and_then(Auth::credentials) {
        Some(credentials) => Shown { credentials: Some(credentials), from: Source::File(path.to_owned()) },
        None => Shown { credentials: None, from: Source::NotInFile(path.to_owned()) },
    })
}

async fn read(path: &Path) -> Result<Config, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let size = tokio::fs::metadata(path).await.map_err(unreadable)?.len();
    if size > CONFIG_BYTES {
        return Err(ConfigError::Malformed { path: path.to_owned() });
    }
    let text = tokio::fs::read(path).await.map_err(unreadable)?;
    // The parser's own words may hold what is secret.
    serde_json::from_slice(&text).map_err(|_| ConfigError::Malformed { path: path.to_owned() })
}

impl Auth {
    fn credentials(&self) -> Option<Credentials> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = given(&self.identitytoken) {
            return Some(Credentials::IdentityToken(token));
        }
        if let Some(both) = given(&self.auth) {
            let both = BASE64.decode(both.as_bytes()).or_else(|_| BASE64_NOPAD.decode(both.as_bytes())).ok()?;
            return user_and_password(std::str::from_utf8(&both).ok()?);
        }
        Some(Credentials::Password { user: given(&self.username)?, password: given(&self.password)? })
    }
}

/// What a secret has for a registry: `None` when it is of others.
pub(super) fn of_secret(secret: &PullSecret, registry: &str) -> Result<Option<Credentials>, NoSecret> {
    let none = || NoSecret(Arc::clone(&secret.name));
    let text = str::from_utf8(&secret.value).map_err(|_| none())?;
    // Some editors begin a file with a mark of the order of its bytes.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim();
    if !text.starts_with('{') {
        return user_and_password(text).map(Some).ok_or_else(none);
    }
    // A helper is a program of the worker's, and not for whoever asks to run.
    let config: Config = serde_json::from_str(text).map_err(|_| none())?;
    Ok(entry(&config.auths, registry).and_then(Auth::credentials))
}

/// A secret that is none for a registry.
#[derive(Debug, thiserror::Error)]
#[error(
    "the secret {0}, which pull_secret names, is neither `user:password` nor a config.json of Docker's, in UTF-8; `longshore secret put \
     {0}` takes another value"
)]
pub(super) struct NoSecret(Arc<str>);

fn user_and_password(text: &str) -> Option<Credentials> {
    // Docker itself has written zeros behind passwords.
    let (user, password) = text.trim_end_matches('\0').split_once(':')?;
    (!user.is_empty()).then(|| Credentials::Password { user: user.into(), password: password.into() })
}

/// What there is for a registry: by its very name first, as tools write it, then by the host that a key means, if it means
/// nothing narrower: `docker login` keeps more for the hub below its own key, Podman what is one organisation's.
fn entry<'a, T>(of: &'a BTreeMap<String, T>, registry: &str) -> Option<&'a T> {
    let server = server_of(registry);
    let exact = [server, registry].into_iter().chain((registry == HUB).then_some(HUB_KEY));
    let exact = exact.flat_map(|name| [name.to_owned(), format!("https://{name}"), format!("http://{name}")]);
    let exact = exact.into_iter().find_map(|name| of.get(&name));
    exact.or_else(|| of.iter().find(|(server, _)| host_of(server) == Some(registry)).map(|(_, entry)| entry))
}

/// The host that a key of a configuration means, and everything on it: those of old are addresses of an interface, `/v1/`.
fn host_of(server: &str) -> Option<&str> {
    let bare = server.strip_prefix("https://").or_else(|| server.strip_prefix("http://")).unwrap_or(server);
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    matches!(path.trim_end_matches('/'), "" | "v1" | "v2").then(|| one_hub(host))
}

/// How a helper knows a registry.
fn server_of(registry: &str) -> &str {
    if registry == HUB { HUB_SERVER } else { registry }
}

/// What the engine takes in `X-Registry-Auth`: base64 of the alphabet for addresses. With the other one it silently takes no
/// credentials wherever the two differ.
pub(super) fn header(credentials: &Credentials, registry: &str) -> String {
    #[derive(Serialize)]
    struct AuthConfig<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        username: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        password: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        identitytoken: Option<&'a str>,
        serveraddress: &'a str,
    }
    let (username, password, identitytoken) = match credentials {
        Credentials::Password { user, password } => (Some(user.as_str()), Some(password.as_str()), None),
        Credentials::IdentityToken(token) => (None, None, Some(token.as_str())),
    };
    let config = AuthConfig { username, password, identitytoken, serveraddress: server_of(registry) };
    // Text alone is always JSON.
    BASE64URL.encode(&serde_json::to_vec(&config).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::*;

    fn ann(password: &str) -> Option<Credentials> {
        Some(Credentials::Password { user: "ann".into(), password: password.into() })
    }

    /// What a configuration has for a registry.
    async fn found(config: &str, registry: &str) -> Shown {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("config.json"), config).unwrap();
        DockerConfig::new(Some(dir.path().to_owned())).credentials(registry).await
    }

    fn auth(pair: &str) -> String {
        format!(r#"{{"auth": "{}"}}"#, BASE64.encode(pair.as_bytes()))
    }

    #[tokio::test]
    async fn what_docker_login_has_left_is_found_by_any_name_of_its_registry() {
        let of_hub = format!(r#"{{"auths": {{"https://index.docker.io/v1/": {}}}}}"#, auth("ann:of:hub"));
        assert_eq!(found(&of_hub, HUB).await.credentials, ann("of:hub"));
        let config = format!(
            r#"{{"auths": {{"127.0.0.1:5000": {}, "https://ghcr.io": {{"username": "ann", "password": "x"}}, "r.example": {{"identitytoken": "t"}}}}}}"#,
            auth("ann:secret~?>")
        );
        assert_eq!(found(&config, "127.0.0.1:5000").await.credentials, ann("secret~?>"));
        assert_eq!(found(&config, "ghcr.io").await.credentials, ann("x"));
        assert_eq!(found(&config, "r.example").await.credentials, Some(Credentials::IdentityToken("t".into())));
        let none = found(&config, "127.0.0.1:5001").await;
        assert!(none.credentials.is_none() && none.from.to_string().contains("has none for it"), "{}", none.from);
    }

    #[tokio::test]
    async fn what_is_kept_below_a_registrys_key_is_not_shown_to_it() {
        for registry in ["docker.io", "r.example"] {
            let key = server_of(registry);
            let key = key.trim_end_matches('/');
            let whole = if registry == HUB { HUB_SERVER } else { registry };
            let keys = [
                (format!("{key}/access-token"), "1"),
                (whole.to_owned(), "right"),
                (format!("{key}/refresh-token"), "3"),
            ];
            let keys = keys.map(|(key, password)| format!(r#""{key}": {}"#, auth(&format!("ann:{password}"))));
            let config = format!(r#"{{"auths": {{{}}}}}"#, keys.join(", "));
            assert_eq!(found(&config, registry).await.credentials, ann("right"));
            let secret = PullSecret { name: "pull".into(), value: config.as_bytes().into() };
            assert_eq!(of_secret(&secret, registry).unwrap(), ann("right"));
        }
        let of_others = format!(r#"{{"auths": {{"r.example/team": {}}}}}"#, auth("ann:x"));
        assert_eq!(found(&of_others, "r.example").await.credentials, None);
        let both = format!(
            r#"{{"auths": {{"http://r.example": {}, "https://r.example/v1/": {}, "https://r.example": {}}}}}"#,
            auth("ann:2"),
            auth("ann:3"),
            auth("ann:1")
        );
        assert_eq!(found(&both, "r.example").await.credentials, ann("1"));
    }

    #[tokio::test]
    async fn without_a_configuration_a_registry_is_asked_as_anybody() {
        let dir = tempfile::tempdir().unwrap();
        let none = DockerConfig::new(Some(dir.path().to_owned())).credentials(HUB).await;
        assert!(none.credentials.is_none() && matches!(none.from, Source::Nowhere));
        let broken = found(r#"{"auths": {"x": {"auth": "hidden" "#, "x").await;
        assert!(broken.credentials.is_none());
        let words = broken.from.to_string();
        assert!(words.contains("config.json is no Docker configuration") && !words.contains("hidden"), "{words}");
    }

    /// A helper named by its whole path, which the real ones are not: the search for it is the system's.
    fn helper(dir: &Path, name: &str, script: &str) {
        let path = dir.join(format!("docker-credential-{name}"));
        // Written by another process: what this one has open for writing while a test forks, nobody can run.
        let write = r#"printf '#!/bin/sh\n%s\n' "$1" > "$0" && chmod 755 "$0""#;
        assert!(Command::new("sh").args(["-c", write]).arg(path).arg(script).status().unwrap().success());
    }

    #[tokio::test]
    async fn a_helper_is_asked_for_the_registry_and_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let ask = |name: &'static str, server: &'static str| {
            let dir = dir.path().to_owned();
            async move { helper::ask_in(Some(&dir), name, server).await }
        };
        helper(
            dir.path(),
            "good",
            r#"[ "$1" = get ] && read s; echo "{\"Username\": \"ann\", \"Secret\": \"of $s\"}""#,
        );
        assert_eq!(ask("good", "127.0.0.1:5000").await.unwrap(), ann("of 127.0.0.1:5000"));
        helper(dir.path(), "token", r#"echo '{"Username": "<token>", "Secret": "t"}'"#);
        assert_eq!(ask("token", "x").await.unwrap(), Some(Credentials::IdentityToken("t".into())));
        helper(dir.path(), "none", "echo credentials not found in native keychain; exit 1");
        assert_eq!(ask("none", "x").await.unwrap(), None);
        helper(dir.path(), "bad", "echo hidden; exit 3");
        helper(dir.path(), "odd", "echo hidden");
        helper(dir.path(), "endless", "while :; do echo hidden hidden hidden hidden; done");
        for (name, word) in [
            ("bad", "exit status: 3"),
            ("odd", "says what is no credential"),
            ("endless", "more than"),
            ("absent", "cannot be started"),
            ("../good", "no name of a helper"),
        ] {
            let error = ask(name, "x").await.unwrap_err().to_string();
            assert!(error.contains(word) && !error.contains("hidden"), "{name}: {error}");
        }
    }

    #[test]
    fn a_secret_is_a_user_and_a_password_or_a_configuration() {
        let of_bytes = |value: &[u8], registry: &str| {
            of_secret(&PullSecret { name: "pull".into(), value: value.into() }, registry)
        };
        let of = |text: &str, registry: &str| of_bytes(text.as_bytes(), registry);
        assert_eq!(of("\u{feff}ann:x\r\n", "any").unwrap(), ann("x"));
        assert!(of_bytes(b"ann:\xff", "any").is_err(), "no password with another character in its place");
        assert_eq!(of("ann:a:b\n", "any").unwrap(), ann("a:b"));
        let config = format!(r#"{{"auths": {{"ghcr.io": {}}}, "credsStore": "evil"}}"#, auth("ann:x"));
        assert_eq!(of(&config, "ghcr.io").unwrap(), ann("x"));
        assert_eq!(of(&config, "quay.io").unwrap(), None);
        for none in ["", "hidden", ":hidden", "{hidden"] {
            let words = of(none, "ghcr.io").unwrap_err().to_string();
            assert!(!words.contains("hidden") && words.contains("secret put pull`"), "{words}");
        }
    }

    #[test]
    fn the_header_is_for_addresses() {
        let odd = Credentials::Password { user: "ann".into(), password: "~~~???>>>".into() };
        let header = header(&odd, "127.0.0.1:5000");
        assert!(!header.contains(['+', '/']) && header.contains(['-', '_']), "{header}");
        let config: serde_json::Value = serde_json::from_slice(&BASE64URL.decode(header.as_bytes()).unwrap()).unwrap();
        assert_eq!(config["password"], "~~~???>>>");
        assert_eq!(config["serveraddress"], "127.0.0.1:5000");
    }
}
