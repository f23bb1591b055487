//! Which image a job's items run in: resolved once per job, so that all its items here run the same bytes even when the
//! name moves on meanwhile, and the next job finds the new ones.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::runtime::{Image, ImageError, Runtime};

/// After a failure nobody asks again for so long: a thousand items of a bad image are not a thousand pulls.
const PAUSE: Duration = Duration::from_secs(5);

/// Most images remembered; jobs are forgotten long before.
const PINS: usize = 4_096;

type JobImage = ([u8; 16], String);

/// Images by job and reference.
#[derive(Default)]
pub(crate) struct Images {
    pins: Mutex<HashMap<JobImage, Pin>>,
}

struct Pin {
    outcome: Result<Image, ImageError>,
    at: Instant,
}

impl Images {
    /// The image of this name for this job.
    pub(crate) async fn of(&self, runtime: &dyn Runtime, job: [u8; 16], reference: &str) -> Result<Image, ImageError> {
        let key = (job, reference.to_owned());
        if let Some(known) = self.known(&key) {
            return known;
        }
        let outcome = runtime.resolve(reference).await;
        let mut pins = self.pins();
        if pins.len() >= PINS {
            pins.clear();
        }
        // Another slot may have been faster; what it found holds for the job.
        match pins.get(&key) {
            Some(Pin { outcome: Ok(image), .. }) => Ok(image.clone()),
            _ => {
                pins.insert(key, Pin { outcome: outcome.clone(), at: Instant::now() });
                outcome
            }
        }
    }

    /// Forgets a job's images.
    pub(crate) fn forget(&self, job: [u8; 16]) {
        self.pins().retain(|(of, _), _| *of != job);
    }

    fn known(&self, key: &JobImage) -> Option<Result<Image, ImageError>> {
        let pins = self.pins();
        let pin = pins.get(key)?;
        (pin.outcome.is_ok() || pin.at.elapsed() < PAUSE).then(|| pin.outcome.clone())
    }

    fn pins(&self) -> MutexGuard<'_, HashMap<JobImage, Pin>> {
        self.pins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
