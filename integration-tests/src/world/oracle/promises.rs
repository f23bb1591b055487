//! What the world outside was told, and what therefore no crash may undo.

use std::collections::{BTreeMap, BTreeSet};

use longshore_core::{
    AttemptId, Control, ItemKey, JobId, JobState, MembersInput, Reply, ServiceName, TokenId, WorkerId,
};

use super::check::{Check, demand};
use crate::world::{client::Wish, kept::Kept, script::detail_of};

/// Everything promised.
#[derive(Debug, Default)]
pub struct Promises {
    submitted: BTreeSet<JobId>,
    /// Jobs of which it was decided that they go: whether that is kept, nobody may have been told.
    going: BTreeSet<JobId>,
    removed: BTreeSet<JobId>,
    cancelled: BTreeSet<JobId>,
    /// By service: its generation, and whether it is deployed.
    services: BTreeMap<ServiceName, (u64, bool)>,
    /// Tokens that were made.
    tokens: BTreeSet<TokenId>,
    /// Workers that have joined, and whether they were revoked since.
    members: BTreeMap<WorkerId, bool>,
    /// Successes that their workers have forgotten because they were told they may.
    pub(super) settled: BTreeMap<ItemKey, AttemptId>,
}

impl Promises {
    /// A client was answered.
    pub fn answered(&mut self, wish: &Wish, reply: &Reply) {
        match (wish, reply) {
            (_, Reply::Submitted { job, .. }) => {
                self.submitted.insert(*job);
            }
            (Wish::Cancel(job), Reply::Cancelled) => {
                self.cancelled.insert(*job);
            }
            (Wish::Control(Control::Remove { job, .. }), Reply::Done) => {
                self.removed.insert(*job);
            }
            (Wish::Deploy { name, .. }, Reply::Deployed { generation }) => {
                self.services.insert(name.clone(), (*generation, true));
            }
            (Wish::Remove(name), Reply::Removed) => {
                if let Some(promised) = self.services.get_mut(name) {
                    promised.1 = false;
                }
            }
            (_, Reply::TokenMade(token)) => {
                self.tokens.insert(token.id);
            }
            (_, Reply::Joined(member)) => {
                self.members.entry(member.id).or_insert(false);
            }
            (Wish::Members(MembersInput::RemoveWorker { revoke: true, .. }), Reply::WorkerRemoved { worker, .. }) => {
                self.members.insert(*worker, true);
            }
            _ => {}
        }
    }

    /// A token is good for nothing any more.
    pub(super) fn token_gone(&mut self, token: TokenId) {
        self.tokens.remove(&token);
    }

    /// A worker is no member any more.
    pub(super) fn member_gone(&mut self, worker: WorkerId) {
        self.members.remove(&worker);
    }

    /// The job goes.
    pub fn removed(&mut self, job: JobId) {
        self.going.insert(job);
        self.cancelled.remove(&job);
    }

    /// The job runs again.
    pub fn retried(&mut self, job: JobId) {
        self.cancelled.remove(&job);
    }

    /// Every promise is held by what is kept.
    ///
    /// # Errors
    /// The first that is not.
    pub fn hold(&self, kept: &Kept) -> Check {
        for job in &self.submitted {
            let there = kept.job(*job).is_some() || self.going.contains(job);
            demand!(there, "acknowledged job {job} is lost");
        }
        for job in &self.removed {
            demand!(kept.seen(*job).is_none(), "removed job {job} is back");
        }
        demand!(kept.orphan().is_none(), "there is something of {:?}, which is not there", kept.orphan());
        for job in &self.cancelled {
            let state = kept.job(*job).map(|job| job.state);
            demand!(state == Some(JobState::Cancelled), "cancelled job {job} is {state:?}");
        }
        for (name, (generation, deployed)) in &self.services {
            let service = kept.service(name);
            let now = service.map_or(0, |service| service.generation);
            demand!(now >= *generation, "generation {generation} of {name} is lost");
            let is = service.is_some_and(|service| service.plan.is_some());
            demand!(*deployed || now > *generation || !is, "removed {name} is back");
        }
        for token in &self.tokens {
            demand!(kept.token(*token).is_some(), "token {token} is lost");
        }
        for (worker, revoked) in &self.members {
            demand!(kept.member(*worker).is_some(), "member {worker} is lost");
            demand!(!revoked || kept.is_revoked(*worker), "revoked {worker} is back");
        }
        for (item, id) in &self.settled {
            let is = kept.outcome(item).is_some_and(|it| it.detail == detail_of(*id));
            let is = is || self.going.contains(&item.job);
            demand!(is, "the settled success of {item:?} is lost");
        }
        Ok(())
    }
}
