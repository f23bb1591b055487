//! Interface `files`: one run, from its input to its outputs.
//!
//! Without `{in}` (or, for parts, `{manifest}`) a command reads its input from standard input; without `{out}` and
//! `{outdir}` what it writes to standard output is its output. Whoever has a shim says when a run begins and how long it
//! may take; here it is made, and what has come of it is judged.

use std::{io, os::fd::OwnedFd, sync::Arc, time::Duration};

use longshore_proto::v1::{Container, Failure, NamedBlob};
use longshore_shim::{Done, Run, Stdin, Stdout};

use super::{
    command::filled,
    failures::{self, Bounds},
    inputs::{InputDirs, Staged, Wanted},
    outputs::{Limits, OutputDirs, Tray},
    placeholders::{Facts, Files, Fixed, Item, Template},
    yard::Yard,
};
use crate::{
    runtime::{Image, Paths},
    work::Output,
};

/// How much one run may use, and how it is ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    /// Longest time, for the words of a failure; each run is given its own.
    pub timeout_ms: u64,
    /// Largest output, in bytes.
    pub max_output_bytes: u64,
    /// All outputs together, in bytes.
    pub total_output_bytes: u64,
    /// Between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// Bytes kept of each log.
    pub log_bytes: u32,
}

/// What the runs of a container have in common, worked out once.
pub(crate) struct Plan {
    template: Template,
    /// The first word of the command, for messages.
    program: String,
    bounds: Bounds,
    limits: Limits,
    grace_ms: u32,
    log_bytes: u32,
}

/// One run to be made: what it is about, in what container, for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub item: Item<'a>,
    pub fixed: Fixed<'a>,
    /// Whether its inputs are parts.
    pub gather: bool,
    /// None is as long as it takes.
    pub timeout_ms: Option<u64>,
}

/// A run that is ready for the shim, where its outputs will be, and the file of its standard output.
pub(crate) type Furnished = (Run, Tray, Option<OwnedFd>);

impl Plan {
    /// Works out what a container runs.
    pub(crate) fn new(image: &Image, container: &Container, allowed: Allowance) -> Self {
        let argv = image.argv(container);
        let env = container.env.iter().map(|var| (var.name.as_str(), var.value.as_str()));
        let Allowance { timeout_ms, max_output_bytes, total_output_bytes, grace, log_bytes } = allowed;
        Self {
            template: Template::new(&argv, env),
            program: argv.into_iter().next().unwrap_or_default(),
            bounds: Bounds { timeout_ms, memory_bytes: container.memory_bytes, max_output_bytes },
            limits: Limits { file_bytes: max_output_bytes, total_bytes: total_output_bytes },
            grace_ms: u32::try_from(grace.as_millis()).unwrap_or(u32::MAX),
            log_bytes,
        }
    }

    /// Whether there is a command at all.
    ///
    /// # Errors
    /// When there is none: then every run will fail so.
    pub(crate) fn ensure_command(&self) -> Result<(), Failure> {
        if self.template.is_empty() { Err(failures::of_no_command()) } else { Ok(()) }
    }

    /// What runs are allowed, for the words of failures.
    pub(crate) fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// The first word of the command.
    pub(crate) fn program(&self) -> &str {
        &self.program
    }

    /// How inputs are to lie. Without `{in}` and `{manifest}` parts are read one after the other from standard input.
    pub(crate) fn wanted<'a>(&self, inputs: &'a [NamedBlob], name: &'a str, gather: bool) -> Wanted<'a> {
        let uses = self.template.uses();
        Wanted { inputs, name, gather, joined: gather && !uses.input && !uses.manifest }
    }

    fn reads_stdin(&self, gather: bool) -> bool {
        let uses = self.template.uses();
        !(uses.input || (gather && uses.manifest))
    }

    fn spools_stdout(&self) -> bool {
        let uses = self.template.uses();
        !uses.output && !uses.outdir
    }

    /// The run of what was asked, whose inputs are in place, with its output directory as the inside sees it.
    fn run(&self, seq: u64, asked: &Asked<'_>, staged: &Staged, outdir: &str) -> Result<Run, Failure> {
        let files = Files { input: &staged.input, outdir, manifest: staged.manifest.as_deref() };
        let (argv, env) = filled(&self.template, &Facts { fixed: asked.fixed, run: Some((asked.item, files)) })?;
        Ok(Run {
            seq,
            argv,
            env,
            stdin: if self.reads_stdin(asked.gather) { Stdin::File(staged.stdin.clone()) } else { Stdin::Empty },
            stdout: if self.spools_stdout() { Stdout::Attached } else { Stdout::Log },
            timeout_ms: asked.timeout_ms,
            grace_ms: self.grace_ms,
            log_bytes: self.log_bytes,
        })
    }
}

/// Where the runs of one sandbox find their inputs and leave their outputs.
pub(crate) struct RunDirs {
    pub(crate) inputs: InputDirs,
    outputs: OutputDirs,
}

impl RunDirs {
    /// Opens a sandbox's directories. To be called before anything runs inside. With `read_only_inputs` the inside cannot
    /// write to its inputs, so they may be links to cached files.
    pub(crate) fn open(paths: &Paths, yard: &Arc<Yard>, read_only_inputs: bool) -> io::Result<Self> {
        Ok(Self {
            inputs: InputDirs::open(&paths.host_in, &paths.inside_in, read_only_inputs)?,
            outputs: OutputDirs::open(&paths.host_out, &paths.inside_out, Arc::clone(yard))?,
        })
    }

    /// Makes a run whose inputs are in place. What follows is of this job: directories that another job's runs have seen
    /// are not used again.
    pub(crate) fn furnish(
        &mut self,
        plan: &Plan,
        (seq, job): (u64, [u8; 16]),
        asked: &Asked<'_>,
        staged: &Staged,
    ) -> Result<Furnished, Failure> {
        self.outputs.turn_to(job);
        let laid = self.outputs.lay(plan.spools_stdout());
        let (tray, stdout) = laid.map_err(|cause| failures::of_disk("its outputs have no place", &cause))?;
        match plan.run(seq, asked, staged, tray.path()) {
            Ok(run) => Ok((run, tray, stdout)),
            Err(failure) => {
                // What cannot be removed now goes with the sandbox.
                let _ = self.outputs.clear(tray);
                Err(failure)
            }
        }
    }

    /// What has come of a run all of whose processes are dead: its outputs below the directory of `path`, or why there are
    /// none. A command that was to leave a file at `{out}` must have left something.
    pub(crate) fn judge(
        &mut self,
        plan: &Plan,
        tray: &mut Tray,
        path: &str,
        done: &Done,
    ) -> Result<Vec<Output>, Failure> {
        if let Some(failure) = failures::of_end(&done.end, &plan.program, plan.bounds) {
            return Err(failure);
        }
        let collected = self.outputs.collect(tray, path, plan.limits);
        let outputs = collected.map_err(|error| failures::of_collecting(&error))?;
        if outputs.is_empty() && plan.template.uses().output {
            return Err(failures::of_missing_output(path));
        }
        Ok(outputs)
    }

    /// Clears inputs and outputs away, or keeps what later runs can use again.
    ///
    /// # Errors
    /// When that cannot be done: then the sandbox must not be used again.
    pub(crate) fn clear(&mut self, staged: Staged, tray: Tray) -> io::Result<()> {
        self.inputs.clear(staged);
        self.outputs.clear(tray)
    }
}
