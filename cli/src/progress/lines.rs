//! Now and then a line: for logs and pipes.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use longshore_client::{
    UploadProgress, escape,
    outputs::FetchProgress,
    v1::{JobState, JobView, StageView},
};

use super::{at_work::at_work, lock::lock};
use crate::{amounts, printer::Printer, views};

/// Shortest time between two lines that say nothing but "further".
const PACE: Duration = Duration::from_secs(5);

/// Lines on standard error.
pub(super) struct Lines {
    printer: Printer,
    said: Mutex<Said>,
}

/// What was said last.
struct Said {
    at: Instant,
    turn: Turn,
}

/// What is worth a line at once: a stage that is done, a reason to wait, the end.
#[derive(Debug, Default, PartialEq, Eq)]
struct Turn {
    stages_done: usize,
    reason: String,
    ended: bool,
}

impl Lines {
    pub fn new(printer: Printer) -> Lines {
        Lines { printer, said: Mutex::new(Said { at: Instant::now(), turn: Turn::default() }) }
    }

    pub fn upload(&self, upload: UploadProgress) {
        if self.is_time() {
            self.printer.note(&format!(
                "upload: read {}/{} ({}), sent {}",
                amounts::count(upload.hashed),
                amounts::some(upload.inputs, "input"),
                amounts::bytes(upload.hashed_bytes),
                amounts::bytes(upload.sent_bytes)
            ));
        }
    }

    pub fn job(&self, job: &JobView) {
        let turn = turn(job);
        let turned = {
            let mut said = lock(&self.said);
            let turned = said.turn != turn;
            said.turn = turn;
            turned
        };
        if !turned && !self.is_time() {
            return;
        }
        lock(&self.said).at = Instant::now();
        for stage in job.stages.iter().filter(|stage| stage.items > 0) {
            self.printer.note(&stage_line(stage));
        }
        if job.state() == JobState::Running && !job.reason.is_empty() {
            self.printer.note(&format!("waiting: {}", escape::line(&job.reason)));
        }
    }

    pub fn fetched(&self, fetched: FetchProgress) {
        if self.is_time() {
            self.printer.note(&format!(
                "fetch: {}/{} ({})",
                amounts::count(fetched.fetched),
                amounts::some(fetched.files, "output"),
                amounts::bytes(fetched.bytes)
            ));
        }
    }

    /// Whether the last line is long enough ago; if so, this is the time of a new one.
    fn is_time(&self) -> bool {
        let mut said = lock(&self.said);
        let due = said.at.elapsed() >= PACE;
        if due {
            said.at = Instant::now();
        }
        due
    }
}

fn turn(job: &JobView) -> Turn {
    let done = |stage: &&StageView| stage.items_final && views::ended(stage) == stage.items;
    let ended = longshore_client::has_ended(job.state());
    Turn {
        stages_done: job.stages.iter().filter(done).count(),
        reason: if ended { String::new() } else { job.reason.clone() },
        ended,
    }
}

fn stage_line(stage: &StageView) -> String {
    let done = views::ended(stage);
    let more = if stage.items_final { "" } else { "+" };
    let mut line =
        format!("{}: {}/{}{more} done", escape::line(&stage.name), amounts::count(done), amounts::count(stage.items));
    let at_work = at_work(stage);
    if !at_work.is_empty() {
        line.push_str(&format!(", {at_work}"));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_is_done_and_what_is_at_work() {
        let stage = StageView {
            name: "count".to_owned(),
            items: 1_000,
            succeeded: 118,
            failed: 2,
            running: 4,
            ..StageView::default()
        };
        assert_eq!(stage_line(&stage), "count: 120/1,000+ done, 2 failed, 4 running");
    }

    #[test]
    fn the_end_of_a_stage_and_of_the_job_are_turns() {
        let mut job = JobView {
            state: JobState::Running.into(),
            stages: vec![StageView { items: 1, items_final: true, ..StageView::default() }],
            ..JobView::default()
        };
        let before = turn(&job);
        job.stages[0].running = 1;
        assert_eq!(turn(&job), before);
        job.stages[0].succeeded = 1;
        assert_ne!(turn(&job), before);
    }
}
