//! Whether this worker can run anything, and what keeps it from it.
//!
//! Whoever knows of a trouble reports it here, and takes it back when it is over. While there is one the worker says to its
//! coordinator that it has no slots, and why.

use std::{collections::BTreeMap, time::Duration};

use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

/// What can be reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum About {
    /// The runtime: whether a sandbox can be started.
    Runtime,
    /// The disk on which inputs and outputs are.
    Disk,
}

/// How a worker is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Condition {
    /// What keeps it from running anything; empty when nothing does.
    pub troubles: BTreeMap<About, String>,
    /// What people should know of how it runs things, such as bounds that are not kept.
    pub notes: Vec<String>,
}

impl Condition {
    /// What keeps it from running anything, in one line; nothing when nothing does.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let words: Vec<_> = self.troubles.values().map(String::as_str).collect();
        (!words.is_empty()).then(|| words.join("; "))
    }
}

/// How this worker is, and who has doubts.
#[derive(Debug)]
pub struct Fitness {
    condition: watch::Sender<Condition>,
    doubt: Notify,
    /// How often the runtime was tried.
    trials: watch::Sender<u64>,
}

impl Default for Fitness {
    fn default() -> Self {
        Self { condition: watch::Sender::default(), doubt: Notify::new(), trials: watch::Sender::new(0) }
    }
}

impl Fitness {
    /// There is this trouble, or it is over. Answers whether that is new.
    pub fn report(&self, about: About, trouble: Option<String>) -> bool {
        self.condition.send_if_modified(|condition| match trouble {
            Some(words) => condition.troubles.insert(about, words.clone()).is_none_or(|before| before != words),
            None => condition.troubles.remove(&about).is_some(),
        })
    }

    /// What people should know. Answers whether that is new.
    pub fn note(&self, notes: Vec<String>) -> bool {
        self.condition.send_if_modified(|condition| {
            let new = condition.notes != notes;
            condition.notes = notes;
            new
        })
    }

    /// How it is.
    #[must_use]
    pub fn condition(&self) -> Condition {
        self.condition.borrow().clone()
    }

    /// Whether nothing keeps it from running something.
    #[must_use]
    pub fn is_fit(&self) -> bool {
        self.condition.borrow().troubles.is_empty()
    }

    /// Changes when that does.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Condition> {
        self.condition.subscribe()
    }

    /// Something has failed for which the runtime may be to blame: it is tried.
    pub fn doubt(&self) {
        self.doubt.notify_one();
    }

    /// Waits for a doubt.
    pub async fn doubted(&self) {
        self.doubt.notified().await;
    }

    /// The runtime was tried, and what came of it reported.
    pub fn tried(&self) {
        self.trials.send_modify(|count| *count += 1);
    }

    /// Waits until the runtime was tried at all, but not for long.
    pub async fn known(&self, patience: Duration) {
        let mut trials = self.trials.subscribe();
        // Whoever does not know by then goes on without.
        let _ = timeout(patience, trials.wait_for(|count| *count > 0)).await;
    }

    /// Has the runtime tried, and answers whether it is fit, as far as is known in time.
    pub async fn make_sure(&self, patience: Duration) -> bool {
        let mut trials = self.trials.subscribe();
        trials.mark_unchanged();
        if self.is_fit() {
            self.doubt();
            let _ = timeout(patience, trials.changed()).await;
        }
        self.is_fit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_fit_when_no_trouble_is_left() {
        let fitness = Fitness::default();
        assert!(fitness.is_fit());
        assert!(fitness.report(About::Disk, Some("it is full".into())));
        assert!(fitness.report(About::Runtime, Some("no engine".into())));
        assert!(!fitness.report(About::Runtime, Some("no engine".into())), "nothing new");
        assert_eq!(fitness.condition().trouble().as_deref(), Some("no engine; it is full"));
        assert!(fitness.report(About::Runtime, None));
        assert!(!fitness.is_fit());
        assert!(fitness.report(About::Disk, None));
        assert!(fitness.is_fit());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_doubts_waits_for_the_trial() {
        let fitness = std::sync::Arc::new(Fitness::default());
        let tried = std::sync::Arc::clone(&fitness);
        tokio::spawn(async move {
            tried.doubted().await;
            tried.report(About::Runtime, Some("no engine".into()));
            tried.tried();
        });
        assert!(!fitness.make_sure(Duration::from_secs(3)).await);
        let alone = Fitness::default();
        assert!(alone.make_sure(Duration::from_secs(3)).await, "nobody tries it");
    }
}
