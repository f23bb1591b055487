//! Where errors end: one place that prints them and chooses the exit code.

use std::{error::Error, io::Write as _};

use anstyle::{AnsiColor, Style};
use longshore_client::{
    BlobError, CallError, Kind, OutDirError, UploadError, aims::AimError, escape, inputs::InputError,
    outputs::OutputError,
};
use longshore_coordinator::OpenError;
use longshore_local::PrivateDirError;
use longshore_way::{AddressError, WayError};
use longshore_worker::coordinator::{JoinError, Refused};

use crate::{
    contexts::ContextsError,
    exit::Exit,
    printer::StdoutClosed,
    spec::{SpecError, UnreadSpec},
};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// An error of the command line's own, with its exit code and perhaps the next thing to type.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    message: String,
    exit: Exit,
    hint: Option<String>,
}

impl Failure {
    /// With an exit code.
    pub fn new(exit: Exit, message: impl Into<String>) -> Failure {
        Failure { message: message.into(), exit, hint: None }
    }

    /// The caller must change something.
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure::new(Exit::Usage, message)
    }

    /// With the next thing to type or do.
    pub fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }
}

/// Prints an error that ends the program, and answers the exit code.
pub fn report(error: &anyhow::Error) -> Exit {
    if error.is::<StdoutClosed>() {
        // Whoever read the output has had enough.
        return Exit::Done;
    }
    let (exit, hint) = judge(error);
    // Nothing more can be done when standard error is closed as well.
    let _ = print(error, hint.as_deref());
    exit
}

fn print(error: &anyhow::Error, hint: Option<&str>) -> std::io::Result<()> {
    let mut err = anstream::stderr().lock();
    let mut said = error.to_string();
    writeln!(err, "{ERROR}error:{ERROR:#} {}", escape::block(said.as_bytes()))?;
    for cause in error.chain().skip(1).map(ToString::to_string) {
        // Some libraries repeat their source in their own text.
        if !said.contains(&cause) {
            writeln!(err, "  because: {}", escape::block(cause.as_bytes()))?;
        }
        said = cause;
    }
    match hint {
        Some(hint) => writeln!(err, "{HINT}hint:{HINT:#} {}", escape::block(hint.as_bytes())),
        None => Ok(()),
    }
}

/// The exit code and hint of the first error in the chain that has an opinion.
fn judge(error: &anyhow::Error) -> (Exit, Option<String>) {
    // A failure that is the context of another error is found only this way.
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return (failure.exit, failure.hint.clone());
    }
    error.chain().find_map(judge_one).unwrap_or((Exit::Failed, None))
}

fn judge_one(error: &(dyn Error + 'static)) -> Option<(Exit, Option<String>)> {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return Some((failure.exit, failure.hint.clone()));
    }
    if error.is::<SpecError>() || error.is::<UnreadSpec>() {
        return Some((Exit::Usage, None));
    }
    if let Some(error) = error.downcast_ref::<InputError>() {
        return Some((exit_of(error.kind()), error.hint().map(str::to_owned)));
    }
    if let Some(error) = error.downcast_ref::<AimError>() {
        return Some((exit_of(error.kind()), error.hint().map(str::to_owned)));
    }
    if let Some(way) = error.downcast_ref::<WayError>() {
        return Some((exit_of(Kind::of_way(way)), way.hint()));
    }
    if let Some(Refused::Told(_)) = error.downcast_ref::<Refused>() {
        return Some((Exit::NotAllowed, Some("name the coordinator's token file with --token-file".to_owned())));
    }
    if let Some(Refused::Denied(_)) = error.downcast_ref::<Refused>() {
        return Some((Exit::NotAllowed, None));
    }
    if let Some(Refused::Way(way @ WayError::Unpinned { .. })) = error.downcast_ref::<Refused>() {
        let hint = "a worker needs a token to join: `longshore worker token create` there";
        return Some((exit_of(Kind::of_way(way)), Some(hint.to_owned())));
    }
    if let Some(Refused::Way(way)) = error.downcast_ref::<Refused>() {
        return Some((exit_of(Kind::of_way(way)), way.hint()));
    }
    if let Some(join) = error.downcast_ref::<Box<JoinError>>() {
        let exit = if join.is_refusal() { Exit::NotAllowed } else { Exit::Failed };
        return Some((exit, join.hint()));
    }
    if let Some(error) = error.downcast_ref::<ContextsError>() {
        return Some((Exit::Usage, error.hint()));
    }
    if error.is::<AddressError>() {
        return Some((Exit::Usage, None));
    }
    if let Some(private) = error.downcast_ref::<PrivateDirError>() {
        return Some((Exit::Usage, private.hint()));
    }
    if let Some(open) = error.downcast_ref::<OpenError>()
        && open.is_loss()
    {
        let hint = "restore a backup of the whole directory, or accept the loss with --accept-data-loss: what is gone is \
                    given up, and jobs that need it fail; `longshore doctor --data DIR` says what there is";
        return Some((Exit::Failed, Some(hint.to_owned())));
    }
    if let Some(OpenError::Keys(keys)) = error.downcast_ref::<OpenError>() {
        return Some((Exit::Failed, keys.hint()));
    }
    if error.is::<OutDirError>() {
        return Some((Exit::Failed, None));
    }
    judge_call(error)
}

