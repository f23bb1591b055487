//! What happened to a job lately, and what its attempts write, for those who look and follow.

use std::sync::Arc;

use longshore_core::JobView;
use longshore_proto::v1::{self, JobEvent, JobEventKind};
use tokio::sync::{broadcast, mpsc};

use crate::{
    diary::{Entry, Page},
    drive::Views,
    error::Error,
    kept::submission::Submission,
};

type Pages = mpsc::Sender<Result<v1::EventsPage, Error>>;

/// Sends what is known, and, if there are views to follow, what happens until the job has ended.
pub async fn send_events(page: Arc<Page>, names: Arc<Submission>, view: JobView, follow: Option<Views>, out: Pages) {
    let mut changes = page.changes();
    let (entries, mut told, lost_some) = page.behind(0);
    let mut first = named(entries, &names);
    let record = &view.record;
    // What the records say of that which is not in memory.
    let older_missing = lost_some || first.first().is_none_or(|event| event.kind() != JobEventKind::Submitted);
    if !first.iter().any(|event| event.kind() == JobEventKind::Submitted) {
        first.insert(0, of_record(JobEventKind::Submitted, record.submitted_ms, record.inputs, ""));
    }
    let is_end = |event: &JobEvent| matches!(event.kind(), JobEventKind::Ended | JobEventKind::Cancelled);
    if record.ended_ms > 0 && !first.iter().rev().any(|event| is_end(event) && event.at_ms == record.ended_ms) {
        let failed = view.stages.iter().map(|stage| stage.failed).sum();
        let was_cancelled = super::views::state(record.state) == v1::JobState::Cancelled;
        let kind = if was_cancelled { JobEventKind::Cancelled } else { JobEventKind::Ended };
        first.push(of_record(kind, record.ended_ms, failed, &record.reason));
    }
    let older_missing = older_missing && view.stages.iter().any(|stage| stage.items > stage.queued);
    if out.send(Ok(v1::EventsPage { events: first, older_missing })).await.is_err() {
        return;
    }
    let Some(mut views) = follow.filter(|_| !record.state.has_ended()) else { return };
    loop {
        let has_ended = views.borrow_and_update().record.state.has_ended();
        let (entries, count, _) = page.behind(told);
        told = count;
        let mut events = named(entries, &names);
        // That was told already.
        events.retain(|event| event.kind() != JobEventKind::Submitted);
        if !events.is_empty() && out.send(Ok(v1::EventsPage { events, older_missing: false })).await.is_err() {
            return;
        }
        if has_ended {
            return;
        }
        tokio::select! {
            _ = changes.changed() => {}
            changed = views.changed() => if changed.is_err() {
                let _ = out.send(Err(crate::drive::Unanswered::Stopping.into())).await;
                return;
            },
            () = out.closed() => return,
        }
    }
}

fn of_record(kind: JobEventKind, at_ms: u64, count: u64, message: &str) -> JobEvent {
    JobEvent { at_ms, kind: kind.into(), count, message: message.to_owned(), ..JobEvent::default() }
}

/// With the names of their stages.
fn named(entries: Vec<Entry>, names: &Submission) -> Vec<JobEvent> {
    let named = |Entry { stage, mut event }: Entry| {
        let spec = stage.and_then(|at| names.stages().get(usize::from(at)));
        event.stage = spec.map_or(String::new(), |spec| spec.name.clone());
        event
    };
    entries.into_iter().map(named).collect()
}

/// Whose logs are wanted.
pub struct WantedLogs {
    /// Positions of the stages; none means all.
    pub stages: Vec<u32>,
    /// Paths of the items; none means all.
    pub paths: Vec<String>,
}

/// Sends what attempts write as they end, until the job has ended.
pub async fn send_logs(
    mut pieces: broadcast::Receiver<Arc<v1::LogPiece>>,
    mut views: Views,
    wanted: WantedLogs,
    out: mpsc::Sender<Result<v1::LogPiece, Error>>,
) {
    let mut missed = 0;
    let mut has_ended = views.borrow_and_update().record.state.has_ended();
    loop {
        let piece = match pieces.try_recv() {
            Ok(piece) => piece,
            Err(broadcast::error::TryRecvError::Lagged(more)) => {
                missed += more;
                continue;
            }
            Err(broadcast::error::TryRecvError::Closed) => return,
            // An end is told when it is durable: what led to it was reported before.
            Err(broadcast::error::TryRecvError::Empty) if has_ended => return,
            Err(broadcast::error::TryRecvError::Empty) => {
                tokio::select! {
                    piece = pieces.recv() => match piece {
                        Ok(piece) => piece,
                        Err(broadcast::error::RecvError::Lagged(more)) => {
                            missed += more;
                            continue;
                        }
                        Err(broadcast::error::RecvError::Closed) => return,
                    },
                    changed = views.changed() => {
                        if changed.is_err() && !has_ended {
                            let _ = out.send(Err(crate::drive::Unanswered::Stopping.into())).await;
                            return;
                        }
                        has_ended = views.borrow_and_update().record.state.has_ended();
                        continue;
                    }
                    () = out.closed() => return,
                }
            }
        };
        let item = piece.item.clone().unwrap_or_default();
        let is_wanted = (wanted.stages.is_empty() || wanted.stages.contains(&item.stage))
            && (wanted.paths.is_empty() || wanted.paths.contains(&item.path));
        if is_wanted {
            let piece = v1::LogPiece { missed: std::mem::take(&mut missed), ..(*piece).clone() };
            if out.send(Ok(piece)).await.is_err() {
                return;
            }
        }
    }
}
