//! Whether what clients and workers are answered is true.

use longshore_core::{AttemptId, Input, ItemKey, JobId, JobRecord, JobState, Refusal, Reply, ServiceName};

use super::{
    check::{Check, demand},
    state::{Oracle, Seen},
};
use crate::world::{coverage::Coverage, script::detail_of};

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
    pub(super) fn replies(&self, seen: Seen<'_>, coverage: &mut Coverage) -> Check {
        let (request, truth) = match seen.input {
            Input::Submit { request, job, namespace, key, .. } => {
                let known = |it: &&JobRecord| !key.is_empty() && it.key == *key && it.namespace == *namespace;
                let id = self.live.jobs().find(known);
                let job = id.map_or(*job, |it| it.id);
                if let [(_, Reply::Refused(refusal))] = seen.out.replies.as_slice() {
                    demand!(self.refusal_is_true(seen, refusal), "{refusal:?} to {:?}", seen.input);
                    match refusal {
                        Refusal::KeyIsTaken { .. } => coverage.saw("other work under the same key refused"),
                        Refusal::KeyOfRemoved { .. } => coverage.saw("the key of a removed job refused"),
                        _ => {}
                    }
                    return Ok(());
                }
                demand!(self.live.job(job).is_some(), "{job} is not kept");
                (request, Some(job))
            }
            Input::Cancel { request, .. }
            | Input::Retry { request, .. }
            | Input::Deploy { request, .. }
            | Input::Remove { request, .. }
            | Input::Members { request, .. }
            | Input::Control { request, .. } => (request, None),
            _ => {
                demand!(seen.out.replies.is_empty(), "an answer to nobody");
                return Ok(());
            }
        };
        let [(answered, reply)] = seen.out.replies.as_slice() else {
            return Err(format!("{} answers to one request", seen.out.replies.len()));
        };
        demand!(answered == request, "the answer is for another request");
        if let Input::Members { ask, .. } = seen.input {
            return self.members_reply_is_true(seen, ask, reply);
        }
        if let Input::Control { ask, .. } = seen.input {
            return self.control_reply_is_true(ask, reply);
        }
        self.reply_is_true(seen.input, reply, truth)
    }

    fn reply_is_true(&self, input: &Input, reply: &Reply, submitted: Option<JobId>) -> Check {
        let state = |job| self.live.seen(job).map(|job| job.state);
        let plan = |name: &ServiceName| self.live.service(name).and_then(|it| it.plan.as_ref());
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
