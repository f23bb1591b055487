//! Items of a job, and their outputs.

use longshore_client::{
    Digest, escape,
    outputs::Output,
    v1::{Failure, FailureClass, ItemState, ItemView, JobView, NamedBlob},
};
use serde_json::{Value, json};

use super::{
    brief::cut,
    job::{class_word, failure_value},
};
use crate::{
    amounts,
    printer::{RowsView, Values, View},
    table,
};

/// Outputs by path.
#[derive(Debug)]
pub struct OutputList(pub Vec<Output>);

impl View for OutputList {
    fn text(&self) -> String {
        table::table(
            ["PATH", "SIZE", "ITEM"],
            self.0.iter().map(|output| [output.path.clone(), amounts::bytes(output.size), output.item.to_string()]),
        )
    }

    fn wide(&self) -> String {
        let row = |output: &Output| {
            let size = output.size.to_string();
            [output.path.clone(), size, output.digest.to_string(), output.item.to_string()]
        };
        table::table(["PATH", "BYTES", "DIGEST", "ITEM"], self.0.iter().map(row))
    }

    fn values(&self) -> Values {
        let value = |output: &Output| {
            json!({
                "path": output.path,
                "size_bytes": output.size,
                "executable": output.executable,
                "digest": output.digest.to_string(),
                "item": output.item.as_ref(),
            })
        };
        Values::Many(self.0.iter().map(value).collect())
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|output| output.path.clone()).collect()
    }
}

/// Items of a job, as they come.
#[derive(Debug)]
pub struct ItemRows<'a> {
    /// Whose.
    pub job: &'a JobView,
    /// Some of them.
    pub items: Vec<ItemView>,
}

impl RowsView for ItemRows<'_> {
    fn header(&self, wide: bool) -> String {
        match wide {
            false => row(["STAGE", "STATE", "TRIES", "TIME", "WORKER", "END", "ITEM"], [12, 9, 5, 8, 12, 9]),
            true => {
                row(["STAGE", "STATE", "TRIES", "TIME", "WORKER", "END", "OUTPUTS", "ITEM"], [20, 9, 5, 8, 24, 14, 7])
            }
        }
    }

    fn lines(&self, wide: bool) -> Vec<String> {
        let now_ms = amounts::now_ms();
        let line = |item: &ItemView| {
            let (stage, state, tries) = (self.stage(item), state_word(item.state()), item.attempts.to_string());
            let time = match item.state() {
                ItemState::Running => amounts::took(now_ms.saturating_sub(item.since_ms)),
                _ if item.worker.is_empty() => String::new(),
                _ => amounts::took(item.duration_us / 1_000),
            };
            let end = item.failure.as_ref().map_or_else(String::new, ending);
            match wide {
                false => row(
                    [&cut(stage, 12), state, &tries, &time, &cut(&item.worker, 12), &cut(&end, 9), &item.path],
                    [12, 9, 5, 8, 12, 9],
                ),
                true => {
                    let why = item.failure.as_ref().map_or("", |failure| failure.message.as_str());
                    let path = if why.is_empty() { item.path.clone() } else { format!("{}: {why}", item.path) };
                    let outputs = item.outputs.len().to_string();
                    row(
                        [&cut(stage, 20), state, &tries, &time, &cut(&item.worker, 24), &end, &outputs, &path],
                        [20, 9, 5, 8, 24, 14, 7],
                    )
                }
            }
        };
        self.items.iter().map(line).collect()
    }

    fn values(&self) -> Vec<Value> {
        let value = |item: &ItemView| {
            let is_running = item.state() == ItemState::Running;
            json!({
                "stage": self.stage(item),
                "index": item.index,
                "path": item.path,
                "state": state_word(item.state()),
                "attempts": item.attempts,
                "worker": (!item.worker.is_empty()).then_some(&item.worker),
                "since": is_running.then(|| amounts::moment(item.since_ms)).flatten(),
                "took_s": (!is_running && !item.worker.is_empty()).then(|| item.duration_us as f64 / 1e6),
                "failure": item.failure.as_ref().map(failure_value),
                "outputs": item.outputs.iter().map(blob).collect::<Vec<_>>(),
            })
        };
        self.items.iter().map(value).collect()
    }

    fn names(&self) -> Vec<String> {
        self.items.iter().map(|item| item.path.clone()).collect()
    }
}

impl ItemRows<'_> {
    fn stage(&self, item: &ItemView) -> &str {
        self.job.stages.get(item.stage as usize).map_or("?", |stage| stage.name.as_str())
    }
}

/// Cells of these widths and the last as it is, escaped.
fn row<const N: usize, const M: usize>(cells: [&str; N], widths: [usize; M]) -> String {
    let mut line = String::new();
    for (at, cell) in cells.iter().enumerate() {
        let cell = escape::line(cell);
        match widths.get(at) {
            Some(width) => line.push_str(&format!("{cell:<width$}  ")),
            None => line.push_str(&cell),
        }
    }
    line.truncate(line.trim_end().len());
    line
}

fn state_word(state: ItemState) -> &'static str {
    match state {
        ItemState::Unspecified => "unknown",
        ItemState::Pending => "pending",
        ItemState::Running => "running",
        ItemState::Succeeded => "succeeded",
        ItemState::Failed => "failed",
        ItemState::Filtered => "filtered",
    }
}

/// How an attempt ended, in a word or two: `exit 3`, `signal 9`, `timeout`.
pub fn ending(failure: &Failure) -> String {
    match failure.class() {
        FailureClass::Exit => format!("exit {}", failure.code),
        FailureClass::Signal => format!("signal {}", failure.code),
        other => class_word(other).to_owned(),
    }
}

fn blob(output: &NamedBlob) -> Value {
    let digest = Digest::try_from(&output.digest).map(|digest| digest.to_string()).ok();
    json!({ "path": output.path, "size_bytes": output.size, "executable": output.executable, "digest": digest })
}

#[cfg(test)]
mod tests {
    use longshore_client::v1::StageView;

    use super::*;

    #[test]
    fn rows_of_items_fit_into_80_columns_but_for_their_paths_and_hold_no_raw_bytes() {
        let stages = vec![StageView { name: "s".repeat(63), ..StageView::default() }];
        let job = JobView { stages, ..JobView::default() };
        let failure = Failure { class: FailureClass::Exit.into(), code: 137, ..Failure::default() };
        let item = ItemView {
            path: "a\u{1b}[2J".to_owned(),
            state: ItemState::Failed.into(),
            attempts: 12,
            worker: "w".repeat(63),
            duration_us: 90_000_000,
            failure: Some(failure),
            ..ItemView::default()
        };
        let rows = ItemRows { job: &job, items: vec![item] };
        let line = &rows.lines(false)[0];
        assert!(line.contains("failed") && line.contains("exit 137") && line.contains("1m 30s"), "{line}");
        assert!(line.ends_with("a\\x1b[2J") && line.chars().count() <= 80, "{line}");
        assert_eq!((&rows.values()[0]["took_s"], &rows.values()[0]["failure"]["code"]), (&90.0.into(), &137.into()));
    }
}
