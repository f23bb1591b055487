//! Those who watch jobs.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Instant,
};

use longshore_core::{Core, JobId, JobView};
use tokio::sync::watch;

use super::handle::Views;
use crate::limits;

/// A job's view on its way to those who watch.
pub struct News {
    watcher: watch::Sender<Arc<JobView>>,
    view: Arc<JobView>,
}

impl News {
    /// Shows it.
    pub fn tell(self) {
        self.watcher.send_replace(self.view);
    }
}

/// Who watches which job. A job that has ended is watched by nobody: its last view is all there will be, until it is retried and
/// watched anew.
pub struct Watchers {
    jobs: HashMap<JobId, watch::Sender<Arc<JobView>>>,
    changed: BTreeSet<JobId>,
    told_at: Instant,
}

impl Watchers {
    /// Nobody watches.
    pub fn new() -> Self {
        Self { jobs: HashMap::new(), changed: BTreeSet::new(), told_at: Instant::now() }
    }

    /// Somebody wants to watch a job; `None` when there is no such job.
    pub fn watch(&mut self, core: &Core, job: JobId) -> Option<Views> {
        let view = Arc::new(core.job_view(job)?);
        if view.record.state.has_ended() {
            return Some(watch::Sender::new(view).subscribe());
        }
        let watcher = self.jobs.entry(job).or_insert_with(|| watch::Sender::new(Arc::clone(&view)));
        if watcher.receiver_count() == 0 {
            // Left by earlier watchers.
            watcher.send_replace(view);
        }
        Some(watcher.subscribe())
    }

    /// A job has changed.
    pub fn note(&mut self, job: JobId) {
        if self.jobs.contains_key(&job) {
            self.changed.insert(job);
        }
    }

    /// When changes shall be looked at, if there are any.
    pub fn due(&self) -> Option<Instant> {
        (!self.changed.is_empty()).then(|| self.told_at + limits::WATCH_PACE)
    }

    /// Looks at jobs that changed: at most ten times a second, but at once when a job has ended.
    pub fn look(&mut self, core: &Core) -> Vec<News> {
        if self.changed.is_empty() {
            return Vec::new();
        }
        let due = self.told_at.elapsed() >= limits::WATCH_PACE;
        let ended = |job: &JobId| core.ledger().job(*job).is_some_and(|job| job.record.state.has_ended());
        let now: Vec<JobId> = self.changed.iter().filter(|job| due || ended(job)).copied().collect();
        if due {
            self.told_at = Instant::now();
        }
        now.into_iter().filter_map(|job| self.news(core, job)).collect()
    }

    fn news(&mut self, core: &Core, job: JobId) -> Option<News> {
        self.changed.remove(&job);
        let watcher = self.jobs.remove(&job)?;
        if watcher.receiver_count() == 0 {
            return None;
        }
        let view = Arc::new(core.job_view(job)?);
        if !view.record.state.has_ended() {
            self.jobs.insert(job, watcher.clone());
        }
        Some(News { watcher, view })
    }
}

#[cfg(test)]
mod tests {
    use longshore_core::{Input, JobSpec, Namespace, Now, RequestId, Settings, StageSpec};

    use super::*;

    const JOB: JobId = JobId([1; 16]);

    fn core_with_job() -> Core {
        let mut core = Core::load(1, Settings::default(), Now::default(), []);
        let spec = JobSpec { stages: vec![StageSpec::default()], ..JobSpec::default() };
        let (request, namespace, key) = (RequestId(1), Namespace::default(), String::new());
        let submit = Input::Submit {
            request,
            job: JOB,
            namespace,
            key,
            spec,
            inputs: 1,
            groups: Vec::new(),
            detail: [0; 32],
            meaning: None,
        };
        core.step(Now::default(), submit);
        core
    }

    fn cancel(core: &mut Core) {
        core.step(Now::default(), Input::Cancel { request: RequestId(2), job: JOB, reason: String::new() });
    }

    #[test]
    fn whoever_watches_sees_the_end_and_then_nobody_is_left() {
        let mut core = core_with_job();
        let mut watchers = Watchers::new();
        assert!(watchers.watch(&core, JobId([9; 16])).is_none());
        let mut views = watchers.watch(&core, JOB).unwrap();
        assert!(!views.borrow_and_update().record.state.has_ended());
        cancel(&mut core);
        watchers.note(JOB);
        assert!(watchers.due().is_some());
        watchers.look(&core).into_iter().for_each(News::tell);
        assert!(views.has_changed().unwrap_or(true) && views.borrow().record.state.has_ended());
        assert!(watchers.jobs.is_empty() && watchers.due().is_none());
    }

    #[test]
    fn a_job_that_has_ended_can_be_looked_at_and_leaves_nothing_behind() {
        let mut core = core_with_job();
        cancel(&mut core);
        let mut watchers = Watchers::new();
        let views = watchers.watch(&core, JOB).unwrap();
        assert!(views.borrow().record.state.has_ended() && watchers.jobs.is_empty());
    }

    #[test]
    fn whoever_has_gone_is_forgotten_when_the_job_changes() {
        let core = core_with_job();
        let mut watchers = Watchers::new();
        drop(watchers.watch(&core, JOB));
        watchers.note(JOB);
        watchers.told_at -= limits::WATCH_PACE;
        assert!(watchers.look(&core).is_empty() && watchers.jobs.is_empty());
    }
}
