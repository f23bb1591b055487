//! Sandboxes as containers of a Docker Engine.

mod body;
mod container;
mod engine;
mod identity;
mod images;
mod info;
mod options;
mod reference;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bollard::{models::ImageConfig, query_parameters::ListContainersOptionsBuilder};
use bytes::Bytes;
use futures_util::{StreamExt, future::BoxFuture};
use tokio::sync::Semaphore;
use uuid::Uuid;

use self::{
    body::{LABEL_LIFE, LABEL_WORKER, Plan},
    container::Container,
    engine::{Engine, LOOK},
    identity::Identities,
    images::Images,
};
pub use self::{engine::EngineError, info::EngineInfo, options::DockerOptions};
use super::{
    Control, Image, ImageError, Paths, PostMortem, Runtime, RuntimeError, Sandbox, SandboxSpec, StartError,
    layout::Layout,
    shim_link::{MeetError, ShimLink, ShimListener},
};
use crate::shim_binary;

/// Why there is no Docker runtime.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The engine will not do.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The shim's file cannot be written.
    #[error("the directory of the shim cannot be used")]
    Shim(#[from] std::io::Error),
}

/// A Docker Engine on this machine.
pub struct DockerRuntime {
    options: DockerOptions,
    engine: Engine,
    info: EngineInfo,
    images: Images,
    identities: Identities,
    starts: Semaphore,
    shim: PathBuf,
    /// Tells this life's containers from those of an earlier one.
    life: Uuid,
    started: AtomicU64,
}

impl DockerRuntime {
    /// Connects to the engine, agrees on a version, and puts the shim where containers can be given it.
    ///
    /// # Errors
    /// When there is no engine, it is too old, or the shim cannot be written.
    pub async fn connect(options: DockerOptions) -> Result<Self, ConnectError> {
        let engine = Engine::connect(options.host.as_deref()).await?;
        let info = EngineInfo::ask(&engine).await?;
        let own = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        Ok(Self {
            images: Images::new(engine.clone(), options.pull_timeout),
            identities: Identities::new(options.worker, own, info.mapping(), options.allow_root),
            starts: Semaphore::new(options.concurrent_starts.max(1)),
            shim: shim_binary::write_to(&options.shim_directory)?,
            life: Uuid::new_v4(),
            started: AtomicU64::new(0),
            options,
            engine,
            info,
        })
    }

    /// What kind of engine this is, as it said when we connected.
    #[must_use]
    pub fn info(&self) -> &EngineInfo {
        &self.info
    }

    /// Makes an image from a tar of its root directory. `changes` are Dockerfile instructions, such as
    /// `ENTRYPOINT ["/bin/cat"]`.
    ///
    /// # Errors
    /// With the engine's words.
    pub async fn import_image(&self, tag: &str, tar: Bytes, changes: &[String]) -> Result<(), RuntimeError> {
        self.images.import(tag, tar, changes).await
    }

    /// Takes an image's tag away, and the image when it had no other. One that is not there is fine.
    ///
    /// # Errors
    /// With the engine's words, for instance when a container uses it.
    pub async fn remove_image(&self, tag: &str) -> Result<(), RuntimeError> {
        self.images.remove(tag).await
    }

    async fn start_sandbox(&self, spec: &SandboxSpec) -> Result<Sandbox, StartError> {
        let _permit = self.starts.acquire().await.map_err(|closed| StartError::Engine(closed.to_string()))?;
        let image = self.image_of(spec).await?;
        let user = self.identities.choose(&spec.container.user, image.user.as_deref().unwrap_or_default())?;
        let layout = Layout::make(&spec.dir).map_err(|cause| StartError::Engine(cause.to_string()))?;
        let plan = Plan {
            spec,
            layout: &layout,
            options: &self.options,
            image: &image,
            shim: &self.shim.display().to_string(),
            user,
            life: self.life.to_string(),
        };
        let body = plan.body()?;
        let listener = ShimListener::bind(&layout.control).map_err(|error| StartError::Engine(error.to_string()))?;
        let name = self.name(spec.role);
        let container = Container::create(self.engine.clone(), name, body).await.map_err(|error| sort(&error))?;
        let link = match self.bring_up(&container, listener).await {
            Ok(link) => link,
            Err(error) => {
                discard(container).await;
                return Err(error);
            }
        };
        Ok(Sandbox { shim: Box::new(Arc::new(link)), paths: paths(layout, spec), control: Box::new(container) })
    }

    async fn image_of(&self, spec: &SandboxSpec) -> Result<ImageConfig, StartError> {
        let image = &spec.image;
        match self.images.inspect(&image.id).await {
            Ok(found) => Ok(found.config.unwrap_or_default()),
            Err(error) if error.status() == Some(404) => Err(StartError::Engine(format!(
                "image {} ({}) was removed from this engine after it had been resolved",
                image.reference, image.id
            ))),
            Err(error) => Err(StartError::Engine(error.to_string())),
        }
    }

