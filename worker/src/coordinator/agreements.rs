//! What workers agree on through the coordinator: which image of a registry's the items of a job run.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use longshore_proto::{ImageDigest, v1};
use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};

use crate::executor::Agree;

/// How long an answer is waited for: it is one round trip and one flush away, unless there is no link.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was asked and is not answered.
pub(crate) struct Agreements {
    open: Mutex<HashMap<([u8; 16], u32), Open>>,
    changes: watch::Sender<u64>,
}

struct Open {
    found: ImageDigest,
    waiting: Vec<oneshot::Sender<ImageDigest>>,
}

impl Default for Agreements {
    fn default() -> Self {
        Self { open: Mutex::default(), changes: watch::Sender::new(0) }
    }
}

impl Agree for Agreements {
    fn agree(&self, job: [u8; 16], stage: u32, found: ImageDigest) -> BoxFuture<'_, Option<ImageDigest>> {
        let (answer, answered) = oneshot::channel();
        let new = || Open { found, waiting: Vec::new() };
        self.lock().entry((job, stage)).or_insert_with(new).waiting.push(answer);
        self.changes.send_modify(|changes| *changes += 1);
        Box::pin(async { timeout(PATIENCE, answered).await.ok()?.ok() })
    }
}

impl Agreements {
    /// Something that changes whenever there is more to ask.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// What is to be asked, again on each link: somebody waits for the answers.
    pub(crate) fn open(&self) -> Vec<v1::ImageFound> {
        let mut open = self.lock();
        open.retain(|_, asked| {
            asked.waiting.retain(|waiting| !waiting.is_closed());
            !asked.waiting.is_empty()
        });
        let found = |(&(job, stage), asked): (&([u8; 16], u32), &Open)| v1::ImageFound {
            job_id: Bytes::copy_from_slice(&job),
            stage,
            digest: asked.found.to_wire(),
        };
        open.iter().map(found).collect()
    }

    /// The coordinator has answered.
    pub(crate) fn answered(&self, agreed: &v1::ImageAgreed) {
        let Ok(job) = agreed.job_id.as_ref().try_into() else { return };
        let Some(digest) = ImageDigest::from_wire(&agreed.digest) else { return };
        let asked = self.lock().remove(&(job, agreed.stage));
        for waiting in asked.into_iter().flat_map(|asked| asked.waiting) {
            // Whoever has waited for too long has gone.
            let _ = waiting.send(digest);
        }
    }

    /// The job has ended: nobody answers any more.
    pub(crate) fn forget_job(&self, job: [u8; 16]) {
        self.lock().retain(|(of, _), _| *of != job);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<([u8; 16], u32), Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: [u8; 16] = [3; 16];

    #[tokio::test]
    async fn all_who_wait_hear_what_was_agreed_on_and_it_is_asked_until_then() {
        let agreements = Agreements::default();
        let mut changes = agreements.changes();
        let first = agreements.agree(JOB, 1, ImageDigest([1; 32]));
        let second = agreements.agree(JOB, 1, ImageDigest([1; 32]));
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        for _link in 0..2 {
            let open = agreements.open();
            assert!(open.len() == 1 && open[0].stage == 1 && open[0].digest == vec![1; 32], "{open:?}");
        }
        let agreed = |stage| v1::ImageAgreed { job_id: JOB.to_vec().into(), stage, digest: vec![2; 32].into() };
        agreements.answered(&agreed(0));
        agreements.answered(&agreed(1));
        assert_eq!((first.await, second.await), (Some(ImageDigest([2; 32])), Some(ImageDigest([2; 32]))));
        assert!(agreements.open().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_the_answer_of_a_job_that_has_ended_or_for_ever() {
        let agreements = Agreements::default();
        let ended = agreements.agree(JOB, 0, ImageDigest([1; 32]));
        agreements.forget_job(JOB);
        assert_eq!(ended.await, None);
        assert_eq!(agreements.agree(JOB, 0, ImageDigest([1; 32])).await, None, "no answer");
        assert!(agreements.open().is_empty(), "nor asked on");
    }
}
