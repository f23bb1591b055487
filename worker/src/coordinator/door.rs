//! Large blobs as files, where the coordinator is on the same machine and of the same user: no byte is copied.
//!
//! Nothing fails here: what cannot be handed over goes through the connection, and fails there if it has to.

use std::{
    collections::HashMap,
    fs::File,
    os::fd::AsFd,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use longshore_local::door::Connection;
use longshore_proto::v1::{DoorAnswer, DoorAsk, DoorResponse, door_ask::Ask};
use rustix::fs::{AtFlags, CWD, linkat};

use crate::executor::OwnedFile;

/// Longest wait for an answer: the coordinator may have a very large file to read and to sync.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the coordinator says, and the descriptor that came along.
type Answer = (DoorAnswer, Option<File>);

/// Where tickets for the door come from.
pub(crate) trait Tickets: Sync {
    /// A ticket for the blobs of a namespace, and where the door is; none where it leads to another machine.
    fn ticket(&self, namespace: &str) -> impl Future<Output = Option<DoorResponse>> + Send;
}

type Idle = HashMap<Arc<str>, Vec<Connection>>;

/// The way to the coordinator's door. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Door {
    /// Connections nobody uses now, by the namespace that their tickets are for.
    idle: Arc<Mutex<Idle>>,
}

impl Door {
    /// Has the coordinator take over a file; its digest, if it did. The file keeps its name.
    pub(crate) async fn adopt(
        &self,
        tickets: &impl Tickets,
        namespace: &Arc<str>,
        file: &Arc<OwnedFile>,
    ) -> Option<blake3::Hash> {
        let path = file.path().to_str()?.to_owned();
        let opened = File::open(file.path()).ok()?;
        let ask = DoorAsk { ask: Some(Ask::Adopt(path)), verified: false };
        let (answer, _) = self.ask(tickets, namespace, ask, Some(opened)).await?;
        blake3::Hash::from_slice(&answer.digest).ok()
    }

    /// Makes `path` another name of a large blob's file, whose bytes the coordinator has verified. False where that cannot
    /// be.
    pub(crate) async fn link(
        &self,
        tickets: &impl Tickets,
        namespace: &Arc<str>,
        digest: blake3::Hash,
        path: PathBuf,
    ) -> bool {
        let digest = Bytes::copy_from_slice(digest.as_bytes());
        let ask = DoorAsk { ask: Some(Ask::Get(digest)), verified: true };
        let answered = self.ask(tickets, namespace, ask, None).await;
        answered.and_then(|(_, file)| link_file(&file?, &path)).is_some()
    }

    /// Asks over a connection that nobody uses, or over a new one: the coordinator hangs up on those that are silent.
    async fn ask(
        &self,
        tickets: &impl Tickets,
        namespace: &Arc<str>,
        ask: DoorAsk,
        file: Option<File>,
    ) -> Option<Answer> {
        let request = Arc::new((ask, file));
        let idle = self.idle().get_mut(namespace).and_then(Vec::pop);
        if let Some(connection) = idle {
            let connect = move || Some(connection);
            if let Some(answered) = self.ask_over(namespace, Arc::clone(&request), connect).await {
                return good(answered);
            }
            self.idle().clear();
        }
        let ticket = tickets.ticket(namespace).await?;
        // On another machine nobody listens there.
        good(self.ask_over(namespace, request, move || enter(&ticket)).await?)
    }

    /// One question on a thread that may wait; nothing when the conversation did not come about. Keeps the connection.
    async fn ask_over(
        &self,
        namespace: &Arc<str>,
        request: Arc<(DoorAsk, Option<File>)>,
        connect: impl FnOnce() -> Option<Connection> + Send + 'static,
    ) -> Option<Answer> {
        let (door, namespace) = (self.clone(), Arc::clone(namespace));
        let asking = tokio::task::spawn_blocking(move || {
            let connection = connect()?;
            let (ask, file) = &*request;
            connection.send(ask, file.as_ref().map(AsFd::as_fd)).ok()?;
            let (answer, descriptor) = connection.receive::<DoorAnswer>().ok()?;
            door.idle().entry(namespace).or_default().push(connection);
            Some((answer, descriptor.map(File::from)))
        });
        asking.await.ok().flatten()
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A new connection, let in by a ticket.
fn enter(told: &DoorResponse) -> Option<Connection> {
    let connection = Connection::open(Path::new(&told.socket)).ok()?;
    connection.patience(PATIENCE).ok()?;
    connection.send(&DoorAsk { ask: Some(Ask::Enter(told.ticket.clone())), verified: false }, None).ok()?;
    let (answer, _) = connection.receive::<DoorAnswer>().ok()?;
    (answer.code == 0).then_some(connection)
}

/// Gives a file we only have open another name.
fn link_file(file: &File, path: &Path) -> Option<()> {
    let open = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(file));
    linkat(CWD, open, CWD, path, AtFlags::SYMLINK_FOLLOW).ok()
}

fn good(answered: Answer) -> Option<Answer> {
    (answered.0.code == 0).then_some(answered)
}
