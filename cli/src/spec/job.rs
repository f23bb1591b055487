//! `job.yaml`: stages, each a map over items or a gather over all outputs of the stage before.

use std::collections::HashSet;

use longshore_client::{
    bounds::LOSSES,
    v1::{self, JobSpec, Stage, StageKind},
};
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{
    SpecError, SpecText,
    container::with_container,
    failures::{ExitCodes, Failures},
    gather::Gather,
    growth::Growth,
    halt::Halt,
    name::{JobName, StageName},
    quantity::{ByteSize, Count, Millis, OUTPUT_FILES},
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
    /// How many failed items end it, such as `soon,fail=3` or `now,fail=5%`; unset means that the others are run anyway.
    halt: Option<Halt>,
    /// How long after it was submitted, or retried, it ends as failed; unset means never.
    deadline: Option<Millis>,
    /// How long something of it may wait for a worker while nothing of it runs, before it ends as failed; unset means for ever.
    queue_timeout: Option<Millis>,
    /// At least one.
    #[cfg_attr(test, schemars(length(min = 1)))]
    stages: Vec<StageFile>,
}

/// How a gather stage is given its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
enum Parts {
    /// As the files of a directory, `{in}`: at most 100,000.
    Files,
    /// One after the other, in order, as standard input and nowhere else: any number.
    Stdin,
}

impl Parts {
    /// As the wire has it.
    fn wire(parts: Option<Parts>) -> i32 {
        match parts {
            None => v1::PartsAs::Unspecified.into(),
            Some(Parts::Files) => v1::PartsAs::Files.into(),
            Some(Parts::Stdin) => v1::PartsAs::Stdin.into(),
        }
    }
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

/// What is made of a run that exits with 0 although a process of it was killed for want of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OnMemoryKill {
    /// It has failed: what it left may be half of an output.
    Fail,
    /// It has succeeded.
    Ignore,
}

impl OnMemoryKill {
    /// As the wire has it.
    pub fn wire(oom: Option<OnMemoryKill>) -> i32 {
        match oom {
            None => v1::OnMemoryKill::Unspecified.into(),
            Some(OnMemoryKill::Fail) => v1::OnMemoryKill::Fail.into(),
            Some(OnMemoryKill::Ignore) => v1::OnMemoryKill::Ignore.into(),
        }
    }
}

/// What becomes of links among the outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Links {
    /// A link arrives as the file it leads to, which must be an output too.
    Follow,
    /// A link is a failure.
    Refuse,
    /// Symbolic links are left out.
    Skip,
}

impl Links {
    /// As the wire has it.
    pub fn wire(links: Option<Links>) -> i32 {
        match links {
            None => v1::Links::Unspecified.into(),
            Some(Links::Follow) => v1::Links::Follow.into(),
            Some(Links::Refuse) => v1::Links::Refuse.into(),
            Some(Links::Skip) => v1::Links::Skip.into(),
        }
    }
}

/// Whether a job ends when nothing succeeds in a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Breaker {
    /// It does.
    On,
    /// It does not: every item is run.
    Off,
}

impl Breaker {
    /// As the wire has it.
    pub fn wire(breaker: Option<Breaker>) -> i32 {
        match breaker {
            None => v1::Breaker::Unspecified.into(),
            Some(Breaker::On) => v1::Breaker::On.into(),
            Some(Breaker::Off) => v1::Breaker::Off.into(),
        }
    }
}

/// Most items that go before all others.
pub const CANARY: u32 = 1_000;

/// How failed attempts are repeated.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct RetryFile {
    /// How often an item is tried in all; unset means once.
    attempts: Option<Count<{ u32::MAX }>>,
    /// First pause before another try, doubled each time; unset means 1s.
    backoff: Option<Millis>,
    /// Longest pause; unset means 5m.
    max_backoff: Option<Millis>,
    /// Losses of containers and workers an item bears before it is given up; never fewer than `attempts`; unset means 3.
    losses: Option<Count<LOSSES>>,
    /// Failures that are tried again, such as `oom` or `exit:1-63`; unset means all for which that makes sense.
    #[serde(default)]
    on: Vec<Failures>,
    /// Failures that are not tried again, whatever `on` says.
    #[serde(default)]
    never: Vec<Failures>,
    /// How `memory` grows after attempts that met it, such as `x2` or `x1.5,most=4g`; unset means that it does not.
    memory: Option<Growth>,
}

/// What says that there is nothing in an item: it has ended well and has no outputs.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct FilterFile {
    /// These exit codes.
    exit: Vec<ExitCodes>,
}

