//! Images: looked up, pulled once however many ask, shown to be the asker's, and, for demonstrations and tests, made from a
//! tar.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bollard::{
    Docker, body_full,
    models::ImageInspect,
    query_parameters::{CreateImageOptionsBuilder, RemoveImageOptionsBuilder},
};
use bytes::Bytes;
use futures_util::{
    FutureExt, TryStreamExt,
    future::{BoxFuture, Shared, WeakShared},
};
use http::HeaderValue;
use longshore_proto::namespace;

use super::{
    credentials::{self, DockerConfig, Shown, Source},
    engine::{CHANGE, Engine, EngineError, LOOK},
    hosts::Hosts,
    info::EngineInfo,
    options::DockerOptions,
    pulled::{Pulled, Standing, Whose},
    reference::{Reference, registry_of},
    refusals::of_pull,
};
use crate::runtime::{Credentials, Image, ImageDigest, ImageError, ImageRequest, RuntimeError};

type Pulling = BoxFuture<'static, Result<(), EngineError>>;

/// What is pulled, and what is shown for it: only who shows the same shares a pull.
type PullKey = (String, Option<Credentials>);

/// Longest wait for a registry's word on an image that is here.
const ASK: Duration = Duration::from_secs(10);

/// A registry that could not be asked is not asked again for so long about what may be run without its word.
const OUT_OF_REACH: Duration = Duration::from_secs(60);

/// The images of one engine.
pub(super) struct Images {
    engine: Engine,
    pulls: Pulls,
    pull_timeout: Duration,
    config: DockerConfig,
    pulled: Pulled,
    trusts_local: bool,
    digests_tell: bool,
    asks_registries: bool,
    /// Registries that could not be asked, and when that was.
    out_of_reach: Mutex<HashMap<String, Instant>>,
    hosts: Mutex<Hosts>,
}

impl Images {
    pub(super) fn new(engine: Engine, info: &EngineInfo, options: &DockerOptions) -> Self {
        Self {
            engine,
            pulls: Pulls::default(),
            pull_timeout: options.pull_timeout,
            config: DockerConfig::new(options.registry_config.clone()),
            pulled: Pulled::open(options.pulled.as_deref()),
            trusts_local: options.trust_local_images,
            digests_tell: info.digests_tell,
            asks_registries: info.asks_registries,
            out_of_reach: Mutex::default(),
            hosts: Mutex::default(),
        }
    }

    /// Finds an image for whoever asks, pulling it if it is not here.
    pub(super) async fn resolve(&self, asked: &ImageRequest) -> Result<Image, ImageError> {
        let not_found = |cause: String| ImageError::NotFound { reference: asked.reference.clone(), cause };
        let reference = Reference::parse(&asked.reference).map_err(|error| not_found(error.to_string()))?;
        let reference = match &asked.digest {
            Some(digest) => reference.at(digest),
            None => reference,
        };
        if let Some(found) = self.look_up(asked, &reference).await? {
            return self.admit(asked, &reference, found).await;
        }
        let Reference::Name { repository, .. } = &reference else {
            return Err(not_found("images are not pulled by id; `docker image ls` shows those here".into()));
        };
        let shown = self.shown(asked, registry_of(repository)).await?;
        if reference.is_exact() {
            // What an engine has once pulled by its digest, it may give again without asking anybody.
            self.ask(asked, &reference, &shown).await?;
        }
        self.pull(asked, &reference, &shown, self.pull_timeout).await?;
        let found = self.look_up(asked, &reference).await?;
        let found = found.ok_or_else(|| not_found("it was pulled, but is gone again".into()))?;
        let digest = reference.digest_among(told(&found)).map(|(_, digest)| digest);
        let image = describe(asked, found, digest);
        self.note(asked, &image, &shown)?;
        Ok(image)
    }

    /// What the engine knows of an image by its id.
    pub(super) async fn inspect(&self, id: &str) -> Result<ImageInspect, EngineError> {
        self.engine.within(LOOK, self.engine.docker().inspect_image(id)).await
    }

