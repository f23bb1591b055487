//! Programs that keep credentials: `docker-credential-NAME get`, the registry on standard input, an answer in JSON.
//!
//! What a helper says is secret, also where it fails, and is passed on to nobody.

use std::{io, path::Path, process::Stdio, time::Duration};

use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
    time::timeout,
};

use crate::runtime::Credentials;

/// How long a helper may take: some ask a service for a token.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a helper says in place of a user where the secret is an identity token.
const TOKEN_USER: &str = "<token>";

/// Largest answer.
const ANSWER_BYTES: u64 = 64 << 10;

/// What helpers say where they have nothing, as Docker's own library has it.
const NOTHING: &[u8] = b"credentials not found in native keychain";

/// Why a helper gave nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum HelperError {
    #[error("{0:?} is no name of a helper")]
    Name(String),
    #[error("{program} cannot be started: {source}")]
    Start { program: String, source: io::Error },
    #[error("{program} cannot be spoken with: {source}")]
    Speak { program: String, source: io::Error },
    #[error("{program} failed: {status}")]
    Failed { program: String, status: std::process::ExitStatus },
    #[error("{program} gave no answer within {} s", PATIENCE.as_secs())]
    Late { program: String },
    #[error("{program} says more than {ANSWER_BYTES} bytes")]
    TooMuch { program: String },
    #[error("{program} says what is no credential")]
    Malformed { program: String },
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// The program of a helper.
pub(super) fn program(name: &str) -> String {
    format!("docker-credential-{name}")
}

/// Asks a helper of this name; `None` when it has nothing for the registry.
pub(super) async fn ask(name: &str, server: &str) -> Result<Option<Credentials>, HelperError> {
    ask_in(None, name, server).await
}

/// The same where it lies in a directory that is named.
pub(super) async fn ask_in(dir: Option<&Path>, name: &str, server: &str) -> Result<Option<Credentials>, HelperError> {
    if name.is_empty() || name.contains(['/', '\0']) {
        return Err(HelperError::Name(name.to_owned()));
    }
    let program = program(name);
    let mut command = match dir {
        Some(dir) => Command::new(dir.join(&program)),
        None => Command::new(&program),
    };
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    match timeout(PATIENCE, converse(command, &program, server)).await {
        Ok(answered) => answered,
        Err(_elapsed) => Err(HelperError::Late { program }),
    }
}

async fn converse(mut command: Command, program: &str, server: &str) -> Result<Option<Credentials>, HelperError> {
    let named = || program.to_owned();
    let speak = |source| HelperError::Speak { program: named(), source };
    let mut child = command.spawn().map_err(|source| HelperError::Start { program: named(), source })?;
    if let Some(mut stdin) = child.stdin.take() {
        match stdin.write_all(format!("{server}\n").as_bytes()).await {
            // Some know without reading.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            written => written.map_err(speak)?,
        }
    }
    let mut answer = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(ANSWER_BYTES + 1).read_to_end(&mut answer).await.map_err(speak)?;
    }
    if answer.len() as u64 > ANSWER_BYTES {
        return Err(HelperError::TooMuch { program: named() });
    }
    let status = child.wait().await.map_err(speak)?;
    if !status.success() {
        let nothing = answer.trim_ascii() == NOTHING;
        return if nothing { Ok(None) } else { Err(HelperError::Failed { program: named(), status }) };
    }
    let answer: Answer = serde_json::from_slice(&answer).map_err(|_| HelperError::Malformed { program: named() })?;
    Ok(match answer {
        Answer { username, secret } if username.is_empty() && secret.is_empty() => None,
        Answer { username, secret } if username == TOKEN_USER => Some(Credentials::IdentityToken(secret)),
        Answer { username, secret } => Some(Credentials::Password { user: username, password: secret }),
    })
}
