//! Jobs.

use longshore_client::{
    escape,
    v1::{Failure, FailureClass, ItemFailure, JobState, JobView, StageKind, StageView},
};
use serde_json::{Value, json};

use super::namespace;
use crate::{
    amounts,
    printer::{Values, View},
    table,
};

/// All jobs.
#[derive(Debug)]
pub struct JobList(pub Vec<JobView>);

impl View for JobList {
    fn text(&self) -> String {
        let now = amounts::now_ms();
        let row = |job: &JobView| {
            [
                job.job_id.clone(),
                job.name.clone(),
                state_word(job.state()).to_owned(),
                progress_of(job),
                amounts::count(job.stages.iter().map(|stage| stage.failed).sum()),
                amounts::age(job.submitted_ms, now),
                amounts::took(length_ms(job, now)),
            ]
        };
        if self.0.iter().all(|job| namespace::shown(&job.namespace).is_empty()) {
            return table::table(["ID", "NAME", "STATE", "DONE", "FAILED", "AGE", "TOOK"], self.0.iter().map(row));
        }
        let row = |job: &JobView| {
            let [id, name, state, done, failed, age, took] = row(job);
            [id, job.namespace.clone(), name, state, done, failed, age, took]
        };
        table::table(["ID", "NAMESPACE", "NAME", "STATE", "DONE", "FAILED", "AGE", "TOOK"], self.0.iter().map(row))
    }

    fn values(&self) -> Values {
        Values::Many(self.0.iter().map(value).collect())
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|job| job.job_id.clone()).collect()
    }
}

/// One job.
#[derive(Debug)]
pub struct JobDetail(pub JobView);

impl View for JobDetail {
    fn text(&self) -> String {
        let job = &self.0;
        let mut text = table::facts([
            ("id", job.job_id.clone()),
            ("namespace", namespace::shown(&job.namespace)),
            ("name", job.name.clone()),
            ("state", state_word(job.state()).to_owned()),
            ("reason", job.reason.clone()),
            ("submitted", amounts::moment(job.submitted_ms).unwrap_or_default()),
            ("ended", amounts::moment(job.ended_ms).unwrap_or_default()),
            ("took", amounts::took(length_ms(job, amounts::now_ms()))),
        ]);
        text.push_str("\n\n");
        text.push_str(&stages(&job.stages));
        if !job.recent_failures.is_empty() {
            text.push_str("\n\nnewest failed attempts:\n");
            for failure in &job.recent_failures {
                text.push_str(&format!("  {}\n", failure_line(job, failure)));
            }
        }
        text
    }

    fn values(&self) -> Values {
        Values::One(value(&self.0))
    }

    fn names(&self) -> Vec<String> {
        vec![self.0.job_id.clone()]
    }
}

fn stages(stages: &[StageView]) -> String {
    table::table(
        ["STAGE", "IMAGE", "ITEMS", "QUEUED", "RUNNING", "RETRYING", "SUCCEEDED", "FAILED"],
        stages.iter().map(|stage| {
            [
                stage.name.clone(),
                stage.image.clone(),
                items(stage),
                amounts::count(stage.queued),
                amounts::count(stage.running),
                amounts::count(stage.backing_off),
                amounts::count(stage.succeeded),
                amounts::count(stage.failed),
            ]
        }),
    )
}

/// How many items a stage has; a plus says that there may be more.
fn items(stage: &StageView) -> String {
    let more = if stage.items_final { "" } else { "+" };
    amounts::count(stage.items) + more
}

/// Items that have ended, of how many, over all stages.
pub fn progress_of(job: &JobView) -> String {
    let ended: u64 = job.stages.iter().map(|stage| stage.succeeded + stage.failed).sum();
    let known: u64 = job.stages.iter().map(|stage| stage.items).sum();
    let more = if job.stages.iter().all(|stage| stage.items_final) { "" } else { "+" };
    format!("{}/{}{more}", amounts::count(ended), amounts::count(known))
}

/// A state in one word.
pub fn state_word(state: JobState) -> &'static str {
    match state {
        JobState::Unspecified => "unknown",
        JobState::Running => "running",
        JobState::Succeeded => "succeeded",
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
    }
}

