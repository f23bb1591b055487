//! One replica's keeper: data, containers, and all of it again when they end.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use longshore_contract::bounds::ANSWER_BYTES;
use longshore_proto::v1::{DesiredReplica, Interface, ReplicaPhase};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    call::Serving,
    data::Data,
    error::ReplicaError,
    files::{Files, Furnishing, Lane},
    health::{Checkup, Condition, LOOK},
    http::ServerReplica,
    spec::{ReplicaSpec, Started},
    state::State,
};
use crate::{
    bounds::Policy,
    cache::Cache,
    causes,
    contract::{tree, yard::Yard},
    pauses::Pauses,
    runtime::{Image, ImageRequest, Runtime, SandboxSpec},
    secrets::Secrets,
    slot::has_read_only_inputs,
};

/// First and longest pause before containers are started again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));

/// How often a container's removal is tried, and how long each try may take.
const REMOVALS: u32 = 4;
const REMOVAL: Duration = Duration::from_secs(6);

/// A replica that has lived so long begins with the first pause again.
const LONG_LIFE: Duration = Duration::from_secs(60);

/// What replicas are made with.
pub(super) struct Means {
    pub runtime: Arc<dyn Runtime>,
    pub blobs: Cache,
    pub yard: Arc<Yard>,
    /// How much containers may use.
    pub bounds: Policy,
}

/// Keeps the replica until it is to leave.
pub(super) async fn keep(
    means: Arc<Means>,
    (desired, secrets): (DesiredReplica, Secrets),
    state: Arc<State>,
    leave: CancellationToken,
) {
    let mut pauses = Pauses::new(PAUSES.0, PAUSES.1);
    // Laid out once: nothing inside can change it, so it serves every life.
    let mut data = None;
    loop {
        let born = Instant::now();
        let mut ended_by_a_call = false;
        let life = live(&means, (&desired, &secrets), &mut data, &state, &leave, &mut ended_by_a_call);
        let Err(error) = life.await else { return };
        // Whoever asks what ends a server shall not keep it away from all others.
        if born.elapsed() > LONG_LIFE || ended_by_a_call {
            pauses.reset();
        }
        let why = secrets.hide_in_text(causes::in_a_line(&error));
        tracing::warn!(replica = ?desired.id, why, "a replica has ended; starting it again");
        state.tell(ReplicaPhase::Failed, why.as_str(), None);
        if !pauses.wait(&leave).await {
            return;
        }
        state.tell(ReplicaPhase::Starting, format!("is starting again, after: {why}"), None);
    }
}

/// One life of the replica. `Ok` when it was to leave; otherwise why it ended.
async fn live(
    means: &Means,
    (desired, secrets): (&DesiredReplica, &Secrets),
    data: &mut Option<Data>,
    state: &State,
    leave: &CancellationToken,
    ended_by_a_call: &mut bool,
) -> Result<(), ReplicaError> {
    let spec = Arc::new(ReplicaSpec::of(desired, secrets, &means.bounds)?);
    let started = Containers::default();
    let ended = tokio::select! {
        ended = start_and_serve(means, &spec, data, &started, state, ended_by_a_call) => Some(ended),
        () = leave.cancelled() => None,
    };
    match &ended {
        // Its containers take a moment to go: meanwhile it is known why.
        Some(error) => state.tell(ReplicaPhase::Failed, secrets.hide_in_text(causes::in_a_line(error)), None),
        None => state.tell(ReplicaPhase::Starting, "is ending", None),
    }
    for sandbox in started.all() {
        clear(means, &sandbox).await;
    }
    // One that ended just then was to leave all the same.
    if leave.is_cancelled() { Ok(()) } else { ended.map_or(Ok(()), Err) }
}

/// The containers of a replica that have to be cleared away after it.
#[derive(Default)]
struct Containers(Mutex<Vec<Arc<Started>>>);

