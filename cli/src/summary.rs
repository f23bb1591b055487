//! How a job ended, in a few lines, with its failures grouped by what they say.

use std::collections::HashMap;

use anyhow::Result;
use longshore_client::{
    Client, escape,
    v1::{ItemState, ItemView, ItemsRequest, JobState, JobView, StageView},
};

use crate::{amounts, printer::Printer, views};

/// Groups kept while reading, so that a million different messages do not fill memory; the rest is counted together.
const GROUPS_KEPT: usize = 1_000;

/// Groups shown, largest first.
const GROUPS_SHOWN: usize = 10;

/// Items named in a group.
const EXAMPLES: usize = 3;

/// Lines of standard error shown of a group's first item.
const STDERR_LINES: usize = 5;

/// Prints how the job ended; the failed items are asked for only when there are any.
pub async fn print(client: &Client, job: &JobView, printer: &Printer) -> Result<()> {
    if printer.quiet() {
        return Ok(());
    }
    printer.note(&headline(job));
    if let Some(text) = never_ran(job) {
        printer.note(&text);
    }
    if job.stages.iter().any(|stage| stage.failed > 0) {
        let failures = read_failures(client, job).await?;
        printer.note(&failures.text(job));
    }
    Ok(())
}

fn headline(job: &JobView) -> String {
    let length = amounts::took(job.ended_ms.saturating_sub(job.submitted_ms));
    let failed: u64 = job.stages.iter().map(|stage| stage.failed).sum();
    let ended = match job.state() {
        JobState::Failed => format!("failed: {} failed", amounts::some(failed, "item")),
        state => views::state_word(state).to_owned(),
    };
    let mut text = format!("job {} {ended}; {} done in {length}", escape::line(&job.job_id), views::progress_of(job));
    let filtered: u64 = job.stages.iter().map(|stage| stage.filtered).sum();
    if filtered > 0 {
        text.push_str(&format!(", {} filtered", amounts::count(filtered)));
    }
    for missing in job.stages.iter().filter_map(views::missing) {
        text.push_str(&format!("; {missing}"));
    }
    if !job.reason.is_empty() {
        text.push_str(&format!(" ({})", escape::line(&job.reason)));
    }
    text
}

/// What of a job that has ended never ran: items of its stages, and stages that have none, since what comes before has failed.
fn never_ran(job: &JobView) -> Option<String> {
    if !matches!(job.state(), JobState::Failed | JobState::Cancelled) {
        return None;
    }
    let of = |stage: &StageView| {
        let name = escape::line(&stage.name);
        match stage.items.saturating_sub(views::ended(stage)) {
            0 if stage.items == 0 => Some(format!("stage {name}")),
            0 => None,
            rest => Some(format!("{} of {name}", amounts::some(rest, "item"))),
        }
    };
    let all: Vec<String> = job.stages.iter().filter_map(of).collect();
    (!all.is_empty()).then(|| format!("never ran: {}", all.join(", ")))
}

async fn read_failures(client: &Client, job: &JobView) -> Result<Failures> {
    let request =
        ItemsRequest { job_id: job.job_id.clone(), state: ItemState::Failed.into(), ..ItemsRequest::default() };
    let mut items = client.items(request).await?;
    let mut failures = Failures::default();
    while let Some(page) = items.next_page().await? {
        page.into_iter().for_each(|item| failures.add(item));
    }
    Ok(failures)
}

#[derive(Debug, Default)]
struct Failures {
    groups: HashMap<(u32, String), Group>,
    others: u64,
}

#[derive(Debug, Default)]
struct Group {
    items: u64,
    examples: Vec<String>,
    stderr: String,
}

impl Failures {
    fn add(&mut self, item: ItemView) {
        let failure = item.failure.unwrap_or_default();
        let key = (item.stage, failure.message);
        if self.groups.len() >= GROUPS_KEPT && !self.groups.contains_key(&key) {
            self.others += 1;
            return;
        }
        let group = self.groups.entry(key).or_default();
        if group.items == 0 {
            group.stderr = last_lines(&failure.stderr_tail, STDERR_LINES);
        }
        group.items += 1;
        if group.examples.len() < EXAMPLES {
            group.examples.push(escape::line(&item.path));
        }
    }

