//! Interface `files`: one run, from its input to its outputs.
//!
//! Without `{in}` (or, for parts, `{manifest}`) a command reads its input from standard input; without `{out}` and
//! `{outdir}` what it writes to standard output is its output. Whoever has a shim says when a run begins and how long it
//! may take; here it is made, and what has come of it is judged.

use std::{io, os::fd::OwnedFd, sync::Arc, time::Duration};

use longshore_proto::v1::{Container, Failure, NamedBlob};
use longshore_shim::{Done, End, Run, Secret, Stdin, Stdout, ToShim, User};

use super::{
    arguments,
    command::{filled, secrets_of},
    failures::{self, Bounds, Ending},
    fields,
    inputs::{InputDirs, Parts, Staged, Wanted},
    outputs::{Collected, Limits, Links, OutputDirs, Tray},
    placeholders::{Facts, Files, Fixed, Item, Template},
    yard::Yard,
};
use crate::{
    runtime::{
        Image, Paths,
        users::{RunUser, Users},
    },
    secrets::Secrets,
};

/// How much one run may use, and how it is ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    /// Longest time, for the words of a failure; each run is given its own.
    pub timeout_ms: u64,
    /// What it may leave.
    pub outputs: Limits,
    /// What becomes of links among the outputs.
    pub links: Links,
    /// What it may write in temporary places, in bytes.
    pub tmp_bytes: u64,
    /// Between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// Bytes kept of each log.
    pub log_bytes: u32,
    /// Whether a run that exits with 0 succeeds although processes of it were killed for want of memory.
    pub ignores_memory_kills: bool,
    /// Whether parts come as standard input alone, one after the other.
    pub streams_parts: bool,
}

/// What the runs of a container have in common, worked out once.
pub(crate) struct Plan {
    template: Template,
    /// Fields of items that are words.
    fields: Vec<String>,
    /// The first word of the command, for messages.
    program: String,
    bounds: Bounds,
    limits: (Limits, Links),
    streams_parts: bool,
    grace_ms: u32,
    log_bytes: u32,
    /// What each run is given, or why none can begin.
    given: Result<Vec<Secret>, Failure>,
}

/// One run to be made: what it is about, in what container, for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub item: Item<'a>,
    pub fixed: Fixed<'a>,
    /// Whether its inputs are parts.
    pub gather: bool,
    /// Its input, where that is small: fields of it may be words.
    pub input: Option<&'a [u8]>,
    /// None is as long as it takes.
    pub timeout_ms: Option<u64>,
}

/// A run that is ready for the shim, where its outputs will be, and the file of its standard output.
pub(crate) type Furnished = (Run, Tray, Option<OwnedFd>);

impl Plan {
    /// Works out what a container runs.
    pub(crate) fn new(
        image: &Image,
        container: &Container,
        secrets: &Secrets,
        fields: &[String],
        allowed: Allowance,
    ) -> Self {
        let argv = image.argv(container);
        let env = container.env.iter().map(|var| (var.name.as_str(), var.value.as_str()));
        let Allowance { timeout_ms, outputs, links, tmp_bytes, grace, log_bytes, ignores_memory_kills, streams_parts } =
            allowed;
        let bounds = Bounds {
            timeout_ms,
            memory_bytes: container.memory_bytes,
            pids: container.pids_limit,
            max_output_bytes: outputs.file_bytes,
            tmp_bytes,
            ignores_memory_kills,
        };
        Self {
            template: Template::with_fields(&argv, env, fields),
            fields: fields.to_vec(),
            program: argv.into_iter().next().unwrap_or_default(),
            bounds,
            limits: (outputs, links),
            streams_parts,
            grace_ms: u32::try_from(grace.as_millis()).unwrap_or(u32::MAX),
            log_bytes,
            given: secrets_of(container, secrets),
        }
    }

    /// Between SIGTERM and SIGKILL.
    pub(crate) fn grace(&self) -> Duration {
        Duration::from_millis(self.grace_ms.into())
    }

    /// Whether there is a command at all.
    ///
    /// # Errors
    /// When there is none, or a secret of it is not here: then every run will fail so.
    pub(crate) fn ensure_command(&self) -> Result<(), Failure> {
        if self.template.is_empty() { Err(failures::of_no_command()) } else { self.given.clone().map(drop) }
    }

    /// The question to a shim whether the program is there. `None` where its name is not known before a run.
    pub(crate) fn question(&self, fixed: Fixed<'_>) -> Option<ToShim> {
        let facts = Facts { fixed, run: None };
        let program = self.template.argv(&facts).into_iter().next().filter(|program| !program.contains('{'))?;
        Some(ToShim::Find { program, env: self.template.env(&facts) })
    }

    /// What a run would fail with that cannot be started.
    pub(crate) fn failure_of(&self, end: &End) -> Option<Failure> {
        failures::of_end(Ending { end, memory_kills: 0, process_refusals: 0 }, &self.program, self.bounds)
    }

    /// What runs are allowed, for the words of failures.
    pub(crate) fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// What a run may leave.
    pub(crate) fn limits(&self) -> Limits {
        self.limits.0
    }

