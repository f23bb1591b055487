//! Versions of the engine's interface: which one is spoken, and how each request says so.
//!
//! The client library asks without a version, and then an engine answers in the newest it has, whatever that is. So the version
//! that was agreed on is put into the path of each request here.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bollard::{API_DEFAULT_VERSION, BollardRequest, ClientVersion};
use http::uri::PathAndQuery;

/// Oldest version we speak: what Docker 20.10 has, and Podman.
pub(super) const OLDEST: ClientVersion = ClientVersion { major_version: 1, minor_version: 41 };

/// Newest version we speak: the one the client library's types are of.
pub(super) const NEWEST: ClientVersion = *API_DEFAULT_VERSION;

/// Why no version is spoken by both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disagreement {
    /// The engine's newest is older than our oldest.
    TooOld,
    /// The engine's oldest is newer than our newest.
    TooNew,
    /// What the engine says is no version.
    NoSense,
}

/// The newest version that both speak: an engine's `newest`, and its `oldest`, which it may not tell.
pub(super) fn agree(newest: &str, oldest: &str) -> Result<ClientVersion, Disagreement> {
    let newest = parse(newest).ok_or(Disagreement::NoSense)?;
    if newest < OLDEST {
        return Err(Disagreement::TooOld);
    }
    if parse(oldest).is_some_and(|oldest| oldest > NEWEST) {
        return Err(Disagreement::TooNew);
    }
    Ok(if newest < NEWEST { newest } else { NEWEST })
}

fn parse(text: &str) -> Option<ClientVersion> {
    let (major, minor) = text.split_once('.')?;
    Some(ClientVersion { major_version: major.parse().ok()?, minor_version: minor.parse().ok()? })
}

/// The version that was agreed on, if one was, for everybody who speaks with one engine.
#[derive(Clone, Default)]
pub(super) struct Agreed(Arc<[AtomicUsize; 2]>);

impl Agreed {
    /// From now on this one is spoken.
    pub(super) fn on(&self, version: ClientVersion) {
        // Major versions never changed: it does no harm that these are two.
        self.0[1].store(version.minor_version, Ordering::Relaxed);
        self.0[0].store(version.major_version, Ordering::Relaxed);
    }

    /// From now on none is named.
    pub(super) fn forget(&self) {
        self.0[0].store(0, Ordering::Relaxed);
    }

    /// Which one it is.
    pub(super) fn version(&self) -> Option<ClientVersion> {
        let [major_version, minor_version] = [0, 1].map(|at| self.0[at].load(Ordering::Relaxed));
        (major_version > 0).then_some(ClientVersion { major_version, minor_version })
    }

    /// Puts it into requests.
    pub(super) fn modifier(&self) -> impl Fn(BollardRequest) -> BollardRequest + Send + Sync + 'static {
        let agreed = self.clone();
        move |mut request| {
            if let Some(version) = agreed.version() {
                put(request.uri_mut(), version);
            }
            request
        }
    }
}

/// What cannot be changed stays without a version, which is answered too.
fn put(uri: &mut http::Uri, version: ClientVersion) {
    let Some(path) = uri.path_and_query() else { return };
    let Ok(path) = PathAndQuery::try_from(format!("/v{version}{path}")) else { return };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path);
    if let Ok(changed) = http::Uri::from_parts(parts) {
        *uri = changed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_that_both_speak_is_agreed_on() {
        let agreed = |newest, oldest| agree(newest, oldest).map(|version| version.to_string());
        assert_eq!(agreed("1.41", "1.12").as_deref(), Ok("1.41"));
        assert_eq!(agreed("1.41", "").as_deref(), Ok("1.41"), "podman of long ago");
        assert_eq!(agreed("1.99", "1.44"), Ok(NEWEST.to_string()));
        assert_eq!(agreed("1.40", "1.12"), Err(Disagreement::TooOld));
        assert_eq!(agreed("1.99", "1.98"), Err(Disagreement::TooNew));
        for nonsense in ["", "1", "x.y", "4.3.1"] {
            assert_eq!(agreed(nonsense, ""), Err(Disagreement::NoSense), "{nonsense}");
        }
    }

    #[test]
    fn the_version_is_in_front_of_the_path_and_the_rest_stays() {
        let mut uri: http::Uri = "unix://2f746d70/containers/json?all=true&filters=%7B%7D".parse().unwrap();
        put(&mut uri, OLDEST);
        assert_eq!(uri, "unix://2f746d70/v1.41/containers/json?all=true&filters=%7B%7D");
    }
}
