//! Exit codes, which scripts rely on.

use std::process::ExitCode;

/// What the program's exit code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything committed; the command did what it was asked.
    Done = 0,
    /// Infrastructure: no coordinator, a full disk, a fault.
    Failed = 1,
    /// Refused: the command line, a spec, an input or a name must change.
    Usage = 2,
    /// Some items failed, or the answer is partial.
    Partial = 3,
    /// Not allowed.
    NotAllowed = 4,
    /// No worker that is here could ever run it.
    FitsNowhere = 6,
    /// The job was cancelled.
    Cancelled = 9,
    /// `wait` timed out.
    TimedOut = 124,
    /// Detached by Ctrl-C; what was submitted goes on.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}