    /// The first word of the command.
    pub(crate) fn program(&self) -> &str {
        &self.program
    }

    /// How inputs are to lie. Without `{in}` and `{manifest}` parts are read one after the other from standard input, and lie in a
    /// directory too, for those who read its variable.
    pub(crate) fn wanted<'a>(&self, inputs: &'a [NamedBlob], name: &'a str, gather: bool) -> Wanted<'a> {
        let uses = self.template.uses();
        let parts = match self.streams_parts {
            true => Parts { laid: false, joined: true, manifest: uses.manifest },
            false => Parts { laid: true, joined: !uses.input && !uses.manifest, manifest: true },
        };
        Wanted { inputs, name, gather, missing: None, parts }
    }

    /// Whether a command can be given these parts.
    ///
    /// # Errors
    /// When a shell would expand their names into more arguments than a program can have.
    pub(crate) fn ensure_arguments(&self, wanted: &Wanted<'_>, dirs: &InputDirs) -> Result<(), Failure> {
        if !wanted.gather || !self.template.expands_parts() {
            return Ok(());
        }
        arguments::ensure_fit(dirs.argument_bytes(wanted), wanted.inputs.len())
    }

    fn reads_stdin(&self, gather: bool) -> bool {
        let uses = self.template.uses();
        (gather && self.streams_parts) || !(uses.input || (gather && uses.manifest))
    }

    fn spools_stdout(&self) -> bool {
        let uses = self.template.uses();
        !uses.output && !uses.outdir
    }

    /// The run of what was asked, whose inputs are in place, with its output directory as the inside sees it.
    fn run(
        &self,
        seq: u64,
        asked: &Asked<'_>,
        staged: &Staged,
        outdir: &str,
        user: Option<User>,
    ) -> Result<Run, Failure> {
        let fields = fields::of(asked.input, &self.fields)?;
        let (input, manifest) = (staged.input.as_deref(), staged.manifest.as_deref());
        let files = Files { input, outdir, manifest, fields: Some(&fields) };
        let secrets = self.given.clone()?;
        let (argv, env) =
            filled(&self.template, &Facts { fixed: asked.fixed, run: Some((asked.item, files)) }, &secrets)?;
        Ok(Run {
            seq,
            argv,
            env,
            stdin: if self.reads_stdin(asked.gather) { Stdin::File(staged.stdin.clone()) } else { Stdin::Empty },
            stdout: if self.spools_stdout() { Stdout::Attached } else { Stdout::Log },
            timeout_ms: asked.timeout_ms,
            grace_ms: self.grace_ms,
            log_bytes: self.log_bytes,
            user,
            secrets,
            long_arguments: arguments::are_long(staged.argument_bytes),
        })
    }
}

/// Where the runs of one sandbox find their inputs and leave their outputs.
pub(crate) struct RunDirs {
    pub(crate) inputs: InputDirs,
    outputs: OutputDirs,
    users: Arc<Users>,
}

impl RunDirs {
    /// Opens a sandbox's directories. To be called before anything runs inside. With `read_only_inputs` the inside cannot
    /// write to its inputs, so they may be links to cached files.
    pub(crate) fn open(paths: &Paths, users: Arc<Users>, yard: &Arc<Yard>, read_only_inputs: bool) -> io::Result<Self> {
        let again = !users.are_one();
        Ok(Self {
            inputs: InputDirs::open(&paths.host_in, &paths.inside_in, read_only_inputs, again)?,
            outputs: OutputDirs::open(&paths.host_out, &paths.inside_out, Arc::clone(yard), again)?,
            users,
        })
    }

    /// Makes a run whose inputs are in place: it is somebody, to whom inputs and the place of outputs are given.
    pub(crate) fn furnish(
        &mut self,
        plan: &Plan,
        seq: u64,
        asked: &Asked<'_>,
        staged: &Staged,
    ) -> Result<Furnished, Failure> {
        let RunUser { inside, owner } = self.users.next().ok_or_else(failures::of_no_user)?;
        if let Some(owner) = owner {
            let given = self.inputs.give(staged, owner);
            given.map_err(|cause| failures::of_disk("its input cannot be given to it", &cause))?;
        }
        let laid = self.outputs.lay(plan.spools_stdout(), owner);
        let (tray, stdout) = laid.map_err(|cause| failures::of_disk("its outputs have no place", &cause))?;
        match plan.run(seq, asked, staged, tray.path(), inside) {
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
    ) -> Result<Collected, Failure> {
        let ending =
            Ending { end: &done.end, memory_kills: done.memory_kills, process_refusals: done.process_refusals };
        if let Some(failure) = failures::of_end(ending, &plan.program, plan.bounds) {
            return Err(failure);
        }
        let collected = self.outputs.collect(tray, path, plan.limits);
        let collected = collected.map_err(|error| failures::of_collecting(&error))?;
        if collected.outputs.is_empty() && plan.template.uses().output {
            return Err(failures::of_missing_output(path));
        }
        Ok(collected)
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
