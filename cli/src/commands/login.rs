//! `longshore login`.

use anyhow::Result;
use clap::Args;
use longshore_client::{Client, Code, TokenSource, escape, v1::ListJobsRequest};

use crate::{
    context::Context,
    contexts::{self, Contexts, Saved},
    exit::Exit,
    failure::Failure,
    secret,
};

/// Which coordinator.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  longshore login lab.example.org:7077
  longshore login lab.example.org:7077 --name lab --token-file token
  pass show longshore | longshore login lab.example.org:7077 --token-file -
  longshore --context lab job ls")]
pub struct LoginArgs {
    /// Where it is
    #[arg(value_name = "HOST:PORT")]
    address: String,
    /// Name of the context; the host's unless set
    #[arg(long, value_name = "NAME", value_parser = name)]
    name: Option<String>,
}

/// Asks for a token, tries it, and saves it with the address. The context is the current one from now on.
pub async fn run(args: LoginArgs, context: &Context) -> Result<Exit> {
    if context.named.is_some() {
        let why = "a login makes a context of its own, and --context names another";
        return Err(Failure::usage(why).hint("name the new one with --name").into());
    }
    let text = match context.token_text()? {
        Some(text) => text,
        None => secret::typed(&format!("token for {}: ", escape::line(&args.address)))?,
    };
    let text = text.trim().to_owned();
    let token = secret::parse(&text)?;
    let name = args.name.unwrap_or_else(|| host(&args.address).to_owned());
    let path = contexts::file()?;
    let mut known = Contexts::read(&path)?;
    // A flag's alone: what a variable says now need not hold whenever the context is used.
    let namespace = context.namespace.clone();
    let saved = Saved { address: args.address, token: Some(text), token_command: None, namespace };
    ensure_free(&name, &saved, &known)?;
    let client = Client::connect(&saved.address, Some(TokenSource::Text(token))).await?;
    ensure_known(&client).await?;
    if let Some(namespace) = &saved.namespace {
        let there = client.in_namespace(namespace).map_err(|bad| Failure::usage(bad.to_string()))?;
        ensure_known(&there).await?;
    }
    known.contexts.insert(name.clone(), saved);
    known.current = Some(name.clone());
    known.write(&path)?;
    context.printer.note(&format!("logged in to {name}, which is the current context; kept in {}", path.display()));
    Ok(Exit::Done)
}

/// Nothing of that name would be lost: what is there already leads to the same coordinator, with the same token.
fn ensure_free(name: &str, new: &Saved, known: &Contexts) -> Result<(), Failure> {
    let Some(there) = known.contexts.get(name) else { return Ok(()) };
    let other = if there.address != new.address {
        format!("leads to {} already", escape::line(&there.address))
    } else if there.token_command.is_some() || id(there) != id(new) {
        "is there already, with another token".to_owned()
    } else {
        return Ok(());
    };
    let name = escape::line(name);
    Err(Failure::usage(format!("context {name} {other}"))
        .hint(format!("--name OTHER, or `longshore context rm {name}` first")))
}

/// The part of a person's token that is its id; a coordinator's own token, which is another after each start, has none.
fn id(saved: &Saved) -> Option<&str> {
    saved.token.as_deref().filter(|token| token.starts_with("LS"))?.rsplit_once('-').map(|(told, _)| told)
}

/// The token is one there. What it may do is another matter: who may only ask services is known too.
async fn ensure_known(client: &Client) -> Result<()> {
    match client.jobs(ListJobsRequest { limit: 1, ..ListJobsRequest::default() }).await {
        Err(error) if error.code() == Some(Code::PermissionDenied) && !error.is_about_namespace() => Ok(()),
        answered => answered.map(drop).map_err(Into::into),
    }
}

fn host(address: &str) -> &str {
    let address = address.split_once("://").map_or(address, |(_, rest)| rest);
    address.rsplit_once(':').map_or(address, |(host, _)| host)
}

fn name(text: &str) -> Result<String, Failure> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match !text.is_empty() && text.len() <= 64 && text.chars().all(plain) {
        true => Ok(text.to_owned()),
        false => Err(Failure::usage("the name of a context has letters, digits and -_., at most 64")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_has_its_hosts_name() {
        for (address, is) in
            [("lab:1", "lab"), ("http://lab.example.org:7077", "lab.example.org"), ("[::1]:1", "[::1]")]
        {
            assert_eq!(host(address), is);
        }
    }

    #[test]
    fn a_context_of_that_name_is_not_replaced_by_another() {
        let saved = |address: &str, token: &str| Saved {
            address: address.to_owned(),
            token: Some(token.to_owned()),
            ..Saved::default()
        };
        let there = saved("lab:1", "LST1-A-B-S");
        let known = Contexts { contexts: [("lab".to_owned(), there.clone())].into(), ..Contexts::default() };
        assert!(ensure_free("lab", &there, &known).is_ok() && ensure_free("new", &there, &known).is_ok());
        for other in [saved("lab:2", "LST1-A-B-S"), saved("lab:1", "LST1-A-C-S"), saved("lab:1", "lsl_s")] {
            assert!(ensure_free("lab", &other, &known).is_err(), "{other:?}");
        }
        let own = Contexts { contexts: [("lab".to_owned(), saved("lab:1", "lsl_old"))].into(), ..Contexts::default() };
        assert!(ensure_free("lab", &saved("lab:1", "lsl_new"), &own).is_ok(), "it has a new one at each start");
    }

    #[test]
    fn names_are_plain() {
        assert!(name("lab-1.x_y").is_ok());
        for bad in ["", "a b", "a/b", "ä"] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