impl Containers {
    fn add(&self, started: Started) -> Arc<Started> {
        let started = Arc::new(started);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&started));
        started
    }

    fn forget(&self, gone: &Arc<Started>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|started| !Arc::ptr_eq(started, gone));
    }

    fn all(&self) -> Vec<Arc<Started>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Starts the containers and has them answer; ends with them.
async fn start_and_serve(
    means: &Means,
    spec: &Arc<ReplicaSpec>,
    data: &mut Option<Data>,
    started: &Containers,
    state: &State,
    ended_by_a_call: &mut bool,
) -> ReplicaError {
    let image = match prepare(means, spec, data, started).await {
        Ok(image) => image,
        Err(error) => return error,
    };
    let served = match spec.container.interface() {
        Interface::Http => serve_http(spec, &started.all(), state, ended_by_a_call).await,
        _ => serve_files(means, spec, (&image, data.as_ref()), started, state).await,
    };
    served.unwrap_or_else(|error| error)
}

async fn prepare(
    means: &Means,
    spec: &ReplicaSpec,
    data: &mut Option<Data>,
    started: &Containers,
) -> Result<Image, ReplicaError> {
    let asked = ImageRequest {
        namespace: Arc::clone(&spec.namespace),
        secret: spec.secrets.pull_secret(&spec.container),
        ..ImageRequest::of(spec.container.image.clone())
    };
    let image = means.runtime.resolve(&asked).await?;
    if let (Some(list), None) = (&spec.data, &data) {
        let read_only = has_read_only_inputs(&*means.runtime);
        *data = Some(Data::lay_out(&means.blobs, &spec.namespace, &means.yard, list, read_only).await?);
    }
    let containers = if spec.container.interface() == Interface::Http { 1 } else { spec.concurrency.max(1) };
    for _ in 0..containers {
        started.add(start_one(means, spec, &image, data.as_ref()).await?);
    }
    Ok(image)
}

/// Starts one container of the replica.
async fn start_one(
    means: &Means,
    spec: &ReplicaSpec,
    image: &Image,
    data: Option<&Data>,
) -> Result<Started, ReplicaError> {
    let dir = means.yard.slot_dir().map_err(ReplicaError::Directories)?;
    let sent = tree::lay_out_sent(&means.blobs, &spec.namespace, &dir, &spec.container.files).await;
    let files = match sent {
        Ok(files) => files,
        Err(error) => {
            let _ = means.yard.remove_slot_dir(&dir);
            return Err(error.into());
        }
    };
    let sandbox = SandboxSpec {
        role: if spec.merge { "merge" } else { "leaf" },
        owner: spec.service.clone(),
        namespace: Arc::clone(&spec.namespace),
        image: image.clone(),
        container: spec.container.clone(),
        dir: dir.clone(),
        data: data.map(Data::files),
        files,
        max_output_bytes: ANSWER_BYTES,
    };
    match means.runtime.start(&sandbox).await {
        Ok(sandbox) => Ok(Started::new(sandbox, spec.container.tmp_bytes, image.clone(), dir)),
        Err(error) => {
            let _ = means.yard.remove_slot_dir(&dir);
            Err(error.into())
        }
    }
}

async fn serve_http(
    spec: &Arc<ReplicaSpec>,
    started: &[Arc<Started>],
    state: &State,
    ended_by_a_call: &mut bool,
) -> Result<ReplicaError, ReplicaError> {
    let [sandbox] = started else { return Err(ReplicaError::Missing("container")) };
    let explain = |seen: &str| state.tell(ReplicaPhase::Starting, format!("is starting: {seen}"), None);
    let served = async {
        let server = Arc::new(ServerReplica::start(spec, sandbox, explain).await?);
        state.tell(ReplicaPhase::Ready, "", Some(Arc::clone(&server) as Arc<dyn Serving>));
        let ended = tokio::select! {
            biased;
            ended = server.ended(&*sandbox.control) => ended,
            stuck = look_after(&server, state) => stuck,
        };
        *ended_by_a_call = server.was_at_work();
        Ok(ended)
    };
    tokio::select! {
        served = served => served,
        over = sandbox.temporary.over() => Ok(ReplicaError::Failed(over)),
    }
}

