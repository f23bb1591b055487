//! Sandboxes as containers of a Docker Engine.

mod api;
mod body;
mod container;
mod contents;
mod credentials;
mod engine;
mod etc_hosts;
mod hosts;
mod identity;
mod images;
mod info;
mod limits;
mod listing;
mod log;
mod options;
mod places;
mod probe;
mod pulled;
mod reference;
mod refusals;

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bollard::models::ImageConfig;
use bytes::Bytes;
use futures_util::{StreamExt, future::BoxFuture};
use longshore_shim::{FromShim, ToShim, User};
use tokio::sync::Semaphore;
use uuid::Uuid;

use self::{
    body::{LABEL_LIFE, LABEL_WORKER, Plan},
    container::Container,
    contents::{Contents, Has},
    engine::Engine,
    identity::{Identities, Wanted},
    images::Images,
    places::Places,
};
pub use self::{
    engine::EngineError,
    info::EngineInfo,
    limits::{Limit, list},
    options::DockerOptions,
};
use super::{
    Allows, Control, Image, ImageError, ImageRequest, Paths, PostMortem, ProbeError, Runtime, RuntimeError, Sandbox,
    SandboxSpec, Shim, ShimLost, StartError,
    layout::{Layout, open_directory},
    shim_link::{MeetError, ShimLink, ShimListener},
};
use crate::shim_binary;

/// Why there is no Docker runtime.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The engine will not do.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The shim's file, or another of those that containers are given, cannot be written.
    #[error("the directory of the shim cannot be used")]
    Shim(#[from] std::io::Error),
}

/// A Docker Engine on this machine.
pub struct DockerRuntime {
    options: DockerOptions,
    engine: Engine,
    info: RwLock<Arc<EngineInfo>>,
    images: Images,
    identities: Identities,
    contents: Contents,
    starts: Semaphore,
    shim: PathBuf,
    hosts: PathBuf,
    /// Tells this life's containers from those of an earlier one.
    life: Uuid,
    started: AtomicU64,
    /// A trial was made.
    tried: AtomicBool,
}

impl DockerRuntime {
    /// Connects to the engine, agrees on a version, and puts the shim where containers can be given it.
    ///
    /// # Errors
    /// When there is no engine, it is too old, or the shim cannot be written.
    pub async fn connect(options: DockerOptions) -> Result<Self, ConnectError> {
        let (engine, version) = Engine::connect(options.host.as_deref()).await?;
        let info = EngineInfo::ask(&engine, version).await?;
        let own = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        Ok(Self {
            images: Images::new(engine.clone(), &info, &options),
            identities: Identities::new(options.worker, own, info.mapping(), options.allow_root),
            contents: Contents::default(),
            starts: Semaphore::new(options.concurrent_starts.max(1)),
            shim: shim_binary::write_to(&options.shim_directory)?,
            hosts: etc_hosts::write_to(&options.shim_directory)?,
            life: Uuid::new_v4(),
            started: AtomicU64::new(0),
            options,
            engine,
            info: RwLock::new(Arc::new(info)),
            tried: AtomicBool::new(false),
        })
    }

