//! Flags that describe a job, and what they mean.

use std::{
    ffi::OsString,
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::Args;
use longshore_client::{
    bounds::{KEY_BYTES, NAME_CHARS},
    escape,
    inputs::{Collector, Input},
    v1::{JobSpec, Retry, Stage, StageKind},
};

use super::container::ContainerArgs;
use crate::{
    failure::Failure,
    spec::{
        self, SpecText,
        invalid::{Checked, Invalid},
        job::Isolation,
        name::{Image, JobName},
        quantity::{Count, Millis},
    },
};

/// Flags that describe a job.
#[derive(Debug, Args)]
pub struct SubmissionArgs {
    /// Image, then inputs: files, directories, quoted patterns, or - for a list of files on standard input
    #[arg(value_name = "IMAGE|INPUT")]
    pub words: Vec<OsString>,
    /// Take the stages from a spec; then every word is an input
    #[arg(short, long, value_name = "SPEC", conflicts_with_all = ["container", "stage", "command"])]
    pub file: Option<PathBuf>,
    /// Make every line of a file an item; - is standard input
    #[arg(long, value_name = "FILE")]
    pub each_line: Option<PathBuf>,
    /// Name shown in listings
    #[arg(long)]
    pub name: Option<JobName>,
    /// Higher goes first; 0 is normal
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub priority: Option<i32>,
    /// The same key twice is the same job
    #[arg(long, value_name = "KEY", value_parser = key)]
    pub idempotency_key: Option<String>,
    /// Show what would be submitted, and stop
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub stage: StageArgs,
    #[command(flatten)]
    pub container: ContainerArgs,
    /// Arguments after the image's entry point; {in} is the input's path, {out} the output's
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<String>,
}

/// Flags that describe how items are run.
#[derive(Debug, Args)]
#[group(id = "stage")]
#[command(next_help_heading = "Attempts")]
pub struct StageArgs {
    /// Longest run of one attempt, such as 30s
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<Millis>,
    /// How often a failed item is tried again
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..1_000))]
    pub retries: Option<u32>,
    /// Where an attempt runs
    #[arg(long, value_enum)]
    pub isolation: Option<Isolation>,
    /// Most attempts under way at once
    #[arg(short = 'j', long, value_name = "N")]
    pub max_parallel: Option<Count<{ u32::MAX }>>,
}

/// A job, ready to be uploaded and submitted.
#[derive(Debug)]
pub struct Submission {
    /// Its stages.
    pub spec: JobSpec,
    /// Its inputs.
    pub inputs: Vec<Input>,
    /// As given; empty means none.
    pub idempotency_key: String,
}

impl SubmissionArgs {
    /// Works out the job. Reads the spec, the lists and the names of the inputs, but not their bytes.
    pub fn submission(&self) -> Result<Submission> {
        let (mut spec, inputs) = match &self.file {
            Some(file) => (spec::job::parse(&SpecText::read(file)?)?, self.words.as_slice()),
            None => self.single_stage()?,
        };
        if let Some(name) = &self.name {
            spec.name.clone_from(&name.0);
        }
        if let Some(priority) = self.priority {
            spec.priority = priority;
        }
        Ok(Submission {
            spec,
            inputs: self.inputs(inputs)?,
            idempotency_key: self.idempotency_key.clone().unwrap_or_default(),
        })
    }

    /// The job of one stage that the flags describe, and the words that are inputs.
    fn single_stage(&self) -> Result<(JobSpec, &[OsString])> {
        let Some((image, inputs)) = self.words.split_first() else {
            return Err(Failure::usage("no image is named").hint("longshore run IMAGE INPUT... -- CMD...").into());
        };
        let image: Image = image.to_string_lossy().parse().map_err(Failure::usage)?;
        let stage = Stage {
            name: "run".to_owned(),
            kind: StageKind::Map.into(),
            retry: self.stage.retries.map(|retries| Retry { attempts: retries + 1, ..Retry::default() }),
            timeout_ms: self.stage.timeout.map_or(0, |timeout| timeout.0),
            isolation: Isolation::wire(self.stage.isolation),
            max_parallel: self.stage.max_parallel.map_or(0, |most| most.0),
            max_output_bytes: 0,
            container: Some(self.container.container(image.0.clone(), self.command.clone())?),
        };
        let spec = JobSpec { name: short_name(&image.0), stages: vec![stage], priority: 0 };
        Ok((spec, inputs))
    }

    fn inputs(&self, words: &[OsString]) -> Result<Vec<Input>> {
        let mut collector = Collector::new();
        for word in words {
            match word == "-" {
                true => collector.list(std::io::stdin(), "standard input")?,
                false => collector.argument(word)?,
            }
        }
        if let Some(file) = &self.each_line {
            self.each_line(&mut collector, file)?;
        }
        let inputs = collector.finish()?;
        if inputs.is_empty() {
            let hint =
                "name files, directories or quoted patterns, - for a list on standard input, or --each-line FILE";
            return Err(Failure::usage("no input is named").hint(hint).into());
        }
        Ok(inputs)
    }

    fn each_line(&self, collector: &mut Collector, file: &Path) -> Result<()> {
        if file == Path::new("-") {
            if self.words.iter().any(|word| word == "-") {
                return Err(Failure::usage("standard input can be a list or lines, not both").into());
            }
            return Ok(collector.each_line(std::io::stdin(), "standard input")?);
        }
        let name = escape::path(file);
        let opened = File::open(file);
        let opened = opened.with_context(|| Failure::usage(format!("cannot read --each-line {name}")))?;
        Ok(collector.each_line(opened, &name)?)
    }
}

fn key(text: &str) -> Checked<String> {
    match (1..=KEY_BYTES).contains(&text.len()) {
        true => Ok(text.to_owned()),
        false => Err(Invalid(format!("a key has 1 to {KEY_BYTES} bytes"))),
    }
}

/// What people call an image: `registry:5000/team/tool:v1@sha256:…` is `tool`. Cut to what a job's name may have.
fn short_name(image: &str) -> String {
    let untagged = image.split('@').next().unwrap_or(image);
    let last = untagged.rsplit('/').next().unwrap_or(untagged);
    let name = last.split(':').next().unwrap_or(last);
    name.chars().take(NAME_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_lends_its_job_a_short_name() {
        for (image, name) in
            [("alpine", "alpine"), ("registry:5000/team/tool:v1", "tool"), ("tool@sha256:0123", "tool")]
        {
            assert_eq!(short_name(image), name);
        }
    }
}
