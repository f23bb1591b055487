//! Whether what people are shown adds up, agrees with what is kept and who holds what, and whether they hear of changes.

use std::collections::BTreeMap;

use longshore_core::{Core, JobId, Notice, Record, WorkerId};

use super::{
    check::{Check, demand},
    state::{Oracle, Seen, Shown},
};
use crate::world::count;

impl Oracle {
    /// Every job that runs or was touched is shown right, and watched changes are noticed.
    pub(super) fn views(&mut self, seen: Seen<'_>) -> Check {
        let touched = seen.out.records.iter().filter_map(|record| match record {
            Record::Job(job) if self.live.seen(job.id).is_some() => Some(job.id),
            _ => None,
        });
        let mut jobs: Vec<JobId> = touched.collect();
        jobs.extend(self.shown.keys());
        jobs.sort_unstable();
        jobs.dedup();
        for job in jobs {
            let shown = self.expected(job);
            let changed = self.shown.get(&job) != Some(&shown);
            let noticed = seen.out.notices.binary_search(&Notice::Job(job)).is_ok();
            demand!(!changed || noticed, "nobody hears that {job} changed to {shown:?}");
            if changed || noticed {
                self.view(seen.core, job, &shown)?;
            }
            if self.live.is_running(job) {
                let spent = count::is_spent(&count::stages(&self.live, job));
                // What is still to be put back by a retry is counted as it was.
                let retried = self.live.job(job).and_then(|kept| kept.retried.as_deref());
                let whole = retried.is_none_or(|retried| retried.next.is_none());
                demand!(!(spent && whole), "{job} runs but nothing of it is left");
                self.shown.insert(job, shown);
            } else {
                self.shown.remove(&job);
            }
        }
        Ok(())
    }

    /// Every job and worker is shown right.
    pub(super) fn all_views(&mut self, core: &Core) -> Check {
        let jobs = self.live.jobs().filter(|job| !job.state.is_going());
        let jobs: Vec<JobId> = jobs.map(|job| job.id).collect();
        for job in jobs {
            let shown = self.expected(job);
            self.view(core, job, &shown)?;
            if self.live.is_running(job) {
                self.shown.insert(job, shown);
            }
        }
        self.worker_views(core)
    }

    /// What has to be shown of a job.
    fn expected(&self, job: JobId) -> Vec<Shown> {
        let mut shown: Vec<Shown> = count::stages(&self.live, job)
            .iter()
            .map(|count| [count.items, 0, count.succeeded, count.failed])
            .collect();
        for item in self.holders.keys().filter(|item| item.job == job) {
            if let Some(stage) = shown.get_mut(usize::from(item.stage)) {
                stage[1] += 1;
            }
        }
        shown
    }

    fn view(&self, core: &Core, job: JobId, expected: &[Shown]) -> Check {
        let view = core.job_view(job).ok_or_else(|| format!("{job} is not shown"))?;
        demand!(Some(&view.record) == self.live.job(job), "{job} is shown as {:?}", view.record);
        let shown: Vec<Shown> = view.stages.iter().map(|it| [it.items, it.running, it.succeeded, it.failed]).collect();
        demand!(shown == expected, "{job} is shown as {shown:?}, is {expected:?}");
        for it in &view.stages {
            let sum = it.queued + it.running + it.succeeded + it.filtered + it.failed + it.backing_off;
            demand!(sum == it.items, "the counts of {job} do not add up: {it:?}");
            let woken = core.next_deadline_ms().is_some_and(|at| at <= self.due_ms);
            demand!(it.backing_off == 0 || woken, "nobody wakes the paused items of {job}: {it:?}");
        }
        Ok(())
    }

    fn worker_views(&self, core: &Core) -> Check {
        let mut held: BTreeMap<WorkerId, u64> = BTreeMap::new();
        for (_, worker) in self.holders.values() {
            *held.entry(*worker).or_default() += 1;
        }
        let views = core.worker_views();
        let known = self.workers.keys().copied();
        demand!(views.iter().map(|view| view.id).eq(known), "other workers are shown than there are");
        for view in views {
            let holds = held.remove(&view.id).unwrap_or(0);
            demand!(view.attempts == holds, "{} is shown with {}, holds {holds}", view.id, view.attempts);
            let connected = self.workers.get(&view.id).is_some_and(|known| known.connected);
            demand!(view.connected == connected, "{} is shown as {}", view.id, view.connected);
        }
        demand!(held.is_empty(), "workers that are not there hold {held:?}");
        Ok(())
    }
}
