//! The entry points of a program: everything from the environment, blocking until told to stop.

use std::convert::Infallible;
use std::fmt::Display;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore_contract::{DEFAULT_PORT, env};
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::leaf::{Leaf, Loading};
use crate::merge::Merge;
use crate::place::{Place, PlaceError};
use crate::server::{Listener, Server};

/// Why a program cannot serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The environment does not say a place.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// `PORT` is not a port.
    #[error("environment variable PORT is not a port: {0:?}")]
    Port(String),
    /// The socket cannot be listened on.
    #[error("cannot listen on {at}")]
    Listen {
        /// The socket, as the log line `listening on` would name it.
        at: String,
        /// Why.
        source: io::Error,
    },
    /// What the leaf answers from could not be loaded.
    #[error("cannot load the leaf: {0}")]
    Load(String),
    /// The runtime or the signal handlers could not be set up.
    #[error("cannot set up the server")]
    Runtime(#[source] io::Error),
}

/// Serves a leaf until SIGTERM or SIGINT, with the default [`Options`](crate::Options); see the [crate] for where it
/// listens. Writes a line to standard error when it listens, and one when it is ready.
///
/// # Errors
/// When the environment or the socket do not allow it.
pub fn serve_leaf(leaf: impl Leaf) -> Result<(), ServeError> {
    Server::default().serve_leaf(leaf)
}

/// The same for a leaf that takes long to load: it listens at once and is ready when `load`, which runs on a thread
/// of its own, has returned.
///
/// # Errors
/// Those of [`serve_leaf`], and when `load` fails or panics.
pub fn load_and_serve_leaf<L, E>(load: impl FnOnce(&Place) -> Result<L, E> + Send + 'static) -> Result<(), ServeError>
where
    L: Leaf,
    E: Display,
{
    Server::default().load_and_serve_leaf(load)
}

/// Serves a merge until SIGTERM or SIGINT, with the default [`Options`](crate::Options); see the [crate] for where it
/// listens. Writes a line to standard error when it listens.
///
/// # Errors
/// When the environment or the socket do not allow it.
pub fn serve_merge(merge: impl Merge) -> Result<(), ServeError> {
    Server::default().serve_merge(merge)
}

impl Server {
    /// [`serve_leaf`] with this server's options.
    ///
    /// # Errors
    /// Those of [`serve_leaf`].
    pub fn serve_leaf(&self, leaf: impl Leaf) -> Result<(), ServeError> {
        self.load_and_serve_leaf(|_| Ok::<_, Infallible>(leaf))
    }

    /// [`load_and_serve_leaf`] with this server's options.
    ///
    /// # Errors
    /// Those of [`load_and_serve_leaf`].
    pub fn load_and_serve_leaf<L, E>(
        &self,
        load: impl FnOnce(&Place) -> Result<L, E> + Send + 'static,
    ) -> Result<(), ServeError>
    where
        L: Leaf,
        E: Display,
    {
        let place = Place::from_env()?;
        let leaf = Arc::new(Loading::new());
        blocking(async {
            let stop = stop_signal()?;
            let listener = listen().await?;
            let failed = load_aside(load, place.clone(), Arc::clone(&leaf));
            tokio::select! {
                () = self.leaf(leaf, place, listener, stop) => Ok(()),
                error = failed => Err(error),
            }
        })
    }

    /// [`serve_merge`] with this server's options.
    ///
    /// # Errors
    /// Those of [`serve_merge`].
    pub fn serve_merge(&self, merge: impl Merge) -> Result<(), ServeError> {
        blocking(async {
            let stop = stop_signal()?;
            self.merge(Arc::new(merge), listen().await?, stop).await;
            Ok(())
        })
    }
}

/// Loads on a thread of its own, which a stop signal does not wait for. Ends only when that fails.
async fn load_aside<L, E>(
    load: impl FnOnce(&Place) -> Result<L, E> + Send + 'static,
    place: Place,
    leaf: Arc<Loading<L>>,
) -> ServeError
where
    L: Leaf,
    E: Display,
{
    let (ended, end) = oneshot::channel();
    std::thread::spawn(move || {
        let loaded = load(&place).map(|loaded| leaf.loaded(loaded));
        // Nobody listens for it only when the server has stopped already.
        let _ = ended.send(loaded.map_err(|error| error.to_string()));
    });
    match end.await {
        Ok(Ok(())) => eprintln!("ready"),
        Ok(Err(error)) => return ServeError::Load(error),
        Err(_) => return ServeError::Load("the code that loads it panicked".to_owned()),
    }
    std::future::pending().await
}

/// Runs on this thread, which does nothing but read and write sockets. Threads still busy at the end are left behind:
/// the program is about to exit.
fn blocking(serving: impl Future<Output = Result<(), ServeError>>) -> Result<(), ServeError> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(ServeError::Runtime)?;
    let served = runtime.block_on(serving);
    runtime.shutdown_background();
    served
}

/// Ends with the first SIGTERM or SIGINT. The handlers are in place before this returns.
fn stop_signal() -> Result<impl Future<Output = ()>, ServeError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Runtime)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Runtime)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Listens where the environment says: `LONGSHORE_SOCKET`, else `PORT` on every address, else port 8080.
async fn listen() -> Result<Listener, ServeError> {
    if let Some(path) = std::env::var_os(env::SOCKET).filter(|path| !path.is_empty()) {
        return unix(&PathBuf::from(path));
    }
    let port = match std::env::var(env::PORT) {
        Ok(text) => text.parse().map_err(|_| ServeError::Port(text))?,
        Err(_) => DEFAULT_PORT,
    };
    tcp(port).await
}

fn unix(path: &Path) -> Result<Listener, ServeError> {
    let refused = |source| ServeError::Listen { at: path.display().to_string(), source };
    // A socket left by a process that was killed would refuse the new one. Anything that is no socket is not ours.
    if std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket()) {
        std::fs::remove_file(path).map_err(refused)?;
    }
    let listener = UnixListener::bind(path).map_err(refused)?;
    eprintln!("listening on {}", path.display());
    Ok(listener.into())
}

async fn tcp(port: u16) -> Result<Listener, ServeError> {
    let refused = |source| ServeError::Listen { at: format!("TCP port {port}"), source };
    let listener = TcpListener::bind(("0.0.0.0", port)).await.map_err(refused)?;
    eprintln!("listening on {}", listener.local_addr().map_err(refused)?);
    Ok(listener.into())
}
