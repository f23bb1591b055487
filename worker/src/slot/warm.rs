//! A started container with a shim inside, and what the slot knows of it.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::warn;

use super::{
    key,
    pace::Pace,
    plan::{Bounded, StagePlan},
    queue::Offer,
    shared::Shared,
};
use crate::{
    causes,
    contract::{run::RunDirs, serve::Server, tree, watch::Temporary},
    pauses::Pauses,
    runtime::{Control, Image, Paths, Runtime, Sandbox, SandboxSpec, Shim, StartError, users::Users},
};

/// First and longest pause before a container is removed that could not be.
const REMOVAL_PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// Jobs a container remembers to have the image of.
const JOBS: usize = 16;

/// What becomes of a container after it was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Keep,
    Retire,
}

/// A warm container.
pub(crate) struct Warm {
    key: Arc<key::Key>,
    pub(crate) image: Image,
    /// Jobs whose image is this very one.
    jobs: VecDeque<[u8; 16]>,
    pub(crate) shim: Arc<dyn Shim>,
    pub(crate) control: Box<dyn Control>,
    pub(crate) paths: Paths,
    pub(crate) dirs: RunDirs,
    pub(crate) users: Arc<Users>,
    pub(crate) pace: Pace,
    /// The server inside, once it was started.
    pub(crate) server: Option<Server>,
    /// Where its processes may write besides their outputs.
    pub(crate) temporary: Temporary,
    pub(crate) bounds: Bounded,
    plan: Option<Arc<StagePlan>>,
    dir: PathBuf,
    born: Instant,
    used: Instant,
    runs: u64,
}

impl Warm {
    /// Starts a container for an attempt.
    pub(crate) async fn start(shared: &Arc<Shared>, offer: &Offer, image: Image) -> Result<Self, StartError> {
        let bounds = Bounded::of(&offer.work.stage, &shared.options.bounds);
        let bounds = bounds.map_err(|exceeds| StartError::Refused(exceeds.to_string()))?;
        let disk = |cause: std::io::Error| StartError::Engine(format!("the slot's directory: {cause}"));
        let dir = shared.yard.slot_dir().map_err(disk)?;
        let container = key::container(&offer.work.stage);
        let sent = tokio::select! {
            sent = tree::lay_out_sent(&*shared.blobs, &offer.work.namespace, &dir, &container.files) => {
                sent.map_err(|error| format!("what was sent along: {}", causes::in_a_line(&error)))
            }
            () = shared.exit.cancelled() => Err("the worker is shutting down".to_owned()),
        };
        let files = match sent {
            Ok(files) => files,
            Err(why) => {
                let _ = shared.yard.remove_slot_dir(&dir);
                return Err(StartError::Engine(why));
            }
        };
        let spec = SandboxSpec {
            role: "slot",
            owner: offer.work.job_name.clone(),
            namespace: Arc::clone(&offer.work.namespace),
            image,
            container: bounds.container.written_into(container),
            dir: dir.clone(),
            data: None,
            files,
            max_output_bytes: bounds.outputs.file_bytes,
        };
        let sandbox = match shared.runtime.start(&spec).await {
            Ok(sandbox) => sandbox,
            Err(error) => {
                let _ = shared.yard.remove_slot_dir(&dir);
                return Err(error);
            }
        };
        Self::furnish(shared, offer, spec, sandbox, bounds).await
    }

    /// Opens the directories, before anything runs inside.
    async fn furnish(
        shared: &Arc<Shared>,
        offer: &Offer,
        spec: SandboxSpec,
        sandbox: Sandbox,
        bounds: Bounded,
    ) -> Result<Self, StartError> {
        let Sandbox { shim, paths, temporary, first_process, control, users } = sandbox;
        let temporary = Temporary::new(temporary, bounds.container.tmp_bytes, first_process);
        let read_only = has_read_only_inputs(&*shared.runtime);
        let dirs = match RunDirs::open(&paths, Arc::clone(&users), &shared.yard, read_only) {
            Ok(dirs) => dirs,
            Err(cause) => {
                remove(&*control, &spec.dir, shared).await;
                return Err(StartError::Engine(format!("the sandbox's directories: {cause}")));
            }
        };
        let now = Instant::now();
        Ok(Self {
            key: Arc::clone(&offer.key),
            image: spec.image,
            jobs: VecDeque::from([offer.work.job]),
            shim: Arc::from(shim),
            control,
            paths,
            dirs,
            users,
            pace: Pace::default(),
            server: None,
            temporary,
            bounds,
            plan: None,
            dir: spec.dir,
            born: now,
            used: now,
            runs: 0,
        })
    }

