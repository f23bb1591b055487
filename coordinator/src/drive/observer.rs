//! Sees what happens to jobs by how they change, so that nothing has to be said of it in the core.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Instant,
};

use longshore_core::{Core, JobId, JobState, JobView, StageView};
use longshore_proto::v1::{JobEvent, JobEventKind};

use crate::{
    diary::{Diary, Entry},
    limits,
};

/// How a job was when it was looked at last.
#[derive(Debug, Clone, Default)]
struct Seen {
    began: bool,
    ended: bool,
    stages: Vec<bool>,
    given_up: u64,
    paused: bool,
}

/// How jobs were when they were looked at last: some bytes for each.
pub struct Observer {
    seen: HashMap<JobId, Seen>,
    changed: BTreeSet<JobId>,
    looked_at: Instant,
}

impl Observer {
    /// Of jobs as they are after a start: what happened before is told by nobody.
    pub fn new(core: &Core) -> Self {
        let jobs = core.ledger().jobs().map(|job| job.record.id);
        let seen = jobs.filter_map(|job| Some((job, Seen::of(&core.job_view(job)?)))).collect();
        Self { seen, changed: BTreeSet::new(), looked_at: Instant::now() }
    }

    /// A job has changed.
    pub fn note(&mut self, job: JobId) {
        self.changed.insert(job);
    }

    /// When changes shall be looked at, if there are any.
    pub fn due(&self) -> Option<Instant> {
        (!self.changed.is_empty()).then(|| self.looked_at + limits::OBSERVE_PACE)
    }

    /// Looks at jobs that changed, some times a second, but at once when one is new, has not begun, or has ended. Answers what has happened to them, to be
    /// told when it is durable.
    pub fn look(&mut self, core: &Core, now_ms: u64) -> Vec<(JobId, Entry)> {
        if self.changed.is_empty() {
            return Vec::new();
        }
        let due = self.looked_at.elapsed() >= limits::OBSERVE_PACE;
        let ended = |job: &JobId| core.ledger().job(*job).is_none_or(|job| job.record.state.has_ended());
        // One that goes on again may have ended again before the next look.
        let is_new = |job: &JobId| self.seen.get(job).is_none_or(|seen| !seen.began || seen.ended);
        let at_once = |job: &&JobId| due || ended(job) || is_new(job);
        let now: Vec<JobId> = self.changed.iter().filter(at_once).copied().collect();
        if due {
            self.looked_at = Instant::now();
        }
        let mut happened = Vec::new();
        for job in now {
            self.changed.remove(&job);
            let Some(view) = core.job_view(job) else {
                self.seen.remove(&job);
                continue;
            };
            let events = self.compare(job, &view, now_ms);
            happened.extend(events.into_iter().map(|entry| (job, entry)));
        }
        happened
    }

    fn compare(&mut self, job: JobId, view: &JobView, now_ms: u64) -> Vec<Entry> {
        let record = &view.record;
        let mut events = Vec::new();
        let mut push = |kind, stage, at_ms, count, message: &str| {
            let event =
                JobEvent { at_ms, kind: i32::from(kind), count, message: message.to_owned(), ..JobEvent::default() };
            events.push(Entry { stage, event });
        };
        let before = self.seen.get(&job).cloned().unwrap_or_else(|| {
            push(JobEventKind::Submitted, None, record.submitted_ms, record.inputs, "");
            Seen::default()
        });
        let now = Seen::of(view);
        let waiting = |stage: &StageView| stage.queued + stage.running + stage.backing_off;
        if before.ended && !now.ended {
            push(JobEventKind::Retried, None, now_ms, view.stages.iter().map(waiting).sum(), "");
        }
        if now.began && !before.began {
            push(JobEventKind::Began, None, now_ms, 0, "");
        }
        match (before.paused, &record.paused) {
            (false, Some(pause)) => push(JobEventKind::Paused, None, pause.since_ms, 0, &pause.why),
            (true, None) if !now.ended => push(JobEventKind::Resumed, None, now_ms, 0, ""),
            _ => {}
        }
        if now.given_up > before.given_up {
            push(JobEventKind::GivenUp, None, now_ms, now.given_up - before.given_up, "");
        }
        let had_ended = before.stages.iter().copied().chain(std::iter::repeat(false));
        for (at, ((stage, ended), before)) in (0_u16..).zip(view.stages.iter().zip(&now.stages).zip(had_ended)) {
            if *ended && !before {
                push(JobEventKind::StageEnded, Some(at), now_ms, stage.failed, "");
            }
        }
        if now.ended && !before.ended {
            let failed = view.stages.iter().map(|stage| stage.failed).sum();
            let kind = if record.state == JobState::Cancelled { JobEventKind::Cancelled } else { JobEventKind::Ended };
            push(kind, None, record.ended_ms, failed, &record.reason);
        }
        self.seen.insert(job, now);
        events
    }
}

