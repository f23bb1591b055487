//! What happened to jobs lately, and what attempts write, for those who look and follow. Soft: what counts is in the records.

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use longshore_core::JobId;
use longshore_proto::v1::{JobEvent, JobEventKind, LogPiece};
use quick_cache::sync::Cache;
use tokio::sync::{broadcast, watch};

use crate::limits;

/// Something that happened, in which stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Position of the stage that it speaks of. Its name is for whoever shows it.
    pub stage: Option<u16>,
    /// But for the stage's name.
    pub event: JobEvent,
}

/// The newest events of each job.
pub struct Diary {
    pages: Cache<JobId, Arc<Page>>,
    tails: Mutex<HashMap<JobId, broadcast::Sender<Arc<LogPiece>>>>,
    /// How many are followed: so whoever reports results looks no further where nobody is.
    followed: AtomicUsize,
}

impl Default for Diary {
    fn default() -> Self {
        let pages = Cache::new(limits::DIARIES);
        Self { pages, tails: Mutex::default(), followed: AtomicUsize::default() }
    }
}

/// The newest events of a job.
pub struct Page {
    kept: Mutex<Kept>,
    count: watch::Sender<u64>,
}

#[derive(Default)]
struct Kept {
    newest: VecDeque<(u64, Entry)>,
    /// Failed attempts among them.
    failures: usize,
    /// How many there ever were.
    count: u64,
    lost_some: bool,
}

impl Diary {
    /// Something has happened to a job.
    pub fn note(&self, job: JobId, entry: Entry) {
        self.page(job).note(entry);
    }

    /// What is known of a job.
    pub fn page(&self, job: JobId) -> Arc<Page> {
        let made: Result<Arc<Page>, Infallible> = self.pages.get_or_insert_with(&job, || {
            let (kept, count) = (Mutex::default(), watch::Sender::new(0));
            Ok(Arc::new(Page { kept, count }))
        });
        let Ok(page) = made;
        page
    }

    /// What attempts of a job write, from now on; `None` while too many jobs are followed.
    pub fn follow(&self, job: JobId) -> Option<broadcast::Receiver<Arc<LogPiece>>> {
        let mut tails = self.tails();
        tails.retain(|_, tail| tail.receiver_count() > 0);
        let is_one_more = !tails.contains_key(&job);
        if is_one_more && tails.len() >= limits::FOLLOWED_JOBS {
            return None;
        }
        let follower = tails.entry(job).or_insert_with(|| broadcast::Sender::new(limits::LOG_PIECES)).subscribe();
        self.followed.store(tails.len(), Ordering::Relaxed);
        Some(follower)
    }

    /// An attempt of a job has ended; what it wrote is only asked for where somebody follows.
    pub fn tell(&self, job: JobId, piece: impl FnOnce() -> LogPiece) {
        if self.followed.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut tails = self.tails();
        let gone =
            tails.get(&job).is_some_and(|tail| tail.receiver_count() == 0 || tail.send(Arc::new(piece())).is_err());
        if gone {
            tails.remove(&job);
            self.followed.store(tails.len(), Ordering::Relaxed);
        }
    }

    fn tails(&self) -> MutexGuard<'_, HashMap<JobId, broadcast::Sender<Arc<LogPiece>>>> {
        self.tails.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Page {
    fn note(&self, entry: Entry) {
        let mut kept = self.kept();
        let is_failure = |entry: &Entry| entry.event.kind() == JobEventKind::AttemptFailed;
        if is_failure(&entry) {
            kept.failures += 1;
        }
        // Failures come in floods: they push out one another, and nothing else.
        let oldest = match kept.failures > limits::EVENT_FAILURES {
            true => kept.newest.iter().position(|(_, entry)| is_failure(entry)),
            false => (kept.newest.len() >= limits::EVENTS).then_some(0),
        };
        if let Some((_, gone)) = oldest.and_then(|at| kept.newest.remove(at)) {
            kept.failures -= usize::from(is_failure(&gone));
            kept.lost_some = true;
        }
        kept.count += 1;
        let count = kept.count;
        kept.newest.push_back((count, entry));
        drop(kept);
        self.count.send_replace(count);
    }

    /// The events behind this many, with how many there ever were, and whether any are not kept.
    pub fn behind(&self, count: u64) -> (Vec<Entry>, u64, bool) {
        let kept = self.kept();
        let newer = kept.newest.iter().filter(|(at, _)| *at > count).map(|(_, entry)| entry.clone());
        (newer.collect(), kept.count, kept.lost_some)
    }

    /// Changes with each event.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.count.subscribe()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: JobId = JobId([1; 16]);

    fn entry(kind: JobEventKind, at_ms: u64) -> Entry {
        Entry { stage: None, event: JobEvent { at_ms, kind: kind.into(), ..JobEvent::default() } }
    }

    fn times(page: &Page, count: u64) -> Vec<u64> {
        page.behind(count).0.iter().map(|entry| entry.event.at_ms).collect()
    }

    #[test]
    fn a_flood_of_failures_pushes_out_nothing_else_and_it_is_said_that_some_are_gone() {
        let diary = Diary::default();
        diary.note(JOB, entry(JobEventKind::Submitted, 0));
        let page = diary.page(JOB);
        assert!(!page.behind(0).2);
        for at_ms in 1..=1_000 {
            diary.note(JOB, entry(JobEventKind::AttemptFailed, at_ms));
        }
        let told = times(&page, 0);
        assert_eq!(
            (told[0], told[1], told.len()),
            (0, 1_001 - limits::EVENT_FAILURES as u64, limits::EVENT_FAILURES + 1)
        );
        assert_eq!((page.behind(0).1, page.behind(0).2), (1_001, true));
        assert_eq!(times(&page, 999), [999, 1_000], "only what is newer");
    }

    #[test]
    fn only_so_many_events_of_a_job_are_kept() {
        let diary = Diary::default();
        for at_ms in 1..=limits::EVENTS as u64 + 5 {
            diary.note(JOB, entry(JobEventKind::Retried, at_ms));
        }
        let told = times(&diary.page(JOB), 0);
        assert_eq!((told.len(), told[0]), (limits::EVENTS, 6));
    }

    #[test]
    fn what_attempts_write_is_told_to_whoever_follows_that_job_and_asked_for_nowhere_else() {
        let diary = Diary::default();
        diary.tell(JOB, || panic!("nobody follows"));
        let mut follower = diary.follow(JOB).unwrap();
        diary.tell(JobId([2; 16]), || panic!("nobody follows that one"));
        diary.tell(JOB, || LogPiece { missed: 7, ..LogPiece::default() });
        assert_eq!(follower.try_recv().unwrap().missed, 7);
        drop(follower);
        diary.tell(JOB, || panic!("nobody follows any more"));
        let many: Vec<_> = (0..limits::FOLLOWED_JOBS).map(|at| diary.follow(JobId([at as u8 + 3; 16]))).collect();
        assert!(many.iter().all(Option::is_some) && diary.follow(JOB).is_none());
        drop(many);
        assert!(diary.follow(JOB).is_some());
    }
}
