//! Jobs.

use longshore_client::{
    escape,
    v1::{Failure, FailureClass, FailureGroup, ItemFailure, JobState, JobView, StageKind, StageView},
};
use serde_json::{Value, json};

use super::{
    brief::{cut, short},
    namespace,
};
use crate::{
    amounts,
    printer::{Values, View},
    table,
};

/// All jobs.
#[derive(Debug)]
pub struct JobList(pub Vec<JobView>);

/// Characters of names in tables, which have room in 80 columns then.
const NAME: usize = 16;

impl View for JobList {
    fn text(&self) -> String {
        let now = amounts::now_ms();
        let row = |job: &JobView| {
            [
                short(&job.job_id).to_owned(),
                cut(&job.name, NAME),
                standing(job).to_owned(),
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

    fn wide(&self) -> String {
        let now = amounts::now_ms();
        let row = |job: &JobView| {
            [
                job.job_id.clone(),
                job.namespace.clone(),
                job.name.clone(),
                state_word(job.state()).to_owned(),
                progress_of(job),
                amounts::count(job.stages.iter().map(|stage| stage.failed).sum()),
                amounts::moment(job.submitted_ms).unwrap_or_default(),
                amounts::took(length_ms(job, now)),
                job.reason.clone(),
            ]
        };
        let headers = ["ID", "NAMESPACE", "NAME", "STATE", "DONE", "FAILED", "SUBMITTED", "TOOK", "REASON"];
        table::table(headers, self.0.iter().map(row))
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
            ("state", standing(job).to_owned()),
            ("paused", paused(job)),
            ("waits for", job.waits_for.join(", ")),
            ("priority", if job.priority == 0 { String::new() } else { job.priority.to_string() }),
            ("reason", job.reason.clone()),
            ("submitted", amounts::moment(job.submitted_ms).unwrap_or_default()),
            ("deadline", amounts::moment(job.due_ms).unwrap_or_default()),
            ("ended", amounts::moment(job.ended_ms).unwrap_or_default()),
            ("took", amounts::took(length_ms(job, amounts::now_ms()))),
        ]);
        text.push_str("\n\n");
        text.push_str(&stages(&job.stages));
        for missing in job.stages.iter().filter_map(missing) {
            text.push_str(&format!("\n{missing}"));
        }
        text.push_str("\n\nimages:\n");
        for stage in &job.stages {
            let mut line = format!("{}: {}", stage.name, stage.image);
            if !stage.image_digest.is_empty() {
                line.push_str(&format!(", known to its registry as {}", stage.image_digest));
            }
            text.push_str(&format!("  {}\n", escape::line(&line)));
        }
        if !job.failure_groups.is_empty() {
            text.push_str("\nfailed attempts, alike ones together:\n");
            for group in &job.failure_groups {
                text.push_str(&format!("  {}\n", group_line(job, group)));
            }
        }
        if !job.recent_failures.is_empty() {
            text.push_str("\nnewest failed attempts:\n");
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
    if stages.iter().any(|stage| stage.filtered > 0) {
        return table::table(
            ["STAGE", "ITEMS", "QUEUED", "RUNNING", "RETRYING", "SUCCEEDED", "FILTERED", "FAILED"],
            stages.iter().map(|stage| {
                let [name, items, queued, running, retrying, succeeded, failed] = row(stage);
                [name, items, queued, running, retrying, succeeded, amounts::count(stage.filtered), failed]
            }),
        );
    }
    table::table(["STAGE", "ITEMS", "QUEUED", "RUNNING", "RETRYING", "SUCCEEDED", "FAILED"], stages.iter().map(row))
}

fn row(stage: &StageView) -> [String; 7] {
    [
        cut(&stage.name, NAME),
        items(stage),
        amounts::count(stage.queued),
        amounts::count(stage.running),
        amounts::count(stage.backing_off),
        amounts::count(stage.succeeded),
        amounts::count(stage.failed),
    ]
}

/// How many items a stage has; a plus says that there may be more.
fn items(stage: &StageView) -> String {
    let more = if stage.items_final { "" } else { "+" };
    amounts::count(stage.items) + more
}

/// How incomplete what a stage gathered is, in words; nothing where nothing is missing, or may still come.
pub fn missing(stage: &StageView) -> Option<String> {
    let began = stage.items > 0 || stage.groups_short > 0;
    if !began || !stage.items_final || stage.gathered == stage.gathered_of {
        return None;
    }
    let mut text =
        format!("gathered {} of {} inputs", amounts::count(stage.gathered), amounts::count(stage.gathered_of));
    if stage.groups > 1 && stage.groups_short > 0 {
        text.push_str(&format!(
            "; {} of {} groups were short",
            amounts::count(stage.groups_short),
            amounts::count(stage.groups)
        ));
    }
    Some(format!("{}: {text}", escape::line(&stage.name)))
}

/// Items of a stage that have ended.
pub fn ended(stage: &StageView) -> u64 {
    stage.succeeded + stage.filtered + stage.failed
}

/// Items that have ended, of how many, over all stages.
pub fn progress_of(job: &JobView) -> String {
    let ended: u64 = job.stages.iter().map(ended).sum();
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

/// How a job stands in one word: what keeps one from running that has not ended, or its state.
pub fn standing(job: &JobView) -> &'static str {
    match job.state() {
        JobState::Running if job.paused.is_some() => "paused",
        JobState::Running if !job.waits_for.is_empty() => "waiting",
        state => state_word(state),
    }
}

/// Since when a job is paused, and why.
fn paused(job: &JobView) -> String {
    let Some(paused) = &job.paused else { return String::new() };
    let since = amounts::moment(paused.since_ms).unwrap_or_default();
    let stopped = if paused.stopped { ", with what ran" } else { "" };
    let why = if paused.reason.is_empty() { String::new() } else { format!(": {}", paused.reason) };
    format!("since {since}{stopped}{why}")
}

/// One failed attempt in one line, escaped.
pub fn failure_line(job: &JobView, failure: &ItemFailure) -> String {
    let stage = job.stages.get(failure.stage as usize);
    let stage = stage.map_or_else(|| failure.stage.to_string(), |stage| stage.name.clone());
    let message = failure.failure.as_ref().map_or("", |failure| failure.message.as_str());
    escape::line(&format!("{stage}: {} (attempt {}): {message}", failure.path, failure.attempt))
}

/// Failed attempts that are alike in one line, escaped: how many, what, and one of them.
fn group_line(job: &JobView, group: &FailureGroup) -> String {
    let stage = job.stages.get(group.stage as usize).map_or("?", |stage| stage.name.as_str());
    let example = group.example.as_ref();
    let message = example.and_then(|it| it.failure.as_ref()).map_or("", |failure| failure.message.as_str());
    let about = if group.about { "about " } else { "" };
    let path = example.map_or("", |it| it.path.as_str());
    let count = amounts::count(group.attempts);
    escape::line(&format!("{about}{count} × {message}, e.g. {path} ({stage}) on {}", group.worker))
}

fn group_value(group: &FailureGroup) -> Value {
    json!({
        "stage": group.stage,
        "attempts": group.attempts,
        "about": group.about,
        "worker": group.worker,
        "example": group.example.as_ref().map(item_failure_value),
    })
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
        "priority": job.priority,
        "paused": job.paused.as_ref().map(|paused| json!({
            "since": amounts::moment(paused.since_ms),
            "reason": paused.reason,
            "stopped": paused.stopped,
        })),
        "waits_for": job.waits_for,
        "retry_under_way": job.retry_under_way,
        "submitted": amounts::moment(job.submitted_ms),
        "ended": amounts::moment(job.ended_ms),
        "deadline": amounts::moment(job.due_ms),
        "took_s": length_ms(job, amounts::now_ms()) as f64 / 1_000.0,
        "stages": job.stages.iter().map(stage_value).collect::<Vec<_>>(),
        "failure_groups": job.failure_groups.iter().map(group_value).collect::<Vec<_>>(),
        "recent_failures": job.recent_failures.iter().map(item_failure_value).collect::<Vec<_>>(),
    })
}

fn stage_value(stage: &StageView) -> Value {
    json!({
        "name": stage.name,
        "kind": match stage.kind() {
            StageKind::Gather | StageKind::GatherOutputs => "gather",
            StageKind::Map | StageKind::Unspecified => "map",
        },
        "image": stage.image,
        "image_digest": (!stage.image_digest.is_empty()).then_some(&stage.image_digest),
        "items": stage.items,
        "items_final": stage.items_final,
        "queued": stage.queued,
        "running": stage.running,
        "backing_off": stage.backing_off,
        "succeeded": stage.succeeded,
        "filtered": stage.filtered,
        "failed": stage.failed,
        "failed_attempts": stage.failed_attempts,
        "gathered": (stage.groups > 0).then(|| json!({
            "inputs": stage.gathered,
            "of": stage.gathered_of,
            "groups": stage.groups,
            "groups_short": stage.groups_short,
        })),
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

/// A failure for programs.
pub fn failure_value(failure: &Failure) -> Value {
    json!({
        "class": class_word(failure.class()),
        "code": failure.code,
        "message": failure.message,
        "stderr_tail": String::from_utf8_lossy(&failure.stderr_tail),
    })
}

/// A class of failures in one word.
pub fn class_word(class: FailureClass) -> &'static str {
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
            job_id: "0198c2ab-1234-7000-8000-0123456789ab".to_owned(),
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
    fn tables_fit_into_80_columns_and_show_ids_that_name_their_jobs() {
        let mut large = job();
        large.name = "n".repeat(63);
        large.stages[0].name = "s".repeat(63);
        large.stages[0].items = 1_000_000;
        large.stages[0].succeeded = 999_999;
        large.state = JobState::Cancelled.into();
        let list = JobList(vec![large.clone()]).text();
        assert!(list.contains("456789ab") && !list.contains("0198c2ab"), "{list}");
        assert!(JobList(vec![large.clone()]).wide().contains(&large.job_id));
        large.recent_failures.clear();
        let shown = JobDetail(large).text();
        for line in
            list.lines().chain(shown.lines().filter(|line| !line.starts_with("  ") && !line.starts_with("name:")))
        {
            assert!(line.trim_end().chars().count() <= 80, "{line}");
        }
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
