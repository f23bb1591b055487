//! The coordinator's process in one of its lives: the drive that ships, and what stands beside it.

use std::collections::BTreeMap;

use longshore_core::{Core, Input, JobView, Now, Outbox, RequestId, WorkerId};
use longshore_drive::{Drive, Witness};

use super::{client::Wish, disk::Page, net::LinkId};

/// One life of the coordinator.
#[derive(Debug)]
pub struct Coordinator {
    /// What decides.
    pub drive: Drive<Page, Box<Look>, Steps>,
    /// The epoch of this life.
    pub epoch: u64,
    /// What its steady clock is ahead of the world's.
    pub offset_ms: u64,
    /// It does nothing before that time.
    pub stalled_until_ms: u64,
    /// Which client asked, and for what.
    pub askers: BTreeMap<RequestId, (usize, Wish)>,
    /// The links of workers that were admitted last.
    pub(super) speaks: BTreeMap<WorkerId, LinkId>,
    /// What each worker was asked last.
    pub(super) pinged: BTreeMap<WorkerId, Pinged>,
    /// When it is to be told the time, as far as that is planned.
    pub(super) tick_ms: Option<u64>,
}

/// What a worker was asked while others wait for its place.
#[derive(Debug)]
pub(super) struct Pinged {
    pub(super) link: LinkId,
    /// The first of the pings there since somebody waits.
    pub(super) first: u64,
    /// Whoever waited has made room for the next, for whom it is asked once more.
    pub(super) goes_on: bool,
}

impl Pinged {
    /// Whether that is an answer.
    pub(super) fn is(&self, link: LinkId, ping: u64) -> bool {
        self.link == link && ping >= self.first
    }
}

/// What a client saw of a job, on its way to it.
#[derive(Debug)]
pub struct Look {
    /// Who looks.
    pub request: RequestId,
    /// The job as it was.
    pub view: Option<JobView>,
}

/// The steps of the core that nobody has checked yet.
#[derive(Debug, Default)]
pub struct Steps(Vec<(Now, Input, Outbox)>);

impl Steps {
    /// Takes them.
    pub(super) fn take(&mut self) -> Vec<(Now, Input, Outbox)> {
        std::mem::take(&mut self.0)
    }
}

impl Witness for Steps {
    fn before(&mut self, now: Now, input: &Input) {
        self.0.push((now, input.clone(), Outbox::default()));
    }

    fn after(&mut self, out: &Outbox) {
        if let Some(step) = self.0.last_mut() {
            step.2 = out.clone();
        }
    }
}

impl Coordinator {
    /// The core.
    #[must_use]
    pub fn core(&self) -> &Core {
        self.drive.core()
    }
}