    /// What kind of engine this is, as it last said.
    #[must_use]
    pub fn info(&self) -> Arc<EngineInfo> {
        Arc::clone(&self.info.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether each run is a user of its own; otherwise runs are kept apart in time, and containers are for one job.
    #[must_use]
    pub fn keeps_runs_apart(&self) -> bool {
        self.identities.are_own()
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
        let wanted = self.identities.wanted(&spec.container.user, image.user.as_deref().unwrap_or_default())?;
        let layout = Layout::make(&spec.dir).map_err(|cause| StartError::Engine(cause.to_string()))?;
        let places = self.places(spec, &image).await?;
        let disk = |cause: std::io::Error| StartError::Engine(cause.to_string());
        let directories = layout.temporary(places.on_disk.len()).map_err(disk)?;
        // Opened before anything runs inside: from then on no path leads here for us.
        let opened = directories.iter().map(|path| open_directory(path)).collect::<Result<Vec<_>, _>>();
        let mut temporary = opened.map_err(disk)?;
        let outputs = open_directory(&layout.outputs).map_err(disk)?;
        let plan = Plan {
            spec,
            layout: &layout,
            places: &places,
            temporary: &directories,
            options: &self.options,
            engine: &self.info(),
            image: &image,
            shim: &self.shim.display().to_string(),
            hosts: &self.hosts.display().to_string(),
            life: self.life.to_string(),
        };
        let body = plan.body()?;
        let listener = ShimListener::bind(&layout.control).map_err(|error| StartError::Engine(error.to_string()))?;
        let name = self.name(spec.role);
        let container = Container::create(self.engine.clone(), name, body).await.map_err(|error| sort(&error))?;
        let up = async {
            if spec.container.writable_root {
                temporary.push(self.layer(&container).await?);
            }
            let link = Arc::new(self.bring_up(&container, listener).await?);
            let found = self.look_up(&link, &wanted).await?;
            Ok((link, Arc::new(self.identities.users(&wanted, found, &spec.container.user)?)))
        };
        match up.await {
            Ok((link, users)) => {
                if users.are_the_workers() {
                    // They may write beside their own outputs, too.
                    temporary.push(outputs);
                }
                let first_process = link.process();
                let (shim, control) = (Box::new(link), Box::new(container));
                Ok(Sandbox { shim, paths: paths(layout, spec), temporary, first_process, control, users })
            }
            Err(error) => {
                discard(container).await;
                Err(error)
            }
        }
    }

    async fn places(&self, spec: &SandboxSpec, image: &ImageConfig) -> Result<Places, StartError> {
        let mut places = Places::of(spec, image)?;
        let Some(workdir) = places.may_be_missing(image) else { return Ok(places) };
        let at = (spec.image.id.as_str(), workdir);
        let labels = body::labels(spec, self.options.worker, &self.life.to_string());
        let has = self.contents.have(&self.engine, at, self.name("look"), labels).await;
        match has.map_err(|error| sort(&error))? {
            Has::Directory => {}
            Has::Nothing => places.make_workdir(),
            Has::Other => {
                return Err(StartError::Refused(format!(
                    "workdir {workdir:?} is a file in image {}; name a directory",
                    spec.image.reference
                )));
            }
        }
        Ok(places)
    }

    /// The layer that a container writes over its image, opened before it starts: what is in it counts as temporary.
    async fn layer(&self, container: &Container) -> Result<OwnedFd, StartError> {
        let refused =
            |why: String| StartError::Refused(format!("read_only: false cannot be given on this worker: {why}"));
        match container.layer().await {
            Ok(Some(path)) => open_directory(Path::new(&path)).map_err(|cause| {
                refused(format!("its bound cannot be held, as {path} cannot be looked into: {cause}"))
            }),
            Ok(None) => Err(refused(format!(
                "its bound cannot be held, as the engine's storage driver ({}) does not say where the layer is",
                self.info().storage_driver
            ))),
            Err(error) => Err(StartError::Engine(error.to_string())),
        }
    }

    /// Who a user is that the image has to know. Nothing has run inside yet.
    async fn look_up(&self, link: &Arc<ShimLink>, wanted: &Wanted) -> Result<Option<User>, StartError> {
        let Wanted::Named(name) = wanted else { return Ok(None) };
        let lost = |lost: ShimLost| StartError::Engine(format!("its shim was asked who user {name:?} is: {lost}"));
        link.send(&ToShim::LookUp { user: name.clone() }).await.map_err(lost)?;
        let answer = tokio::time::timeout(self.options.hello_timeout, link.receive()).await;
        match answer {
            Ok(Ok((FromShim::User(found), _))) => found.map(Some).map_err(StartError::Refused),
            Ok(Ok(_)) => Err(lost(ShimLost { reason: "it said something else".to_owned() })),
            Ok(Err(error)) => Err(lost(error)),
            Err(_elapsed) => Err(lost(ShimLost { reason: "it gave no answer".to_owned() })),
        }
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

    /// Tries the engine out; asks it anew what it is, if it was tried before: it may be another now.
    async fn try_out(&self, dir: &Path) -> Result<Vec<Limit>, probe::Failed> {
        if self.tried.swap(true, Ordering::Relaxed) {
            let version = self.engine.agree().await.map_err(|error| error.to_string())?;
            let info = EngineInfo::ask(&self.engine, version).await.map_err(|error| error.to_string())?;
            *self.info.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(info);
        }
        let tag = format!("longshore-probe:{}", self.options.worker.simple());
        let start = async |spec: SandboxSpec| self.start_sandbox(&spec).await;
        probe::trial(&self.images, &tag, dir, start).await
    }

    async fn probe_engine(&self, dir: &Path) -> Result<Vec<String>, ProbeError> {
        let tried = self.try_out(dir).await;
        let info = self.info();
        let failed = |failed| match failed {
            probe::Failed::Engine(cause) => ProbeError::Engine { runtime: info.name(), cause },
            probe::Failed::Own(cause) => ProbeError::Own(cause),
        };
        let mut notes = info.notes(&tried.map_err(failed)?);
        if !self.keeps_runs_apart() {
            notes.push("one run at a time in a container".to_owned());
        }
        Ok(notes)
    }

    async fn sweep_leftovers(&self) -> Result<usize, RuntimeError> {
        let failed = |error: EngineError| RuntimeError {
            doing: "looking for containers of an earlier life".into(),
            cause: error.to_string(),
        };
        let worker = self.options.worker.to_string();
        let found = listing::with_label(&self.engine, LABEL_WORKER, &worker).await.map_err(failed)?;
        let life = self.life.to_string();
        let leftovers = found.into_iter().filter_map(|container| {
            let labels = container.labels.unwrap_or_default();
            // Looked at once more: a filter that an engine misunderstands must not cost a stranger's container.
            let ours = labels.get(LABEL_WORKER) == Some(&worker) && labels.get(LABEL_LIFE) != Some(&life);
            ours.then_some(container.id)
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

    fn resolve<'a>(&'a self, asked: &'a ImageRequest) -> BoxFuture<'a, Result<Image, ImageError>> {
        Box::pin(self.images.resolve(asked))
    }

    fn start<'a>(&'a self, spec: &'a SandboxSpec) -> BoxFuture<'a, Result<Sandbox, StartError>> {
        Box::pin(self.start_sandbox(spec))
    }

    fn probe<'a>(&'a self, dir: &'a Path) -> BoxFuture<'a, Result<Vec<String>, ProbeError>> {
        Box::pin(self.probe_engine(dir))
    }

    fn allows(&self) -> Allows {
        Allows {
            networks: Some(self.options.networks.clone()),
            root: self.options.allow_root,
            users: self.identities.may_be_named(),
            workdir: true,
        }
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
        inside_files: spec.files.as_ref().map(|_| body::INSIDE_FILES.into()),
        inside_socket: body::INSIDE_SOCKET.into(),
        inside_scratch: places::INSIDE_SCRATCH.into(),
        inside_secrets: body::INSIDE_SECRETS.into(),
    }
}

/// An engine's answer to what we asked for is a refusal, unless it speaks of itself: then trying again may help. It
/// gives 500 for both, so some words are known here.
fn sort(error: &EngineError) -> StartError {
    const OF_THE_REQUEST: [&str; 1] = ["network not found"];
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
