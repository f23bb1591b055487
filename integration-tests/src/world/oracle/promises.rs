//! What the world outside was told, and what therefore no crash may undo.

use std::collections::{BTreeMap, BTreeSet};

use longshore_core::{AttemptId, ItemKey, JobId, JobState, Refusal, Reply};

use super::{Check, Oracle, Seen, demand, detail_of};
use crate::world::{client::Wish, kept::Kept};

/// Everything promised.
#[derive(Debug, Default)]
pub struct Promises {
    submitted: BTreeSet<JobId>,
    cancelled: BTreeSet<JobId>,
    /// By service: its generation, and whether it is deployed.
    services: BTreeMap<String, (u64, bool)>,
    /// Successes that their workers have forgotten because they were told they may.
    settled: BTreeMap<ItemKey, AttemptId>,
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
            (Wish::Deploy { name, .. }, Reply::Deployed { generation }) => {
                self.services.insert(name.clone(), (*generation, true));
            }
            (Wish::Remove(name), Reply::Removed) => {
                if let Some(promised) = self.services.get_mut(name) {
                    promised.1 = false;
                }
            }
            _ => {}
        }
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
            demand!(kept.job(*job).is_some(), "acknowledged job {job} is lost");
        }
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
        for (item, id) in &self.settled {
            let is = kept.outcome(item).is_some_and(|it| it.detail == detail_of(*id));
            demand!(is, "the settled success of {item:?} is lost");
        }
        Ok(())
    }
}

impl Oracle {
    /// A worker has forgotten a success. It matters only if it is the one that was committed.
    pub fn settled(&mut self, id: AttemptId, item: ItemKey) {
        let outcome = self.live.outcome(&item);
        // Of an attempt that a lie has ended, a failure is kept.
        if outcome.is_some_and(|outcome| outcome.success && outcome.detail == detail_of(id)) {
            self.promises.settled.insert(item, id);
        }
    }

    /// Each request is answered once, and with the truth.
    pub(super) fn replies(&self, seen: Seen<'_>) -> Check {
        use longshore_core::Input;
        let (request, truth) = match seen.input {
            Input::Submit { request, job, key, .. } => {
                let id = self.live.jobs().find(|it| !key.is_empty() && it.key == *key);
                let job = id.map_or(*job, |it| it.id);
                demand!(self.live.job(job).is_some(), "{job} is not kept");
                (request, Some(job))
            }
            Input::Cancel { request, .. }
            | Input::Retry { request, .. }
            | Input::Deploy { request, .. }
            | Input::Remove { request, .. } => (request, None),
            _ => {
                demand!(seen.out.replies.is_empty(), "an answer to nobody");
                return Ok(());
            }
        };
        let [(answered, reply)] = seen.out.replies.as_slice() else {
            return Err(format!("{} answers to one request", seen.out.replies.len()));
        };
        demand!(answered == request, "the answer is for another request");
        self.reply_is_true(seen.input, reply, truth)
    }

    fn reply_is_true(&self, input: &longshore_core::Input, reply: &Reply, submitted: Option<JobId>) -> Check {
        use longshore_core::Input;
        let state = |job| self.live.job(job).map(|job| job.state);
        let plan = |name: &String| self.live.service(name).and_then(|it| it.plan.as_ref());
        let is_true = match (input, reply) {
            (Input::Submit { .. }, Reply::Submitted { job, .. }) => Some(*job) == submitted,
            (Input::Cancel { job, .. }, Reply::Cancelled) => state(*job) == Some(JobState::Cancelled),
            (Input::Cancel { job, .. }, Reply::Refused(Refusal::JobHasEnded(_))) => {
                state(*job).is_some_and(JobState::has_ended)
            }
            (Input::Retry { job, .. }, Reply::Retried { .. }) => state(*job) == Some(JobState::Running),
            (Input::Retry { job, .. }, Reply::Refused(Refusal::JobIsRunning(_))) => {
                state(*job) == Some(JobState::Running)
            }
            (Input::Retry { job, .. }, Reply::Refused(Refusal::NothingFailed(_))) => {
                state(*job) == Some(JobState::Succeeded)
            }
            (Input::Cancel { job, .. } | Input::Retry { job, .. }, Reply::Refused(Refusal::NoSuchJob(_))) => {
                state(*job).is_none()
            }
            (Input::Deploy { name, .. }, Reply::Deployed { generation }) => {
                plan(name).is_some() && self.live.service(name).is_some_and(|it| it.generation == *generation)
            }
            (Input::Deploy { name, .. }, Reply::Refused(Refusal::ServiceExists(_))) => plan(name).is_some(),
            (Input::Remove { name, .. }, Reply::Removed | Reply::Refused(Refusal::NoSuchService(_))) => {
                plan(name).is_none()
            }
            _ => false,
        };
        demand!(is_true, "{reply:?} to {input:?}");
        Ok(())
    }
}
