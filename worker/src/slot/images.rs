//! Which image a job's items run in: resolved once per job, so that all its items here run the same bytes even when the
//! name moves on meanwhile, and the next job finds the new ones.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use quick_cache::sync::Cache;

use crate::runtime::{Image, ImageError, Runtime};

/// After a failure nobody asks again for so long: a thousand items of a bad image are not a thousand pulls.
const PAUSE: Duration = Duration::from_secs(5);

/// Most images remembered; jobs are forgotten long before.
const PINS: usize = 4_096;

type JobImage = ([u8; 16], String);

/// Images by job and reference.
pub(crate) struct Images {
    pins: Cache<JobImage, Pin>,
}

#[derive(Clone)]
struct Pin {
    outcome: Result<Image, ImageError>,
    at: Instant,
}

impl Pin {
    fn holds(&self) -> bool {
        self.outcome.is_ok() || self.at.elapsed() < PAUSE
    }
}

impl Default for Images {
    fn default() -> Self {
        Self { pins: Cache::new(PINS) }
    }
}

impl Images {
    /// The image of this name for this job. Who asks meanwhile waits for the same answer.
    pub(crate) async fn of(&self, runtime: &dyn Runtime, job: [u8; 16], reference: &str) -> Result<Image, ImageError> {
        let key = (job, reference.to_owned());
        self.pins.remove_if(&key, |pin| !pin.holds());
        let resolved = self.pins.get_or_insert_async(&key, async {
            let outcome = runtime.resolve(reference).await;
            Ok::<_, Infallible>(Pin { outcome, at: Instant::now() })
        });
        match resolved.await {
            Ok(pin) => pin.outcome,
            Err(never) => match never {},
        }
    }

    /// Forgets a job's images.
    pub(crate) fn forget(&self, job: [u8; 16]) {
        self.pins.retain(|(of, _), _| *of != job);
    }
}
