//! Large blobs as files, where the coordinator is on the same machine and of the same user: no byte is copied.
//!
//! Nothing fails here: what cannot be handed over goes through the connection, and fails there if it has to.

use std::{
    fs::File,
    os::fd::AsFd,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use longshore_proto::{
    door::Connection,
    v1::{DoorAnswer, DoorAsk, DoorRequest, blobs_client::BlobsClient, door_ask::Ask},
};
use rustix::fs::{AtFlags, CWD, linkat};
use tonic::transport::Channel;

use crate::executor::OwnedFile;

/// Longest wait for an answer: the coordinator may have a very large file to read and to sync.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the coordinator says, and the descriptor that came along.
type Answer = (DoorAnswer, Option<File>);

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
        let path = file.path().to_str()?.to_owned();
        let opened = File::open(file.path()).ok()?;
        let ask = DoorAsk { ask: Some(Ask::Adopt(path)), of_worker: true, ..DoorAsk::default() };
        let (answer, _) = self.ask(blobs, ask, Some(opened)).await?;
        blake3::Hash::from_slice(&answer.digest).ok()
    }

    /// Makes `path` another name of a large blob's file, whose bytes the coordinator has verified. False where that cannot
    /// be.
    pub(crate) async fn link(&self, blobs: BlobsClient<Channel>, digest: blake3::Hash, path: PathBuf) -> bool {
        let digest = Bytes::copy_from_slice(digest.as_bytes());
        let ask = DoorAsk { ask: Some(Ask::Get(digest)), verified: true, of_worker: true };
        let answered = self.ask(blobs, ask, None).await;
        answered.and_then(|(_, file)| link_file(&file?, &path)).is_some()
    }

    /// Asks over a connection that nobody uses, or over a new one: the coordinator hangs up on those that are silent.
    async fn ask(&self, mut blobs: BlobsClient<Channel>, ask: DoorAsk, file: Option<File>) -> Option<Answer> {
        let (idle, known) = {
            let mut state = self.state();
            (state.idle.pop(), state.name.clone())
        };
        let request = Arc::new((ask, file));
        if let Some(connection) = idle {
            if let Some(answered) = self.ask_over(Arc::clone(&request), move || Some(connection)).await {
                return good(answered);
            }
            self.state().idle.clear();
        }
        if let Some(name) = known
            && let Some(answered) = self.ask_over(Arc::clone(&request), move || Connection::open(&name).ok()).await
        {
            return good(answered);
        }
        let name = blobs.door(DoorRequest {}).await.ok()?.into_inner().socket;
        self.state().name = Some(name.clone());
        // In another network namespace, or on another machine, nobody listens under this name.
        good(self.ask_over(request, move || Connection::open(&name).ok()).await?)
    }

    /// One question on a thread that may wait; nothing when the conversation did not come about. Keeps the connection.
    async fn ask_over(
        &self,
        request: Arc<(DoorAsk, Option<File>)>,
        connect: impl FnOnce() -> Option<Connection> + Send + 'static,
    ) -> Option<Answer> {
        let door = self.clone();
        let asking = tokio::task::spawn_blocking(move || {
            let connection = connect()?;
            connection.patience(PATIENCE).ok()?;
            let (ask, file) = &*request;
            connection.send(ask, file.as_ref().map(AsFd::as_fd)).ok()?;
            let (answer, descriptor) = connection.receive::<DoorAnswer>().ok()?;
            door.state().idle.push(connection);
            Some((answer, descriptor.map(File::from)))
        });
        asking.await.ok().flatten()
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

fn good(answered: Answer) -> Option<Answer> {
    (answered.0.code == 0).then_some(answered)
}
