//! What an image has at a path: asked once for each, of a container that is made for it and never started.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use bollard::{
    models::{ContainerCreateBody, HostConfig},
    query_parameters::ContainerArchiveInfoOptionsBuilder,
};

use super::{
    container::Container,
    engine::{Engine, EngineError, LOOK},
};
use crate::runtime::Control;

/// Answers that are remembered; then all are forgotten.
const MOST: usize = 1_024;

/// What images have at a path. An image is known by its id, so that does not change.
#[derive(Default)]
pub(super) struct Contents(Mutex<HashMap<(String, String), Has>>);

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Has {
    Nothing,
    /// Or a link, which may lead to one.
    Directory,
    Other,
}

/// How engines tell what something is: Go's bits of a file's mode.
const GO_DIRECTORY: u32 = 1 << 31;
const GO_LINK: u32 = 1 << 27;

impl Contents {
    /// What there is at `path` in an image. `name` and `labels` are of the container that is asked.
    ///
    /// # Errors
    /// With the engine's words.
    pub(super) async fn have(
        &self,
        engine: &Engine,
        (image, path): (&str, &str),
        name: String,
        labels: HashMap<String, String>,
    ) -> Result<Has, EngineError> {
        let key = (image.to_owned(), path.to_owned());
        // The map is whole between any two lines here.
        if let Some(known) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(*known);
        }
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            // Never started: a name is asked for, no more.
            entrypoint: Some(vec!["/".to_owned()]),
            labels: Some(labels),
            host_config: Some(HostConfig { network_mode: Some("none".to_owned()), ..HostConfig::default() }),
            ..ContainerCreateBody::default()
        };
        let container = Container::create(engine.clone(), name, body).await?;
        let options = ContainerArchiveInfoOptionsBuilder::default().path(path).build();
        let asked =
            engine.within(LOOK, engine.docker().get_container_archive_info(container.id(), Some(options))).await;
        if let Err(error) = container.remove().await {
            tracing::warn!("{error}");
        }
        let has = match asked {
            Ok(stat) if stat.file_mode & (GO_DIRECTORY | GO_LINK) != 0 => Has::Directory,
            Ok(_) => Has::Other,
            Err(error) if error.status() == Some(404) => Has::Nothing,
            Err(error) => return Err(error),
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() == MOST {
            known.clear();
        }
        known.insert(key, has);
        Ok(has)
    }
}
