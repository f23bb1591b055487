//! Flags that describe a job, and what they mean.

use std::{
    ffi::OsString,
    fs::File,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::Args;
use longshore_client::{
    bounds::{KEY_BYTES, LOSSES, NAME_CHARS},
    escape,
    inputs::{Collector, Input, LeftOut},
    v1::{JobSpec, Retry, Stage, StageKind},
};

use super::container::ContainerArgs;
use crate::{
    failure::Failure,
    fields,
    spec::{
        self, SpecText,
        failures::{ExitCodes, Failures},
        growth::Growth,
        halt::Halt,
        invalid::{Checked, Invalid},
        job::{Breaker, CANARY, Isolation, Links, OnMemoryKill},
        name::{Image, JobName},
        quantity::{ByteSize, Count, Millis, OUTPUT_FILES},
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
    /// Make every line of a file, a JSON object, an item: {field} in CMD and --env is its value; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "each_line")]
    pub each_json: Option<PathBuf>,
    /// With --each-line: so many lines to an item
    #[arg(short = 'N', long, value_name = "N", requires = "each_line", visible_short_alias = 'L')]
    pub max_lines: Option<NonZeroUsize>,
    /// Leave out inputs that cannot be read or cannot be items, say which and how many, and go on
    #[arg(long)]
    pub skip_unusable: bool,
    /// Name shown in listings
    #[arg(long)]
    pub name: Option<JobName>,
    /// Wait until this job has ended well; may be repeated; if it ends otherwise, this one is cancelled
    #[arg(long, value_name = "JOB")]
    pub after: Vec<String>,
    /// Wait until this job has ended, one way or another; may be repeated
    #[arg(long, value_name = "JOB")]
    pub after_any: Vec<String>,
    /// Higher goes first; 0 is normal; -1000 to 1000
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub priority: Option<i32>,
    /// How many failed items end the job: soon,fail=3 (what runs may end) or now,fail=5% (it is stopped)
    #[arg(long, value_name = "WHEN,fail=N")]
    pub halt: Option<Halt>,
    /// How long after it was submitted the job ends as failed, such as 6h
    #[arg(long, value_name = "TIME")]
    pub deadline: Option<Millis>,
    /// How long something of the job may wait for a worker while nothing of it runs, before it ends as failed
    #[arg(long, value_name = "TIME")]
    pub queue_timeout: Option<Millis>,
    /// The same key twice is the same job; other work under it is refused
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
    /// How many containers and workers may go away under an item before it is given up for that; never fewer than the
    /// tries [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(LOSSES)))]
    pub max_losses: Option<u32>,
    /// Failures that are tried again, such as oom,timeout,exit:1-63; all for which that makes sense unless set
    #[arg(long, value_name = "FAILURES", value_delimiter = ',')]
    pub retry_on: Vec<Failures>,
    /// Failures that are not tried again, such as exit:64-78
    #[arg(long, value_name = "FAILURES", value_delimiter = ',')]
    pub never_retry: Vec<Failures>,
    /// How --memory grows after attempts that met it, such as x2 or x1.5,most=4g
    #[arg(long, value_name = "xN,most=SIZE")]
    pub retry_memory: Option<Growth>,
    /// Exit codes that say "nothing here": the item has ended well, without outputs
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    pub filter_exit: Vec<ExitCodes>,
    /// How long a run has between SIGTERM and SIGKILL when it is cancelled or its time is over [default: 5s]
    #[arg(long, value_name = "TIME")]
    pub stop_timeout: Option<Millis>,
    /// So many of the first items have to succeed before any other is begun
    #[arg(long, value_name = "N")]
    pub canary: Option<Count<CANARY>>,
    /// Whether the job ends when nothing succeeds; where that spares tries unless set
    #[arg(long, value_enum)]
    pub breaker: Option<Breaker>,
    /// Where an attempt runs
    #[arg(long, value_enum)]
    pub isolation: Option<Isolation>,
    /// Most attempts under way at once
    #[arg(short = 'j', long, value_name = "N")]
    pub max_parallel: Option<Count<{ u32::MAX }>>,
    /// What is made of a run that exits with 0 although a process of it was killed for want of memory; fail unless set
    #[arg(long, value_enum)]
    pub oom: Option<OnMemoryKill>,
    /// Largest single output file; 1g unless set
    #[arg(long, value_name = "SIZE")]
    pub max_output: Option<ByteSize>,
    /// All outputs of one attempt together; 16g unless set
    #[arg(long, value_name = "SIZE")]
    pub max_total_output: Option<ByteSize>,
    /// Most output files of one attempt; 10000 unless set, which is also the most
    #[arg(long, value_name = "N")]
    pub max_output_files: Option<Count<OUTPUT_FILES>>,
    /// What becomes of links among the outputs; follow unless set
    #[arg(long, value_enum)]
    pub links: Option<Links>,
}

impl StageArgs {
    fn retry(&self) -> Option<Retry> {
        let retry = Retry {
            attempts: self.retries.map_or(0, |retries| retries + 1),
            losses: self.max_losses.unwrap_or_default(),
            on: self.retry_on.iter().map(|failures| failures.0).collect(),
            never: self.never_retry.iter().map(|failures| failures.0).collect(),
            memory: self.retry_memory.map(|growth| growth.0),
            ..Retry::default()
        };
        (retry != Retry::default() || self.retries.is_some()).then_some(retry)
    }
}

/// A job, ready to be uploaded and submitted.
#[derive(Debug)]
pub struct Submission {
    /// Its stages.
    pub spec: JobSpec,
    /// Its inputs.
    pub inputs: Vec<Input>,
    /// Where those that cannot be used are counted, if they are left out.
    pub left_out: Option<LeftOut>,
    /// As given; empty means none.
    pub idempotency_key: String,
}

impl SubmissionArgs {
    /// Works out the job. Reads the spec, the lists and the names of the inputs, but not their bytes. What lies in the directory
    /// that outputs are to go to is no input, unless that is named itself.
    pub fn submission(&self, output: Option<&Path>, notes: &mut dyn FnMut(&str)) -> Result<Submission> {
        let (mut spec, inputs) = match &self.file {
            Some(file) => (spec::job::parse(&SpecText::read(file)?)?, self.words.as_slice()),
            None => self.single_stage()?,
        };
        spec.after.clone_from(&self.after);
        spec.after_any.clone_from(&self.after_any);
        if let Some(name) = &self.name {
            spec.name.clone_from(&name.0);
        }
        if let Some(priority) = self.priority {
            spec.priority = priority;
        }
        if let Some(Halt(halt)) = self.halt {
            spec.halt = Some(halt);
        }
        if let Some(deadline) = self.deadline {
            spec.deadline_ms = deadline.0;
        }
        if let Some(patience) = self.queue_timeout {
            spec.queue_timeout_ms = patience.0;
        }
        let left_out = self.skip_unusable.then(LeftOut::default);
        let inputs = self.inputs(inputs, left_out.as_ref(), output, notes)?;
        if let (Some(_), Some(first)) = (&self.each_json, spec.stages.first_mut()) {
            fields::tell(first, &inputs)?;
        }
        Ok(Submission { spec, inputs, left_out, idempotency_key: self.idempotency_key.clone().unwrap_or_default() })
    }

    /// The job of one stage that the flags describe, and the words that are inputs.
    fn single_stage(&self) -> Result<(JobSpec, &[OsString])> {
        let Some((image, inputs)) = self.words.split_first() else {
            return Err(Failure::usage("no image is named").hint("longshore run IMAGE INPUT... -- CMD...").into());
        };
        let image: Image = image.to_string_lossy().parse().map_err(Failure::usage)?;
        let stage = Stage {
            gather: None,
            name: "run".to_owned(),
            kind: StageKind::Map.into(),
            retry: self.stage.retry(),
            canary: self.stage.canary.map_or(0, |items| items.0),
            breaker: Breaker::wire(self.stage.breaker),
            filter: self.stage.filter_exit.iter().map(|codes| codes.0).collect(),
            timeout_ms: self.stage.timeout.map_or(0, |timeout| timeout.0),
            stop_grace_ms: self.stage.stop_timeout.map_or(0, |grace| u32::try_from(grace.0).unwrap_or(u32::MAX)),
            isolation: Isolation::wire(self.stage.isolation),
            max_parallel: self.stage.max_parallel.map_or(0, |most| most.0),
            max_output_bytes: self.stage.max_output.map_or(0, |most| most.0),
            max_total_output_bytes: self.stage.max_total_output.map_or(0, |most| most.0),
            max_output_files: self.stage.max_output_files.map_or(0, |most| most.0),
            oom: OnMemoryKill::wire(self.stage.oom),
            links: Links::wire(self.stage.links),
            parts: 0,
            fields: Vec::new(),
            container: Some(self.container.container(image.0.clone(), self.command.clone())?),
        };
        let spec = JobSpec { name: short_name(&image.0), stages: vec![stage], ..JobSpec::default() };
        Ok((spec, inputs))
    }

    fn inputs(
        &self,
        words: &[OsString],
        left_out: Option<&LeftOut>,
        output: Option<&Path>,
        notes: &mut dyn FnMut(&str),
    ) -> Result<Vec<Input>> {
        let mut collector = Collector::new();
        if let Some(left_out) = left_out {
            collector = collector.skipping(left_out.clone());
        }
        if let Some(output) = output {
            collector = collector.apart_from(output);
        }
        for word in words {
            match word == "-" {
                true => collector.list(std::io::stdin(), "standard input")?,
                false => collector.argument(word)?,
            }
        }
        if let Some(file) = &self.each_line {
            self.each_line(&mut collector, file)?;
        }
        if let Some(file) = &self.each_json {
            if !words.is_empty() {
                return Err(Failure::usage("with --each-json its lines are the inputs, and there are no others").into());
            }
            let name = fields::shown(file);
            match file == Path::new("-") {
                true => collector.each_json(std::io::stdin(), &name)?,
                false => {
                    let opened = File::open(file);
                    let opened = opened.with_context(|| Failure::usage(format!("cannot read --each-json {name}")))?;
                    collector.each_json(opened, &name)?;
                }
            }
        }
        if let Some(found) = collector.found_apart() {
            notes(&format!("{} is where outputs go, so what is in it is no input", escape::path(&found)));
        }
        let inputs = collector.finish()?;
        if let Some(told) = left_out.map(LeftOut::told).filter(|told| inputs.is_empty() && told.count > 0) {
            let message = format!("no input can be used: {}", told.first.join("; "));
            return Err(Failure::usage(message).into());
        }
        if inputs.is_empty() {
            let hint = "name files, directories or quoted patterns, - for a list on standard input, --each-line FILE or --each-json FILE";
            return Err(Failure::usage("no input is named").hint(hint).into());
        }
        Ok(inputs)
    }

    fn each_line(&self, collector: &mut Collector, file: &Path) -> Result<()> {
        let together = self.max_lines.unwrap_or(NonZeroUsize::MIN);
        if file == Path::new("-") {
            if self.words.iter().any(|word| word == "-") {
                return Err(Failure::usage("standard input can be a list or lines, not both").into());
            }
            return Ok(collector.each_line(std::io::stdin(), "standard input", together)?);
        }
        let name = escape::path(file);
        let opened = File::open(file);
        let opened = opened.with_context(|| Failure::usage(format!("cannot read --each-line {name}")))?;
        Ok(collector.each_line(opened, &name, together)?)
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
