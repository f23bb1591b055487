//! A command as it is run: its words filled in, and small enough to be told to a shim.

use longshore_proto::v1::{Container, Failure, FailureClass};
use longshore_shim::{MAX_FRAME_BYTES, Secret};

use super::{
    failures::{failure, of_no_command},
    placeholders::{Facts, Template},
};
use crate::secrets::{self, Secrets};

/// Room in a frame for everything but command and environment.
const FRAME_MARGIN: usize = 16 << 10;

/// Command line and environment.
pub(super) type Filled = (Vec<String>, Vec<(String, String)>);

/// The secrets that a process of the container is given.
///
/// # Errors
/// When one is not here, or cannot be given like this.
pub(super) fn secrets_of(container: &Container, secrets: &Secrets) -> Result<Vec<Secret>, Failure> {
    secrets.given(container).map_err(|why| failure(FailureClass::Command, why.to_string()))
}

/// The command of a run or server.
///
/// # Errors
/// When there is none, or it is too long together with its environment.
pub(super) fn filled(template: &Template, facts: &Facts<'_>, secrets: &[Secret]) -> Result<Filled, Failure> {
    if template.is_empty() {
        return Err(of_no_command());
    }
    let (argv, env) = (template.argv(facts), template.env(facts));
    let of_argv: usize = argv.iter().map(|argument| argument.len() + 4).sum();
    let of_env: usize = env.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
    let most = MAX_FRAME_BYTES - FRAME_MARGIN;
    let of_secrets = secrets::frame_bytes(secrets);
    if of_argv + of_env + of_secrets > most {
        let and_secrets = if of_secrets > 0 { " and secrets" } else { "" };
        let message = format!("command and environment{and_secrets} take more than {most} bytes");
        return Err(failure(FailureClass::Command, message));
    }
    Ok((argv, env))
}
