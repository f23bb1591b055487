//! Peers that are Python libraries: a small client program of ours, which is told what to do line by line.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};

/// Tasks the client programs know: each item a fresh process, or nothing but a call.
pub const TASKS: [&str; 2] = ["true", "noop"];

/// What a task does, for the table.
pub fn does(task: &str) -> &str {
    match task {
        "true" => "each task runs /bin/true",
        _ => "each task is an empty Python function in a process that stays",
    }
}

/// The interpreter from wherever it is run; a bare name is looked for on the path.
pub fn interpreter(given: &Path) -> PathBuf {
    let bare = given.components().count() == 1;
    if bare { given.to_owned() } else { std::path::absolute(given).unwrap_or_else(|_| given.to_owned()) }
}

/// Fails unless this Python has these modules.
pub fn require(python: &Path, modules: &str) -> Result<()> {
    let mut command = Command::new(python);
    command.args(["-c", &format!("import {modules}")]).stdout(Stdio::null()).stderr(Stdio::null());
    if command.status().is_ok_and(|status| status.success()) {
        return Ok(());
    }
    bail!(
        "{} lacks one of {modules}; pip install them in a venv and name its interpreter with --python",
        python.display()
    )
}

/// A running client program; it ends when its standard input does.
pub struct Program {
    process: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Program {
    /// Starts it and waits until it says that it is ready.
    pub fn start(command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
        let stdout = BufReader::new(process.stdout.take().context("no standard output")?);
        let stdin = process.stdin.take();
        let mut program = Self { process, stdin, stdout };
        let said = program.line()?;
        if said != "ready" {
            bail!("{command:?} says {said:?}; try it by hand");
        }
        Ok(program)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Has it run so many tasks; how long that took.
    pub fn tasks(&mut self, task: &str, items: usize) -> Result<Duration> {
        writeln!(self.stdin.as_mut().context("it was stopped")?, "{task} {items}")?;
        let seconds = self.line()?;
        let seconds: f64 = seconds.parse().with_context(|| format!("the client program says {seconds:?}"))?;
        Ok(Duration::from_secs_f64(seconds))
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.stdin = None;
        // It may have ended already.
        let _ = self.process.wait();
    }
}

/// Writes a program of ours where it can be run.
pub fn write(dir: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = dir.join(name);
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
