//! `longshore login`.

use anyhow::Result;
use clap::Args;
use longshore_client::{Client, Code, TokenSource, escape};

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
    let text = match context.token_text()? {
        Some(text) => text,
        None => secret::typed(&format!("token for {}: ", escape::line(&args.address)))?,
    };
    let text = text.trim().to_owned();
    let token = secret::parse(&text)?;
    let client = Client::connect(&args.address, Some(TokenSource::Text(token))).await?;
    ensure_known(&client).await?;
    let name = args.name.unwrap_or_else(|| host(&args.address).to_owned());
    let path = contexts::file()?;
    let mut known = Contexts::read(&path)?;
    let namespace = context.namespace.clone();
    let saved = Saved { address: args.address, token: Some(text), token_command: None, namespace };
    known.contexts.insert(name.clone(), saved);
    known.current = Some(name.clone());
    known.write(&path)?;
    context.printer.note(&format!("logged in to {name}, which is the current context; kept in {}", path.display()));
    Ok(Exit::Done)
}

/// The token is one there. What it may do is another matter: who may only ask services is known too.
async fn ensure_known(client: &Client) -> Result<()> {
    match client.jobs().await {
        Err(error) if error.code() == Some(Code::PermissionDenied) => Ok(()),
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
    fn names_are_plain() {
        assert!(name("lab-1.x_y").is_ok());
        for bad in ["", "a b", "a/b", "ä"] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