    /// The worker, what it is for, which one, and something no other life has: unique, and telling in `docker ps`.
    fn name(&self, role: &str) -> String {
        let worker = self.options.worker.simple().to_string();
        let random = Uuid::new_v4().simple().to_string();
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        format!("longshore-{}-{role}-{number}-{}", &worker[..8], &random[..8])
    }

    async fn bring_up(&self, container: &Container, listener: ShimListener) -> Result<ShimLink, StartError> {
        container.start().await.map_err(|error| sort(&error))?;
        tokio::select! {
            met = tokio::time::timeout(self.options.hello_timeout, listener.meet()) => match met {
                Ok(Ok(link)) => Ok(link),
                Ok(Err(MeetError::NoHello(reason))) => Err(ended_early(&container.post_mortem().await, &reason)),
                Ok(Err(error)) => Err(StartError::Engine(error.to_string())),
                Err(_elapsed) => Err(StartError::Engine(format!(
                    "the container was started, but its shim did not say hello within {} s; the machine may be overloaded",
                    self.options.hello_timeout.as_secs()
                ))),
            },
            how = container.ended() => Err(ended_early(&how, "it ended")),
        }
    }

    async fn sweep_leftovers(&self) -> Result<usize, RuntimeError> {
        let failed = |error: EngineError| RuntimeError {
            doing: "looking for containers of an earlier life".into(),
            cause: error.to_string(),
        };
        let worker = self.options.worker.to_string();
        let filters = HashMap::from([("label", vec![format!("{LABEL_WORKER}={worker}")])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let call = self.engine.docker().list_containers(Some(options));
        let found = self.engine.within(LOOK, call).await.map_err(failed)?;
        let life = self.life.to_string();
        let leftovers = found.into_iter().filter_map(|container| {
            let labels = container.labels.unwrap_or_default();
            // Looked at once more: a filter that an engine misunderstands must not cost a stranger's container.
            let ours = labels.get(LABEL_WORKER) == Some(&worker) && labels.get(LABEL_LIFE) != Some(&life);
            container.id.filter(|_| ours)
        });
        let removals = leftovers.map(|id| async move { container::remove(&self.engine, &id).await });
        let removed: Vec<_> = futures_util::stream::iter(removals).buffer_unordered(4).collect().await;
        removed.into_iter().try_fold(0, |count, result| result.map(|()| count + 1))
    }
}

impl Runtime for DockerRuntime {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn resolve<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<Image, ImageError>> {
        Box::pin(self.images.resolve(reference))
    }

    fn start<'a>(&'a self, spec: &'a SandboxSpec) -> BoxFuture<'a, Result<Sandbox, StartError>> {
        Box::pin(self.start_sandbox(spec))
    }

    fn sweep(&self) -> BoxFuture<'_, Result<usize, RuntimeError>> {
        Box::pin(self.sweep_leftovers())
    }

    fn settle(&self) -> BoxFuture<'_, ()> {
        let abandoned = self.engine.abandoned();
        abandoned.close();
        Box::pin(abandoned.wait())
    }
}

async fn discard(container: Container) {
    if let Err(error) = container.remove().await {
        tracing::warn!("{error}");
    }
}

fn paths(layout: Layout, spec: &SandboxSpec) -> Paths {
    Paths {
        host_in: layout.inputs,
        host_out: layout.outputs,
        inside_in: body::INSIDE_IN.into(),
        inside_out: body::INSIDE_OUT.into(),
        inside_data: spec.data.as_ref().map(|_| body::INSIDE_DATA.into()),
        inside_socket: body::INSIDE_SOCKET.into(),
        inside_scratch: body::INSIDE_SCRATCH.into(),
    }
}

/// An engine's answer to what we asked for is a refusal, unless it speaks of itself: then trying again may help. It
/// gives 500 for both, so some words are known here.
fn sort(error: &EngineError) -> StartError {
    const OF_THE_REQUEST: [&str; 4] =
        ["unable to find user", "unable to find group", "no matching entries in passwd", "network not found"];
    let refused = match error.status() {
        Some(400 | 404 | 422) => true,
        Some(_) => OF_THE_REQUEST.iter().any(|words| error.words().contains(words)),
        None => false,
    };
    let text = error.to_string();
    if refused { StartError::Refused(text) } else { StartError::Engine(text) }
}

fn ended_early(how: &PostMortem, seen: &str) -> StartError {
    let code = how.exit_code.map_or_else(|| "no exit code".into(), |code| format!("exit code {code}"));
    let words = if how.message.is_empty() { seen } else { &how.message };
    let text = format!("the container ended before its shim said hello ({code}): {words}");
    if how.message.contains("exec format error") {
        return StartError::Refused(format!(
            "{text}; this worker was built for {}, which the engine's machine cannot run",
            std::env::consts::ARCH
        ));
    }
    if how.out_of_memory {
        return StartError::Refused(format!("{text}; its memory limit is too small for the shim"));
    }
    StartError::Engine(text)
}
