//! One replica's keeper: data, containers, and all of it again when they end.

use std::{path::PathBuf, sync::Arc, time::Duration};

use longshore_contract::bounds::ANSWER_BYTES;
use longshore_proto::v1::{Container, DesiredReplica, Interface, ReplicaPhase};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Replicas, Serving, State, data::Data, files::Files, http::Server};
use crate::runtime::{Control, Image, Paths, Sandbox, SandboxSpec, Shim};
use crate::slot::has_read_only_inputs;

/// First and longest pause before containers are started again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));

/// A replica that has lived so long begins with the first pause again.
const LONG_LIFE: Duration = Duration::from_secs(60);

/// Calls a server works on at once when its service does not say.
const HTTP_CONCURRENCY: u32 = 16;

/// What a replica's containers are told.
pub(super) struct Place {
    pub service: String,
    pub merge: bool,
    pub shard: u32,
    pub shards: u32,
    pub container: Container,
}

/// A sandbox with what has to be cleared away after it.
pub(super) struct Room {
    pub shim: Arc<dyn Shim>,
    pub paths: Paths,
    pub control: Box<dyn Control>,
    pub image: Image,
    pub dir: PathBuf,
}

impl Room {
    fn new(sandbox: Sandbox, image: Image, dir: PathBuf) -> Self {
        let Sandbox { shim, paths, control } = sandbox;
        Self { shim: Arc::from(shim), paths, control, image, dir }
    }
}

/// Keeps the replica until it is to leave.
pub(super) async fn keep(
    replicas: Arc<Replicas>,
    desired: DesiredReplica,
    state: Arc<State>,
    leave: CancellationToken,
) {
    let mut pause = PAUSES.0;
    // Laid out once: nothing inside can change it, so it serves every life.
    let mut data = None;
    loop {
        let born = Instant::now();
        let Err(why) = live(&replicas, &desired, &mut data, &state, &leave).await else { return };
        if born.elapsed() > LONG_LIFE {
            pause = PAUSES.0;
        }
        tracing::warn!(replica = ?desired.id, why, "a replica has ended; starting it again");
        state.tell(ReplicaPhase::Failed, why, None);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = leave.cancelled() => return,
        }
        pause = (pause * 2).min(PAUSES.1);
        state.tell(ReplicaPhase::Starting, "is starting again", None);
    }
}

/// One life of the replica. `Ok` when it was to leave; otherwise why it ended.
async fn live(
    replicas: &Arc<Replicas>,
    desired: &DesiredReplica,
    data: &mut Option<Data>,
    state: &State,
    leave: &CancellationToken,
) -> Result<(), String> {
    let id = desired.id.clone().ok_or("it has no name")?;
    let place = Place {
        service: id.service,
        merge: id.merge,
        shard: id.shard,
        shards: desired.shards,
        container: desired.container.clone().ok_or("it has no container")?,
    };
    let http = place.container.interface() == Interface::Http;
    let rooms = if http { 1 } else { desired.concurrency.max(1) };
    let mut started = Vec::new();
    let prepared = tokio::select! {
        prepared = prepare(replicas, desired, data, &place, rooms, &mut started) => prepared,
        () = leave.cancelled() => Err(String::new()),
    };
    let ended = match prepared {
        Ok(()) if http => serve_http(desired, &place, &started, state, leave).await,
        Ok(()) => serve_files(replicas, &place, &mut started, state, leave).await,
        Err(why) => Err(why),
    };
    state.tell(ReplicaPhase::Starting, "is ending", None);
    for room in started {
        clear(replicas, room).await;
    }
    if leave.is_cancelled() { Ok(()) } else { ended }
}

async fn prepare(
    replicas: &Replicas,
    desired: &DesiredReplica,
    data: &mut Option<Data>,
    place: &Place,
    rooms: u32,
    started: &mut Vec<Room>,
) -> Result<(), String> {
    let image = replicas.runtime.resolve(&place.container.image).await.map_err(|error| error.to_string())?;
    if let (Some(list), None) = (&desired.data, &data) {
        let read_only = has_read_only_inputs(&*replicas.runtime);
        *data = Some(Data::lay_out(&replicas.blobs, &replicas.yard, list, read_only).await?);
    }
    for _ in 0..rooms {
        let dir = replicas.yard.slot_dir().map_err(|error| format!("its directory cannot be made: {error}"))?;
        let spec = SandboxSpec {
            role: if place.merge { "merge" } else { "leaf" },
            owner: place.service.clone(),
            image: image.clone(),
            container: place.container.clone(),
            dir: dir.clone(),
            data: data.as_ref().map(Data::files),
            max_output_bytes: ANSWER_BYTES,
        };
        match replicas.runtime.start(&spec).await {
            Ok(sandbox) => started.push(Room::new(sandbox, image.clone(), dir)),
            Err(error) => {
                let _ = replicas.yard.remove_slot_dir(&dir);
                return Err(error.to_string());
            }
        }
    }
    Ok(())
}

async fn serve_http(
    desired: &DesiredReplica,
    place: &Place,
    started: &[Room],
    state: &State,
    leave: &CancellationToken,
) -> Result<(), String> {
    let [room] = started else { return Err("it has no container".to_owned()) };
    let concurrency = if desired.concurrency == 0 { HTTP_CONCURRENCY } else { desired.concurrency };
    let server = tokio::select! {
        server = Server::start(place, room, concurrency) => Arc::new(server?),
        () = leave.cancelled() => return Ok(()),
    };
    state.tell(ReplicaPhase::Ready, "", Some(Arc::clone(&server) as Arc<dyn Serving>));
    tokio::select! {
        why = server.ended(&*room.control) => Err(why),
        () = leave.cancelled() => Ok(()),
    }
}

async fn serve_files(
    replicas: &Replicas,
    place: &Place,
    started: &mut [Room],
    state: &State,
    leave: &CancellationToken,
) -> Result<(), String> {
    let (files, benches) = Files::furnish(place, started, &replicas.yard, has_read_only_inputs(&*replicas.runtime))?;
    state.tell(ReplicaPhase::Ready, "", Some(Arc::new(files)));
    tokio::select! {
        why = benches.work() => Err(why),
        () = leave.cancelled() => Ok(()),
    }
}

async fn clear(replicas: &Replicas, room: Room) {
    if let Err(error) = room.control.remove().await {
        tracing::warn!(container = room.control.id(), %error, "a container cannot be removed");
    }
    if let Err(error) = replicas.yard.remove_slot_dir(&room.dir) {
        tracing::warn!(dir = %room.dir.display(), %error, "a directory cannot be removed");
    }
}
