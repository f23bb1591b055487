//! One container of ours on the engine: made, started, looked at, removed.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bollard::{
    container::LogOutput,
    models::{ContainerCreateBody, ContainerState},
    query_parameters::{
        CreateContainerOptionsBuilder, InspectContainerOptions, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
        StartContainerOptions,
    },
};
use futures_util::{StreamExt, future::BoxFuture};
use tokio::time::{Instant, sleep};

use super::engine::{CHANGE, Engine, EngineError, LOOK, bounded};
use crate::runtime::{Control, PostMortem, RuntimeError};

/// Between two looks at a container that should end or begin to speak.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// How long a container may take to end after its shim has hung up.
const ENDING: Duration = Duration::from_secs(5);

/// Streams of logs may stay open after a container's end; nobody waits longer than this for its last words.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A container, which is removed when this is dropped.
pub(super) struct Container {
    engine: Engine,
    name: String,
    id: OnceLock<String>,
    gone: AtomicBool,
}

impl Container {
    /// Creates a container. Whatever fails from here on, it is removed.
    pub(super) async fn create(engine: Engine, name: String, body: ContainerCreateBody) -> Result<Self, EngineError> {
        let container = Self { engine, name, id: OnceLock::new(), gone: AtomicBool::new(false) };
        let options = CreateContainerOptionsBuilder::new().name(&container.name).build();
        let call = container.engine.docker().create_container(Some(options), body);
        match container.engine.within(CHANGE, call).await {
            Ok(created) => {
                for warning in created.warnings {
                    tracing::warn!(container = container.name, "the Docker Engine warns: {warning}");
                }
                container.id.get_or_init(|| created.id);
                Ok(container)
            }
            Err(error) => {
                // An answered refusal made nothing; and a name that is taken is another's container.
                container.gone.store(error.status().is_some(), Ordering::Relaxed);
                Err(error)
            }
        }
    }

    pub(super) async fn start(&self) -> Result<(), EngineError> {
        let call = self.engine.docker().start_container(&self.name, None::<StartContainerOptions>);
        match self.engine.within(CHANGE, call).await {
            // 304: started already.
            Err(error) if error.status() != Some(304) => Err(error),
            _ => Ok(()),
        }
    }

    /// Waits until the container has ended, and says how. Looks again and again: a stream of events would break when
    /// the engine is restarted, and its silence looks like a container that runs.
    pub(super) async fn ended(&self) -> PostMortem {
        loop {
            sleep(LOOK_AGAIN).await;
            match self.state().await {
                Ok(state) if state.running == Some(true) => {}
                Ok(state) => return self.describe(state).await,
                Err(error) if error.status() == Some(404) => return removed(),
                Err(error) => {
                    tracing::debug!(container = self.name, "cannot be looked at: {error}")
                }
            }
        }
    }

    /// Where on the host the layer is that it writes over its image; `None` when the engine does not say.
    pub(super) async fn layer(&self) -> Result<Option<String>, EngineError> {
        let call = self.engine.docker().inspect_container(&self.name, None::<InspectContainerOptions>);
        let driver = self.engine.within(LOOK, call).await?.graph_driver;
        Ok(driver.and_then(|mut driver| driver.data.remove("UpperDir")).filter(|path| path.starts_with('/')))
    }

    async fn state(&self) -> Result<ContainerState, EngineError> {
        let call = self.engine.docker().inspect_container(&self.name, None::<InspectContainerOptions>);
        Ok(self.engine.within(LOOK, call).await?.state.unwrap_or_default())
    }

    async fn describe(&self, state: ContainerState) -> PostMortem {
        let said = state.error.unwrap_or_default();
        let last_words = self.last_words().await;
        let message = [said.trim(), last_words.trim()].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>();
        PostMortem {
            out_of_memory: state.oom_killed.unwrap_or_default(),
            exit_code: state.exit_code,
            message: message.join("; "),
        }
    }

