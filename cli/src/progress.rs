//! Progress, on standard error: bars on a terminal, now and then a line otherwise, nothing with `--quiet`.

mod at_work;
mod bars;
mod lines;
mod lock;

use std::sync::{Arc, Mutex};

use longshore_client::{
    ProgressFn,
    outputs::FetchProgress,
    v1::{ItemFailure, JobView},
};

use self::{bars::Bars, lines::Lines, lock::lock};
use crate::{printer::Printer, summary, views};

/// Failed attempts shown as they happen; a job with more has its summary.
const FAILURES_SHOWN: usize = 20;

/// Lines of standard error shown with each.
const STDERR_LINES: usize = 3;

/// Shows how far an upload, a job and a fetch are.
pub struct Progress {
    printer: Printer,
    display: Display,
    failures: Mutex<Failures>,
}

enum Display {
    Bars(Arc<Bars>),
    Lines(Arc<Lines>),
    Quiet,
}

/// Which failed attempts have been shown.
#[derive(Debug, Default)]
struct Failures {
    /// Those of the view before. A view has the newest few, so what is in neither was never seen.
    before: Vec<(u32, u64, u32)>,
    shown: usize,
}

impl Progress {
    /// Bars, lines or nothing, as the printer's standard error has it.
    pub fn new(printer: &Printer) -> Progress {
        Progress {
            printer: printer.clone(),
            display: match (printer.quiet(), printer.draws_progress()) {
                (true, _) => Display::Quiet,
                (false, true) => {
                    let bars = Arc::new(Bars::new());
                    let drawn = bars.clone();
                    printer.draws(move |print| drawn.above(print));
                    Display::Bars(bars)
                }
                (false, false) => Display::Lines(Arc::new(Lines::new(printer.clone()))),
            },
            failures: Mutex::default(),
        }
    }

    /// What an upload is to call.
    pub fn upload(&self) -> ProgressFn {
        match &self.display {
            Display::Bars(bars) => {
                let bars = bars.clone();
                Arc::new(move |upload| bars.upload(upload))
            }
            Display::Lines(lines) => {
                let lines = lines.clone();
                Arc::new(move |upload| lines.upload(upload))
            }
            Display::Quiet => Arc::new(|_| {}),
        }
    }

    /// The upload is over.
    pub fn uploaded(&self, text: &str) {
        if let Display::Bars(bars) = &self.display {
            bars.uploaded();
        }
        self.say(text);
    }

    /// The job's newest view.
    pub fn job(&self, job: &JobView) {
        for text in self.new_failures(job) {
            self.say(&text);
        }
        match &self.display {
            Display::Bars(bars) => bars.job(job),
            Display::Lines(lines) => lines.job(job),
            Display::Quiet => {}
        }
    }

    /// How far the fetch is.
    pub fn fetched(&self, fetched: FetchProgress) {
        match &self.display {
            Display::Bars(bars) => bars.fetched(fetched),
            Display::Lines(lines) => lines.fetched(fetched),
            Display::Quiet => {}
        }
    }

    /// Says something in passing, above the bars if there are any.
    pub fn say(&self, text: &str) {
        self.printer.note(text);
    }

    /// Says something that must not be missed.
    pub fn warn(&self, text: &str) {
        self.printer.warn(text);
    }

    /// Takes the bars away.
    pub fn finish(&self) {
        if let Display::Bars(bars) = &self.display {
            bars.finish();
        }
    }

    fn new_failures(&self, job: &JobView) -> Vec<String> {
        let key = |failure: &ItemFailure| (failure.stage, failure.index, failure.attempt);
        let mut failures = lock(&self.failures);
        let mut texts = Vec::new();
        for failure in &job.recent_failures {
            if failures.before.contains(&key(failure)) || failures.shown > FAILURES_SHOWN {
                continue;
            }
            failures.shown += 1;
            texts.push(match failures.shown > FAILURES_SHOWN {
                true => "further failed attempts are not shown one by one".to_owned(),
                false => failure_text(job, failure),
            });
        }
        failures.before = job.recent_failures.iter().map(key).collect();
        texts
    }
}

fn failure_text(job: &JobView, failure: &ItemFailure) -> String {
    let log = failure.failure.as_ref().map_or(&[][..], |failure| &failure.stderr_tail);
    let text = format!("failed: {}\n{}", views::failure_line(job, failure), summary::last_lines(log, STDERR_LINES));
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use longshore_client::v1::Failure;

    use super::*;
    use crate::printer::Format;

    fn job(failures: &[u64]) -> JobView {
        let failure = |index: &u64| ItemFailure {
            index: *index,
            path: format!("item-{index}"),
            attempt: 1,
            failure: Some(Failure {
                message: "exit code 1".to_owned(),
                stderr_tail: b"1\n2\n3\n4\x1b[0m\n".as_slice().into(),
                ..Failure::default()
            }),
            ..ItemFailure::default()
        };
        JobView { recent_failures: failures.iter().map(failure).collect(), ..JobView::default() }
    }

    fn progress() -> Progress {
        Progress::new(&Printer::new(Format::Table, true))
    }

    #[test]
    fn each_failed_attempt_is_shown_once_with_the_end_of_its_log() {
        let progress = progress();
        let first = progress.new_failures(&job(&[1, 2]));
        assert_eq!(first.len(), 2);
        assert_eq!(first[0], "failed: 0: item-1 (attempt 1): exit code 1\n    | 2\n    | 3\n    | 4\\x1b[0m");
        assert_eq!(progress.new_failures(&job(&[1, 2, 3])).len(), 1);
        assert!(progress.new_failures(&job(&[2, 3])).is_empty());
    }

    #[test]
    fn a_flood_of_failures_is_cut_off() {
        let progress = progress();
        let all: usize = (0..100).map(|i| progress.new_failures(&job(&[i])).len()).sum();
        assert_eq!(all, FAILURES_SHOWN + 1);
    }
}
