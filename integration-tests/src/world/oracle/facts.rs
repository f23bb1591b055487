//! Whether each record of a step may be written: against what was kept before it, and against the step's causes.

use longshore_core::{
    AttemptId, Blame, Input, ItemKey, JobRecord, JobState, OutcomeRecord, Record, ServiceRecord, TroubleRecord,
    WorkerId,
};

use super::{
    causes::{Cause, Causes},
    check::{Check, demand},
    state::{Oracle, Seen},
};
use crate::world::{count, coverage::Coverage};

/// Attempts that workers have to be told to stop.
pub(super) type Stops = Vec<(WorkerId, AttemptId)>;

impl Oracle {
    /// Checks and keeps every record. Answers which attempts have to be stopped because their jobs ended.
    pub(super) fn facts(
        &mut self,
        seen: Seen<'_>,
        mut causes: Causes,
        coverage: &mut Coverage,
    ) -> Result<Stops, String> {
        let mut stops = Stops::new();
        for record in &seen.out.records {
            self.fact(seen, record, &mut causes, coverage)?;
            self.live.keep(record);
            if let Record::Job(job) = record
                && job.state.has_ended()
            {
                self.fence_job(job, &mut stops);
            }
        }
        if let Some((item, cause)) = causes.iter().find(|(item, _)| self.live.is_running(item.job)) {
            return Err(format!("nothing was written of {item:?}: {cause:?}"));
        }
        Ok(stops)
    }

    fn fact(&mut self, seen: Seen<'_>, record: &Record, causes: &mut Causes, coverage: &mut Coverage) -> Check {
        match record {
            Record::Job(job) => self.job_may_be(seen.input, job, coverage),
            Record::Outcome(outcome) => self.outcome_may_be(outcome, causes, coverage),
            Record::Trouble(trouble) => {
                let pause_ms = self.longest_pause_ms(&trouble.item);
                self.due_ms = self.due_ms.max(seen.now.steady_ms + pause_ms);
                self.trouble_may_be(trouble, causes)
            }
            Record::OutcomeGone(item) => self.outcome_may_go(seen.input, item),
            Record::TroubleGone(item) => {
                demand!(self.live.trouble(item).is_some(), "no trouble of {item:?}");
                demand!(self.live.outcome(item).is_some(), "{item:?} has not ended");
                Ok(())
            }
            Record::Service(service) => self.service_may_be(seen.input, service, coverage),
            Record::Worker(worker) => {
                let said = matches!(seen.input, Input::Hello { worker: who, .. } if *who == worker.id);
                demand!(said, "{} did not say hello", worker.id);
                demand!(!self.live.is_revoked(worker.id), "{} was revoked and is here", worker.id);
                Ok(())
            }
            // Checked before all others.
            Record::WorkerGone(_) => Ok(()),
            Record::Token(_) | Record::TokenGone(_) | Record::Member(_) | Record::MemberGone(_) => {
                self.membership_may_be(seen, record, coverage)
            }
        }
    }

    fn longest_pause_ms(&self, item: &ItemKey) -> u64 {
        self.live
            .job(item.job)
            .and_then(|job| job.spec.stages.get(usize::from(item.stage)))
            .map_or(0, |stage| stage.backoff_ms.max(stage.max_backoff_ms))
            .max(self.settings.mishap_pause_ms.1)
    }

    fn job_may_be(&mut self, input: &Input, job: &JobRecord, coverage: &mut Coverage) -> Check {
        let id = job.id;
        let Some(before) = self.live.job(id) else {
            let asked =
                matches!(input, Input::Submit { job: it, namespace, .. } if *it == id && *namespace == job.namespace);
            demand!(asked, "nobody submitted {id}");
            demand!(job.state == JobState::Running, "{id} begins {:?}", job.state);
            let same = |other: &&JobRecord| !job.key.is_empty() && other.key == job.key;
            for other in self.live.jobs().filter(same) {
                demand!(other.namespace != job.namespace, "the key of {id} was known");
                coverage.saw("a key in two namespaces");
            }
            return Ok(());
        };
        let same = before.spec == job.spec && before.inputs == job.inputs && before.key == job.key;
        let same = same && before.namespace == job.namespace;
        demand!(same, "{id} is another job now");
        let counts = count::stages(&self.live, id);
        let failed: u64 = counts.iter().map(|count| count.failed).sum();
        let may = match (before.state, job.state) {
            (JobState::Running, JobState::Succeeded) => count::is_spent(&counts) && failed == 0,
            (JobState::Running, JobState::Failed) => count::is_spent(&counts) && failed > 0,
            (JobState::Running, JobState::Cancelled) => {
                coverage.saw("a job cancelled");
                matches!(input, Input::Cancel { job, .. } if *job == id)
            }
            (JobState::Failed | JobState::Cancelled, JobState::Running) => {
                coverage.saw("a job retried");
                self.promises.retried(id);
                matches!(input, Input::Retry { job, .. } if *job == id)
            }
            _ => false,
        };
        demand!(may, "{id} goes from {:?} to {:?} with {counts:?}", before.state, job.state);
        Ok(())
    }

    /// Nothing of an ended job commits any more.
    fn fence_job(&mut self, job: &JobRecord, stops: &mut Stops) {
        self.holders.retain(|item, (id, worker)| {
            if item.job == job.id {
                stops.push((*worker, *id));
            }
            item.job != job.id
        });
    }

