//! Which image a job's items run in: resolved once per job, so that all its items run the same bytes even when the name
//! moves on meanwhile, and the next job finds the new ones. What came from a registry is the same on all workers: they agree
//! on it before anything runs. What did not is what this engine has by that name.

use std::{
    convert::Infallible,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use longshore_proto::v1::Container;
use quick_cache::sync::Cache;

use crate::{
    runtime::{Image, ImageDigest, ImageError, ImageRequest, Runtime},
    work::Work,
};

/// After a failure nobody asks again for so long, and for twice as long after the next, up to the longest: a thousand items of a
/// bad image are not a thousand pulls.
const PAUSES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(30));

/// Most failures remembered as told.
const TOLD: usize = 1_024;

/// Most images remembered; jobs are forgotten long before.
const PINS: usize = 4_096;

/// A job, a reference, and the secret that is named for it.
type JobImage = ([u8; 16], String, String);

/// How workers agree on the image of a job.
pub(crate) trait Agree: Send + Sync {
    /// This one was found for a stage of a job; answers which it shall be, as the first to ask has found. `None` when there is
    /// no answer.
    fn agree(&self, job: [u8; 16], stage: u32, found: ImageDigest) -> BoxFuture<'_, Option<ImageDigest>>;
}

/// Images by job and reference.
pub(crate) struct Images {
    pins: Cache<JobImage, Pin>,
    /// What has been logged: once an image and cause.
    told: Cache<String, ()>,
    agree: OnceLock<Arc<dyn Agree>>,
}

#[derive(Clone)]
struct Pin {
    outcome: Result<Image, ImageError>,
    at: Instant,
    /// How often in a row it has failed.
    failures: u32,
}

impl Pin {
    fn holds(&self) -> bool {
        self.outcome.is_ok() || self.at.elapsed() < pause(self.failures)
    }
}

/// How long a failure is answered without asking, after so many in a row.
fn pause(failures: u32) -> Duration {
    (PAUSES.0 * 2_u32.saturating_pow(failures.saturating_sub(1).min(8))).min(PAUSES.1)
}

impl Default for Images {
    fn default() -> Self {
        Self { pins: Cache::new(PINS), told: Cache::new(TOLD), agree: OnceLock::new() }
    }
}

impl Images {
    /// From now on images that come from registries are agreed on so.
    pub(crate) fn agree_by(&self, agree: Arc<dyn Agree>) {
        // Once is enough: there is one coordinator.
        let _ = self.agree.set(agree);
    }

    /// The image of a container of this attempt's job. Who asks meanwhile waits for the same answer.
    pub(crate) async fn of(
        &self,
        runtime: &dyn Runtime,
        work: &Work,
        container: &Container,
    ) -> Result<Image, ImageError> {
        let key = (work.job, container.image.clone(), container.pull_secret.clone());
        let failures = self.pins.peek(&key).map_or(0, |pin| pin.failures);
        self.pins.remove_if(&key, |pin| !pin.holds());
        let resolved = self.pins.get_or_insert_async(&key, async {
            let asked = ImageRequest {
                namespace: Arc::clone(&work.namespace),
                digest: work.image,
                secret: work.secrets.pull_secret(container),
                ..ImageRequest::of(container.image.clone())
            };
            let outcome = self.agreed(runtime, work, asked).await;
            if let Err(error) = &outcome {
                self.tell(error);
            }
            let failures = if outcome.is_ok() { 0 } else { failures.saturating_add(1) };
            Ok::<_, Infallible>(Pin { outcome, at: Instant::now(), failures })
        });
        match resolved.await {
            Ok(pin) => pin.outcome,
            Err(never) => match never {},
        }
    }

    fn tell(&self, error: &ImageError) {
        let words = error.to_string();
        if self.told.peek(&words).is_none() {
            tracing::warn!("{words}");
            self.told.insert(words, ());
        }
    }

    async fn agreed(&self, runtime: &dyn Runtime, work: &Work, asked: ImageRequest) -> Result<Image, ImageError> {
        let image = runtime.resolve(&asked).await?;
        // A reference with a digest is one image for all already.
        let is_open = asked.digest.is_none() && !asked.reference.contains("sha256:");
        let (Some(found), Some(agree)) = (image.digest.filter(|_| is_open), self.agree.get()) else {
            return Ok(image);
        };
        let agreed = agree.agree(work.job, work.stage_index, found).await.ok_or_else(|| ImageError::Engine {
            reference: asked.reference.clone(),
            cause: "the coordinator has not said which of its images the job runs".to_owned(),
        })?;
        if agreed == found {
            return Ok(image);
        }
        tracing::info!(image = asked.reference, %found, %agreed, "a job runs another image than its name means here by now");
        runtime.resolve(&ImageRequest { digest: Some(agreed), ..asked }).await
    }

    /// Forgets a job's images.
    pub(crate) fn forget(&self, job: [u8; 16]) {
        self.pins.retain(|(of, ..), _| *of != job);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_fails_again_and_again_is_asked_less_and_less_often_but_asked() {
        let pauses = [1, 2, 3, 4, 5, u32::MAX].map(|failures| pause(failures).as_secs());
        assert_eq!(pauses, [5, 10, 20, 30, 30, 30]);
    }
}
