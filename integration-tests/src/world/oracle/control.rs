//! Whether jobs rest, go on, wait and go, and workers are drained, as somebody asked.

use longshore_core::{Control, Differs, Input, JobRecord, JobState, Record, Refusal, Reply};

use super::{
    check::{Check, demand},
    state::{Oracle, Seen},
};
use crate::world::coverage::Coverage;

/// Whether this was asked for.
pub(super) fn is_asked(input: &Input, that: impl Fn(&Control) -> bool) -> bool {
    matches!(input, Input::Control { ask, .. } if that(ask))
}

impl Oracle {
    /// A running job is what it was but for what was asked.
    pub(super) fn terms_may_be(
        &self,
        seen: Seen<'_>,
        before: &JobRecord,
        job: &JobRecord,
        coverage: &mut Coverage,
    ) -> Check {
        let (id, input) = (job.id, seen.input);
        if before.retried != job.retried {
            let more = before.retried.as_ref().is_some_and(|retried| retried.next.is_some());
            let asked = matches!(input, Input::Tick) || matches!(input, Input::Retry { job, .. } if *job == id);
            demand!(more && asked, "nobody goes on with the retry of {id}");
            if matches!(input, Input::Tick) {
                coverage.saw("some more of a retry");
            }
        }
        match (&before.paused, &job.paused) {
            (same, other) if same == other => {}
            (Some(_), None) => {
                coverage.saw("a job resumed");
                demand!(is_asked(input, |ask| *ask == Control::Resume { job: id }), "nobody resumed {id}");
            }
            (_, _) => {
                coverage.saw("a job paused");
                let asked = is_asked(input, |ask| matches!(ask, Control::Pause { job, .. } if *job == id));
                demand!(asked, "nobody paused {id}");
            }
        }
        for other in before.awaits.iter().filter(|other| !job.awaits.contains(other)) {
            coverage.saw("a job that waited for another");
            let ended = self.live.job(*other).is_some_and(|other| other.state.has_ended());
            demand!(ended, "{id} waits no more for {other}, which has not ended");
        }
        demand!(job.awaits.iter().all(|other| before.awaits.contains(other)), "{id} waits for more than before");
        Ok(())
    }

    /// Whether what the job has to run after has ended otherwise.
    pub(super) fn can_never_run(&self, job: &JobRecord) -> bool {
        let badly = |state: JobState| matches!(state, JobState::Failed | JobState::Cancelled);
        job.spec.after.iter().any(|other| self.live.job(*other).is_some_and(|other| badly(other.state)))
    }

    /// What a new job waits for has not ended; what it does not wait for has, as it should.
    pub(super) fn waits_for_what_runs(&self, job: &JobRecord) -> Check {
        for other in job.spec.after.iter().chain(&job.spec.after_any) {
            let state = self.live.seen(*other).filter(|it| it.namespace == job.namespace).map(|it| it.state);
            let state = state.ok_or_else(|| format!("{} is to run after {other}, which is not there", job.id))?;
            let waits = job.awaits.contains(other);
            demand!(waits != state.has_ended(), "{} waits for {other}, or not, which is {state:?}", job.id);
            let well = state == JobState::Succeeded || !job.spec.after.contains(other);
            demand!(waits || well, "{} is to run after {other}, which is {state:?}", job.id);
        }
        Ok(())
    }

    /// No job that was removed within a day had this key.
    pub(super) fn key_is_free(&self, seen: Seen<'_>, job: &JobRecord) -> Check {
        let taken = self.live.tombstones().find(|it| {
            !job.key.is_empty() && it.key == job.key && it.namespace == job.namespace && it.until_ms > seen.now.wall_ms
        });
        demand!(taken.is_none(), "the key of {} is not free: {taken:?}", job.id);
        Ok(())
    }

    /// A job goes when somebody asked and it has ended, and then bit by bit.
    pub(super) fn job_may_go(
        &mut self,
        seen: Seen<'_>,
        before: &JobRecord,
        job: &JobRecord,
        coverage: &mut Coverage,
    ) -> Check {
        let id = job.id;
        if before.state == JobState::Removing {
            coverage.saw("some more of a removal");
            return Ok(());
        }
        coverage.saw("a job removed");
        demand!(before.state.has_ended(), "{id} goes and has not ended");
        let asked = is_asked(seen.input, |ask| matches!(ask, Control::Remove { job, .. } if *job == id));
        demand!(asked, "nobody removed {id}");
        let kept = before.key.is_empty() || self.live.tombstone(id).is_some_and(|it| it.key == before.key);
        demand!(kept, "the key of {id} is forgotten");
        self.promises.removed(id);
        self.shown.remove(&id);
        Ok(())
    }

