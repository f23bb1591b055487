//! Large blobs as files, where the coordinator is on the same machine and of the same user: no byte is copied.
//!
//! Nothing fails here: what cannot be handed over goes through the connection, and fails there if it has to.

use std::{
    fs::File,
    os::fd::AsFd,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use longshore_proto::{
    door::Connection,
    v1::{DoorAnswer, DoorAsk, DoorRequest, blobs_client::BlobsClient, door_ask::Ask},
};
use rustix::fs::{AtFlags, CWD, linkat};
use tonic::transport::Channel;

use crate::executor::OwnedFile;

/// The way to the coordinator's door. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Door(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What the coordinator called it when it was last asked.
    name: Option<String>,
    /// Connections nobody uses now.
    idle: Vec<Connection>,
}

impl Door {
    /// Has the coordinator take over a file; its digest, if it did. The file keeps its name.
    pub(crate) async fn adopt(&self, blobs: BlobsClient<Channel>, file: &Arc<OwnedFile>) -> Option<blake3::Hash> {
        let connection = self.connection(blobs).await?;
        let (door, file) = (self.clone(), Arc::clone(file));
        blocking(move || {
            let path = file.path().to_str()?.to_owned();
            let opened = File::open(file.path()).ok()?;
            let ask = DoorAsk { ask: Some(Ask::Adopt(path)), of_worker: true, ..DoorAsk::default() };
            let (answer, _) = door.ask(connection, &ask, Some(&opened))?;
            blake3::Hash::from_slice(&answer.digest).ok()
        })
        .await
    }

    /// Makes `path` another name of a large blob's file, whose bytes the coordinator has verified. False where that cannot
    /// be.
    pub(crate) async fn link(&self, blobs: BlobsClient<Channel>, digest: blake3::Hash, path: PathBuf) -> bool {
        let Some(connection) = self.connection(blobs).await else { return false };
        let door = self.clone();
        let linked = blocking(move || {
            let digest = Bytes::copy_from_slice(digest.as_bytes());
            let ask = DoorAsk { ask: Some(Ask::Get(digest)), verified: true, of_worker: true };
            let (_, file) = door.ask(connection, &ask, None)?;
            link_file(&file?, &path)
        });
        linked.await.is_some()
    }

    async fn connection(&self, mut blobs: BlobsClient<Channel>) -> Option<Connection> {
        let known = {
            let mut state = self.state();
            if let Some(connection) = state.idle.pop() {
                return Some(connection);
            }
            state.name.clone()
        };
        if let Some(connection) = known.and_then(|name| Connection::open(&name).ok()) {
            return Some(connection);
        }
        let name = blobs.door(DoorRequest {}).await.ok()?.into_inner().socket;
        // In another network namespace, or on another machine, nobody listens under this name.
        let connection = Connection::open(&name).ok()?;
        self.state().name = Some(name);
        Some(connection)
    }

    /// Asks, and keeps the connection for the next time if all went well.
    fn ask(&self, connection: Connection, ask: &DoorAsk, file: Option<&File>) -> Option<(DoorAnswer, Option<File>)> {
        connection.send(ask, file.map(AsFd::as_fd)).ok()?;
        let (answer, descriptor) = connection.receive::<DoorAnswer>().ok()?;
        self.state().idle.push(connection);
        (answer.code == 0).then(|| (answer, descriptor.map(File::from)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives a file we only have open another name.
fn link_file(file: &File, path: &Path) -> Option<()> {
    let open = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(file));
    linkat(CWD, open, CWD, path, AtFlags::SYMLINK_FOLLOW).ok()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Option<T> + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok().flatten()
}