with_container! {
    /// One step: a container run over every input.
    pub struct StageFile {
        /// Letters, digits, `-`, `_` and `.`; unique within the job.
        #[cfg_attr(test, schemars(with = "StageName"))]
        name: Spanned<StageName>,
        /// Take outputs of the stage before as the parts of one item: all of them, or those of each key.
        gather: Option<Gather>,
        /// How a gather stage is given its parts; unset means files.
        parts: Option<Parts>,
        /// How failed attempts are repeated.
        #[serde(default)]
        retry: RetryFile,
        /// What says that there is nothing in an item, which then has ended well and has no outputs.
        #[serde(default)]
        filter: FilterFile,
        /// So many of its first items have to succeed before any other is begun, at most 1000; unset means none.
        canary: Option<Count<CANARY>>,
        /// Whether the job ends when nothing succeeds in this stage; unset means where that spares tries.
        breaker: Option<Breaker>,
        /// Longest run of one attempt; unset means no limit.
        timeout: Option<Millis>,
        /// How long a run has between SIGTERM and SIGKILL when it is cancelled or its time is over; unset means 5s.
        stop_grace: Option<Millis>,
        /// Where an attempt runs; unset means slot.
        isolation: Option<Isolation>,
        /// Most attempts of this stage under way at once; unset means no limit.
        max_parallel: Option<Count<{ u32::MAX }>>,
        /// Largest single output file; unset means 1GiB.
        max_output: Option<ByteSize>,
        /// What is made of a run that exits with 0 although a process of it was killed for want of memory; unset means fail.
        oom: Option<OnMemoryKill>,
        /// All outputs of one attempt together; unset means 16GiB.
        max_total_output: Option<ByteSize>,
        /// Most output files of one attempt; unset means 10000, the most there can be.
        max_output_files: Option<Count<OUTPUT_FILES>>,
        /// What becomes of links among the outputs; unset means follow.
        links: Option<Links>,
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
        halt: file.halt.map(|halt| halt.0),
        deadline_ms: file.deadline.map_or(0, |deadline| deadline.0),
        queue_timeout_ms: file.queue_timeout.map_or(0, |patience| patience.0),
        stages: file.stages.iter().map(|file| stage(spec, file)).collect::<Result<_, _>>()?,
        ..JobSpec::default()
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
        if stage.parts.is_some() && stage.gather.is_none() {
            return refuse(format!("stage `{name}` does not gather, and so has no `parts`"));
        }
    }
    Ok(())
}

fn stage(spec: &SpecText, file: &StageFile) -> Result<Stage, SpecError> {
    let millis = |duration: Option<Millis>| duration.map_or(0, |duration| duration.0);
    Ok(Stage {
        name: file.name.value.0.clone(),
        kind: file.gather.as_ref().map_or(StageKind::Map, Gather::kind).into(),
        gather: file.gather.as_ref().and_then(Gather::wire),
        container: Some(file.container(spec)?),
        retry: Some(v1::Retry {
            attempts: file.retry.attempts.map_or(0, |attempts| attempts.0),
            backoff_ms: millis(file.retry.backoff),
            max_backoff_ms: millis(file.retry.max_backoff),
            losses: file.retry.losses.map_or(0, |losses| losses.0),
            on: file.retry.on.iter().map(|failures| failures.0).collect(),
            never: file.retry.never.iter().map(|failures| failures.0).collect(),
            memory: file.retry.memory.map(|growth| growth.0),
        }),
        canary: file.canary.map_or(0, |items| items.0),
        breaker: Breaker::wire(file.breaker),
        filter: file.filter.exit.iter().map(|codes| codes.0).collect(),
        timeout_ms: millis(file.timeout),
        stop_grace_ms: u32::try_from(millis(file.stop_grace)).unwrap_or(u32::MAX),
        isolation: Isolation::wire(file.isolation),
        max_parallel: file.max_parallel.map_or(0, |most| most.0),
        max_output_bytes: file.max_output.map_or(0, |most| most.0),
        oom: OnMemoryKill::wire(file.oom),
        max_total_output_bytes: file.max_total_output.map_or(0, |most| most.0),
        max_output_files: file.max_output_files.map_or(0, |most| most.0),
        links: Links::wire(file.links),
        parts: Parts::wire(file.parts),
        fields: Vec::new(),
    })
}

#[cfg(test)]
pub(super) fn schema() -> schemars::Schema {
    schemars::schema_for!(JobFile)
}
