//! What of a stage waits, by what it waits for: counts, and one item of each, without walking over the items.

use super::queue::Queue;
use crate::{jobs::Job, stages::Stage};

/// How many items, and one of them, where it was found among few.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Few {
    pub items: u64,
    pub example: Option<u64>,
}

impl Few {
    fn of((items, example): (u64, Option<u64>)) -> Self {
        Self { items, example }
    }

    fn and(self, other: Self) -> Self {
        Self { items: self.items + other.items, example: self.example.or(other.example) }
    }
}

/// See the module. All together are the items that have not ended and are not under way.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// For a pause to end.
    pub pauses: Few,
    /// When the first and the last of those ends, steady milliseconds.
    pub pauses_end_ms: (u64, u64),
    /// For a worker on which they are alone.
    pub apart: Few,
    /// For any worker, by how often their memory has grown.
    pub anywhere: Vec<Few>,
    /// For a worker on which they have not failed, in the same way.
    pub elsewhere: Vec<Few>,
    /// When the first of those waits for anybody, steady milliseconds.
    pub patience_ends_ms: u64,
    /// To be begun, which they may not be yet.
    pub closed: Few,
}

/// What of stage `at` of a job that has not ended waits.
pub(crate) fn waiting(job: &Job, at: usize, queue: &Queue) -> Waiting {
    let mut waiting = Waiting::default();
    if let Some(((first_ms, index), last_ms)) = queue.pauses() {
        waiting.pauses = Few { items: queue.waiting(), example: Some(index) };
        waiting.pauses_end_ms = (first_ms, last_ms);
    }
    waiting.apart = Few { items: queue.suspects().count() as u64, example: queue.suspects().next() };
    waiting.anywhere = queue.ready().iter().map(|ready| Few::of(ready.anywhere())).collect();
    waiting.elsewhere = queue.ready().iter().map(|ready| Few::of(ready.elsewhere())).collect();
    waiting.patience_ends_ms = queue.next_patience_ms().unwrap_or_default();
    let listed = [waiting.pauses, waiting.apart].into_iter().chain(waiting.anywhere.iter().copied());
    let listed: u64 = listed.chain(waiting.elsewhere.iter().copied()).map(|few| few.items).sum();
    let ended = job.stage(at).map_or(0, Stage::ended);
    // What is left was never begun.
    let fresh = job.items(at).saturating_sub(ended + queue.live() + listed);
    let mut begins = Few { items: fresh, example: None };
    if fresh > 0 {
        begins.example = queue.fresh(job, at).next();
    }
    if fresh > 0 && !queue.is_open(job, at) {
        begins.items = fresh.min(queue.fresh(job, at).count() as u64);
        waiting.closed = Few { items: fresh - begins.items, example: None };
    }
    match waiting.anywhere.first_mut() {
        Some(first) => *first = first.and(begins),
        None => waiting.anywhere.push(begins),
    }
    waiting
}
