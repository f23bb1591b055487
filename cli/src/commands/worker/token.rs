//! `longshore worker token …`: what workers of other machines join with.

use std::collections::HashMap;

use anyhow::Result;
use clap::{Args, Subcommand};
use longshore_client::v1::{CreateTokenRequest, RemoveTokensRequest, TokenKind};

use crate::{
    commands::token::{self, before, lifetime},
    context::Context,
    exit::Exit,
    failure::Failure,
    views::TokenList,
};

/// What to do with tokens to join with.
#[derive(Debug, Subcommand)]
pub enum WorkerTokenCommand {
    /// Make a token for a worker to join with, and print it: it is kept nowhere
    Create(CreateArgs),
    /// List tokens to join with; what they are is not told
    #[command(alias = "list", after_help = "Examples:\n  longshore worker token ls")]
    Ls,
    /// End tokens to join with; whoever has joined stays
    #[command(alias = "remove")]
    Rm(RmArgs),
}

/// A token to join with.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  longshore worker token create
  longshore worker token create --ttl 1d --uses 20 --label rack=3 --namespace vision
  longshore worker token create --ttl 0 --uses 0 --label pool=golden")]
pub struct CreateArgs {
    /// How long it is good; 0 means until it is removed
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = lifetime)]
    ttl: u64,
    /// How many workers may join with it; 0 means any number
    #[arg(long, value_name = "N", default_value_t = 1)]
    uses: u32,
    /// What it is for, shown in listings
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    name: String,
    /// What its workers are labelled with; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<(String, String)>,
    /// Whose work its workers may be given; may be repeated; everybody's unless set
    #[arg(long, value_name = "NAME")]
    namespace: Vec<String>,
}

/// Which tokens to join with.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  longshore worker token rm 7K2M9QXA
  longshore worker token rm --all-before 2026-11-01")]
pub struct RmArgs {
    /// The tokens' ids
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// And all to join with that were made before a day or moment (RFC 3339, UTC)
    #[arg(long, value_name = "TIME", value_parser = before)]
    all_before: Option<u64>,
}

/// Does it.
pub async fn run(command: WorkerTokenCommand, context: &Context) -> Result<Exit> {
    match command {
        WorkerTokenCommand::Create(args) => create(args, context).await,
        WorkerTokenCommand::Ls => {
            let tokens = context.connect().await?.tokens().await?;
            let joins = tokens.into_iter().filter(|token| token.kind() == TokenKind::Join).collect();
            context.printer.view(&TokenList(joins))?;
            Ok(Exit::Done)
        }
        WorkerTokenCommand::Rm(args) => {
            let kind = TokenKind::Join.into();
            let asked = RemoveTokensRequest { ids: args.ids, kind, ..RemoveTokensRequest::default() };
            token::remove(asked, args.all_before, context).await
        }
    }
}

async fn create(args: CreateArgs, context: &Context) -> Result<Exit> {
    let labels = args.label.iter().cloned().collect::<HashMap<_, _>>();
    if labels.len() < args.label.len() {
        return Err(Failure::usage("a label is there twice").into());
    }
    let asked = CreateTokenRequest {
        kind: TokenKind::Join.into(),
        name: args.name,
        namespaces: args.namespace,
        ttl_ms: args.ttl,
        uses: args.uses,
        labels,
        ..CreateTokenRequest::default()
    };
    let made = context.connect().await?.create_token(asked).await?;
    token::told(&made, context)?;
    // Not with the token in it: what is noted is kept in logs.
    context.printer.note(
        "on the other machine, with the token in a file and the address that this coordinator listens on for others:\n  \
         longshore worker --join HOST:PORT --token-file FILE",
    );
    Ok(Exit::Done)
}

fn label(text: &str) -> Result<(String, String), Failure> {
    let (name, value) = text.split_once('=').ok_or_else(|| Failure::usage("write KEY=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}
