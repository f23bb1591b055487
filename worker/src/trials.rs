//! The runtime is tried at the start, whenever somebody doubts it, and again and again until it works.

use std::{path::Path, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    contract::{names::open_directory, room::Room},
    fitness::{About, Fitness},
    pauses::Pauses,
    runtime::{ProbeError, Runtime},
};

/// First and longest pause before another try.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// After one that went well, doubts wait this long: what fails for its own reasons must not keep the engine busy.
const REST: Duration = Duration::from_secs(2);

/// Tries the runtime, with directories at `dir`, until it is time to leave; `fitness` is told what comes of it.
pub(crate) async fn keep_trying(
    runtime: Arc<dyn Runtime>,
    dir: &Path,
    fitness: Arc<Fitness>,
    leave: CancellationToken,
) {
    let mut pauses = Pauses::new(PAUSES.0, PAUSES.1);
    let mut is_known_bad = false;
    loop {
        // Not given up in the middle: what it has started it also removes.
        let tried = runtime.probe(dir).await;
        let is_well = tried.is_ok();
        match tried {
            Ok(notes) => {
                pauses.reset();
                if fitness.note(notes.clone()) {
                    tracing::warn!("this worker's engine: {}", notes.join("; "));
                }
                fitness.report(About::Runtime, None);
                if is_known_bad {
                    tracing::info!("the runtime works again: this worker takes work");
                }
            }
            Err(error) => {
                let words = match is_short(dir) {
                    // Whatever failed, failed for that.
                    true => ProbeError::Own(format!("their disk is full or read-only ({})", error.cause())).to_string(),
                    false => error.to_string(),
                };
                if fitness.report(About::Runtime, Some(words.clone())) {
                    tracing::error!("{words}; this worker takes no work until it can");
                } else {
                    tracing::debug!("{words}");
                }
            }
        }
        is_known_bad = !is_well;
        fitness.tried();
        let rest = async {
            match is_well {
                true => {
                    tokio::time::sleep(REST).await;
                    fitness.doubted().await;
                }
                false => tokio::time::sleep(pauses.next()).await,
            }
        };
        tokio::select! {
            () = rest => {}
            () = leave.cancelled() => return,
        }
    }
}

/// Whether the disk that a directory is on, or would be, has no room.
fn is_short(dir: &Path) -> bool {
    let opened = dir.ancestors().find_map(|dir| Some((open_directory(dir).ok()?, dir)));
    opened.is_some_and(|(handle, dir)| Room::new(handle, dir.to_owned()).shortage().is_some())
}
