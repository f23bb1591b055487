//! How a run that did not succeed is told to people and to the policy of retries.

use bytes::Bytes;
use longshore_proto::v1::{Failure, FailureClass};
use longshore_shim::{End, Log};
use rustix::io::Errno;

use super::{amount, outputs::CollectError};
use crate::{
    cache::FetchError,
    runtime::{ImageError, PostMortem, StartError},
    secrets::CUT,
};

/// Most bytes of standard error a failure carries.
const STDERR_TAIL: usize = 4 << 10;

/// What a stage allows its attempts; named where one goes beyond.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Of one run, in milliseconds.
    pub timeout_ms: u64,
    /// Of the container, in bytes; 0 is none.
    pub memory_bytes: u64,
    /// Of processes and threads of the container; 0 is not known.
    pub pids: u32,
    /// Of one output file, in bytes.
    pub max_output_bytes: u64,
    /// Of temporary space, in bytes.
    pub tmp_bytes: u64,
    /// Whether a run that exits with 0 succeeds although processes of it were killed for want of memory.
    pub ignores_memory_kills: bool,
}

/// A failure without a code or standard error.
pub(crate) fn failure(class: FailureClass, message: impl Into<String>) -> Failure {
    coded(class, 0, message)
}

fn coded(class: FailureClass, code: i32, message: impl Into<String>) -> Failure {
    Failure { class: class.into(), code, message: message.into(), ..Failure::default() }
}

/// How something in a container ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending<'a> {
    /// Its process.
    pub end: &'a End,
    /// Processes of it that were killed for want of memory.
    pub memory_kills: u64,
    /// Processes and threads that were refused it.
    pub process_refusals: u64,
}

/// The failure of a run that ended so; `None` when it succeeded.
pub(crate) fn of_end(ending: Ending<'_>, program: &str, bounds: Bounds) -> Option<Failure> {
    let mut failure = reason(ending, program, bounds)?;
    if ending.process_refusals > 0 && *ending.end != End::Stopped {
        failure.message.push_str(&processes_met(bounds));
    }
    Some(failure)
}

fn reason(Ending { end, memory_kills, .. }: Ending<'_>, program: &str, bounds: Bounds) -> Option<Failure> {
    if memory_kills > 0
        && let Some(failure) = of_memory(end, bounds)
    {
        return Some(failure);
    }
    Some(match end {
        End::Exited(0) => return None,
        End::Exited(code) => coded(FailureClass::Exit, *code, exit_message(*code, bounds)),
        End::Signaled { signal } if *signal == SIGXFSZ => {
            coded(FailureClass::Output, *signal, format!("wrote a file larger than {}", max_output(bounds)))
        }
        End::Signaled { signal } => coded(FailureClass::Signal, *signal, format!("killed by {}", signal_name(*signal))),
        End::NotStarted { errno, doing } => not_started(*errno, doing, program),
        End::TimedOut => failure(FailureClass::Timeout, timeout_message(bounds)),
        End::Stopped => failure(FailureClass::Infrastructure, "stopped by the worker"),
    })
}

/// The failure of a run of which processes were killed for want of memory, unless its end has another reason, or it is to be
/// believed when it says that all is well.
fn of_memory(end: &End, bounds: Bounds) -> Option<Failure> {
    let code = match end {
        End::Exited(0) if bounds.ignores_memory_kills => return None,
        End::Exited(0) => {
            let message = format!(
                "{}: a process of it was killed, and the command went on and exited with 0; `oom: ignore` accepts that, {}",
                memory_met(bounds),
                more_memory(bounds)
            );
            return Some(failure(FailureClass::OutOfMemory, message));
        }
        End::Exited(code) => *code,
        End::Signaled { signal } => -signal,
        End::NotStarted { .. } | End::TimedOut | End::Stopped => return None,
    };
    Some(coded(FailureClass::OutOfMemory, code, memory_message(bounds)))
}

