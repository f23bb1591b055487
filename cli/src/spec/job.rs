//! `job.yaml`: stages, each a map over items or a gather over all outputs of the stage before.

use std::collections::HashSet;

use longshore_client::v1::{self, JobSpec, Stage, StageKind};
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{
    SpecError, SpecText,
    container::with_container,
    name::{JobName, StageName},
    quantity::{ByteSize, Count, Millis},
};

/// A run of the work queue: the first stage takes the inputs, each further one the outputs of the stage before.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(title = "Longshore job"))]
#[serde(deny_unknown_fields)]
struct JobFile {
    /// Shown in listings.
    name: Option<JobName>,
    /// Higher goes first; 0 is normal.
    #[serde(default)]
    priority: i32,
    /// At least one.
    #[cfg_attr(test, schemars(length(min = 1)))]
    stages: Vec<StageFile>,
}

/// What a gather stage takes.
#[derive(Debug, Clone, Copy, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
enum Gather {
    /// All outputs of the stage before, as the parts of one item.
    All,
}

/// Where an attempt runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// A fresh process per item in a warm container.
    Slot,
    /// A new container per item.
    Container,
}

impl Isolation {
    /// As the wire has it.
    pub fn wire(isolation: Option<Isolation>) -> i32 {
        match isolation {
            None => v1::Isolation::Unspecified.into(),
            Some(Isolation::Slot) => v1::Isolation::Slot.into(),
            Some(Isolation::Container) => v1::Isolation::Container.into(),
        }
    }
}

/// How failed attempts are repeated.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct RetryFile {
    /// How often an item is tried in all; unset means once.
    attempts: Option<Count<{ u32::MAX }>>,
    /// First pause before another try, doubled each time; unset means 1s.
    backoff: Option<Millis>,
    /// Longest pause; unset means 5m.
    max_backoff: Option<Millis>,
}

with_container! {
    /// One step: a container run over every input.
    pub struct StageFile {
        /// Letters, digits, `-`, `_` and `.`; unique within the job.
        #[cfg_attr(test, schemars(with = "StageName"))]
        name: Spanned<StageName>,
        /// Take all outputs of the stage before as the parts of one item.
        gather: Option<Gather>,
        /// How failed attempts are repeated.
        #[serde(default)]
        retry: RetryFile,
        /// Longest run of one attempt; unset means no limit.
        timeout: Option<Millis>,
        /// Where an attempt runs; unset means slot.
        isolation: Option<Isolation>,
        /// Most attempts of this stage under way at once; unset means no limit.
        max_parallel: Option<Count<{ u32::MAX }>>,
        /// Largest single output file; unset means 1GiB.
        max_output: Option<ByteSize>,
    }
}

/// The job a spec describes.
pub fn parse(spec: &SpecText) -> Result<JobSpec, SpecError> {
    let file: JobFile = spec.parse()?;
    if file.stages.is_empty() {
        return Err(SpecError::new(spec, None, "a job has at least one stage"));
    }
    check_stages(spec, &file.stages)?;
    Ok(JobSpec {
        name: file.name.map(|name| name.0).unwrap_or_default(),
        priority: file.priority,
        stages: file.stages.iter().map(stage).collect(),
    })
}

fn check_stages(spec: &SpecText, stages: &[StageFile]) -> Result<(), SpecError> {
    let mut seen = HashSet::new();
    for (index, stage) in stages.iter().enumerate() {
        let refuse = |message: String| Err(SpecError::new(spec, Some(stage.name.referenced), message));
        let name = &stage.name.value.0;
        if !seen.insert(name) {
            return refuse(format!("two stages are named `{name}`"));
        }
        if index == 0 && stage.gather.is_some() {
            return refuse(format!("stage `{name}` is the first and has nothing to gather"));
        }
    }
    Ok(())
}

fn stage(file: &StageFile) -> Stage {
    let millis = |duration: Option<Millis>| duration.map_or(0, |duration| duration.0);
    Stage {
        name: file.name.value.0.clone(),
        kind: match file.gather {
            Some(Gather::All) => StageKind::Gather.into(),
            None => StageKind::Map.into(),
        },
        container: Some(file.container()),
        retry: Some(v1::Retry {
            attempts: file.retry.attempts.map_or(0, |attempts| attempts.0),
            backoff_ms: millis(file.retry.backoff),
            max_backoff_ms: millis(file.retry.max_backoff),
        }),
        timeout_ms: millis(file.timeout),
        isolation: Isolation::wire(file.isolation),
        max_parallel: file.max_parallel.map_or(0, |most| most.0),
        max_output_bytes: file.max_output.map_or(0, |most| most.0),
    }
}

#[cfg(test)]
pub(super) fn schema() -> schemars::Schema {
    schemars::schema_for!(JobFile)
}
