//! What happened to a job.

use longshore_client::{
    escape,
    v1::{JobEvent, JobEventKind},
};
use serde_json::{Value, json};

use crate::{amounts, printer::RowsView};

/// Events, as they come.
#[derive(Debug)]
pub struct EventRows(pub Vec<JobEvent>);

impl RowsView for EventRows {
    fn header(&self, _: bool) -> String {
        format!("{:<24}  EVENT", "TIME")
    }

    fn lines(&self, _: bool) -> Vec<String> {
        let line = |event: &JobEvent| {
            let at = amounts::moment(event.at_ms).unwrap_or_default();
            format!("{at:<24}  {}", escape::line(&sentence(event)))
        };
        self.0.iter().map(line).collect()
    }

    fn values(&self) -> Vec<Value> {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let value = |event: &JobEvent| {
            json!({
                "at": amounts::moment(event.at_ms),
                "event": word(event.kind()),
                "stage": text(&event.stage),
                "item": text(&event.item),
                "attempt": (event.attempt > 0).then_some(event.attempt),
                "worker": text(&event.worker),
                "message": text(&event.message),
                "count": event.count,
            })
        };
        self.0.iter().map(value).collect()
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|event| word(event.kind()).to_owned()).collect()
    }
}

fn word(kind: JobEventKind) -> &'static str {
    match kind {
        JobEventKind::Unspecified => "unknown",
        JobEventKind::Submitted => "submitted",
        JobEventKind::Began => "began",
        JobEventKind::AttemptFailed => "attempt-failed",
        JobEventKind::GivenUp => "given-up",
        JobEventKind::WorkerLost => "worker-lost",
        JobEventKind::StageEnded => "stage-ended",
        JobEventKind::Retried => "retried",
        JobEventKind::Cancelled => "cancelled",
        JobEventKind::Ended => "ended",
        JobEventKind::Paused => "paused",
        JobEventKind::Resumed => "resumed",
    }
}

fn sentence(event: &JobEvent) -> String {
    let JobEvent { stage, item, attempt, worker, message, count, .. } = event;
    match event.kind() {
        JobEventKind::Unspecified => "something that this program does not know".to_owned(),
        JobEventKind::Submitted => format!("submitted, with {}", amounts::some(*count, "input")),
        JobEventKind::Began => "began: its first items are with workers".to_owned(),
        JobEventKind::AttemptFailed => format!("{stage}: {item} (attempt {attempt} on {worker}): {message}"),
        JobEventKind::GivenUp => format!("{} given up for what went away under them", amounts::some(*count, "item")),
        JobEventKind::WorkerLost => format!("worker {worker} went away, with {} of it", amounts::some(*count, "item")),
        JobEventKind::StageEnded if *count == 0 => format!("stage {stage} ended"),
        JobEventKind::StageEnded => format!("stage {stage} ended; {} failed", amounts::some(*count, "item")),
        JobEventKind::Retried => format!("retried: {} to run", amounts::some(*count, "item")),
        JobEventKind::Cancelled => format!("cancelled: {message}"),
        JobEventKind::Paused if message.is_empty() => "paused: nothing more of it is given out".to_owned(),
        JobEventKind::Paused => format!("paused: {message}"),
        JobEventKind::Resumed => "resumed".to_owned(),
        JobEventKind::Ended if *count == 0 => "ended; everything succeeded".to_owned(),
        JobEventKind::Ended => format!("ended; {} failed", amounts::some(*count, "item")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_without_raw_bytes_and_one_value() {
        let event = JobEvent {
            at_ms: 1_500,
            kind: JobEventKind::AttemptFailed.into(),
            stage: "count".to_owned(),
            item: "a\n\u{1b}[2J".to_owned(),
            attempt: 2,
            worker: "w1".to_owned(),
            message: "exit code 3".to_owned(),
            ..JobEvent::default()
        };
        let rows = EventRows(vec![event]);
        let expected = "1970-01-01T00:00:01.500Z  count: a\\n\\x1b[2J (attempt 2 on w1): exit code 3";
        assert_eq!(rows.lines(false), [expected]);
        assert_eq!((&rows.values()[0]["event"], &rows.values()[0]["attempt"]), (&"attempt-failed".into(), &2.into()));
    }
}
