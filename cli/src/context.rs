//! What every command is given.

use std::{env, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use longshore_client::{Client, DEFAULT_ADDRESS, Token, TokenSource};

use crate::{
    args::{Global, Wait},
    contexts::{self, Contexts, Saved},
    exit::Exit,
    failure::Failure,
    printer::Printer,
    secret, waiting,
};

/// The variables that hold a token itself, or name its file.
const TOKEN: &str = "LONGSHORE_TOKEN";
const TOKEN_FILE: &str = "LONGSHORE_TOKEN_FILE";

/// The variable that says whose things are meant.
const NAMESPACE: &str = "LONGSHORE_NAMESPACE";

/// The variable that says how long to wait for a coordinator.
const CONNECT_TIMEOUT: &str = "LONGSHORE_CONNECT_TIMEOUT";

/// The variables that name a coordinator.
const ADDRESS: &str = "LONGSHORE_ADDR";
const CONTEXT: &str = "LONGSHORE_CONTEXT";

/// What every command is given: where the coordinator is, and who prints. What flags say counts more than what variables do.
#[derive(Debug, Clone)]
pub struct Context {
    /// As named by a flag.
    pub address: Option<String>,
    /// A context, as named by a flag.
    pub named: Option<String>,
    /// File with its token, as named by a flag.
    pub token_file: Option<PathBuf>,
    /// Whose things are meant, as named by a flag.
    pub namespace: Option<String>,
    /// How long to wait for a coordinator that is away, as named by a flag.
    pub connect_timeout: Option<Wait>,
    /// Owner of the terminal.
    pub printer: Printer,
}

/// Where a command goes.
#[derive(Debug)]
pub struct Target {
    /// Address of the coordinator.
    pub address: String,
    /// The context that names it, if one does.
    pub context: Option<(String, Saved)>,
}

impl Context {
    /// From the global flags. Those that say nothing do not count.
    pub fn new(global: &Global) -> Context {
        Context {
            address: global.addr.clone(),
            named: global.context.clone(),
            token_file: global.token_file.clone().filter(|path| !path.as_os_str().is_empty()),
            namespace: global.namespace.clone().filter(|name| !name.is_empty()),
            connect_timeout: global.connect_timeout,
            printer: Printer::new(global.format, global.quiet),
        }
    }

    /// The coordinator that is meant: by a flag, by a variable, by the current context, or the one of this machine.
    pub fn target(&self) -> Result<Target> {
        let at = |address| Ok(Target { address, context: None });
        let (address, named) = match (&self.address, &self.named) {
            (None, None) => (set(ADDRESS), set(CONTEXT)),
            flags => (flags.0.clone(), flags.1.clone()),
        };
        match (address, named) {
            (Some(_), Some(_)) => {
                let why = format!("both {ADDRESS} and {CONTEXT} are set");
                Err(Failure::usage(why).hint("unset one of them, or say --addr or --context").into())
            }
            (Some(address), None) => at(address),
            (None, Some(name)) => in_context(&name, &Contexts::read(&contexts::file()?)?),
            (None, None) => {
                // Where there is no home, nobody has logged in.
                let known = contexts::file().map_or_else(|_| Ok(Contexts::default()), |file| Contexts::read(&file))?;
                match &known.current {
                    Some(name) => in_context(name, &known),
                    None => at(DEFAULT_ADDRESS.to_owned()),
                }
            }
        }
    }

    /// The text of the token that was given, if one was.
    pub fn token_text(&self) -> Result<Option<String>> {
        match self.token_file.clone().or_else(|| set(TOKEN_FILE).map(PathBuf::from)) {
            Some(path) => secret::text_in_file(&path).map(Some),
            None => Ok(set(TOKEN)),
        }
    }

    /// Where the token comes from, if one was given; without one we come in as the user we are.
    pub fn token(&self) -> Result<Option<TokenSource>> {
        if let Some(path) = self.token_file.clone().or_else(|| set(TOKEN_FILE).map(PathBuf::from)) {
            return secret::in_file(&path).map(Some);
        }
        let Some(token) = env::var_os(TOKEN).filter(|token| !token.is_empty()) else { return Ok(None) };
        let token = Token::parse(&token.to_string_lossy());
        let token = token.with_context(|| Failure::new(Exit::NotAllowed, format!("cannot use {TOKEN}")))?;
        Ok(Some(TokenSource::Text(token)))
    }

    /// What is shown there.
    fn token_for(&self, target: &Target) -> Result<Option<TokenSource>> {
        match &target.context {
            None => self.token(),
            // Whoever names a context means its token too, whatever a variable holds for another.
            Some((_, saved)) if self.named.is_some() && self.token_file.is_none() && saved.has_token() => {
                saved_token(saved)
            }
            Some((_, saved)) => match self.token()? {
                None => saved_token(saved),
                given => Ok(given),
            },
        }
    }

    /// Whose things are meant there, if that is said.
    fn namespace_for(&self, target: &Target) -> Option<String> {
        let saved = target.context.as_ref().and_then(|(_, saved)| saved.namespace.clone());
        let (first, second) = if self.named.is_some() { (saved, set(NAMESPACE)) } else { (set(NAMESPACE), saved) };
        self.namespace.clone().or(first).or(second)
    }

    /// How long a coordinator is waited for that has not answered yet, and one that has.
    fn waits(&self) -> Result<(Duration, Duration)> {
        match (self.connect_timeout, set(CONNECT_TIMEOUT)) {
            (Some(wait), _) => Ok((wait.0, wait.0)),
            (None, Some(text)) => {
                let wait: Wait = text.parse().map_err(|why| Failure::usage(format!("{CONNECT_TIMEOUT}: {why}")))?;
                Ok((wait.0, wait.0))
            }
            (None, None) => Ok((waiting::FIRST_WAIT, waiting::WAIT)),
        }
    }

    /// A connection to the coordinator, which is waited for while it is away.
    pub async fn connect(&self) -> Result<Client> {
        self.connect_within(self.waits()?).await
    }

    /// The same, at once or not at all.
    pub async fn connect_now(&self) -> Result<Client> {
        self.connect_within((Duration::ZERO, Duration::ZERO)).await
    }

    async fn connect_within(&self, (first, then): (Duration, Duration)) -> Result<Client> {
        let target = self.target()?;
        let patience = waiting::patience(&self.printer, &target.address, first, then);
        let client = Client::connect_patiently(&target.address, self.token_for(&target)?, patience).await?;
        match self.namespace_for(&target) {
            Some(name) => Ok(client.in_namespace(&name).map_err(|bad| Failure::usage(bad.to_string()))?),
            None => Ok(client),
        }
    }

    /// The context that commands use where no flag names one or an address: a variable's, or the current one.
    pub fn used(&self, known: &Contexts) -> Option<String> {
        self.named.clone().or_else(|| set(CONTEXT)).or_else(|| known.current.clone())
    }

    /// The coordinator that is meant, for people: whatever is destroyed is destroyed there.
    pub fn place(&self) -> Result<String> {
        let target = self.target()?;
        Ok(match target.context {
            Some((name, _)) => format!("context {name} ({})", target.address),
            None => target.address,
        })
    }
}

/// What a variable says, if it says something.
fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn in_context(name: &str, known: &Contexts) -> Result<Target> {
    let saved = known.get(name)?.clone();
    Ok(Target { address: saved.address.clone(), context: Some((name.to_owned(), saved)) })
}

fn saved_token(saved: &Saved) -> Result<Option<TokenSource>> {
    let token = match (&saved.token, &saved.token_command) {
        (Some(_), Some(_)) => return Err(Failure::usage("the context has both a token and a token_command").into()),
        (Some(token), None) => secret::parse(token)?,
        (None, Some(command)) => secret::told(command)?,
        (None, None) => return Ok(None),
    };
    Ok(Some(TokenSource::Text(token)))
}
