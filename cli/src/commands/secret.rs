//! `longshore secret …`. There is no command that shows a value: nobody can ask for one.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::{context::Context, exit::Exit, failure, secret, spec::name::SecretName, views::SecretList};

/// What to do with secrets.
#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// Give a secret a value, from standard input or a file; what begins from now on gets it
    Put(PutArgs),
    /// List secrets; their values are not told
    #[command(
        alias = "list",
        after_help = "Examples:\n  longshore secret ls\n  longshore -n vision secret ls --format json"
    )]
    Ls,
    /// Forget secrets: what needs them fails from now on
    #[command(alias = "remove")]
    Rm(RmArgs),
}

/// Which secret, and where its value is.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pass show db | longshore secret put db-password
  longshore secret put tls-key --from-file key.pem
  longshore secret put db-password                       typed, not shown
  seq 9 | longshore run alpine --secret db-password --each-line - -- sh -c 'test -n \"$DB_PASSWORD\"'

The value is taken byte by byte, at most 64 KiB. A job or service names it with --secret, or in its spec under `secrets`.")]
pub struct PutArgs {
    /// Letters, digits, `-`, `_` and `.`
    #[arg(value_name = "NAME")]
    name: SecretName,
    /// File with the value; standard input unless set
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
}

/// Which secrets.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  longshore secret rm db-password tls-key")]
pub struct RmArgs {
    /// Their names
    #[arg(value_name = "NAME", required = true)]
    names: Vec<SecretName>,
}

/// Does it.
pub async fn run(command: SecretCommand, context: &Context) -> Result<Exit> {
    match command {
        SecretCommand::Put(args) => put(args, context).await,
        SecretCommand::Ls => {
            let secrets = context.connect().await?.secrets().await?;
            context.printer.view(&SecretList(secrets))?;
            Ok(Exit::Done)
        }
        SecretCommand::Rm(args) => {
            let place = context.place()?;
            let client = context.connect().await?;
            let mut exit = Exit::Done;
            // One that is not there keeps no other.
            for SecretName(name) in &args.names {
                match client.remove_secret(name).await {
                    Ok(_) => context.printer.note(&format!("secret {name} removed at {place}")),
                    Err(error) => exit = failure::report(&error.into()),
                }
            }
            Ok(exit)
        }
    }
}

async fn put(args: PutArgs, context: &Context) -> Result<Exit> {
    let SecretName(name) = &args.name;
    let value = secret::value(name, args.from_file.as_deref())?;
    let place = context.place()?;
    let client = context.connect().await?;
    let put = client.put_secret(name, &value).await?;
    context.printer.note(&format!("secret {name} is put at {place}: version {}, {} bytes", put.version, put.size));
    // A key that was lost is made anew without a word, and nobody would look for the old one. It is put all the same.
    let others = client.secrets().await.unwrap_or_default();
    let lost: Vec<_> = others.iter().filter(|other| other.unusable).map(|other| other.name.as_str()).collect();
    if !lost.is_empty() {
        let lost = lost.join(", ");
        context.printer.warn(&format!(
            "warning: the key that these are sealed with is not at the coordinator, and nobody can be given them: {lost}; restore \
             its directory of keys, or put them anew"
        ));
    }
    Ok(Exit::Done)
}