    async fn look_up(&self, asked: &ImageRequest, reference: &Reference) -> Result<Option<ImageInspect>, ImageError> {
        match self.inspect(&reference.to_string()).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(ImageError::Engine { reference: asked.reference.clone(), cause: error.to_string() }),
        }
    }

    /// An image that is here may be somebody else's. One that came from no registry is the engine's operator's, who put it
    /// there for everybody.
    async fn admit(
        &self,
        asked: &ImageRequest,
        reference: &Reference,
        found: ImageInspect,
    ) -> Result<Image, ImageError> {
        let Some((repository, digest)) = reference.digest_among(told(&found)) else {
            return Ok(describe(asked, found, None));
        };
        let image = describe(asked, found, Some(digest));
        let own = Image { digest: image.digest.filter(|_| self.digests_tell), ..image.clone() };
        let standing = self.pulled.standing(&image.id, &repository, &asked.namespace);
        let is_home = standing == Standing::Unknown && is_default(&asked.namespace);
        match standing {
            Standing::Own => return Ok(image),
            Standing::Unknown if self.trusts_local => return Ok(own),
            // Where a digest tells nothing, it is as likely as not that the operator made it here.
            Standing::Unknown if is_home && (!self.digests_tell || self.is_out_of_reach(registry_of(&repository))) => {
                return Ok(own);
            }
            Standing::Unknown | Standing::Others => {}
        }
        let registry = registry_of(&repository).to_owned();
        let shown = self.shown(asked, &registry).await?;
        let exactly = Reference::Name { repository, version: digest.to_string() };
        match self.ask(asked, &exactly, &shown).await {
            Ok(()) => self.note(asked, &image, &shown).map(|()| image),
            Err(ImageError::Unreachable { .. } | ImageError::NoHost { .. } | ImageError::RateLimited { .. })
                if is_home =>
            {
                self.note_out_of_reach(registry);
                Ok(own)
            }
            Err(error) => Err(on_this_engine(error, asked)),
        }
    }

    /// Asks an image's registry whether it gives exactly this one to whoever shows that. (To pull it again proves nothing: an
    /// engine that has its manifest does not ask.)
    async fn ask(&self, asked: &ImageRequest, exactly: &Reference, shown: &Shown) -> Result<(), ImageError> {
        if !self.asks_registries {
            return self.pull(asked, exactly, shown, self.pull_timeout.min(ASK)).await;
        }
        let Reference::Name { repository, .. } = exactly else { return Ok(()) };
        let (registry, name) = (registry_of(repository), exactly.to_string());
        let docker = showing(self.engine.patient(ASK), header(shown, registry));
        let answer = self.engine.within(ASK, docker.inspect_registry_image(&name, None)).await;
        self.heard(registry, answer.map(drop).map_err(|error| of_pull(error, &asked.reference, registry, shown)))
    }

    /// What a registry is shown for whoever asks.
    async fn shown(&self, asked: &ImageRequest, registry: &str) -> Result<Shown, ImageError> {
        let own = self.config.credentials(registry);
        if let Some(secret) = &asked.secret {
            let name = Arc::clone(&secret.name);
            let found = credentials::of_secret(secret, registry).map_err(|error| ImageError::Denied {
                reference: asked.reference.clone(),
                registry: registry.to_owned(),
                cause: error.to_string(),
            })?;
            if found.is_some() {
                return Ok(Shown { credentials: found, from: Source::Asker(name) });
            }
            let Shown { credentials, from } = own.await;
            return Ok(Shown { credentials, from: Source::NotOfAsker(name, Box::new(from)) });
        }
        Ok(own.await)
    }

    /// Whoever asked has been given the image.
    fn note(&self, asked: &ImageRequest, image: &Image, shown: &Shown) -> Result<(), ImageError> {
        let whose = match shown.from {
            Source::Asker(_) => Whose::Namespace(&asked.namespace),
            _ => Whose::Everybody,
        };
        self.pulled.note(&image.id, whose).map_err(|error| forgetful(asked, &error))
    }

    async fn pull(
        &self,
        asked: &ImageRequest,
        reference: &Reference,
        shown: &Shown,
        limit: Duration,
    ) -> Result<(), ImageError> {
        let Reference::Name { repository, version } = reference else { return Ok(()) };
        let registry = registry_of(repository);
        if matches!(shown.from, Source::Asker(_)) {
            // Before there is an image of which nobody knows whose it is.
            let kept = self.pulled.begin(repository);
            kept.map_err(|error| forgetful(asked, &error))?;
        }
        let key = (reference.to_string(), shown.credentials.clone());
        let pull = self.pulls.share(key, || {
            tracing::info!(image = %reference, "pulling");
            let docker = showing(self.engine.patient(limit), header(shown, registry));
            pull(self.engine.clone(), docker, repository.clone(), version.clone(), limit).boxed()
        });
        self.heard(registry, pull.await.map_err(|error| of_pull(error, &asked.reference, registry, shown)))
    }

    fn heard(&self, registry: &str, answer: Result<(), ImageError>) -> Result<(), ImageError> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.heard(registry, Instant::now(), answer)
    }

    fn is_out_of_reach(&self, registry: &str) -> bool {
        let known = self.out_of_reach.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(registry).is_some_and(|at| at.elapsed() < OUT_OF_REACH)
    }

    fn note_out_of_reach(&self, registry: String) {
        let mut known = self.out_of_reach.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, at| at.elapsed() < OUT_OF_REACH);
        known.insert(registry, Instant::now());
    }

    /// Makes an image from a tar of its root directory; `changes` are Dockerfile instructions (`CMD`, `ENV`, `USER`…).
    pub(super) async fn import(&self, tag: &str, tar: Bytes, changes: &[String]) -> Result<(), RuntimeError> {
        let failed = |cause: String| RuntimeError { doing: format!("importing image {tag}"), cause };
        let Ok(Reference::Name { repository, version }) = Reference::parse(tag) else {
            return Err(failed("not an image name".into()));
        };
        // Podman looks at no other tag than the one in the name.
        let name = format!("{repository}:{version}");
        let mut options = CreateImageOptionsBuilder::new().from_src("-").repo(&name).build();
        options.changes = changes.to_vec();
        let docker = self.engine.patient(self.pull_timeout);
        let answer = docker.create_image(Some(options), Some(body_full(tar)), None);
        let drained = answer.try_for_each(|_progress| async { Ok(()) });
        self.engine.within(self.pull_timeout, drained).await.map_err(|error| failed(error.to_string()))
    }

    /// Takes a tag away, and the image with it when that was its last; none of that name is fine too.
    pub(super) async fn remove(&self, tag: &str) -> Result<(), RuntimeError> {
        let failed = |cause: String| RuntimeError { doing: format!("removing image {tag}"), cause };
        Reference::parse(tag).map_err(|error| failed(error.to_string()))?;
        let options = RemoveImageOptionsBuilder::new().build();
        let call = self.engine.docker().remove_image(tag, Some(options), None);
        match self.engine.within(CHANGE, call).await {
            Err(error) if error.status() != Some(404) => Err(failed(error.to_string())),
            _ => Ok(()),
        }
    }
}

