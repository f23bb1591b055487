//! One command, typed and awaited.

use std::{
    ffi::OsStr,
    fs::File,
    io::Write,
    os::unix::{fs::FileExt, process::ExitStatusExt},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{binary::Place, patience::until};

/// A command that has ended.
#[derive(Debug)]
pub struct Ran {
    /// What was typed.
    pub typed: String,
    /// Its exit code; a signal's number plus 128 when one ended it.
    pub code: i32,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Ran {
    /// Checks the exit code.
    ///
    /// # Panics
    /// When it is another.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self}");
        self
    }

    /// Checks that standard error has these words.
    ///
    /// # Panics
    /// When it has not.
    #[track_caller]
    pub fn says(self, words: &str) -> Self {
        assert!(self.stderr.contains(words), "{words:?} is not said:\n{self}");
        self
    }

    /// Standard output as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}:\n{self}"))
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "$ {}\n{}\n{}\n(exit code {})", self.typed, self.stdout, self.stderr, self.code)
    }
}

/// A command under way. Dropped, it is killed.
#[derive(Debug)]
pub struct Running {
    typed: String,
    child: Child,
    stdout: File,
    stderr: File,
}

impl Running {
    /// Starts `longshore` with these arguments at `place`; `input` becomes its standard input.
    pub(super) fn start<S: AsRef<OsStr>>(place: &Place, env: &[(&str, &str)], args: &[S], input: Option<&str>) -> Self {
        let mut command = place.command();
        command.envs(env.iter().copied());
        Self::of(place, command, args, input)
    }

    /// Starts a command that lacks its arguments only.
    pub(super) fn of<S: AsRef<OsStr>>(place: &Place, mut command: Command, args: &[S], input: Option<&str>) -> Self {
        let (stdout, stderr) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        command.args(args);
        // Files, not pipes: nobody has to read while it runs.
        command.stdout(stdout.try_clone().unwrap()).stderr(stderr.try_clone().unwrap());
        command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
        let mut child = place.spawn(&mut command);
        if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
            stdin.write_all(input.as_bytes()).unwrap();
        }
        let words: Vec<_> = args.iter().map(|arg| arg.as_ref().to_string_lossy()).collect();
        Self { typed: format!("longshore {}", words.join(" ")), child, stdout, stderr }
    }

    /// Types Ctrl-C.
    pub fn interrupt(&self) {
        kill_process(pid(&self.child), Signal::INT).unwrap();
    }

    /// What it has written to standard error so far.
    pub fn said(&self) -> String {
        read(&self.stderr)
    }

    /// Whether it has not ended.
    ///
    /// # Panics
    /// When that cannot be known.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When that takes too long.
    #[track_caller]
    pub fn ended(mut self) -> Ran {
        let typed = self.typed.clone();
        let status = until(&format!("the end of `{typed}`"), || self.child.try_wait().unwrap());
        let (stdout, stderr) = (read(&self.stdout), read(&self.stderr));
        Ran { typed, code: code(status), stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            if thread::panicking() {
                eprintln!("$ {} (still running)\n{}", self.typed, self.said());
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The number of a child that has not been waited for.
pub(super) fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().try_into().unwrap()).unwrap()
}

pub(super) fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap())
}

/// All of it so far. The child writes at the same position, which is left alone.
pub(super) fn read(file: &File) -> String {
    let mut bytes = vec![0; file.metadata().unwrap().len().try_into().unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}
