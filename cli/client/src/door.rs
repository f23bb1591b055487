//! Large blobs as descriptors, where the coordinator is on the same machine.
//!
//! Nothing fails here: what cannot be handed over goes through the connection, and fails there if it has to.

use std::{
    fs::File,
    os::fd::AsFd,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use longshore_local::door::Connection;
use longshore_proto::{
    Digest,
    v1::{BlobStart, DoorAnswer, DoorAsk, DoorRequest, DoorResponse, door_ask::Ask},
};

use crate::Client;

/// Longest wait for an answer: the coordinator may have a very large file to read and to sync.
const PATIENCE: Duration = Duration::from_secs(120);

/// An open door. Calls wait for disks.
#[derive(Debug, Clone)]
pub(crate) struct Door(Arc<Mutex<Connection>>);

impl Client {
    /// The coordinator's door, if it has one that can be reached from here.
    pub(crate) async fn door(&self) -> Option<Door> {
        if !self.is_here {
            return None;
        }
        let DoorResponse { socket, ticket } = self.blobs_rpc().door(DoorRequest {}).await.ok()?.into_inner();
        let entering = tokio::task::spawn_blocking(move || {
            let connection = Connection::open(Path::new(&socket)).ok()?;
            connection.patience(PATIENCE).ok()?;
            let door = Door(Arc::new(Mutex::new(connection)));
            door.ask(Ask::Enter(ticket), None)?;
            Some(door)
        });
        entering.await.ok()?
    }
}

impl Door {
    /// Has the coordinator store what is in `file`; durable if it says true.
    pub fn put(&self, file: &File, digest: Digest, size: u64) -> bool {
        let put = Ask::Put(BlobStart { digest: digest.to_wire(), size });
        self.ask(put, Some(file)).is_some()
    }

    /// The file of a large blob. Its bytes are not verified.
    pub fn get(&self, digest: Digest) -> Option<File> {
        self.ask(Ask::Get(digest.to_wire()), None)?
    }

    /// The answer's descriptor, if the answer is good.
    fn ask(&self, ask: Ask, file: Option<&File>) -> Option<Option<File>> {
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        connection.send(&DoorAsk { ask: Some(ask), ..DoorAsk::default() }, file.map(AsFd::as_fd)).ok()?;
        let (answer, descriptor) = connection.receive::<DoorAnswer>().ok()?;
        (answer.code == 0).then(|| descriptor.map(File::from))
    }
}
