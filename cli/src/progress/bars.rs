//! Bars on a terminal: one for the upload, one for each stage, one for the fetch.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use longshore_client::{
    UploadProgress, escape,
    outputs::FetchProgress,
    v1::{JobState, JobView, StageView},
};

use super::{at_work::at_work, lock::lock};
use crate::{amounts, views};

/// Redraws a second.
const HERTZ: u8 = 10;

/// Columns of a stage's name; longer ones are cut.
const NAME_COLUMNS: usize = 16;

/// A stage. What is written beside its bar has 50 of 80 columns.
const STAGE: &str = "{prefix:16} [{bar:10}] {wide_msg}";

/// From when on a rate is told: before that it says nothing.
const RATE_AFTER: Duration = Duration::from_secs(2);

/// An upload or a fetch.
const TRANSFER: &str = "{prefix:16} [{bar:24}] {human_pos}/{human_len} {wide_msg}";

/// Bars on standard error.
pub(super) struct Bars {
    all: MultiProgress,
    upload: Mutex<Option<ProgressBar>>,
    stages: Mutex<Vec<Shown>>,
    reason: Mutex<Option<ProgressBar>>,
    fetch: Mutex<Option<ProgressBar>>,
}

/// A stage's bar.
struct Shown {
    bar: ProgressBar,
    seen: Seen,
}

/// How far a stage was when it was first seen, by which a rate is worked out: what was done before nobody here has watched.
#[derive(Debug, Clone, Copy)]
struct Seen {
    ended: u64,
    at: Instant,
}

impl Bars {
    pub fn new() -> Bars {
        Bars {
            all: MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(HERTZ)),
            upload: Mutex::default(),
            stages: Mutex::default(),
            reason: Mutex::default(),
            fetch: Mutex::default(),
        }
    }

    pub fn upload(&self, upload: UploadProgress) {
        let mut bar = lock(&self.upload);
        let bar = bar.get_or_insert_with(|| self.add("upload", TRANSFER));
        bar.set_length(upload.inputs);
        // Two threads report, and the later report may arrive first.
        bar.set_position(bar.position().max(upload.hashed));
        bar.set_message(format!(
            "read {}, sent {}",
            amounts::bytes(upload.hashed_bytes),
            amounts::bytes(upload.sent_bytes)
        ));
    }

    pub fn uploaded(&self) {
        if let Some(bar) = lock(&self.upload).take() {
            bar.finish_and_clear();
        }
    }

    pub fn job(&self, job: &JobView) {
        let mut bars = lock(&self.stages);
        for stage in &job.stages[bars.len().min(job.stages.len())..] {
            let seen = Seen { ended: views::ended(stage), at: Instant::now() };
            bars.push(Shown { bar: self.add(&stage.name, STAGE), seen });
        }
        for (shown, stage) in bars.iter().zip(&job.stages) {
            show(&shown.bar, stage, shown.seen);
        }
        let waits = job.state() == JobState::Running && !job.reason.is_empty();
        self.reason(waits.then_some(&job.reason));
    }

    /// Why nothing runs now, on a line below the bars.
    fn reason(&self, reason: Option<&String>) {
        let mut line = lock(&self.reason);
        match reason {
            Some(text) => {
                let line = line.get_or_insert_with(|| self.add("", "{wide_msg}"));
                line.set_message(format!("waiting: {}", escape::line(text)));
            }
            None => {
                if let Some(line) = line.take() {
                    line.finish_and_clear();
                    self.all.remove(&line);
                }
            }
        }
    }

    pub fn fetched(&self, fetched: FetchProgress) {
        let mut bar = lock(&self.fetch);
        let bar = bar.get_or_insert_with(|| self.add("fetch", TRANSFER));
        bar.set_length(fetched.files);
        bar.set_position(fetched.fetched);
        bar.set_message(amounts::bytes(fetched.bytes));
    }

    /// Does `print` while the bars are out of the way.
    pub fn above(&self, print: impl FnOnce()) {
        self.all.suspend(print);
    }

    /// Takes all bars away.
    pub fn finish(&self) {
        self.uploaded();
        self.reason(None);
        if let Some(bar) = lock(&self.fetch).take() {
            bar.finish_and_clear();
        }
        for shown in lock(&self.stages).drain(..) {
            shown.bar.finish_and_clear();
        }
    }

    fn add(&self, name: &str, template: &str) -> ProgressBar {
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let style = style.progress_chars("=> ");
        let bar = ProgressBar::new(0).with_style(style);
        let short: String = escape::line(name).chars().take(NAME_COLUMNS).collect();
        self.all.add(bar.with_prefix(short))
    }
}

fn show(bar: &ProgressBar, stage: &StageView, seen: Seen) {
    // A bar of nothing looks full, and a stage that has not begun is not done.
    bar.set_length(if stage.items == 0 && !stage.items_final { 1 } else { stage.items });
    bar.set_position(views::ended(stage));
    bar.set_message(beside(stage, seen, seen.at.elapsed()));
}

/// What stands beside a bar: what is done, of how many, at what it is, how fast it goes and how long still.
fn beside(stage: &StageView, seen: Seen, watched: Duration) -> String {
    let ended = views::ended(stage);
    if stage.items == 0 && !stage.items_final {
        return "not begun".to_owned();
    }
    let more = if stage.items_final { "" } else { "+" };
    let mut text = format!("{}/{}{more}", amounts::count(ended), amounts::count(stage.items));
    let at_work = at_work(stage);
    if !at_work.is_empty() {
        text.push_str(&format!("  {at_work}"));
    }
    let since = ended.saturating_sub(seen.ended);
    if watched >= RATE_AFTER && since > 0 && ended < stage.items {
        let rate = since as f64 / watched.as_secs_f64();
        let left = Duration::from_secs_f64((stage.items - ended) as f64 / rate);
        text.push_str(&format!(
            "  {rate:.1}/s, {} left",
            humantime::format_duration(Duration::from_secs(left.as_secs()))
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(stage: &StageView, ended: u64, watched: u64) -> String {
        beside(stage, Seen { ended, at: Instant::now() }, Duration::from_secs(watched))
    }

    #[test]
    fn a_rate_is_of_what_was_seen_and_not_of_what_was_done_before() {
        let stage = StageView { items: 1_000, items_final: true, succeeded: 920, ..StageView::default() };
        assert_eq!(text(&stage, 900, 10), "920/1,000  2.0/s, 40s left");
        assert_eq!(text(&stage, 920, 10), "920/1,000");
        assert_eq!(text(&stage, 900, 1), "920/1,000");
    }

    #[test]
    fn what_has_not_begun_does_not_look_done() {
        let bar = ProgressBar::hidden();
        show(&bar, &StageView::default(), Seen { ended: 0, at: Instant::now() });
        assert_eq!((bar.position(), bar.length(), bar.message().as_str()), (0, Some(1), "not begun"));
    }

    #[test]
    fn what_failed_and_is_retried_stays_in_sight_at_80_columns() {
        let stage = StageView {
            items: 1_234_567,
            succeeded: 234_567,
            failed: 1_234,
            backing_off: 567,
            running: 64,
            ..StageView::default()
        };
        let columns = 80 - NAME_COLUMNS - " [..........] ".len();
        let seen: String = text(&stage, 0, 100).chars().take(columns).collect();
        assert!(seen.contains("1,234 failed, 567 retrying"), "{seen}");
    }
}
