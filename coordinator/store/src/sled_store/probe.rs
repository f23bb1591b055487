//! Trying the store in another process first: sled can panic or hang on damaged files, and there it harms nobody.
//!
//! The program runs itself with one variable and one argument set; [`probe_main_if_asked`] sees the variable, opens the
//! database, checks every entry, says one line and ends the process. The argument makes a program that never calls it fail
//! at once instead of starting a second life.

use std::{
    env, fs,
    io::{self, Read},
    path::Path,
    process::{self, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Signal, set_parent_process_death_signal},
};

use super::{
    engine::{self, Fault},
    envelope::SCHEMA,
    layout::Layout,
    options::{Options, Probe},
};
use crate::OpenError;

const VARIABLE: &str = "LONGSHORE_STORE_PROBE";
const ARGUMENT: &str = "--longshore-store-probe";
const PREFIX: &str = "longshore-store-probe: ";
/// The most that is read of what the process says.
const MAX_ANSWER_BYTES: u64 = 64 << 10;
const PROBE_CACHE_BYTES: u64 = 16 << 20;

/// To be called first thing in `main` of a program that opens stores with [`Probe::Child`]: does nothing, unless this
/// process was started to try a store; then it tries it and never returns.
pub fn probe_main_if_asked() {
    let Some(dir) = env::var_os(VARIABLE) else {
        return;
    };
    // If whoever asked is gone, nobody wants the answer, and the lock must be free.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    println!("{PREFIX}{}", answer(Path::new(&dir)));
    process::exit(0);
}

fn answer(dir: &Path) -> String {
    let tried = engine::open(dir, PROBE_CACHE_BYTES).and_then(|db| {
        let last = engine::verify(&db)?;
        engine::close(db);
        Ok(last.mark.seq)
    });
    match tried {
        Ok(seq) => format!("ok {seq}"),
        Err(Fault::Newer(schema)) => format!("newer {schema}"),
        Err(Fault::Damaged(detail)) => format!("damaged {}", detail.escape_debug()),
        Err(Fault::Io(error)) => {
            format!("io {} {}", error.raw_os_error().unwrap_or(0), error.to_string().escape_debug())
        }
    }
}

/// Runs the probe that the options ask for; `true` when the store was tried and found whole.
pub(crate) fn run(layout: &Layout, options: &Options) -> Result<bool, OpenError> {
    let failed = |source| OpenError::Probe { dir: layout.dir.clone(), source };
    let (program, arguments) = match &options.probe {
        Probe::Off => return Ok(false),
        Probe::Child => (env::current_exe().map_err(failed)?, vec![ARGUMENT.into()]),
        Probe::Program { program, arguments } => (program.clone(), arguments.clone()),
    };
    // A relative path holds in the child too: it keeps the working directory.
    if fs::metadata(layout.log()).is_err() {
        return Ok(false);
    }
    let mut command = Command::new(program);
    command.args(arguments).env(VARIABLE, layout.sled());
    let said = ask(&mut command, options.probe_timeout).map_err(failed)?;
    let said = said.ok_or(OpenError::ProbeTimedOut { dir: layout.dir.clone(), after: options.probe_timeout })?;
    judge(layout, &said)
}

/// Runs the command and returns what it said and how it ended; `None` when it took too long.
fn ask(command: &mut Command, timeout: Duration) -> io::Result<Option<Said>> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let text = match child.stdout.take() {
        Some(stdout) => read_until(stdout, Instant::now() + timeout),
        None => Ok(None),
    };
    if !matches!(text, Ok(Some(_))) {
        // Its end is what counts; that it may have ended already is fine.
        let _ = child.kill();
    }
    let ended = child.wait()?;
    Ok(text?.map(|text| Said { text, ended }))
}

struct Said {
    text: String,
    ended: process::ExitStatus,
}

/// Everything up to the end of the pipe, or `None` at the deadline.
fn read_until(mut stdout: ChildStdout, deadline: Instant) -> io::Result<Option<String>> {
    let mut text = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs() as _, tv_nsec: left.subsec_nanos() as _ };
        match poll(&mut [PollFd::new(&stdout, PollFlags::IN)], Some(&left)) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let mut block = [0; 4096];
        let count = stdout.read(&mut block)?;
        if count == 0 || text.len() as u64 > MAX_ANSWER_BYTES {
            return Ok(Some(String::from_utf8_lossy(&text).into_owned()));
        }
        text.extend_from_slice(&block[..count]);
    }
}

fn judge(layout: &Layout, said: &Said) -> Result<bool, OpenError> {
    let dir = || layout.dir.clone();
    let Some(answer) = said.text.lines().find_map(|line| line.split_once(PREFIX).map(|(_, answer)| answer)) else {
        return Err(silent(layout, said));
    };
    let (kind, rest) = answer.split_once(' ').unwrap_or((answer, ""));
    match kind {
        "ok" => Ok(true),
        "damaged" => Err(OpenError::Corrupt { dir: dir(), detail: rest.to_owned() }),
        "newer" => Err(OpenError::NewerSchema { dir: dir(), found: rest.parse().unwrap_or(0), known: SCHEMA }),
        _ => {
            let (code, text) = rest.split_once(' ').unwrap_or((rest, ""));
            let source = match code.parse() {
                Ok(code) if code != 0 => io::Error::from_raw_os_error(code),
                _ => io::Error::other(text.to_owned()),
            };
            Err(OpenError::Io { doing: "open", path: layout.log(), source })
        }
    }
}

/// Without an answer: killed by a signal while trying is damage, anything else is a program that does not know the probe.
fn silent(layout: &Layout, said: &Said) -> OpenError {
    use std::os::unix::process::ExitStatusExt;
    let dir = layout.dir.clone();
    match said.ended.signal() {
        Some(signal) => {
            OpenError::Corrupt { dir, detail: format!("the process that tried it died of signal {signal}") }
        }
        None => {
            OpenError::Probe { dir, source: io::Error::other(format!("it ended with {} and no answer", said.ended)) }
        }
    }
}
