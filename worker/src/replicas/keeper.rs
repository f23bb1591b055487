//! One replica's keeper: data, containers, and all of it again when they end.

use std::{sync::Arc, time::Duration};

use longshore_contract::bounds::ANSWER_BYTES;
use longshore_proto::v1::{DesiredReplica, Interface, ReplicaPhase};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    call::Serving,
    data::Data,
    error::ReplicaError,
    files::Files,
    http::ServerReplica,
    spec::{ReplicaSpec, Started},
    state::State,
};
use crate::{
    cache::Cache,
    causes,
    contract::yard::Yard,
    pauses::Pauses,
    runtime::{Runtime, SandboxSpec},
    slot::has_read_only_inputs,
};

/// First and longest pause before containers are started again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));

/// A replica that has lived so long begins with the first pause again.
const LONG_LIFE: Duration = Duration::from_secs(60);

/// What replicas are made with.
pub(super) struct Means {
    pub runtime: Arc<dyn Runtime>,
    pub blobs: Cache,
    pub yard: Arc<Yard>,
}

/// Keeps the replica until it is to leave.
pub(super) async fn keep(means: Arc<Means>, desired: DesiredReplica, state: Arc<State>, leave: CancellationToken) {
    let mut pauses = Pauses::new(PAUSES.0, PAUSES.1);
    // Laid out once: nothing inside can change it, so it serves every life.
    let mut data = None;
    loop {
        let born = Instant::now();
        let Err(error) = live(&means, &desired, &mut data, &state, &leave).await else { return };
        if born.elapsed() > LONG_LIFE {
            pauses.reset();
        }
        let why = causes::in_a_line(&error);
        tracing::warn!(replica = ?desired.id, why, "a replica has ended; starting it again");
        state.tell(ReplicaPhase::Failed, why, None);
        if !pauses.wait(&leave).await {
            return;
        }
        state.tell(ReplicaPhase::Starting, "is starting again", None);
    }
}

/// One life of the replica. `Ok` when it was to leave; otherwise why it ended.
async fn live(
    means: &Means,
    desired: &DesiredReplica,
    data: &mut Option<Data>,
    state: &State,
    leave: &CancellationToken,
) -> Result<(), ReplicaError> {
    let spec = Arc::new(ReplicaSpec::of(desired)?);
    let mut started = Vec::new();
    let ended = tokio::select! {
        ended = start_and_serve(means, &spec, data, &mut started, state) => Some(ended),
        () = leave.cancelled() => None,
    };
    state.tell(ReplicaPhase::Starting, "is ending", None);
    for sandbox in started {
        clear(means, sandbox).await;
    }
    // One that ended just then was to leave all the same.
    if leave.is_cancelled() { Ok(()) } else { ended.map_or(Ok(()), Err) }
}

/// Starts the containers and has them answer; ends with them.
async fn start_and_serve(
    means: &Means,
    spec: &Arc<ReplicaSpec>,
    data: &mut Option<Data>,
    started: &mut Vec<Started>,
    state: &State,
) -> ReplicaError {
    if let Err(error) = prepare(means, spec, data, started).await {
        return error;
    }
    let served = match spec.container.interface() {
        Interface::Http => serve_http(spec, started, state).await,
        _ => serve_files(means, spec, started, state).await,
    };
    served.unwrap_or_else(|error| error)
}

async fn prepare(
    means: &Means,
    spec: &ReplicaSpec,
    data: &mut Option<Data>,
    started: &mut Vec<Started>,
) -> Result<(), ReplicaError> {
    let image = means.runtime.resolve(&spec.container.image).await?;
    if let (Some(list), None) = (&spec.data, &data) {
        let read_only = has_read_only_inputs(&*means.runtime);
        *data = Some(Data::lay_out(&means.blobs, &spec.namespace, &means.yard, list, read_only).await?);
    }
    let containers = if spec.container.interface() == Interface::Http { 1 } else { spec.concurrency.max(1) };
    for _ in 0..containers {
        let dir = means.yard.slot_dir().map_err(ReplicaError::Directories)?;
        let sandbox = SandboxSpec {
            role: if spec.merge { "merge" } else { "leaf" },
            owner: spec.service.clone(),
            namespace: Arc::clone(&spec.namespace),
            image: image.clone(),
            container: spec.container.clone(),
            dir: dir.clone(),
            data: data.as_ref().map(Data::files),
            max_output_bytes: ANSWER_BYTES,
        };
        match means.runtime.start(&sandbox).await {
            Ok(sandbox) => started.push(Started::new(sandbox, image.clone(), dir)),
            Err(error) => {
                let _ = means.yard.remove_slot_dir(&dir);
                return Err(error.into());
            }
        }
    }
    Ok(())
}

async fn serve_http(spec: &Arc<ReplicaSpec>, started: &[Started], state: &State) -> Result<ReplicaError, ReplicaError> {
    let [sandbox] = started else { return Err(ReplicaError::Missing("container")) };
    let server = Arc::new(ServerReplica::start(spec, sandbox).await?);
    state.tell(ReplicaPhase::Ready, "", Some(Arc::clone(&server) as Arc<dyn Serving>));
    Ok(server.ended(&*sandbox.control).await)
}

async fn serve_files(
    means: &Means,
    spec: &ReplicaSpec,
    started: &[Started],
    state: &State,
) -> Result<ReplicaError, ReplicaError> {
    let read_only = has_read_only_inputs(&*means.runtime);
    let (files, lanes) = Files::furnish(spec, started, &means.yard, read_only)?;
    state.tell(ReplicaPhase::Ready, "", Some(Arc::new(files)));
    Ok(lanes.work().await)
}

async fn clear(means: &Means, sandbox: Started) {
    if let Err(error) = sandbox.control.remove().await {
        tracing::warn!(container = sandbox.control.id(), %error, "a container cannot be removed");
    }
    if let Err(error) = means.yard.remove_slot_dir(&sandbox.dir) {
        tracing::warn!(dir = %sandbox.dir.display(), %error, "a directory cannot be removed");
    }
}
