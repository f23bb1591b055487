//! `longshore token …`.

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use longshore_client::{
    escape,
    v1::{CreateTokenRequest, NewToken, RemoveTokensRequest, TokenKind, TokenRole},
};

use crate::{
    amounts::{moment, some},
    context::Context,
    exit::Exit,
    failure::Failure,
    printer::{Format, to_stdout},
    spec::{
        invalid::{Checked, Invalid},
        quantity::Millis,
    },
    views::{Named, TokenList},
};

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token for somebody, and print it: it is kept nowhere
    Create(CreateArgs),
    /// List tokens; what they are is not told
    #[command(alias = "list", after_help = "Examples:\n  longshore token ls\n  longshore token ls --format json")]
    Ls,
    /// End tokens, and whatever was opened with them, at once
    #[command(alias = "remove")]
    Rm(RmArgs),
    /// Make another token like one that there is, which stays good for a while
    Rotate(RotateArgs),
}

/// What a token is good for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Submit jobs, deploy services, ask them, and look at everything
    #[default]
    Submit,
    /// Look at everything but the list of secrets, change nothing
    Read,
    /// Ask services
    Query,
    /// Everything, in every namespace
    Admin,
}

/// A token for somebody.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  longshore token create --name ann > ann.token
  longshore token create --role read --namespace vision --ttl 7d
  longshore token create --role admin --ttl 1d")]
pub struct CreateArgs {
    /// What it is good for
    #[arg(long, value_enum, default_value_t)]
    role: Role,
    /// In which namespace; may be repeated, and the first is the one where none is named
    #[arg(long, value_name = "NAME")]
    namespace: Vec<String>,
    /// How long it is good; 0 means until it is removed
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = lifetime)]
    ttl: u64,
    /// Whose it is, shown in listings
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    name: String,
}

/// Which tokens.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  longshore token rm 7K2M9QXA
  longshore token rm --all-before 2026-11-01          after a backup was restored")]
pub struct RmArgs {
    /// The tokens' ids
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// And all that were made before a day or moment (RFC 3339, UTC), also those to join with: a backup brings back what was
    /// removed since
    #[arg(long, value_name = "TIME", value_parser = before)]
    all_before: Option<u64>,
}

/// Which token, and for how long both are good.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  longshore token rotate 7K2M9QXA > new.token
  longshore token rotate 7K2M9QXA --overlap 1h")]
pub struct RotateArgs {
    /// The token's id
    #[arg(value_name = "ID")]
    id: String,
    /// How much longer the old one is good at most
    #[arg(long, value_name = "TIME", default_value = "24h")]
    overlap: Millis,
}

/// Does it.
pub async fn run(command: TokenCommand, context: &Context) -> Result<Exit> {
    match command {
        TokenCommand::Create(args) => create(args, context).await,
        TokenCommand::Ls => {
            let tokens = context.connect().await?.tokens().await?;
            context.printer.view(&TokenList(tokens))?;
            Ok(Exit::Done)
        }
        TokenCommand::Rm(args) => {
            let asked = RemoveTokensRequest { ids: args.ids, ..RemoveTokensRequest::default() };
            remove(asked, args.all_before, context).await
        }
        TokenCommand::Rotate(args) => {
            let made = context.connect().await?.rotate_token(&args.id, args.overlap.0).await?;
            told(&made, context)?;
            Ok(Exit::Done)
        }
    }
}

async fn create(args: CreateArgs, context: &Context) -> Result<Exit> {
    let role = match args.role {
        Role::Submit => TokenRole::Submit,
        Role::Read => TokenRole::Read,
        Role::Query => TokenRole::Query,
        Role::Admin => TokenRole::Admin,
    };
    let asked = CreateTokenRequest {
        kind: TokenKind::Person.into(),
        name: args.name,
        role: role.into(),
        namespaces: args.namespace,
        ttl_ms: args.ttl,
        ..CreateTokenRequest::default()
    };
    let made = context.connect().await?.create_token(asked).await?;
    told(&made, context)?;
    context.printer.note("they come in with it by: longshore login HOST:PORT");
    Ok(Exit::Done)
}

/// Prints a new token alone, and what there is to know of it elsewhere.
pub fn told(made: &NewToken, context: &Context) -> Result<()> {
    let view = made.view.clone().unwrap_or_default();
    match context.printer.format() {
        Format::Table | Format::Wide | Format::Name => to_stdout(format!("{}\n", made.token).as_bytes())?,
        Format::Json | Format::Jsonl => {
            let expires = moment(view.expires_ms);
            let value = serde_json::json!({ "token": made.token, "id": view.id, "expires": expires });
            context.printer.view(&Named { name: made.token.clone(), value })?;
        }
    }
    let until = moment(view.expires_ms).map_or_else(|| "until it is removed".to_owned(), |at| format!("until {at}"));
    context.printer.note(&format!("token {} is good {until}; it is shown this once", view.id));
    Ok(())
}

/// Ends tokens, and says which and where.
pub async fn remove(asked: RemoveTokensRequest, all_before: Option<u64>, context: &Context) -> Result<Exit> {
    if asked.ids.is_empty() && all_before.is_none() {
        let of_workers = asked.kind() == TokenKind::Join;
        let list = if of_workers { "longshore worker token ls" } else { "longshore token ls" };
        let hint =
            format!("name ids, which `{list}` shows, or all that were made before a moment with --all-before TIME");
        return Err(Failure::usage("no token is named").hint(&hint).into());
    }
    let place = context.place()?;
    let asked = RemoveTokensRequest { made_before_ms: all_before.unwrap_or(0), ..asked };
    let removed = context.connect().await?.remove_tokens(asked).await?;
    for token in &removed {
        let name = if token.name.is_empty() { String::new() } else { format!(" ({})", escape::line(&token.name)) };
        context.printer.note(&format!("token {}{name} removed at {place}", token.id));
    }
    if all_before.is_some() {
        context.printer.note(&format!("{} removed", some(removed.len() as u64, "token")));
    }
    Ok(Exit::Done)
}

/// A length of time, or 0 for ever.
pub fn lifetime(text: &str) -> Checked<u64> {
    match text {
        "0" => Ok(0),
        _ => text
            .parse::<Millis>()
            .map(|millis| millis.0)
            .map_err(|_| Invalid(format!("{text:?} is neither 0 nor a length of time such as 30d"))),
    }
}

/// A day, or a moment of it.
pub fn before(text: &str) -> Result<u64, Failure> {
    let whole = if text.contains(['T', ' ']) { text.to_owned() } else { format!("{text}T00:00:00Z") };
    let at = humantime::parse_rfc3339_weak(&whole);
    let wrong = || Failure::usage(format!("{text:?} is no moment such as 2026-11-01 or 2026-11-01T12:00:00Z"));
    let since = at.map_err(|_| wrong())?.duration_since(std::time::UNIX_EPOCH).map_err(|_| wrong())?;
    u64::try_from(since.as_millis()).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_a_length_of_time_or_none() {
        assert_eq!((lifetime("0").unwrap(), lifetime("30d").unwrap()), (0, 30 * 86_400_000));
        assert!(lifetime("30").is_err() && lifetime("").is_err() && lifetime("-1d").is_err());
    }

    #[test]
    fn a_moment_is_a_day_or_more_exact() {
        assert_eq!(before("1970-01-02").unwrap(), 86_400_000);
        assert_eq!(before("1970-01-01T00:00:01Z").unwrap(), 1_000);
        assert!(before("yesterday").is_err() && before("1960-01-01").is_err());
    }
}