    /// Whether an attempt may run here, as far as is known without asking for its image.
    pub(crate) fn serves(&self, offer: &Offer) -> bool {
        self.key == offer.key && self.jobs.contains(&offer.work.job)
    }

    /// Whether an attempt whose image is this may run here; remembers its job.
    pub(crate) fn admit(&mut self, offer: &Offer, image: &Image) -> bool {
        // Where runs are all the same user, a container is for one job.
        if self.key != offer.key || self.image.id != image.id || self.users.are_one() {
            return false;
        }
        if self.jobs.len() == JOBS {
            self.jobs.pop_front();
        }
        self.jobs.push_back(offer.work.job);
        true
    }

    /// Begins a run; answers its number, never used before in this container.
    pub(crate) fn begin(&mut self) -> u64 {
        self.runs += 1;
        self.runs
    }

    /// Waits until the container is of no more use, while nothing is asked of it.
    pub(crate) async fn ended(&self) {
        match &self.server {
            Some(server) => tokio::select! {
                () = server.ended() => {}
                failure = self.temporary.over() => warn!(container = self.control.id(), "an idle server: {}", failure.message),
            },
            // Whatever a shim says unasked means that it is not well.
            None => drop(self.shim.receive().await),
        }
    }

    /// A run has ended, or the container was used otherwise.
    pub(crate) fn touch(&mut self) {
        self.used = Instant::now();
    }

    /// When it was last used.
    pub(crate) fn idle_since(&self) -> Instant {
        self.used
    }

    /// Most runs that may be given to the shim at once, and whether one more may be prepared beside them: not where they would
    /// be the same user.
    pub(crate) fn window(&self) -> usize {
        if self.users.are_one() { 1 } else { self.pace.window() }
    }

    /// Whether it may take more work.
    pub(crate) fn is_fit(&self, max_age: Duration, max_runs: u64) -> bool {
        let fresh_enough = self.runs == 0 || !(self.key.fresh || self.users.are_the_shims());
        fresh_enough && self.users.are_left() && self.runs < max_runs && self.born.elapsed() < max_age
    }

    /// The plan of an attempt's stage.
    pub(crate) fn plan(&mut self, offer: &Offer, shared: &Shared) -> Arc<StagePlan> {
        if let Some(plan) = self.plan.as_ref().filter(|plan| plan.is_of(&offer.work.stage)) {
            return Arc::clone(plan);
        }
        let plan = Arc::new(StagePlan::of(&offer.work, &self.image, &self.bounds, &shared.options));
        self.plan = Some(Arc::clone(&plan));
        plan
    }

    /// Ends everything inside and removes container and directory.
    pub(crate) async fn remove(self, shared: Arc<Shared>) {
        remove(&*self.control, &self.dir, &shared).await;
    }
}

/// Inputs may be hard links to cached files only where the inside cannot write to them.
pub(crate) fn has_read_only_inputs(runtime: &dyn Runtime) -> bool {
    runtime.name() == "docker"
}

/// Removes a container and its directory: where the engine is away, again and again until it is back, and once more at the end.
async fn remove(control: &dyn Control, dir: &std::path::Path, shared: &Shared) {
    let mut pauses = Pauses::new(REMOVAL_PAUSES.0, REMOVAL_PAUSES.1);
    loop {
        let removed = tokio::select! {
            removed = control.remove() => removed.map_err(|error| error.to_string()),
            () = shared.too_late() => Err("the engine does not answer in time".to_owned()),
        };
        match removed {
            Ok(()) => break,
            // Its directory stays with it: the next start removes both.
            Err(error) if shared.exit.is_cancelled() => {
                warn!(container = control.id(), %error, "a container is left behind; the next start of this worker removes it");
                return;
            }
            Err(error) => warn!(container = control.id(), %error, "a container cannot be removed now; trying again"),
        }
        tokio::select! {
            () = tokio::time::sleep(pauses.next()) => {}
            () = shared.exit.cancelled() => {}
        }
    }
    if let Err(cause) = shared.yard.remove_slot_dir(dir) {
        warn!(dir = %dir.display(), %cause, "a slot's directory cannot be removed now");
    }
}