    fn outcome_may_be(&self, outcome: &OutcomeRecord, causes: &mut Causes, coverage: &mut Coverage) -> Check {
        let item = &outcome.item;
        self.item_may_change(item)?;
        let cause =
            causes.remove(item).ok_or_else(|| format!("an outcome of {item:?} without a cause: {outcome:?}"))?;
        if !outcome.success {
            coverage.saw("an item given up");
            if cause == Cause::Suspect {
                coverage.saw("a suspect given up");
            }
            let detail = self.failure_detail(&cause, item)?;
            demand!(outcome.detail == detail, "{item:?} failed with other words");
            demand!(self.is_used_up(item, &cause), "{item:?} is given up early");
            demand!(outcome.outputs == 0, "{item:?} failed with outputs");
            return Ok(());
        }
        let Cause::Succeeded { outputs, detail } = cause else {
            return Err(format!("{item:?} succeeded by {cause:?}"));
        };
        if self.live.trouble(item).is_some() {
            coverage.saw("an item that succeeded after failures");
        }
        demand!(outcome.detail == detail, "{item:?} is another attempt's");
        demand!(outcome.outputs == outputs, "{item:?} has other outputs");
        let first_child = count::next_first_child(&self.live, item);
        demand!(
            outcome.first_child == first_child,
            "children of {item:?} begin at {} instead of {first_child}",
            outcome.first_child
        );
        Ok(())
    }

    pub(super) fn item_may_change(&self, item: &ItemKey) -> Check {
        demand!(self.live.is_running(item.job), "the job of {item:?} ended");
        demand!(self.live.outcome(item).is_none(), "{item:?} ended before");
        let items = self.items(item);
        demand!(item.index < items, "{item:?} is not one of {items}");
        Ok(())
    }

    /// How many items the item's stage has.
    pub(super) fn items(&self, item: &ItemKey) -> u64 {
        count::stages(&self.live, item.job).get(usize::from(item.stage)).map_or(0, |count| count.items)
    }

    fn failure_detail(&self, cause: &Cause, item: &ItemKey) -> Result<Vec<u8>, String> {
        match cause {
            Cause::Failed { detail, .. } => Ok(detail.clone()),
            Cause::Suspect | Cause::SuspectLater => Ok(Vec::new()),
            Cause::Succeeded { .. } => Err(format!("{item:?} failed by {cause:?}")),
        }
    }

    /// Failures, crashes and mishaps of the item, this cause counted in.
    fn counted(&self, item: &ItemKey, cause: &Cause) -> [u32; 3] {
        let mut counts =
            self.live.trouble(item).map_or([0; 3], |trouble| [trouble.failures, trouble.crashes, trouble.mishaps]);
        let at = match cause {
            Cause::Failed { blame: Blame::Item | Blame::Hopeless, .. } => 0,
            Cause::Failed { blame: Blame::Infrastructure, .. } => 2,
            _ => 1,
        };
        counts[at] += 1;
        counts
    }

    fn is_used_up(&self, item: &ItemKey, cause: &Cause) -> bool {
        let attempts = self
            .live
            .job(item.job)
            .and_then(|job| job.spec.stages.get(usize::from(item.stage)))
            .map_or(0, |stage| stage.attempts);
        let [failures, crashes, mishaps] = self.counted(item, cause);
        let hopeless = matches!(cause, Cause::Failed { blame: Blame::Hopeless, .. });
        hopeless || failures >= attempts || crashes >= self.settings.crashes || mishaps >= self.settings.mishaps
    }

    fn trouble_may_be(&self, trouble: &TroubleRecord, causes: &mut Causes) -> Check {
        let item = &trouble.item;
        self.item_may_change(item)?;
        let cause = causes.remove(item).ok_or_else(|| format!("a trouble of {item:?} without a cause"))?;
        let detail = self.failure_detail(&cause, item)?;
        demand!(trouble.detail == detail, "{item:?} failed with other words");
        let counted = self.counted(item, &cause);
        let kept = [trouble.failures, trouble.crashes, trouble.mishaps];
        demand!(kept == counted, "{item:?} has {counted:?}, kept is {kept:?}");
        let only_counted = cause == Cause::SuspectLater;
        demand!(only_counted || !self.is_used_up(item, &cause), "{item:?} goes on for ever");
        Ok(())
    }

    fn outcome_may_go(&self, input: &Input, item: &ItemKey) -> Check {
        let asked = matches!(input, Input::Retry { job, .. } if *job == item.job);
        demand!(asked, "nobody retried {item:?}");
        let failed = self.live.outcome(item).is_some_and(|it| !it.success);
        demand!(failed, "{item:?} had not failed");
        Ok(())
    }

    fn service_may_be(&self, input: &Input, service: &ServiceRecord, coverage: &mut Coverage) -> Check {
        let name = &service.name;
        let before = self.live.service(name);
        let generation = before.map_or(0, |before| before.generation);
        let exists = before.is_some_and(|before| before.plan.is_some());
        let may = match (input, &service.plan) {
            (Input::Deploy { name: asked, .. }, Some(_)) => {
                coverage.saw("a service deployed");
                asked == name && !exists && service.generation == generation + 1
            }
            (Input::Remove { name: asked, .. }, None) => {
                coverage.saw("a service removed");
                asked == name && exists && service.generation == generation
            }
            _ => false,
        };
        demand!(may, "{service:?} after {before:?}");
        Ok(())
    }
}