/// Errors that carry a call's error inside, which then knows best.
fn judge_call(error: &(dyn Error + 'static)) -> Option<(Exit, Option<String>)> {
    let with_call = |kind: Kind, call: Option<&CallError>| {
        let nowhere = call.is_some_and(CallError::fits_nowhere);
        let exit = if nowhere { Exit::FitsNowhere } else { exit_of(kind) };
        Some((exit, call.and_then(CallError::hint)))
    };
    if let Some(call) = error.downcast_ref::<CallError>() {
        if call.kind() == Kind::Unavailable && call.coverage().is_some() {
            // The coordinator is well, and says which shards are not.
            return Some((Exit::Partial, call.hint()));
        }
        return with_call(call.kind(), Some(call));
    }
    if let Some(upload) = error.downcast_ref::<UploadError>() {
        let call = if let UploadError::Call(call) = upload { Some(call) } else { None };
        return with_call(upload.kind(), call);
    }
    if let Some(blob) = error.downcast_ref::<BlobError>() {
        let call = if let BlobError::Call(call) = blob { Some(call) } else { None };
        return with_call(blob.kind(), call);
    }
    let call = match error.downcast_ref::<OutputError>()? {
        OutputError::Call(call) | OutputError::Blob(BlobError::Call(call)) => Some(call),
        OutputError::Write(_) => return Some((Exit::Failed, None)),
        _ => None,
    };
    with_call(error.downcast_ref::<OutputError>()?.kind(), call)
}

fn exit_of(kind: Kind) -> Exit {
    match kind {
        Kind::Refused => Exit::Usage,
        Kind::Forbidden => Exit::NotAllowed,
        Kind::Unavailable | Kind::Broken => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use anyhow::Context as _;

    use super::*;

    #[test]
    fn exit_code_and_hint_come_from_within_the_chain() {
        let error = Err::<(), _>(Failure::usage("bad").hint("do this")).context("while").unwrap_err();
        assert_eq!(judge(&error), (Exit::Usage, Some("do this".to_owned())));
    }

    #[test]
    fn a_failure_may_have_a_cause() {
        let error = Err::<(), _>(std::io::Error::other("gone")).context(Failure::usage("cannot read x")).unwrap_err();
        assert_eq!(judge(&error).0, Exit::Usage);
        assert_eq!(error.chain().count(), 2);
    }

    #[test]
    fn what_nobody_knows_is_infrastructure() {
        assert_eq!(judge(&anyhow::anyhow!("disk")), (Exit::Failed, None));
    }

    #[test]
    fn an_input_that_cannot_be_used_is_usage() {
        let path = PathBuf::from("x");
        let error = anyhow::Error::from(InputError::EmptyDirectory { path });
        assert_eq!(judge(&error).0, Exit::Usage);
    }
}
