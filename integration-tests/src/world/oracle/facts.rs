//! Whether each record of a step may be written: against what was kept before it, and against the step's causes.

use std::collections::BTreeSet;

use longshore_core::{
    AttemptId, Blame, Breaker, Control, Cut, Fault, FaultClass, FaultRule, HaltAt, Input, ItemKey, JobId, JobRecord,
    JobState, OutcomeRecord, Record, ServiceRecord, StageSpec, TroubleRecord, WorkerId,
};

use super::{
    causes::{Cause, Causes},
    check::{Check, demand},
    control::is_asked,
    state::{Oracle, Seen},
};
use crate::world::{count, coverage::Coverage, flow::Flow};

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
        let mut put_back = BTreeSet::new();
        for record in &seen.out.records {
            self.fact(seen, record, &mut causes, coverage)?;
            self.live.keep(record);
            if let Record::OutcomeGone(item) = record {
                put_back.insert(item.job);
            }
            if let Record::Job(job) = record
                && (job.state.has_ended() || job.paused.as_ref().is_some_and(|paused| paused.stop))
            {
                self.fence_job(job, &mut stops);
            }
        }
        put_back.into_iter().try_for_each(|job| self.nothing_is_made_of_less(job))?;
        if let Some((item, cause)) = causes.iter().find(|(item, _)| self.live.is_running(item.job)) {
            return Err(format!("nothing was written of {item:?}: {cause:?}"));
        }
        Ok(stops)
    }

    fn fact(&mut self, seen: Seen<'_>, record: &Record, causes: &mut Causes, coverage: &mut Coverage) -> Check {
        match record {
            Record::Job(job) => self.job_may_be(seen, job, coverage),
            Record::Outcome(outcome) => self.outcome_may_be(outcome, causes, coverage),
            Record::Trouble(trouble) => {
                let pause_ms = self.longest_pause_ms(&trouble.item);
                self.due_ms = self.due_ms.max(seen.now.steady_ms + pause_ms);
                self.trouble_may_be(trouble, causes)
            }
            Record::OutcomeGone(item) => self.outcome_may_go(seen.input, item),
            Record::Groups(groups) => {
                let asked = matches!(seen.input, Input::Submit { job, .. } if *job == groups.job);
                demand!(asked, "nobody has said which groups {} has", groups.job);
                coverage.saw("a job with groups");
                Ok(())
            }
            Record::Withdrawn(withdrawn) => self.may_be_withdrawn(seen, &withdrawn.item, coverage),
            Record::TroubleGone(item) => {
                demand!(self.live.trouble(item).is_some(), "no trouble of {item:?}");
                let ended = self.live.outcome(item).is_some();
                demand!(ended || self.may_go_back(seen.input, item.job), "{item:?} has not ended");
                Ok(())
            }
            Record::Image(image) => {
                let said = matches!(seen.input, Input::Image { job, stages, .. } if *job == image.job && stages.contains(&image.stage));
                demand!(said, "nobody has found an image for stage {} of {}", image.stage, image.job);
                demand!(
                    self.live.image(image.job, image.stage).is_none(),
                    "another image was agreed on for {}",
                    image.job
                );
                coverage.saw("an image agreed on");
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
            Record::ItemsGone(_)
            | Record::JobGone { .. }
            | Record::Tombstone(_)
            | Record::TombstoneGone(_)
            | Record::Drain(_)
            | Record::DrainGone(_) => self.control_may_be(seen, record, coverage),
            Record::Secret(secret) => {
                let asked = match seen.input {
                    Input::PutSecret { name, version, .. } => *name == secret.name && *version == secret.version,
                    Input::RemoveSecret { name, .. } => *name == secret.name && secret.sealed.is_none(),
                    _ => false,
                };
                demand!(asked, "nobody asked for secret {}", secret.name);
                Ok(())
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

    fn job_may_be(&mut self, seen: Seen<'_>, job: &JobRecord, coverage: &mut Coverage) -> Check {
        let (id, input) = (job.id, seen.input);
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
            self.key_is_free(seen, job)?;
            self.waits_for_what_runs(job)?;
            return Ok(());
        };
        if job.state == JobState::Removing {
            let before = before.clone();
            return self.job_may_go(seen, &before, job, coverage);
        }
        let changed = is_asked(input, |ask| matches!(ask, Control::Change { job, .. } if *job == id));
        let same = changed || before.spec == job.spec;
        let same = same && before.inputs == job.inputs && before.key == job.key && before.meaning == job.meaning;
        let same = same && before.namespace == job.namespace;
        demand!(same, "{id} is another job now");
        let counts = count::stages(&self.live, id);
        let failed: u64 = counts.iter().map(|count| count.failed).sum();
        let whole = before.retried.as_ref().is_none_or(|retried| retried.next.is_none());
        let may = match (before.state, job.state) {
            (JobState::Running, JobState::Running) if before.cut != job.cut => {
                before.cut.is_none() && self.may_be_cut(seen, job, &counts, coverage)?
            }
            (JobState::Running, JobState::Succeeded) => whole && count::is_spent(&counts) && failed == 0,
            (JobState::Running, JobState::Failed) if job.cut.is_some() => {
                // A deadline ends also what is to end for something else.
                let overdue = job.spec.deadline_ms > 0 && matches!(input, Input::Tick);
                let halts = job.cut == Some(Cut::Halt) && job.spec.halt.is_some_and(|halt| halt.now);
                let at_once = overdue || halts;
                let runs = self.holders.keys().any(|item| item.job == id);
                before.cut == job.cut && (at_once || !runs)
            }
            (JobState::Running, JobState::Failed) => whole && count::is_spent(&counts) && failed > 0,
            (JobState::Running, JobState::Cancelled) => {
                coverage.saw("a job cancelled");
                matches!(input, Input::Cancel { job, .. } if *job == id)
                    || is_asked(input, |ask| matches!(ask, Control::Remove { job, force: true } if *job == id))
                    || self.can_never_run(before)
            }
            (JobState::Failed | JobState::Cancelled, JobState::Running) => {
                coverage.saw("a job retried");
                self.promises.retried(id);
                job.cut.is_none() && matches!(input, Input::Retry { job, .. } if *job == id)
            }
            (JobState::Running, JobState::Running) => {
                self.terms_may_be(seen, before, job, coverage)?;
                true
            }
            (before, after) if before == after => changed,
            _ => false,
        };
        demand!(may, "{id} goes from {:?} to {:?} with {counts:?}", before.state, job.state);
        Ok(())
    }

    /// Whether the job may be said to end before its items, for that.
    fn may_be_cut(
        &self,
        seen: Seen<'_>,
        job: &JobRecord,
        counts: &[count::Count],
        coverage: &mut Coverage,
    ) -> Result<bool, String> {
        let failed: u64 = counts.iter().map(|count| count.failed).sum();
        let stage = |at: u16| job.spec.stages.get(usize::from(at)).zip(counts.get(usize::from(at)));
        let (what, may) = match job.cut.ok_or_else(|| format!("{} is written for nothing", job.id))? {
            Cut::Halt => (
                "a job that halts",
                match job.spec.halt.map(|halt| halt.at) {
                    None => false,
                    Some(HaltAt::Items(items)) => failed >= items,
                    Some(HaltAt::Percent(percent)) => {
                        counts.iter().any(|it| it.failed >= 3 && it.failed * 100 >= it.items * u64::from(percent))
                    }
                },
            ),
            // The clock of a coordinator that has started again may have jumped in between.
            Cut::Deadline => ("a deadline that is over", job.spec.deadline_ms > 0 && matches!(seen.input, Input::Tick)),
            Cut::QueueTimeout => (
                "a job that waited for too long",
                job.spec.queue_timeout_ms > 0 && !self.holders.keys().any(|item| item.job == job.id),
            ),
            // Here every worker has every image.
            Cut::Image { .. } => ("an image that nobody gets", false),
            Cut::Canary { stage: at } => (
                "a canary that failed",
                stage(at).is_some_and(|(spec, count)| {
                    let ended = count.succeeded + count.filtered + count.failed;
                    count.failed > 0 && ended <= u64::from(spec.canary)
                }),
            ),
            Cut::Breaker { stage: at } => (
                "a breaker that opened",
                stage(at).is_some_and(|(spec, count)| {
                    let well = count.succeeded + count.filtered;
                    spec.breaker != Breaker::Off && well * 100 < (well + count.failed).max(1)
                }),
            ),
        };
        coverage.saw(what);
        Ok(may)
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
            if matches!(cause, Cause::Suspect(_)) {
                coverage.saw("a suspect given up");
            }
            demand!(
                outcome.given_up.is_some() == self.is_poison(item, &cause),
                "{item:?} is given up for something else"
            );
            if let Some(given_up) = &outcome.given_up {
                demand!(given_up.attempts == outcome.tries, "{item:?} was tried {given_up:?}");
            }
            let tries = self.counted(item, &cause).iter().sum::<u32>() + self.earlier(item);
            demand!(outcome.tries == tries, "{item:?} was tried {tries} times, kept is {}", outcome.tries);
            let detail = self.failure_detail(&cause, item)?;
            demand!(outcome.detail == detail, "{item:?} failed with other words");
            demand!(self.is_used_up(item, &cause), "{item:?} is given up early");
            demand!(outcome.outputs == 0, "{item:?} failed with outputs");
            let tries_left = self.counted(item, &cause)[0] < self.stage_of(item).map_or(0, |stage| stage.attempts);
            let own = matches!(cause, Cause::Failed { blame: Blame::Item, .. });
            demand!(outcome.spared == (own && tries_left), "{item:?} is spared tries: {}", outcome.spared);
            if outcome.spared {
                coverage.saw("a failure that is not tried again");
            }
            return Ok(());
        }
        demand!(outcome.filtered == self.is_filtered(item, &cause), "{item:?} was filtered: {}", outcome.filtered);
        if outcome.filtered {
            coverage.saw("an item filtered");
            demand!(outcome.outputs == 0 && outcome.first_child == 0, "{item:?} was filtered with outputs");
            demand!(outcome.detail == self.failure_detail(&cause, item)?, "{item:?} was filtered with other words");
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
        demand!(self.has(item), "there is no {item:?}");
        Ok(())
    }

    /// Whether there is such an item.
    pub(super) fn has(&self, item: &ItemKey) -> bool {
        Flow::of(&self.live, item.job).has(item)
    }

    /// Whether failed items of the job are being put back.
    fn may_go_back(&self, input: &Input, job: JobId) -> bool {
        let asked = matches!(input, Input::Retry { job: asked, .. } if *asked == job);
        let retried = self.live.job(job).and_then(|job| job.retried.as_deref());
        asked || (matches!(input, Input::Tick) && retried.is_some_and(|retried| retried.next.is_some()))
    }

    /// A success is withdrawn because it was made of less than there will be, or of what is withdrawn with it: by the end of the step
    /// there is no such item, or nothing is made of less. What lacked nothing stays.
    fn may_be_withdrawn(&mut self, seen: Seen<'_>, item: &ItemKey, coverage: &mut Coverage) -> Check {
        demand!(self.may_go_back(seen.input, item.job), "nobody retried what {item:?} was made of");
        let ended_well = self.live.outcome(item).is_some_and(|outcome| outcome.success);
        demand!(ended_well, "{item:?} is withdrawn and had not succeeded");
        let flow = Flow::of(&self.live, item.job);
        let gathers = self.stage_of(item).is_some_and(|stage| stage.kind.gathers());
        demand!(!gathers || !flow.has(item), "{item:?} is withdrawn, which lacked nothing");
        coverage.saw("a success withdrawn");
        self.promises.settled.remove(item);
        Ok(())
    }

    /// What is kept of the job is of items that are there: no result was made of less than there will be.
    fn nothing_is_made_of_less(&self, job: JobId) -> Check {
        let flow = Flow::of(&self.live, job);
        let stages = self.live.job(job).map_or(0, |job| job.spec.stages.len());
        for stage in 0..u16::try_from(stages).unwrap_or(u16::MAX) {
            for outcome in self.live.outcomes(job, stage).filter(|outcome| outcome.success) {
                demand!(flow.has(&outcome.item), "{:?} was made of less than there will be", outcome.item);
            }
        }
        Ok(())
    }

    fn failure_detail(&self, cause: &Cause, item: &ItemKey) -> Result<Vec<u8>, String> {
        match cause {
            Cause::Failed { detail, .. } => Ok(detail.clone()),
            Cause::Suspect(_) | Cause::SuspectLater(_) => Ok(Vec::new()),
            Cause::Succeeded { .. } => Err(format!("{item:?} failed by {cause:?}")),
        }
    }

    /// Failures, losses of slots, those of workers that speak against it, others, and mishaps of the item, this cause counted in.
    fn counted(&self, item: &ItemKey, cause: &Cause) -> Counts {
        let before = self.live.trouble(item);
        let mut counts = before.map_or([0; 5], counts);
        let at = match cause {
            Cause::Failed { blame: Blame::Item | Blame::Hopeless, .. } | Cause::Succeeded { .. } => 0,
            Cause::Failed { blame: Blame::Slot, .. } => 1,
            Cause::Failed { blame: Blame::Infrastructure, .. } => 4,
            Cause::Suspect(fall) | Cause::SuspectLater(fall) => {
                let last = before.and_then(|trouble| trouble.losses.on.last()).map(|on| on.worker);
                let elsewhere = last.is_some_and(|last| last != fall.worker);
                let certain = fall.proven && (last.is_none() || !fall.others);
                if fall.alone && (elsewhere || certain) { 2 } else { 3 }
            }
        };
        counts[at] += 1;
        counts
    }

    /// Whether workers have gone down with the item so often that it is to run alone.
    pub(super) fn is_suspect(&self, item: &ItemKey) -> bool {
        let most = self.stage_of(item).map_or(0, |stage| stage.attempts.max(stage.losses)).max(3);
        self.live.trouble(item).is_some_and(|it| it.losses.workers + it.losses.others + 1 >= most)
    }

    fn stage_of(&self, item: &ItemKey) -> Option<&StageSpec> {
        self.live.job(item.job).and_then(|job| job.spec.stages.get(usize::from(item.stage)))
    }

    fn is_used_up(&self, item: &ItemKey, cause: &Cause) -> bool {
        let attempts = self.stage_of(item).map_or(0, |stage| stage.attempts);
        let [failures, _, _, _, mishaps] = self.counted(item, cause);
        self.is_over(item, cause)
            || failures >= attempts
            || mishaps >= self.settings.mishaps
            || self.is_poison(item, cause)
    }

    /// Whether the stage says that such a failure is not tried again.
    fn is_over(&self, item: &ItemKey, cause: &Cause) -> bool {
        let Some(policy) = self.stage_of(item).map(|stage| &stage.policy) else { return false };
        match cause {
            // Rules of the world are about exit codes alone.
            Cause::Failed { blame: Blame::Hopeless, .. } => true,
            Cause::Failed { blame: Blame::Item, fault, .. } => {
                let on = policy.on.iter().any(|rule| has_code(rule, fault));
                let never = policy.never.iter().any(|rule| has_code(rule, fault));
                never || !policy.on.is_empty() && !on
            }
            _ => false,
        }
    }

    /// Whether the stage says that such a failure is none.
    fn is_filtered(&self, item: &ItemKey, cause: &Cause) -> bool {
        let filter = self.stage_of(item).map(|stage| &stage.policy.filter);
        match (cause, filter) {
            (Cause::Failed { blame: Blame::Item, fault, .. }, Some(filter)) => {
                filter.iter().any(|rule| has_code(rule, fault))
            }
            _ => false,
        }
    }

    /// Whether too much went away under it. One lost worker alone is never too much.
    fn is_poison(&self, item: &ItemKey, cause: &Cause) -> bool {
        let most = self.stage_of(item).map_or(0, |stage| stage.attempts.max(stage.losses));
        let [_, slots, workers, ..] = self.counted(item, cause);
        slots + workers >= most && (workers == 0 || slots + workers >= 2)
    }

    fn trouble_may_be(&self, trouble: &TroubleRecord, causes: &mut Causes) -> Check {
        let item = &trouble.item;
        let is_put_back = counts(trouble) == [0; 5] && self.live.trouble(item).is_none();
        if is_put_back && self.live.job(item.job).is_some_and(|job| job.retried.is_some()) {
            demand!(trouble.earlier > 0 && trouble.growths == 0, "{item:?} is put back with {trouble:?}");
            demand!(self.live.outcome(item).is_none(), "{item:?} is put back and has ended");
            // A gather of which inputs are put back too is there again when these have ended.
            let gathers = self.stage_of(item).is_some_and(|stage| stage.kind.gathers());
            demand!(gathers || self.has(item), "there is no {item:?} to be put back");
            return Ok(());
        }
        self.item_may_change(item)?;
        demand!(trouble.earlier == self.earlier(item), "{item:?} was tried before, {} times", trouble.earlier);
        let cause = causes.remove(item).ok_or_else(|| format!("a trouble of {item:?} without a cause"))?;
        let detail = self.failure_detail(&cause, item)?;
        demand!(trouble.detail == detail, "{item:?} failed with other words");
        let counted = self.counted(item, &cause);
        let kept = counts(trouble);
        demand!(kept == counted, "{item:?} has {counted:?}, kept is {kept:?}");
        let only_counted = matches!(cause, Cause::SuspectLater(_));
        demand!(only_counted || !self.is_used_up(item, &cause), "{item:?} goes on for ever");
        demand!(!self.is_filtered(item, &cause), "{item:?} had nothing in it, and goes on");
        Ok(())
    }

    /// How often it was tried before it was put back.
    pub(super) fn earlier(&self, item: &ItemKey) -> u32 {
        self.live.trouble(item).map_or(0, |trouble| trouble.earlier)
    }

    fn outcome_may_go(&self, input: &Input, item: &ItemKey) -> Check {
        let asked = matches!(input, Input::Retry { job, .. } if *job == item.job);
        let retried = self.live.job(item.job).and_then(|job| job.retried.as_deref());
        let goes_on = matches!(input, Input::Tick) && retried.is_some_and(|retried| retried.next.is_some());
        demand!(asked || goes_on, "nobody retried {item:?}");
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

fn has_code(rule: &FaultRule, fault: &Fault) -> bool {
    fault.class == FaultClass::Exit && rule.codes.0 <= fault.code && fault.code <= rule.codes.1
}

/// Failures, losses of slots, those of workers that speak against it, others, and mishaps.
type Counts = [u32; 5];

fn counts(trouble: &TroubleRecord) -> Counts {
    let losses = &trouble.losses;
    [trouble.failures, losses.slots, losses.workers, losses.others, trouble.mishaps]
}
