//! `longshore doctor`: what keeps this machine from working, and what to do about it.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use longshore_client::{CallError, Code};
use longshore_local::Word;
use longshore_way::Way;
use serde_json::json;

use crate::{
    context::Context,
    doctor::{
        check::{self, Check, Verdict},
        data, docker,
    },
    exit::Exit,
    printer::{Values, View},
    table, views,
};

/// Flags of `doctor`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  longshore doctor
  longshore --addr 127.0.0.1:7000 doctor
  longshore doctor --data /srv/longshore")]
pub struct DoctorArgs {
    /// Look through this data directory instead: everything is read, nothing changed; no coordinator may run on it
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

#[derive(Debug)]
struct Checks(Vec<Check>);

impl View for Checks {
    fn text(&self) -> String {
        let found = |check: &Check| match check.advice.is_empty() {
            true => vec![check.found.clone()],
            false => vec![check.found.clone(), format!("→ {}", check.advice)],
        };
        table::wrapped(
            ["CHECK", "VERDICT", "FOUND"],
            self.0.iter().map(|check| ([check.name, word(check.verdict)], found(check))),
        )
    }

    fn values(&self) -> Values {
        let value = |check: &Check| {
            json!({
                "name": check.name,
                "verdict": word(check.verdict),
                "found": check.found,
                "advice": check.advice,
            })
        };
        Values::Many(self.0.iter().map(value).collect())
    }

    fn names(&self) -> Vec<String> {
        let bad = self.0.iter().filter(|check| check.verdict == Verdict::Bad);
        bad.map(|check| check.name.to_owned()).collect()
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Good => "ok",
        Verdict::Doubtful => "warning",
        Verdict::Bad => "FAILED",
    }
}

/// Looks at everything; exit code 1 when something does not work.
pub async fn run(args: DoctorArgs, context: &Context) -> Result<Exit> {
    let (checks, interrupted) = match args.data {
        Some(dir) => data::look(&dir, &context.printer).await?,
        None => {
            let mut checks = docker::look().await;
            checks.extend(coordinator(context).await);
            (checks, false)
        }
    };
    let bad = checks.iter().any(|check| check.verdict == Verdict::Bad);
    context.printer.view(&Checks(checks))?;
    Ok(match (interrupted, bad) {
        (true, _) => Exit::Interrupted,
        (false, true) => Exit::Failed,
        (false, false) => Exit::Done,
    })
}

/// An error and its causes, of which each says what none before it has.
fn said_once(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).filter(|cause| cause != "transport error").fold(
        String::new(),
        |said, cause| {
            if said.is_empty() {
                cause
            } else if said.ends_with(&cause) {
                said
            } else {
                format!("{said}: {cause}")
            }
        },
    )
}

/// What others need who ask it, such as curl.
fn with_word(found: String, word: Option<Word>) -> String {
    match word {
        Some(word) => {
            let (socket, token) = (word.socket.display(), word.token_file.display());
            format!("{found}, socket {socket}, token in {token}")
        }
        None => found,
    }
}

async fn coordinator(context: &Context) -> Vec<Check> {
    let client = match context.connect_now().await {
        Ok(client) => client,
        Err(error) => {
            return vec![Check {
                name: "coordinator",
                verdict: Verdict::Bad,
                found: said_once(&error),
                advice: error.downcast_ref().and_then(CallError::hint).unwrap_or_default(),
            }];
        }
    };
    let answers = Check {
        name: "coordinator",
        verdict: Verdict::Good,
        found: format!("answers at {}", client.address()),
        advice: String::new(),
    };
    let answers = match Way::to(client.address(), None).map(|way| async move { way.word().await }) {
        Ok(word) => Check { found: with_word(answers.found, word.await), ..answers },
        Err(_) => answers,
    };
    let workers = match client.workers().await {
        Ok(workers) => workers,
        Err(error) if error.code() == Some(Code::PermissionDenied) => {
            return vec![answers, check::good("workers", "not shown to this token".to_owned())];
        }
        Err(error) => {
            let advice = error.hint().unwrap_or_default();
            let (name, verdict, found) = ("workers", Verdict::Bad, error.to_string());
            return vec![answers, Check { name, verdict, found, advice }];
        }
    };
    let connected: Vec<_> = workers.iter().filter(|worker| worker.connected).collect();
    let slots: u32 = connected.iter().map(|worker| worker.slots).sum();
    let nobody = connected.is_empty();
    let troubled = connected.iter().filter_map(|worker| {
        let trouble = views::trouble(worker)?;
        Some(check::bad("worker", format!("{} takes no work: {trouble}", worker.name), "see to it on its machine"))
    });
    let troubled: Vec<_> = troubled.collect();
    let workers = Check {
        name: "workers",
        verdict: if nobody { Verdict::Bad } else { Verdict::Good },
        found: format!("{} of {} connected, {slots} slots", connected.len(), workers.len()),
        advice: match nobody {
            true => format!("start one with `longshore worker --join {}`", client.address()),
            false => String::new(),
        },
    };
    [answers, workers].into_iter().chain(troubled).collect()
}