/// One failed attempt in one line, escaped.
pub fn failure_line(job: &JobView, failure: &ItemFailure) -> String {
    let stage = job.stages.get(failure.stage as usize);
    let stage = stage.map_or_else(|| failure.stage.to_string(), |stage| stage.name.clone());
    let message = failure.failure.as_ref().map_or("", |failure| failure.message.as_str());
    escape::line(&format!("{stage}: {} (attempt {}): {message}", failure.path, failure.attempt))
}

fn length_ms(job: &JobView, now_ms: u64) -> u64 {
    let end = if job.ended_ms > 0 { job.ended_ms } else { now_ms };
    end.saturating_sub(job.submitted_ms)
}

fn value(job: &JobView) -> Value {
    json!({
        "id": job.job_id,
        "namespace": job.namespace,
        "name": job.name,
        "state": state_word(job.state()),
        "reason": job.reason,
        "submitted": amounts::moment(job.submitted_ms),
        "ended": amounts::moment(job.ended_ms),
        "took_s": length_ms(job, amounts::now_ms()) as f64 / 1_000.0,
        "stages": job.stages.iter().map(stage_value).collect::<Vec<_>>(),
        "recent_failures": job.recent_failures.iter().map(item_failure_value).collect::<Vec<_>>(),
    })
}

fn stage_value(stage: &StageView) -> Value {
    json!({
        "name": stage.name,
        "kind": match stage.kind() {
            StageKind::Gather => "gather",
            StageKind::Map | StageKind::Unspecified => "map",
        },
        "image": stage.image,
        "items": stage.items,
        "items_final": stage.items_final,
        "queued": stage.queued,
        "running": stage.running,
        "backing_off": stage.backing_off,
        "succeeded": stage.succeeded,
        "failed": stage.failed,
        "failed_attempts": stage.failed_attempts,
    })
}

fn item_failure_value(failed: &ItemFailure) -> Value {
    json!({
        "stage": failed.stage,
        "index": failed.index,
        "path": failed.path,
        "attempt": failed.attempt,
        "failure": failed.failure.as_ref().map(failure_value),
    })
}

fn failure_value(failure: &Failure) -> Value {
    json!({
        "class": class_word(failure.class()),
        "code": failure.code,
        "message": failure.message,
        "stderr_tail": String::from_utf8_lossy(&failure.stderr_tail),
    })
}

fn class_word(class: FailureClass) -> &'static str {
    match class {
        FailureClass::Unspecified => "unknown",
        FailureClass::Exit => "exit",
        FailureClass::Signal => "signal",
        FailureClass::OutOfMemory => "out-of-memory",
        FailureClass::Timeout => "timeout",
        FailureClass::Image => "image",
        FailureClass::Command => "command",
        FailureClass::Output => "output",
        FailureClass::SlotLost => "slot-lost",
        FailureClass::Infrastructure => "infrastructure",
        FailureClass::Refused => "refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> JobView {
        JobView {
            job_id: "0a1b".to_owned(),
            name: "count\u{1b}[2J".to_owned(),
            state: JobState::Failed.into(),
            submitted_ms: 1_000,
            ended_ms: 3_500,
            stages: vec![StageView {
                name: "count".to_owned(),
                items: 1_200,
                succeeded: 1_000,
                failed: 200,
                items_final: true,
                ..StageView::default()
            }],
            recent_failures: vec![ItemFailure {
                path: "a\nb.txt".to_owned(),
                attempt: 2,
                failure: Some(Failure { message: "exit code 3".to_owned(), ..Failure::default() }),
                ..ItemFailure::default()
            }],
            ..JobView::default()
        }
    }

    #[test]
    fn a_listing_has_one_line_a_job_and_no_raw_bytes() {
        let text = JobList(vec![job()]).text();
        assert_eq!(text.lines().count(), 2);
        assert!(text.contains("1,200/1,200") && text.contains("2.5s"), "{text}");
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn a_failure_is_one_line_that_names_stage_item_attempt_and_cause() {
        let job = job();
        let line = failure_line(&job, &job.recent_failures[0]);
        assert_eq!(line, "count: a\\nb.txt (attempt 2): exit code 3");
    }

    #[test]
    fn json_has_moments_and_states_as_words() {
        let Values::One(value) = JobDetail(job()).values() else {
            panic!("one job is one value");
        };
        assert_eq!(value["state"], "failed");
        assert_eq!(value["submitted"], "1970-01-01T00:00:01.000Z");
        assert_eq!(value["stages"][0]["kind"], "map");
    }
}
