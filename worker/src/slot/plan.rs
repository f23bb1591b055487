//! A stage as the contract runs it, worked out once for all its attempts.

use std::sync::Arc;

use longshore_proto::v1::Stage;

use super::{
    key::{container, max_output_bytes},
    shared::Options,
};
use crate::{
    contract::{
        failures::Bounds,
        inputs::Wanted,
        names::base_name,
        placeholders::{Fixed, Item},
        run::{Allowance, Asked, Plan},
    },
    runtime::Image,
    work::Work,
};

/// A stage, ready to be run in a container of an image.
pub(crate) struct StagePlan {
    stage: Arc<Stage>,
    pub(crate) runs: Plan,
}

impl StagePlan {
    /// Works a stage out.
    pub(crate) fn of(stage: &Arc<Stage>, image: &Image, options: &Options) -> Self {
        let allowed = Allowance {
            timeout_ms: stage.timeout_ms,
            max_output_bytes: max_output_bytes(stage),
            total_output_bytes: options.total_output_bytes,
            grace: options.grace,
            log_bytes: options.log_bytes,
        };
        Self { stage: Arc::clone(stage), runs: Plan::new(image, &container(stage), allowed) }
    }

    /// Whether it is this stage's.
    pub(crate) fn is_of(&self, stage: &Arc<Stage>) -> bool {
        Arc::ptr_eq(&self.stage, stage)
    }

    /// What the stage allows its attempts.
    pub(crate) fn bounds(&self) -> Bounds {
        self.runs.bounds()
    }

    /// Longest time of one attempt, in milliseconds.
    pub(crate) fn timeout_ms(&self) -> Option<u64> {
        (self.stage.timeout_ms > 0).then_some(self.stage.timeout_ms)
    }

    /// How an attempt's inputs are to lie.
    pub(crate) fn wanted<'a>(&self, work: &'a Work) -> Wanted<'a> {
        self.runs.wanted(&work.inputs, base_name(&work.path), work.gather)
    }

    /// An attempt as a run.
    pub(crate) fn asked<'a>(&self, work: &'a Work) -> Asked<'a> {
        Asked { item: item(work), fixed: fixed(work), gather: work.gather, timeout_ms: self.timeout_ms() }
    }
}

/// What an attempt is about.
pub(crate) fn item(work: &Work) -> Item<'_> {
    Item { name: base_name(&work.path), index: work.index, attempt: work.attempt }
}

/// What stays the same for all attempts in a container: of one job when it holds a server.
pub(crate) fn fixed(work: &Work) -> Fixed<'_> {
    Fixed { job: &work.job_name, ..Fixed::default() }
}