    fn text(&self, job: &JobView) -> String {
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by(|(a_key, a), (b_key, b)| b.items.cmp(&a.items).then(a_key.cmp(b_key)));
        let mut text = String::from("failures:\n");
        for ((stage, message), group) in groups.iter().take(GROUPS_SHOWN) {
            let stage = job.stages.get(*stage as usize).map_or("?", |stage| stage.name.as_str());
            let items = amounts::some(group.items, "item");
            text.push_str(&format!("  {items} in {}: {}\n", escape::line(stage), escape::line(message)));
            let more = if group.items > group.examples.len() as u64 { ", …" } else { "" };
            text.push_str(&format!("    {}{more}\n", group.examples.join(", ")));
            text.push_str(&group.stderr);
        }
        let hidden: u64 = groups.iter().skip(GROUPS_SHOWN).map(|(_, group)| group.items).sum();
        if hidden + self.others > 0 {
            text.push_str(&format!("  {} with other messages\n", amounts::some(hidden + self.others, "item")));
        }
        let id = escape::line(&job.job_id);
        text.push_str(&format!("logs: longshore job logs {id} --failed\nagain: longshore job retry {id}"));
        text
    }
}

/// The last lines of a log, escaped and set off; nothing for an empty log.
pub fn last_lines(log: &[u8], most: usize) -> String {
    let text = escape::block(log.trim_ascii());
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(most)..];
    last.iter().map(|line| format!("    | {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use longshore_client::v1::Failure;

    use super::*;

    fn failed(path: &str, message: &str) -> ItemView {
        ItemView {
            path: path.to_owned(),
            failure: Some(Failure {
                message: message.to_owned(),
                stderr_tail: b"one\ntwo\x1b[2J\n".as_slice().into(),
                ..Failure::default()
            }),
            ..ItemView::default()
        }
    }

    fn job() -> JobView {
        JobView {
            job_id: "7".to_owned(),
            state: JobState::Failed.into(),
            stages: vec![StageView {
                name: "count".to_owned(),
                items: 9,
                failed: 5,
                succeeded: 4,
                items_final: true,
                ..StageView::default()
            }],
            ..JobView::default()
        }
    }

    #[test]
    fn failures_are_grouped_by_message_largest_first() {
        let mut failures = Failures::default();
        for path in ["a", "b", "c", "d"] {
            failures.add(failed(path, "exit code 2"));
        }
        failures.add(failed("e", "killed"));
        let text = failures.text(&job());
        assert!(text.starts_with("failures:\n  4 items in count: exit code 2\n    a, b, c, …\n    | one\n"), "{text}");
        assert!(text.contains("  1 item in count: killed\n    e\n"), "{text}");
        assert!(text.ends_with("again: longshore job retry 7"), "{text}");
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn what_never_ran_is_told_with_its_stage() {
        let mut job = job();
        assert_eq!(never_ran(&job), None);
        job.stages[0].items = 12;
        job.stages.push(StageView { name: "total".to_owned(), ..StageView::default() });
        assert_eq!(never_ran(&job).unwrap(), "never ran: 3 items of count, stage total");
        job.state = JobState::Succeeded.into();
        assert_eq!(never_ran(&job), None);
    }

    #[test]
    fn a_flood_of_different_messages_stays_bounded() {
        let mut failures = Failures::default();
        for number in 0..GROUPS_KEPT + 5 {
            failures.add(failed("x", &number.to_string()));
        }
        assert_eq!((failures.groups.len(), failures.others), (GROUPS_KEPT, 5));
        let shown = failures.text(&job());
        assert!(shown.contains("995 items with other messages"), "{shown}");
    }

    #[test]
    fn the_headline_says_how_it_ended() {
        assert_eq!(headline(&job()), "job 7 failed: 5 items failed; 9/9 done in 0ms");
    }
}
