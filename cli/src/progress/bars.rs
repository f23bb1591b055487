//! Bars on a terminal: one for the upload, one for each stage, one for the fetch.

use std::{fmt::Write, sync::Mutex};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use longshore_client::{
    UploadProgress, escape,
    outputs::FetchProgress,
    v1::{JobState, JobView, StageView},
};

use super::{at_work::at_work, lock::lock};
use crate::amounts;

/// Redraws a second.
const HERTZ: u8 = 10;

/// Columns of a stage's name; longer ones are cut.
const NAME_COLUMNS: usize = 16;

/// A stage: what is done, of how many, how fast, how long still.
const STAGE: &str = "{prefix:16} [{bar:24}] {human_pos}/{human_len} {rate:>9} {eta:>4} {wide_msg}";

/// An upload or a fetch.
const TRANSFER: &str = "{prefix:16} [{bar:24}] {human_pos}/{human_len} {wide_msg}";

/// Bars on standard error.
pub(super) struct Bars {
    all: MultiProgress,
    upload: Mutex<Option<ProgressBar>>,
    stages: Mutex<Vec<ProgressBar>>,
    reason: Mutex<Option<ProgressBar>>,
    fetch: Mutex<Option<ProgressBar>>,
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
            bars.push(self.add(&stage.name, STAGE));
        }
        for (bar, stage) in bars.iter().zip(&job.stages) {
            show(bar, stage);
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
        for bar in lock(&self.stages).drain(..) {
            bar.finish_and_clear();
        }
    }

    fn add(&self, name: &str, template: &str) -> ProgressBar {
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let style = style.with_key("rate", rate).progress_chars("=> ");
        let bar = ProgressBar::new(0).with_style(style);
        let short: String = escape::line(name).chars().take(NAME_COLUMNS).collect();
        self.all.add(bar.with_prefix(short))
    }
}

fn rate(state: &ProgressState, out: &mut dyn Write) {
    // What draws the bar has nowhere to put an error.
    let _ = write!(out, "{:.1}/s", state.per_sec());
}

fn show(bar: &ProgressBar, stage: &StageView) {
    bar.set_length(stage.items);
    bar.set_position(stage.succeeded + stage.failed);
    bar.set_message(at_work(stage));
}
