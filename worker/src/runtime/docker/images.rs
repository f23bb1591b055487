//! Images: looked up, pulled once however many ask, and, for demonstrations and tests, made from a tar.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bollard::{
    body_full,
    models::ImageInspect,
    query_parameters::{CreateImageOptionsBuilder, RemoveImageOptionsBuilder},
};
use bytes::Bytes;
use futures_util::{
    FutureExt, TryStreamExt,
    future::{BoxFuture, Shared, WeakShared},
};

use super::{
    engine::{CHANGE, Engine, EngineError, LOOK},
    reference::Reference,
};
use crate::runtime::{Image, ImageError, RuntimeError};

type Pulling = BoxFuture<'static, Result<(), EngineError>>;

/// The images of one engine.
pub(super) struct Images {
    engine: Engine,
    pulls: Pulls,
    pull_timeout: Duration,
}

impl Images {
    pub(super) fn new(engine: Engine, pull_timeout: Duration) -> Self {
        Self { engine, pulls: Pulls::default(), pull_timeout }
    }

    /// Finds an image, pulling it if it is not here.
    pub(super) async fn resolve(&self, reference: &str) -> Result<Image, ImageError> {
        let not_found = |cause: String| ImageError::NotFound { reference: reference.into(), cause };
        let cannot_ask =
            |error: EngineError| ImageError::Engine { reference: reference.into(), cause: error.to_string() };
        let parsed = Reference::parse(reference).map_err(|error| not_found(error.to_string()))?;
        if let Some(image) = self.look_up(reference).await.map_err(cannot_ask)? {
            return Ok(image);
        }
        let Reference::Name { repository, version } = parsed else {
            return Err(not_found("images are not pulled by id; `docker image ls` shows those here".into()));
        };
        self.pull(reference, repository, version).await.map_err(|error| match error {
            EngineError::Unreachable { .. } => cannot_ask(error),
            _ => not_found(format!(
                "{}; try `docker pull {reference}` on the worker, or see what is there with `docker image ls`",
                error.words()
            )),
        })?;
        let pulled = self.look_up(reference).await.map_err(cannot_ask)?;
        pulled.ok_or_else(|| not_found("it was pulled, but is gone again".into()))
    }

    /// What the engine knows of an image by its id.
    pub(super) async fn inspect(&self, id: &str) -> Result<ImageInspect, EngineError> {
        self.engine.within(LOOK, self.engine.docker().inspect_image(id)).await
    }

    async fn look_up(&self, reference: &str) -> Result<Option<Image>, EngineError> {
        match self.inspect(reference).await {
            Ok(found) => Ok(Some(describe(reference, found))),
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn pull(&self, reference: &str, repository: String, version: String) -> Result<(), EngineError> {
        let pull = self.pulls.share(reference, || {
            tracing::info!(image = reference, "pulling");
            pull(self.engine.clone(), repository, version, self.pull_timeout).boxed()
        });
        pull.await
    }

    /// Makes an image from a tar of its root directory; `changes` are Dockerfile instructions (`CMD`, `ENV`, `USER`…).
    pub(super) async fn import(&self, tag: &str, tar: Bytes, changes: &[String]) -> Result<(), RuntimeError> {
        let failed = |cause: String| RuntimeError { doing: format!("importing image {tag}"), cause };
        let Ok(Reference::Name { repository, version }) = Reference::parse(tag) else {
            return Err(failed("not an image name".into()));
        };
        let mut options = CreateImageOptionsBuilder::new().from_src("-").repo(&repository).tag(&version).build();
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

/// Pulls under way, by reference. One that nobody waits for any more ends.
#[derive(Default)]
struct Pulls(Mutex<HashMap<String, WeakShared<Pulling>>>);

impl Pulls {
    /// Joins the pull of this reference that is under way, or begins one.
    fn share(&self, reference: &str, begin: impl FnOnce() -> Pulling) -> Shared<Pulling> {
        // The map is whole between any two lines here, so a panic elsewhere does not spoil it.
        let mut pulls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pulls.retain(|_, pull| pull.upgrade().is_some_and(|pull| pull.peek().is_none()));
        if let Some(under_way) = pulls.get(reference).and_then(WeakShared::upgrade) {
            return under_way;
        }
        let pull = begin().shared();
        if let Some(weak) = pull.downgrade() {
            pulls.insert(reference.into(), weak);
        }
        pull
    }
}

async fn pull(engine: Engine, repository: String, version: String, limit: Duration) -> Result<(), EngineError> {
    let options = CreateImageOptionsBuilder::new().from_image(&repository).tag(&version).build();
    let docker = engine.patient(limit);
    let progress = docker.create_image(Some(options), None, None);
    engine.within(limit, progress.try_for_each(|_progress| async { Ok(()) })).await
}

fn describe(reference: &str, found: ImageInspect) -> Image {
    let config = found.config.unwrap_or_default();
    Image {
        reference: reference.into(),
        id: found.id.unwrap_or_default(),
        entrypoint: config.entrypoint.unwrap_or_default(),
        command: config.cmd.unwrap_or_default(),
        names_user: config.user.is_some_and(|user| !user.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn those_who_ask_meanwhile_share_one_pull_and_its_failure() {
        let pulls = Pulls::default();
        let (finish, finished) = oneshot::channel::<()>();
        let first = pulls.share("a", || {
            async {
                let _ = finished.await;
                Err(EngineError::Failed { words: "no such image".into() })
            }
            .boxed()
        });
        let second = pulls.share("a", || panic!("a second pull"));
        finish.send(()).unwrap();
        let (first, second) = tokio::join!(first, second);
        assert_eq!(first.unwrap_err().words(), "no such image");
        assert_eq!(second.unwrap_err().words(), "no such image");
        assert!(pulls.share("a", || async { Ok(()) }.boxed()).await.is_ok(), "asked later: tried again");
    }

    #[tokio::test]
    async fn a_pull_that_nobody_waits_for_ends() {
        let pulls = Pulls::default();
        let (held, ended) = oneshot::channel::<()>();
        let pull = pulls.share("a", || {
            async move {
                let _held = held;
                std::future::pending().await
            }
            .boxed()
        });
        drop(pull);
        assert!(ended.await.is_err());
        assert!(pulls.share("a", || async { Ok(()) }.boxed()).await.is_ok());
    }
}