    pub(super) fn control_may_be(&mut self, seen: Seen<'_>, record: &Record, coverage: &mut Coverage) -> Check {
        match record {
            Record::ItemsGone(gone) => {
                let going = self.live.job(gone.job).and_then(|job| job.going.as_ref());
                let going = going.ok_or_else(|| format!("{} is not going", gone.job))?;
                let items = going.items.get(usize::from(gone.stage)).copied().unwrap_or_default();
                demand!(gone.from < gone.to && gone.to <= items, "{gone:?} of {going:?}");
                demand!(gone.to - gone.from <= self.settings.slice, "{gone:?} is too much at once");
            }
            Record::JobGone { job, stages } => {
                let going = self.live.job(*job).and_then(|job| job.going.as_ref());
                demand!(going.is_some_and(|going| going.items.len() == usize::from(*stages)), "{job} is not going");
                let mut after = self.live.clone();
                after.keep(record);
                demand!(after.orphan().is_none(), "something of {job} is left: {:?}", after.orphan());
            }
            Record::Tombstone(tombstone) => {
                let id = tombstone.job;
                let asked = is_asked(seen.input, |ask| matches!(ask, Control::Remove { job, .. } if *job == id));
                demand!(asked, "nobody removed {id}");
            }
            Record::TombstoneGone(job) => {
                let until_ms = self.live.tombstone(*job).map(|it| it.until_ms);
                demand!(until_ms.is_some_and(|until_ms| until_ms <= seen.now.wall_ms), "the key of {job} is not free");
                coverage.saw("a key that is free again");
            }
            Record::Drain(drain) => {
                coverage.saw("a worker drained");
                let asked = is_asked(seen.input, |ask| *ask == Control::Drain { worker: drain.worker });
                demand!(asked, "nobody drained {}", drain.worker);
            }
            Record::DrainGone(worker) => {
                let asked = is_asked(seen.input, |ask| *ask == Control::Undrain { worker: *worker });
                demand!(asked || matches!(seen.input, Input::Members { .. }), "nobody undrained {worker}");
            }
            _ => return Err(format!("{record:?} is nothing of this")),
        }
        Ok(())
    }

    /// Whether the answer to what was asked is true.
    pub(super) fn control_reply_is_true(&self, ask: &Control, reply: &Reply) -> Check {
        let ended = |job| self.live.seen(job).is_some_and(|job| job.state.has_ended());
        let is_true = match (ask, reply) {
            (Control::Pause { job, stop, .. }, Reply::Done) => {
                let paused = self.live.seen(*job).and_then(|job| job.paused.as_ref());
                paused.is_some_and(|paused| paused.stop || !stop)
            }
            (Control::Resume { job }, Reply::Done) => self.live.seen(*job).is_some_and(|job| job.paused.is_none()),
            (Control::Change { job, change }, Reply::Done) => {
                let spec = self.live.seen(*job).map(|job| &job.spec);
                spec.is_some_and(|spec| Some(spec.priority) == change.priority)
            }
            (Control::Remove { job, .. }, Reply::Done) => self.live.seen(*job).is_none(),
            (Control::Remove { job, force }, Reply::Refused(Refusal::JobIsRunning(_))) => {
                !force && self.live.is_running(*job)
            }
            (Control::Pause { job, .. } | Control::Resume { job }, Reply::Refused(Refusal::JobHasEnded(_))) => {
                ended(*job)
            }
            (
                Control::Pause { job, .. }
                | Control::Resume { job }
                | Control::Change { job, .. }
                | Control::Remove { job, .. },
                Reply::Refused(Refusal::NoSuchJob(_)),
            ) => self.live.seen(*job).is_none(),
            (Control::Drain { worker }, Reply::Done) => self.live.is_drained(*worker),
            (Control::Undrain { worker }, Reply::Done) => !self.live.is_drained(*worker),
            (Control::Drain { worker } | Control::Undrain { worker }, Reply::Refused(Refusal::NoSuchWorker(_))) => {
                !self.workers.contains_key(worker)
            }
            _ => false,
        };
        demand!(is_true, "{reply:?} to {ask:?}");
        Ok(())
    }

    /// Whether a submission is refused for a reason.
    pub(super) fn refusal_is_true(&self, seen: Seen<'_>, refusal: &Refusal) -> bool {
        let Input::Submit { namespace, key, spec, meaning, .. } = seen.input else { return false };
        match refusal {
            Refusal::KeyIsTaken { job, differs } => self.live.seen(*job).is_some_and(|job| {
                let (Some(mine), Some(its)) = (meaning, job.meaning.as_deref()) else { return false };
                let (spec, inputs) = (mine.spec == its.spec, mine.inputs == its.inputs);
                let differ = match differs {
                    Differs::Spec => !spec && inputs,
                    Differs::Inputs => spec && !inputs,
                    Differs::Both => !spec && !inputs,
                    Differs::Somehow => false,
                };
                differ && job.key == *key && job.namespace == *namespace
            }),
            Refusal::KeyOfRemoved { job, until_ms } => self.live.tombstone(*job).is_some_and(|it| {
                let whose = it.key == *key && it.namespace == *namespace;
                whose && it.until_ms == *until_ms && *until_ms > seen.now.wall_ms
            }),
            Refusal::NoSuchJob(other) => self.live.seen(*other).is_none_or(|it| it.namespace != *namespace),
            Refusal::AfterEndedBadly(other) => self.live.seen(*other).is_some_and(|it| {
                it.state.has_ended() && it.state != JobState::Succeeded && spec.after.contains(other)
            }),
            _ => false,
        }
    }
}