/// The failure of the run that was first in line when the sandbox went away.
pub(crate) fn of_lost(post_mortem: &PostMortem, reason: &str, bounds: Bounds) -> Failure {
    if post_mortem.out_of_memory {
        return failure(FailureClass::OutOfMemory, memory_message(bounds));
    }
    let code = post_mortem.exit_code.map(|code| format!(" with exit code {code}")).unwrap_or_default();
    let words = if post_mortem.message.is_empty() { reason } else { &post_mortem.message };
    failure(FailureClass::SlotLost, format!("the container ended{code} under it: {}", one_line(words)))
}

/// It ran over its time, and the shim did not say so.
pub(crate) fn of_silence(bounds: Bounds) -> Failure {
    failure(FailureClass::Timeout, format!("{}, and its container no longer answered", timeout_message(bounds)))
}

/// Only what is final is the image's: the rest is tried again, here or elsewhere.
pub(crate) fn of_image(error: &ImageError) -> Failure {
    let class = if error.is_final() { FailureClass::Image } else { FailureClass::Infrastructure };
    failure(class, one_line(&error.to_string()))
}

pub(crate) fn of_start(error: &StartError) -> Failure {
    match error {
        StartError::Refused(why) => {
            failure(FailureClass::Command, format!("the container is refused: {}", one_line(why)))
        }
        StartError::Engine(why) => {
            failure(FailureClass::Infrastructure, format!("the container cannot be started: {}", one_line(why)))
        }
    }
}

pub(crate) fn of_fetch(path: &str, error: &FetchError) -> Failure {
    failure(FailureClass::Infrastructure, format!("input \"{}\": {error}", path.escape_debug()))
}

pub(crate) fn of_disk(doing: &str, cause: &std::io::Error) -> Failure {
    failure(FailureClass::Infrastructure, format!("{doing}: {cause}"))
}

pub(crate) fn of_collecting(error: &CollectError) -> Failure {
    match error {
        CollectError::Refused(what) => failure(FailureClass::Output, format!("output refused: {what}")),
        CollectError::Io { cause, .. } => failure(FailureClass::Infrastructure, format!("{error}: {cause}")),
    }
}

/// All users of its container's block were used: the container should have gone before.
pub(crate) fn of_no_user() -> Failure {
    failure(FailureClass::SlotLost, "its container has no user left that no run was before")
}

/// There is nothing to run.
pub(crate) fn of_no_command() -> Failure {
    failure(FailureClass::Command, "there is no command: the image has none and none was given")
}

/// What was asked of a server with interface `http` had this status.
pub(crate) fn of_status(class: FailureClass, status: u16, message: String) -> Failure {
    coded(class, status.into(), message)
}

/// The worker leaves before this could begin.
pub(crate) fn of_shutdown() -> Failure {
    failure(FailureClass::Infrastructure, "the worker is shutting down")
}

/// The failure of a request under which the server's process ended.
pub(crate) fn of_server_end(ending: Ending<'_>, stderr: &Bytes, program: &str, bounds: Bounds) -> Failure {
    let mut failure = match of_end(ending, program, bounds) {
        Some(failure) if failure.class() == FailureClass::OutOfMemory => failure,
        Some(failure) if matches!(ending.end, End::NotStarted { .. }) => failure,
        Some(how) => failure(FailureClass::SlotLost, format!("the server ended: {}", how.message)),
        None => failure(FailureClass::SlotLost, "the server ended: exit code 0"),
    };
    failure.stderr_tail = tail(stderr);
    failure
}

/// A failure in one line, with the last words on standard error.
pub(crate) fn in_a_line(failure: &Failure) -> String {
    let stderr = String::from_utf8_lossy(&failure.stderr_tail);
    let last = stderr.lines().next_back().map(one_line).filter(|line| !line.is_empty());
    last.map_or_else(|| failure.message.clone(), |last| format!("{} ({last})", failure.message))
}

/// An output that grew past its bound.
pub(crate) fn of_too_large(most_bytes: u64) -> Failure {
    failure(FailureClass::Output, format!("output larger than {} (max_output)", amount::bytes(most_bytes)))
}

/// The command was to leave a file and left none.
pub(crate) fn of_missing_output(path: &str) -> Failure {
    failure(FailureClass::Output, format!("left no output: expected \"{}\" ({{out}})", path.escape_debug()))
}