impl Seen {
    fn of(view: &JobView) -> Self {
        let waits = |stage: &StageView| stage.queued + stage.running + stage.backing_off > 0;
        let is_over = |stage: &StageView| stage.is_final && stage.items > 0 && !waits(stage);
        let has_begun = |stage: &StageView| stage.running + stage.backing_off + stage.succeeded + stage.failed > 0;
        Self {
            began: view.stages.iter().any(has_begun),
            ended: view.record.state.has_ended(),
            stages: view.stages.iter().map(is_over).collect(),
            given_up: view.given_up,
            paused: view.record.paused.is_some(),
        }
    }
}

/// Tells what happened.
pub fn tell(diary: &Arc<Diary>, happened: Vec<(JobId, Entry)>) {
    for (job, entry) in happened {
        diary.note(job, entry);
    }
}

/// A worker went away that had items of a job.
pub fn lost(worker: String, count: u64, at_ms: u64) -> Entry {
    let event = JobEvent { at_ms, kind: JobEventKind::WorkerLost.into(), worker, count, ..JobEvent::default() };
    Entry { stage: None, event }
}

#[cfg(test)]
mod tests {
    use longshore_core::{Input, JobSpec, Namespace, Now, RequestId, Settings, StageSpec};

    use super::*;

    const JOB: JobId = JobId([1; 16]);

    fn now(ms: u64) -> Now {
        Now { steady_ms: ms, wall_ms: ms }
    }

    fn submit(core: &mut Core) {
        let spec = JobSpec { stages: vec![StageSpec::default()], ..JobSpec::default() };
        let (request, namespace, key) = (RequestId(1), Namespace::default(), String::new());
        core.step(
            now(5),
            Input::Submit {
                request,
                job: JOB,
                namespace,
                key,
                spec,
                inputs: 3,
                groups: Vec::new(),
                detail: [0; 32],
                meaning: None,
            },
        );
    }

    fn kinds(observer: &mut Observer, core: &Core) -> Vec<(JobEventKind, u64, u64)> {
        observer.note(JOB);
        observer.looked_at -= limits::OBSERVE_PACE;
        let happened = observer.look(core, 9);
        happened.iter().map(|(_, entry)| (entry.event.kind(), entry.event.at_ms, entry.event.count)).collect()
    }

    #[test]
    fn a_submission_its_end_and_a_retry_are_seen_once_each() {
        let mut core = Core::load(1, Settings::default(), Now::default(), []);
        let mut observer = Observer::new(&core);
        submit(&mut core);
        assert_eq!(kinds(&mut observer, &core), [(JobEventKind::Submitted, 5, 3)]);
        assert_eq!(kinds(&mut observer, &core), []);
        core.step(now(7), Input::Cancel { request: RequestId(2), job: JOB, reason: "enough".to_owned() });
        assert_eq!(kinds(&mut observer, &core), [(JobEventKind::Cancelled, 7, 0)]);
        core.step(now(8), Input::Retry { request: RequestId(3), job: JOB, only: None });
        assert_eq!(kinds(&mut observer, &core), [(JobEventKind::Retried, 9, 3)]);
    }

    #[test]
    fn what_was_there_at_the_start_is_not_told_as_new() {
        let mut core = Core::load(1, Settings::default(), Now::default(), []);
        submit(&mut core);
        let mut observer = Observer::new(&core);
        assert_eq!(kinds(&mut observer, &core), []);
    }
}
