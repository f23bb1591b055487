//! What `--dry-run` shows: the job as it would be submitted.

use longshore_client::{
    inputs::{Input, Source},
    v1::{Container, JobSpec, Stage, StageKind},
};
use serde_json::{Value, json};

use crate::{
    amounts,
    printer::{Values, View},
    table,
};

/// Items shown to people; programs see all.
const SHOWN: usize = 10;

/// A job that was not submitted.
#[derive(Debug)]
pub struct DryRun {
    /// The job.
    pub spec: JobSpec,
    /// Its inputs.
    pub inputs: Vec<Input>,
}

impl View for DryRun {
    fn text(&self) -> String {
        let mut text =
            table::facts([("job", self.spec.name.clone()), ("items", amounts::count(self.inputs.len() as u64))]);
        text.push_str("\n\n");
        text.push_str(&table::table(
            ["STAGE", "KIND", "IMAGE", "ATTEMPTS", "COMMAND"],
            self.spec.stages.iter().map(|stage| {
                let container = stage.container.clone().unwrap_or_default();
                [
                    stage.name.clone(),
                    kind(stage).to_owned(),
                    container.image.clone(),
                    attempts(stage).to_string(),
                    command(&container),
                ]
            }),
        ));
        for stage in &self.spec.stages {
            let container = stage.container.clone().unwrap_or_default();
            let names = secrets(&container);
            if !names.is_empty() {
                text.push_str(&format!("\nstage {} is given secrets: {}", stage.name, names.join(", ")));
            }
            if !container.pull_secret.is_empty() {
                text.push_str(&format!("\nstage {} shows its registry: {}", stage.name, container.pull_secret));
            }
        }
        text.push_str("\n\n");
        let shown = self.inputs.iter().take(SHOWN);
        text.push_str(&table::table(["ITEM", "FROM"], shown.map(|input| [input.path.clone(), input.source.shown()])));
        if let Some(more @ 1..) = self.inputs.len().checked_sub(SHOWN) {
            text.push_str(&format!("\n… and {} more", amounts::count(more as u64)));
        }
        text.push_str("\n\nnothing was submitted");
        text
    }

    fn values(&self) -> Values {
        Values::One(json!({
            "name": self.spec.name,
            "priority": self.spec.priority,
            "stages": self.spec.stages.iter().map(stage_value).collect::<Vec<_>>(),
            "items": self.inputs.iter().map(input_value).collect::<Vec<_>>(),
        }))
    }

    fn names(&self) -> Vec<String> {
        self.inputs.iter().map(|input| input.path.clone()).collect()
    }
}

fn kind(stage: &Stage) -> &'static str {
    match stage.kind() {
        StageKind::Gather | StageKind::GatherOutputs => "gather",
        StageKind::Map | StageKind::Unspecified => "map",
    }
}

fn attempts(stage: &Stage) -> u32 {
    stage.retry.as_ref().map_or(1, |retry| retry.attempts.max(1))
}

/// The command as words; those with blanks are quoted for the eye.
fn command(container: &Container) -> String {
    let words = container.entrypoint.iter().chain(&container.command);
    let quoted = words.map(|word| match word.is_empty() || word.contains(char::is_whitespace) {
        true => format!("'{word}'"),
        false => word.clone(),
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// The names of what it is given, each once.
fn secrets(container: &Container) -> Vec<&str> {
    let mut names: Vec<&str> = container.secrets.iter().map(|secret| secret.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn stage_value(stage: &Stage) -> Value {
    let container = stage.container.clone().unwrap_or_default();
    json!({
        "name": stage.name,
        "kind": kind(stage),
        "image": container.image,
        "command": container.command,
        "entrypoint": container.entrypoint,
        "attempts": attempts(stage),
        "files": container.files.iter().map(|file| file.path.clone()).collect::<Vec<_>>(),
        "secrets": secrets(&container),
        "pull_secret": Some(&container.pull_secret).filter(|name| !name.is_empty()),
        "timeout_s": stage.timeout_ms as f64 / 1_000.0,
    })
}

fn input_value(input: &Input) -> Value {
    let from = match &input.source {
        Source::File(path) => Value::from(path.to_string_lossy()),
        Source::Bytes(_) => Value::Null,
    };
    json!({ "path": input.path, "file": from })
}