/// A log in one piece, with a marker where the middle was left out.
pub(crate) fn log_bytes(log: Log) -> Bytes {
    if log.dropped == 0 && log.tail.is_empty() {
        return log.head.into();
    }
    let mut bytes = log.head;
    if log.dropped > 0 {
        bytes.extend_from_slice(format!("\n[... {} bytes left out ...]\n", log.dropped).as_bytes());
    }
    bytes.extend_from_slice(&log.tail);
    bytes.into()
}

/// Adds lines of ours to the end of a log.
pub(crate) fn say(log: &mut Log, lines: &str) {
    if lines.is_empty() {
        return;
    }
    let end = if log.dropped == 0 && log.tail.is_empty() { &mut log.head } else { &mut log.tail };
    if end.last().is_some_and(|last| *last != b'\n') {
        end.push(b'\n');
    }
    end.extend_from_slice(lines.as_bytes());
}

/// The end of a log.
pub(crate) fn tail(log: &Bytes) -> Bytes {
    log.slice(log.len().saturating_sub(STDERR_TAIL)..)
}

/// What the shim calls the files of secrets.
const OF_SECRETS: [&str; 2] = ["make the secret's file ", "make the directory of secrets"];

const SIGXFSZ: i32 = 25;

/// Exit codes above this are a shell's way to say that its command was killed by a signal.
const KILLED: i32 = 128;

fn exit_message(code: i32, bounds: Bounds) -> String {
    match code - KILLED {
        SIGXFSZ => format!("exit code {code} (a file grew past {})", max_output(bounds)),
        signal @ 1..=31 => format!("exit code {code} (128 + {})", signal_name(signal)),
        -1 => "exit code 127 (a shell's code for a command that was not found)".into(),
        -2 => "exit code 126 (a shell's code for a command that cannot be executed)".into(),
        _ => format!("exit code {code}"),
    }
}

fn signal_name(signal: i32) -> String {
    const NAMES: [&str; 32] = [
        "", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
        "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF",
        "WINCH", "IO", "PWR", "SYS",
    ];
    let name = usize::try_from(signal).ok().and_then(|number| NAMES.get(number)).filter(|name| !name.is_empty());
    name.map_or_else(|| format!("signal {signal}"), |name| format!("signal {signal} (SIG{name})"))
}

fn not_started(errno: i32, doing: &str, program: &str) -> Failure {
    let errno = Errno::from_raw_os_error(errno);
    let words = strerror(errno);
    // What a container asks for does not fit into what it asks for: the same everywhere.
    if errno == Errno::NOSPC && OF_SECRETS.iter().any(|what| doing.starts_with(what)) {
        let message = format!(
            "cannot {}: /dev/shm, where secrets are, has no room for it; `shm_size: SIZE` in the spec or `--shm-size SIZE` gives it \
             more",
            one_line(doing)
        );
        return coded(FailureClass::Command, errno.raw_os_error(), message);
    }
    // The shim says "run NAME" of the program itself, and other verbs of the run's files.
    if !doing.starts_with("run ") {
        return failure(FailureClass::Infrastructure, format!("cannot {}: {words}", one_line(doing)));
    }
    let program_shown = program.escape_debug();
    let message = match errno {
        Errno::NOENT => format!("{program_shown}: not found in the image: {words}{}", shell_hint(program)),
        Errno::ACCESS => format!("{program_shown}: not executable: {words}"),
        Errno::NOEXEC => {
            format!("{program_shown}: {words} (built for another architecture, or a script without its \"#!\" line)")
        }
        Errno::TOOBIG => format!("{program_shown}: command and environment are too long: {words}"),
        _ => format!("{program_shown}: cannot be started: {words}"),
    };
    coded(FailureClass::Command, errno.raw_os_error(), message)
}

fn shell_hint(program: &str) -> &'static str {
    match program.rsplit('/').next() {
        Some("sh" | "bash" | "ash" | "dash" | "zsh") => {
            " - the image may have no shell; give the program and its arguments as a list instead"
        }
        _ => "",
    }
}

