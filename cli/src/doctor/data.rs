//! A data directory, looked through without changing it.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use longshore_coordinator::{Finding, InspectProgress, Probe, StoreOptions, inspect};

use super::check::{Check, bad, good};
use crate::{interrupt::Interrupt, printer::Printer};

/// Redraws a second.
const HERTZ: u8 = 10;

/// Bytes read, of how many, how fast, how long still.
const READING: &str = "reading [{bar:24}] {bytes}/{total_bytes} {bytes_per_sec:>12} {eta:>4}";

/// Checks of the coordinator's part of a data directory; whether Ctrl-C ended them early.
pub async fn look(dir: &Path, printer: &Printer) -> Result<(Vec<Check>, bool)> {
    let dir = dir.join("coordinator");
    let scratch = tempfile::tempdir().context("cannot make a temporary directory for a copy of the store")?;
    let stopped = Arc::new(AtomicBool::new(false));
    let bar = match printer.draws_progress() && !printer.quiet() {
        true => ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(HERTZ)),
        false => ProgressBar::hidden(),
    };
    bar.set_style(ProgressStyle::with_template(READING).context("the progress bar is malformed")?);
    let (stop, drawn) = (Arc::clone(&stopped), bar.clone());
    let go_on = move |progress: InspectProgress| {
        drawn.set_length(progress.total);
        drawn.set_position(progress.read);
        !stop.load(Ordering::Relaxed)
    };
    let looking = tokio::task::spawn_blocking(move || {
        let mut go_on = go_on;
        let options = StoreOptions { probe: Probe::Child, ..StoreOptions::default() };
        inspect(&dir, scratch.path(), &options, &mut go_on)
    });
    let interrupt = Interrupt::listen();
    tokio::pin!(looking);
    let findings = tokio::select! {
        findings = &mut looking => findings,
        () = interrupt.typed() => {
            stopped.store(true, Ordering::Relaxed);
            looking.await
        }
    };
    bar.finish_and_clear();
    let findings = findings.context("looking through the directory has panicked")?;
    Ok((findings.into_iter().flat_map(checks).collect(), stopped.load(Ordering::Relaxed)))
}

fn checks(finding: Finding) -> Vec<Check> {
    let Finding { part, found, problems } = finding;
    if problems.is_empty() {
        return vec![good(part, found)];
    }
    let advice = |problem: &str| match part {
        "directory" => "name the directory that `longshore up` was given with --data",
        "coordinator" => "stop it first: what it writes meanwhile cannot be looked through",
        "format" | "records" => "",
        "copy of the store" => "make room for it, or let TMPDIR name a directory where there is some",
        _ if problem.starts_with("not all were read") => "run it again",
        _ => "restore a backup of the whole directory, or start once with --accept-data-loss",
    };
    problems.into_iter().map(|problem| bad(part, problem.clone(), advice(&problem))).collect()
}
