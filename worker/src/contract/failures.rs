//! How a run that did not succeed is told to people and to the policy of retries.

use bytes::Bytes;
use longshore_proto::v1::{Failure, FailureClass};
use longshore_shim::{End, Log};
use rustix::io::Errno;

use super::{amount, outputs::CollectError};
use crate::{
    cache::FetchError,
    runtime::{ImageError, PostMortem, StartError},
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
    /// Of one output file, in bytes.
    pub max_output_bytes: u64,
}

/// A failure without a code or standard error.
pub(crate) fn failure(class: FailureClass, message: impl Into<String>) -> Failure {
    coded(class, 0, message)
}

fn coded(class: FailureClass, code: i32, message: impl Into<String>) -> Failure {
    Failure { class: class.into(), code, message: message.into(), stderr_tail: Bytes::new() }
}

/// The failure of a run that ended so; `None` when it succeeded.
pub(crate) fn of_end(end: &End, program: &str, bounds: Bounds) -> Option<Failure> {
    Some(match end {
        End::Exited(0) => return None,
        End::Exited(code) => coded(FailureClass::Exit, *code, exit_message(*code, bounds)),
        End::Signaled { signal } if *signal == SIGXFSZ => {
            coded(FailureClass::Output, *signal, format!("output larger than {}", max_output(bounds)))
        }
        End::Signaled { signal } => coded(FailureClass::Signal, *signal, format!("killed by {}", signal_name(*signal))),
        End::OutOfMemory { status } => coded(FailureClass::OutOfMemory, *status, memory_message(bounds)),
        End::NotStarted { errno, doing } => not_started(*errno, doing, program),
        End::TimedOut => failure(FailureClass::Timeout, timeout_message(bounds)),
        End::Stopped => failure(FailureClass::Infrastructure, "stopped by the worker"),
    })
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

pub(crate) fn of_image(error: &ImageError) -> Failure {
    failure(FailureClass::Image, one_line(&error.to_string()))
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
pub(crate) fn of_server_end(end: &End, stderr: &Bytes, program: &str, bounds: Bounds) -> Failure {
    let mut failure = match of_end(end, program, bounds) {
        Some(failure) if matches!(end, End::OutOfMemory { .. } | End::NotStarted { .. }) => failure,
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
    failure(FailureClass::Output, format!("output larger than {} (max_output_bytes)", amount::bytes(most_bytes)))
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

/// The end of a log.
pub(crate) fn tail(log: &Bytes) -> Bytes {
    log.slice(log.len().saturating_sub(STDERR_TAIL)..)
}

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
    match bounds.memory_bytes {
        0 => "ran out of memory".into(),
        limit => format!("met its memory limit of {}", amount::bytes(limit)),
    }
}

fn timeout_message(bounds: Bounds) -> String {
    format!("ran longer than {}", amount::milliseconds(bounds.timeout_ms))
}

fn max_output(bounds: Bounds) -> String {
    format!("{} (max_output_bytes)", amount::bytes(bounds.max_output_bytes))
}

/// Others' words on one line, escaped and bounded.
pub(crate) fn one_line(words: &str) -> String {
    const CHARACTERS: usize = 500;
    let mut line = String::new();
    for character in words.trim().chars().take(CHARACTERS) {
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

    const BOUNDS: Bounds = Bounds { timeout_ms: 2_000, memory_bytes: 64 << 20, max_output_bytes: 1 << 30 };

    fn told(end: &End) -> (FailureClass, i32, String) {
        let failure = of_end(end, "sh", BOUNDS).unwrap();
        (failure.class(), failure.code, failure.message)
    }

    #[test]
    fn each_end_has_its_class_and_one_clear_line() {
        assert!(of_end(&End::Exited(0), "sh", BOUNDS).is_none());
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
            (FailureClass::Output, 25, "output larger than 1 GiB (max_output_bytes)".into())
        );
        assert_eq!(
            told(&End::OutOfMemory { status: -9 }),
            (FailureClass::OutOfMemory, -9, "met its memory limit of 64 MiB".into())
        );
        assert_eq!(told(&End::TimedOut), (FailureClass::Timeout, 0, "ran longer than 2s".into()));
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
        let (class, _, message) = told(&End::NotStarted { errno: 28, doing: "make directory /out/3".into() });
        assert_eq!(class, FailureClass::Infrastructure);
        assert_eq!(message, "cannot make directory /out/3: No space left on device");
    }

    #[test]
    fn a_cut_log_says_where_it_was_cut() {
        let log = Log { head: b"begin".to_vec(), tail: b"end".to_vec(), dropped: 7 };
        assert_eq!(log_bytes(log), "begin\n[... 7 bytes left out ...]\nend");
        let long = Bytes::from(vec![b'x'; 5_000]);
        assert_eq!(tail(&long).len(), STDERR_TAIL);
    }

    #[test]
    fn words_of_others_stay_on_one_line() {
        assert_eq!(one_line("it \"failed\"\nbadly\u{1b}[31m\n"), "it \"failed\"\\nbadly\\u{1b}[31m");
    }
}