/// Pulls under way. One that nobody waits for any more ends.
#[derive(Default)]
struct Pulls(Mutex<HashMap<PullKey, WeakShared<Pulling>>>);

impl Pulls {
    /// Joins the pull of this that is under way, or begins one.
    fn share(&self, key: PullKey, begin: impl FnOnce() -> Pulling) -> Shared<Pulling> {
        // The map is whole between any two lines here, so a panic elsewhere does not spoil it.
        let mut pulls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pulls.retain(|_, pull| pull.upgrade().is_some_and(|pull| pull.peek().is_none()));
        if let Some(under_way) = pulls.get(&key).and_then(WeakShared::upgrade) {
            return under_way;
        }
        let pull = begin().shared();
        if let Some(weak) = pull.downgrade() {
            pulls.insert(key, weak);
        }
        pull
    }
}

async fn pull(
    engine: Engine,
    docker: Docker,
    repository: String,
    version: String,
    limit: Duration,
) -> Result<(), EngineError> {
    let options = CreateImageOptionsBuilder::new().from_image(&repository).tag(&version).build();
    let progress = docker.create_image(Some(options), None, None);
    engine.within(limit, progress.try_for_each(|_progress| async { Ok(()) })).await
}

fn header(shown: &Shown, registry: &str) -> Option<HeaderValue> {
    let header = credentials::header(shown.credentials.as_ref()?, registry);
    let mut value = HeaderValue::try_from(header).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// A client that shows this with its calls. It would write it itself, but in the alphabet that engines do not take.
fn showing(docker: Docker, header: Option<HeaderValue>) -> Docker {
    let Some(header) = header else { return docker };
    docker.with_request_modifier(move |mut request| {
        request.headers_mut().insert(REGISTRY_AUTH, header.clone());
        request
    })
}

/// The header with what is shown to a registry.
const REGISTRY_AUTH: &str = "x-registry-auth";

fn is_default(namespace: &str) -> bool {
    namespace.is_empty() || namespace == namespace::DEFAULT
}

/// Its digests in registries, as the engine tells them.
fn told(found: &ImageInspect) -> &[String] {
    found.repo_digests.as_deref().unwrap_or_default()
}

/// A registry does not give somebody what is here.
fn on_this_engine(error: ImageError, asked: &ImageRequest) -> ImageError {
    let namespace = if asked.namespace.is_empty() { namespace::DEFAULT } else { &asked.namespace };
    let here = |cause| format!("{cause}; it is on this engine, but was not pulled for namespace {namespace}");
    match error {
        ImageError::Denied { reference, registry, cause } => {
            ImageError::Denied { reference, registry, cause: here(cause) }
        }
        ImageError::NotFound { reference, cause } => ImageError::NotFound { reference, cause: here(cause) },
        other => other,
    }
}

/// What cannot be remembered is not run: another namespace could be given it.
fn forgetful(asked: &ImageRequest, error: &std::io::Error) -> ImageError {
    let cause = format!("the worker cannot write down whose it is: {error}");
    ImageError::Engine { reference: asked.reference.clone(), cause }
}

fn describe(asked: &ImageRequest, found: ImageInspect, digest: Option<ImageDigest>) -> Image {
    let config = found.config.unwrap_or_default();
    Image {
        reference: asked.reference.clone(),
        id: found.id.unwrap_or_default(),
        digest,
        entrypoint: config.entrypoint.unwrap_or_default(),
        command: config.cmd.unwrap_or_default(),
        names_user: config.user.is_some_and(|user| !user.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    fn key() -> PullKey {
        ("a".to_owned(), None)
    }

    #[tokio::test]
    async fn those_who_ask_meanwhile_share_one_pull_and_its_failure() {
        let pulls = Pulls::default();
        let (finish, finished) = oneshot::channel::<()>();
        let first = pulls.share(key(), || {
            async {
                let _ = finished.await;
                Err(EngineError::Failed { words: "no such image".into() })
            }
            .boxed()
        });
        let second = pulls.share(key(), || panic!("a second pull"));
        finish.send(()).unwrap();
        let (first, second) = tokio::join!(first, second);
        assert_eq!(first.unwrap_err().words(), "no such image");
        assert_eq!(second.unwrap_err().words(), "no such image");
        assert!(pulls.share(key(), || async { Ok(()) }.boxed()).await.is_ok(), "asked later: tried again");
    }

    #[tokio::test]
    async fn a_pull_that_nobody_waits_for_ends() {
        let pulls = Pulls::default();
        let (held, ended) = oneshot::channel::<()>();
        let pull = pulls.share(key(), || {
            async move {
                let _held = held;
                std::future::pending().await
            }
            .boxed()
        });
        drop(pull);
        assert!(ended.await.is_err());
        assert!(pulls.share(key(), || async { Ok(()) }.boxed()).await.is_ok());
    }
}