    /// What the shim itself wrote last; users' processes write elsewhere.
    async fn last_words(&self) -> String {
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail("5").build();
        let mut lines = self.engine.docker().logs(&self.name, Some(options));
        let mut words = Vec::new();
        let read = async {
            while let Some(Ok(line)) = lines.next().await
                && words.len() < 2000
            {
                words.extend_from_slice(LogOutput::as_ref(&line));
            }
        };
        // What came in time is enough.
        let _ = tokio::time::timeout(LAST_WORDS, read).await;
        bounded(&String::from_utf8_lossy(&words))
    }

    async fn look_after_the_end(&self) -> PostMortem {
        match tokio::time::timeout(ENDING, self.ended()).await {
            Ok(how) => how,
            Err(_elapsed) => PostMortem {
                message: format!("container {} still runs, or the engine does not say how it ended", self.name),
                ..PostMortem::default()
            },
        }
    }

    async fn remove_once(&self) -> Result<(), RuntimeError> {
        if self.gone.load(Ordering::Acquire) {
            return Ok(());
        }
        remove(&self.engine, &self.name).await?;
        self.gone.store(true, Ordering::Release);
        Ok(())
    }
}

impl Control for Container {
    fn id(&self) -> &str {
        self.id.get().unwrap_or(&self.name)
    }

    fn remove(&self) -> BoxFuture<'_, Result<(), RuntimeError>> {
        Box::pin(self.remove_once())
    }

    fn post_mortem(&self) -> BoxFuture<'_, PostMortem> {
        Box::pin(self.look_after_the_end())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if *self.gone.get_mut() {
            return;
        }
        // Given up in the middle. Where no runtime is left, the shim ends by itself when its worker is gone, and the
        // next start sweeps what is left.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (engine, name) = (self.engine.clone(), std::mem::take(&mut self.name));
            let created = self.id.get().is_some();
            let removal = async move {
                if let Err(error) = remove_abandoned(&engine, &name, created).await {
                    tracing::warn!("{error}");
                }
            };
            self.engine.abandoned().spawn_on(removal, &runtime);
        }
    }
}

/// What the engine had to remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Removed {
    Container,
    Nothing,
}

/// Removes a container whose creation may not have been answered: the engine may still be at it, so one that is not
/// there yet is looked for again. Nobody else would try again what fails, until the next start; so that is done here, for a while.
async fn remove_abandoned(engine: &Engine, name: &str, created: bool) -> Result<(), RuntimeError> {
    let begun = Instant::now();
    loop {
        match remove_if_there(engine, name).await {
            Err(error) if begun.elapsed() >= ENDING => return Err(error),
            Err(_) => {}
            Ok(Removed::Nothing) if !created && begun.elapsed() < ENDING => {}
            Ok(_) => return Ok(()),
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// Kills and removes a container. One that is gone, or being removed by somebody else, is fine.
pub(super) async fn remove(engine: &Engine, name: &str) -> Result<(), RuntimeError> {
    remove_if_there(engine, name).await.map(|_removed| ())
}

async fn remove_if_there(engine: &Engine, name: &str) -> Result<Removed, RuntimeError> {
    let begun = Instant::now();
    loop {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        let call = engine.docker().remove_container(name, Some(options));
        let Err(error) = engine.within(CHANGE, call).await else {
            return Ok(Removed::Container);
        };
        match error.status() {
            Some(404) => return Ok(Removed::Nothing),
            // Somebody else is at it.
            Some(409) if begun.elapsed() < ENDING => sleep(LOOK_AGAIN).await,
            Some(409) => return Ok(Removed::Container),
            _ => {
                return Err(RuntimeError { doing: format!("removing container {name}"), cause: error.to_string() });
            }
        }
    }
}

fn removed() -> PostMortem {
    PostMortem { message: "the container was removed from outside".into(), ..PostMortem::default() }
}
