//! What a stage's runs have in common, worked out once: the command with its words, and how bytes travel.

use std::sync::Arc;

use longshore_proto::v1::{Failure, FailureClass, Stage};
use longshore_shim::{MAX_FRAME_BYTES, Run, Stdin, Stdout};

use super::{
    key::{container, max_output_bytes},
    shared::Options,
};
use crate::{
    contract::{
        failures::{Bounds, failure},
        inputs::{Staged, Wanted},
        names::base_name,
        outputs::Limits,
        placeholders::{Facts, Template},
    },
    runtime::Image,
    work::Work,
};

/// Room in a frame for everything but command and environment.
const FRAME_MARGIN: usize = 16 << 10;

/// A stage, ready to be run in a container of an image.
pub(crate) struct Plan {
    stage: Arc<Stage>,
    template: Template,
    /// The first word of the command, for messages.
    pub(crate) program: String,
    pub(crate) bounds: Bounds,
    pub(crate) limits: Limits,
    grace_ms: u32,
    log_bytes: u32,
}

impl Plan {
    /// Works a stage out.
    pub(crate) fn of(stage: &Arc<Stage>, image: &Image, options: &Options) -> Self {
        let container = container(stage);
        let argv = image.argv(&container);
        let env = container.env.iter().map(|var| (var.name.as_str(), var.value.as_str()));
        let file_bytes = max_output_bytes(stage);
        Self {
            stage: Arc::clone(stage),
            template: Template::new(&argv, env),
            program: argv.first().cloned().unwrap_or_default(),
            bounds: Bounds {
                timeout_ms: stage.timeout_ms,
                memory_bytes: container.memory_bytes,
                max_output_bytes: file_bytes,
            },
            limits: Limits { file_bytes, total_bytes: options.total_output_bytes },
            grace_ms: u32::try_from(options.grace.as_millis()).unwrap_or(u32::MAX),
            log_bytes: options.log_bytes,
        }
    }

    /// Whether it is this stage's.
    pub(crate) fn is_of(&self, stage: &Arc<Stage>) -> bool {
        Arc::ptr_eq(&self.stage, stage)
    }

    /// How an attempt's inputs are to lie. Without `{in}` and `{manifest}` a gather reads its parts one after the other
    /// from standard input.
    pub(crate) fn wanted<'a>(&self, work: &'a Work) -> Wanted<'a> {
        let uses = self.template.uses();
        let joined = work.gather && !uses.input && !uses.manifest;
        Wanted { inputs: &work.inputs, name: base_name(&work.path), gather: work.gather, joined }
    }

    /// Whether a run reads its input from standard input.
    fn reads_stdin(&self, work: &Work) -> bool {
        let uses = self.template.uses();
        !(uses.input || (work.gather && uses.manifest))
    }

    /// Whether a run's standard output is an output.
    pub(crate) fn spools_stdout(&self) -> bool {
        let uses = self.template.uses();
        !uses.output && !uses.outdir
    }

    /// The run of an attempt whose inputs are in place, with its output directory as the inside sees it.
    pub(crate) fn run(&self, seq: u64, work: &Work, staged: &Staged, outdir: &str) -> Result<Run, Failure> {
        let facts = Facts {
            input: &staged.input,
            outdir,
            name: base_name(&work.path),
            index: work.index,
            attempt: work.attempt,
            job: &work.job_name,
            manifest: staged.manifest.as_deref(),
            ..Facts::default()
        };
        let run = Run {
            seq,
            argv: self.template.argv(&facts),
            env: self.template.env(&facts),
            stdin: if self.reads_stdin(work) { Stdin::File(staged.stdin.clone()) } else { Stdin::Empty },
            stdout: if self.spools_stdout() { Stdout::Attached } else { Stdout::Log },
            timeout_ms: (self.bounds.timeout_ms > 0).then_some(self.bounds.timeout_ms),
            grace_ms: self.grace_ms,
            log_bytes: self.log_bytes,
        };
        fits(&run)?;
        Ok(run)
    }

    /// The path a file must have been left at, when the command promises one.
    pub(crate) fn promises_output(&self) -> bool {
        self.template.uses().output
    }
}

fn fits(run: &Run) -> Result<(), Failure> {
    if run.argv.is_empty() {
        return Err(failure(FailureClass::Command, "there is no command: the image has none and none was given"));
    }
    let of_argv: usize = run.argv.iter().map(|argument| argument.len() + 4).sum();
    let of_env: usize = run.env.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
    let most = MAX_FRAME_BYTES - FRAME_MARGIN;
    if of_argv + of_env > most {
        let message = format!("command and environment take more than {most} bytes");
        return Err(failure(FailureClass::Command, message));
    }
    Ok(())
}