fn strerror(errno: Errno) -> String {
    let text = std::io::Error::from_raw_os_error(errno.raw_os_error()).to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

fn memory_message(bounds: Bounds) -> String {
    format!("{}; {}", memory_met(bounds), more_memory(bounds))
}

fn memory_met(bounds: Bounds) -> String {
    match bounds.memory_bytes {
        0 => "ran out of memory".into(),
        limit => format!("met its memory limit of {}", amount::bytes(limit)),
    }
}

fn more_memory(bounds: Bounds) -> String {
    let more = match bounds.memory_bytes {
        0 => "SIZE".to_owned(),
        limit => amount::flag(limit.saturating_mul(2)),
    };
    format!("`memory: {more}` in the spec or `--memory {more}` raises the limit")
}

fn processes_met(bounds: Bounds) -> String {
    let (bound, more) = match bounds.pids {
        0 => (String::new(), "NUMBER".to_owned()),
        bound => (format!(" of {bound}"), bound.saturating_mul(2).to_string()),
    };
    format!("; it met its pids_limit{bound}: `pids_limit: {more}` in the spec or `--pids-limit {more}` raises that")
}

fn timeout_message(bounds: Bounds) -> String {
    format!("ran longer than {}", amount::milliseconds(bounds.timeout_ms))
}

fn max_output(bounds: Bounds) -> String {
    let most = bounds.max_output_bytes.max(bounds.tmp_bytes);
    let key = if bounds.tmp_bytes > bounds.max_output_bytes { "tmp_size" } else { "max_output" };
    format!("{} ({key})", amount::bytes(most))
}

/// Others' words on one line, escaped and bounded: marked where they were cut, since the beginning of a secret may stand there.
pub(crate) fn one_line(words: &str) -> String {
    const CHARACTERS: usize = 500;
    let mut line = String::new();
    for (at, character) in words.trim().chars().enumerate() {
        if at == CHARACTERS {
            line.push(CUT);
            break;
        }
        match character {
            '"' | '\'' | '\\' => line.push(character),
            _ => line.extend(character.escape_debug()),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        timeout_ms: 2_000,
        memory_bytes: 64 << 20,
        pids: 64,
        max_output_bytes: 1 << 30,
        tmp_bytes: 0,
        ignores_memory_kills: false,
    };

    fn told(end: &End) -> (FailureClass, i32, String) {
        told_with(end, 0)
    }

    fn told_with(end: &End, memory_kills: u64) -> (FailureClass, i32, String) {
        let failure = of_end(Ending { end, memory_kills, process_refusals: 0 }, "sh", BOUNDS).unwrap();
        (failure.class(), failure.code, failure.message)
    }

    #[test]
    fn each_end_has_its_class_and_one_clear_line() {
        assert!(of_end(Ending { end: &End::Exited(0), memory_kills: 0, process_refusals: 0 }, "sh", BOUNDS).is_none());
        assert_eq!(told(&End::Exited(3)), (FailureClass::Exit, 3, "exit code 3".into()));
        assert_eq!(
            told(&End::Exited(137)),
            (FailureClass::Exit, 137, "exit code 137 (128 + signal 9 (SIGKILL))".into())
        );
        assert_eq!(
            told(&End::Signaled { signal: 9 }),
            (FailureClass::Signal, 9, "killed by signal 9 (SIGKILL)".into())
        );
        assert_eq!(told(&End::Signaled { signal: 40 }).2, "killed by signal 40");
        assert_eq!(
            told(&End::Signaled { signal: SIGXFSZ }),
            (FailureClass::Output, 25, "wrote a file larger than 1 GiB (max_output)".into())
        );
        assert_eq!(told(&End::TimedOut), (FailureClass::Timeout, 0, "ran longer than 2s".into()));
    }

    #[test]
    fn memory_is_the_reason_of_every_end_that_a_kill_may_have_brought_about() {
        let short = || {
            "met its memory limit of 64 MiB; `memory: 128m` in the spec or `--memory 128m` raises the limit".to_owned()
        };
        assert_eq!(told_with(&End::Signaled { signal: 9 }, 1), (FailureClass::OutOfMemory, -9, short()));
        assert_eq!(told_with(&End::Exited(5), 2), (FailureClass::OutOfMemory, 5, short()));
        assert_eq!(told_with(&End::TimedOut, 1).0, FailureClass::Timeout);
        let (class, code, message) = told_with(&End::Exited(0), 1);
        assert_eq!((class, code), (FailureClass::OutOfMemory, 0), "half an output is none");
        assert!(message.contains("`oom: ignore`"), "{message}");
    }

    #[test]
    fn a_run_that_failed_and_was_refused_processes_is_told_of_their_bound() {
        let ended = |end| of_end(Ending { end, memory_kills: 0, process_refusals: 3 }, "sh", BOUNDS);
        let expected =
            "exit code 2; it met its pids_limit of 64: `pids_limit: 128` in the spec or `--pids-limit 128` raises that";
        assert_eq!(ended(&End::Exited(2)).unwrap().message, expected);
        assert!(ended(&End::Exited(0)).is_none(), "it made do with what it had");
        assert_eq!(ended(&End::Stopped).unwrap().message, "stopped by the worker");
    }

    #[test]
    fn whoever_ignores_memory_kills_believes_a_command_that_went_on_and_no_other() {
        let lax = Bounds { ignores_memory_kills: true, ..BOUNDS };
        assert!(of_end(Ending { end: &End::Exited(0), memory_kills: 1, process_refusals: 0 }, "sh", lax).is_none());
        let failed = of_end(Ending { end: &End::Exited(1), memory_kills: 1, process_refusals: 0 }, "sh", lax).unwrap();
        assert_eq!(failed.class(), FailureClass::OutOfMemory);
    }

    #[test]
    fn a_missing_shell_is_named_as_such() {
        let (class, code, message) = told(&End::NotStarted { errno: 2, doing: "run sh".into() });
        assert_eq!((class, code), (FailureClass::Command, 2));
        assert!(message.starts_with("sh: not found in the image: No such file or directory"), "{message}");
        assert!(message.contains("no shell"), "{message}");
    }

    #[test]
    fn trouble_with_our_own_files_is_not_the_commands_fault() {
        let (class, _, message) = told(&End::NotStarted { errno: 28, doing: "make the secret's file key".into() });
        assert_eq!(class, FailureClass::Command);
        assert!(message.contains("/dev/shm") && message.contains("--shm-size"), "{message}");
        let (class, ..) = told(&End::NotStarted { errno: 17, doing: "make the directory of secrets".into() });
        assert_eq!(class, FailureClass::Infrastructure);
        let (class, _, message) = told(&End::NotStarted { errno: 28, doing: "make directory /out/3".into() });
        assert_eq!(class, FailureClass::Infrastructure);
        assert_eq!(message, "cannot make directory /out/3: No space left on device");
    }

    #[test]
    fn a_cut_log_says_where_it_was_cut() {
        let log = Log { head: b"begin".to_vec(), tail: b"end".to_vec(), dropped: 7 };
        assert_eq!(log_bytes(log), "begin\n[... 7 bytes left out ...]\nend");
        let mut log = Log { head: b"begin".to_vec(), tail: b"end".to_vec(), dropped: 7 };
        say(&mut log, "ours\n");
        assert_eq!(log_bytes(log), "begin\n[... 7 bytes left out ...]\nend\nours\n");
        let mut log = Log { head: Vec::new(), tail: Vec::new(), dropped: 0 };
        say(&mut log, "");
        say(&mut log, "ours\n");
        assert_eq!(log_bytes(log), "ours\n");
        let long = Bytes::from(vec![b'x'; 5_000]);
        assert_eq!(tail(&long).len(), STDERR_TAIL);
    }

    #[test]
    fn no_value_is_left_where_words_were_cut() {
        use crate::secrets::Secrets;
        use longshore_proto::v1::SecretValue;
        let value = "x7".repeat(400);
        let mut told = of_start(&StartError::Refused(format!("no {value}")));
        assert!(told.message.ends_with('…'), "{}", told.message);
        let secrets = [SecretValue { name: "s".into(), version: 1, value: value.into() }];
        Secrets::new(secrets.into()).hide_in_failure(&mut told);
        assert_eq!(told.message, "the container is refused: no ***…");
    }

    #[test]
    fn words_of_others_stay_on_one_line() {
        assert_eq!(one_line("it \"failed\"\nbadly\u{1b}[31m\n"), "it \"failed\"\\nbadly\\u{1b}[31m");
    }
}