/// Looks after a server that was ready; ends when it is stuck.
async fn look_after(server: &Arc<ServerReplica>, state: &State) -> ReplicaError {
    let mut checkup = Checkup::default();
    let mut is_well = true;
    loop {
        sleep(LOOK).await;
        let health = server.health().await;
        match checkup.look(health, server.may_be_busy(), Instant::now()) {
            Condition::Well if !is_well => {
                state.tell(ReplicaPhase::Ready, "", Some(Arc::clone(server) as Arc<dyn Serving>));
                is_well = true;
            }
            Condition::Unwell(why) if is_well => {
                state.tell(ReplicaPhase::Failed, why, None);
                is_well = false;
            }
            Condition::Stuck(why) => return ReplicaError::Stuck(why),
            Condition::Well | Condition::Unwell(_) => {}
        }
    }
}

async fn serve_files(
    means: &Means,
    spec: &ReplicaSpec,
    (image, data): (&Image, Option<&Data>),
    started: &Containers,
    state: &State,
) -> Result<ReplicaError, ReplicaError> {
    let read_only = has_read_only_inputs(&*means.runtime);
    let (files, lanes, furnishing) = Files::furnish(spec, started.all(), &means.yard, read_only).await?;
    state.tell(ReplicaPhase::Ready, "", Some(Arc::new(files)));
    let again = |gone: Arc<Started>, why: ReplicaError| {
        let why = spec.secrets.hide_in_text(causes::in_a_line(&why));
        tracing::warn!(
            service = spec.service,
            shard = spec.shard,
            why,
            "a container of a replica has ended; starting it again"
        );
        start_again(means, (spec, image, data), started, furnishing.clone(), gone)
    };
    Ok(lanes.work(again).await)
}

/// Clears a container away that has ended, and starts another in its place, as often as it takes.
async fn start_again<'a>(
    means: &Means,
    (spec, image, data): (&'a ReplicaSpec, &Image, Option<&Data>),
    started: &Containers,
    furnishing: Furnishing<'a>,
    gone: Arc<Started>,
) -> Lane<'a> {
    let mut pauses = Pauses::new(PAUSES.0, PAUSES.1);
    let mut gone = Some(gone);
    loop {
        if let Some(gone) = gone.take() {
            clear(means, &gone).await;
            started.forget(&gone);
        }
        sleep(pauses.next()).await;
        let begun = async {
            let begun = started.add(start_one(means, spec, image, data).await?);
            gone = Some(Arc::clone(&begun));
            furnishing.lane(begun).await
        };
        match begun.await {
            Ok(lane) => return lane,
            Err(error) => {
                let why = spec.secrets.hide_in_text(causes::in_a_line(&error));
                tracing::warn!(
                    service = spec.service,
                    shard = spec.shard,
                    why,
                    "a container of a replica cannot be started again"
                );
            }
        }
    }
}

/// Removes a container and its directory: where the engine is away, a few times more, but not for long.
async fn clear(means: &Means, sandbox: &Started) {
    let mut pauses = Pauses::new(PAUSES.0, PAUSES.1);
    for left in (0..REMOVALS).rev() {
        let removed = tokio::time::timeout(REMOVAL, sandbox.control.remove()).await;
        let error = match removed {
            Ok(Ok(())) => break,
            Ok(Err(error)) => error.to_string(),
            Err(_elapsed) => "the engine does not answer in time".to_owned(),
        };
        let container = sandbox.control.id();
        if left == 0 {
            tracing::warn!(container, error, "a container is left behind; the next start of this worker removes it");
            break;
        }
        tracing::warn!(container, error, "a container cannot be removed now; trying again");
        tokio::time::sleep(pauses.next()).await;
    }
    if let Err(error) = means.yard.remove_slot_dir(&sandbox.dir) {
        tracing::warn!(dir = %sandbox.dir.display(), %error, "a directory cannot be removed");
    }
}
