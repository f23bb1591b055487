//! A stage as the contract runs it, worked out once for all its attempts.

use std::{sync::Arc, time::Duration};

use longshore_proto::v1::{self, OnMemoryKill, Stage};

use super::{key::container, shared::Options};
use crate::{
    bounds::{Exceeds, Granted, Policy},
    contract::{
        Limits, Links,
        failures::Bounds,
        inputs::Wanted,
        names::base_name,
        placeholders::{Fixed, Item},
        run::{Allowance, Asked, Plan},
    },
    runtime::{Image, Paths},
    secrets::has_files,
    work::Work,
};

/// What a container and its runs were granted. All stages that may share one ask for the same.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounded {
    pub(crate) container: Granted,
    pub(crate) outputs: Limits,
}

impl Bounded {
    /// What a stage is granted.
    ///
    /// # Errors
    /// When it asks for more than the operator allows.
    pub(crate) fn of(stage: &Stage, policy: &Policy) -> Result<Self, Exceeds> {
        Ok(Self { container: policy.container(&container(stage))?, outputs: policy.outputs(stage)? })
    }
}

/// A stage, ready to be run in a container of an image.
pub(crate) struct StagePlan {
    stage: Arc<Stage>,
    pub(crate) runs: Plan,
}

impl StagePlan {
    /// Works the stage of an attempt out, for a container that was granted this.
    pub(crate) fn of(work: &Work, image: &Image, bounds: &Bounded, options: &Options) -> Self {
        let stage = &work.stage;
        let allowed = Allowance {
            timeout_ms: stage.timeout_ms,
            outputs: bounds.outputs,
            links: links(stage),
            tmp_bytes: bounds.container.tmp_bytes,
            grace: match stage.stop_grace_ms {
                0 => options.grace,
                asked => Duration::from_millis(asked.into()),
            },
            log_bytes: options.log_bytes,
            ignores_memory_kills: stage.oom() == OnMemoryKill::Ignore,
            streams_parts: stage.parts() == v1::PartsAs::Stdin,
        };
        let container = bounds.container.written_into(container(stage));
        Self { stage: Arc::clone(stage), runs: Plan::new(image, &container, &work.secrets, &stage.fields, allowed) }
    }

    /// Whether it is this stage's.
    pub(crate) fn is_of(&self, stage: &Arc<Stage>) -> bool {
        Arc::ptr_eq(&self.stage, stage)
    }

    /// What the stage allows its attempts.
    pub(crate) fn bounds(&self) -> Bounds {
        self.runs.bounds()
    }

    /// Between SIGTERM and SIGKILL.
    pub(crate) fn grace(&self) -> Duration {
        self.runs.grace()
    }

    /// What an attempt may leave.
    pub(crate) fn limits(&self) -> Limits {
        self.runs.limits()
    }

    /// Longest time of one attempt, in milliseconds.
    pub(crate) fn timeout_ms(&self) -> Option<u64> {
        (self.stage.timeout_ms > 0).then_some(self.stage.timeout_ms)
    }

    /// How an attempt's inputs are to lie.
    pub(crate) fn wanted<'a>(&self, work: &'a Work) -> Wanted<'a> {
        let missing = work.gather.then_some(&work.missing);
        Wanted { missing, ..self.runs.wanted(&work.inputs, base_name(&work.path), work.gather) }
    }

    /// An attempt as a run, in a container with these paths.
    pub(crate) fn asked<'a>(&self, work: &'a Work, paths: &'a Paths) -> Asked<'a> {
        let input = work.inputs.first().and_then(|input| input.inline.as_deref());
        Asked { item: item(work), fixed: fixed(work, paths), gather: work.gather, input, timeout_ms: self.timeout_ms() }
    }
}

fn links(stage: &Stage) -> Links {
    match stage.links() {
        v1::Links::Unspecified | v1::Links::Follow => Links::Follow,
        v1::Links::Refuse => Links::Refuse,
        v1::Links::Skip => Links::Skip,
    }
}

/// What an attempt is about.
pub(crate) fn item(work: &Work) -> Item<'_> {
    Item { name: base_name(&work.path), index: work.index, attempt: work.attempt }
}

/// What stays the same for all attempts in a container with these paths: of one job when it holds a server.
pub(crate) fn fixed<'a>(work: &'a Work, paths: &'a Paths) -> Fixed<'a> {
    let has_files = work.stage.container.as_ref().is_some_and(has_files);
    let secrets = has_files.then_some(&paths.inside_secrets[..]);
    Fixed { job: &work.job_name, files: paths.inside_files.as_deref(), secrets, ..Fixed::default() }
}
