//! What every command is given.

use std::{env, path::PathBuf};

use anyhow::{Context as _, Result};
use longshore_client::{Client, Token};

use crate::{args::Global, exit::Exit, failure::Failure, printer::Printer};

/// The variable that holds a token itself.
const TOKEN: &str = "LONGSHORE_TOKEN";

/// What every command is given: where the coordinator is, and who prints.
#[derive(Debug, Clone)]
pub struct Context {
    /// Address of the coordinator.
    pub address: String,
    /// File with its token.
    pub token_file: Option<PathBuf>,
    /// Owner of the terminal.
    pub printer: Printer,
}

impl Context {
    /// From the global flags.
    pub fn new(global: &Global) -> Context {
        let printer = Printer::new(global.format, global.quiet);
        Context { address: global.addr.clone(), token_file: global.token_file.clone(), printer }
    }

    /// The token that was given; without one we come in as the user we are.
    pub fn token(&self) -> Result<Option<Token>> {
        let not_allowed = |what: String| Failure::new(Exit::NotAllowed, what);
        if let Some(path) = &self.token_file {
            let token = Token::read(path);
            return token.map(Some).with_context(|| not_allowed(format!("cannot use the token in {}", path.display())));
        }
        match env::var(TOKEN) {
            Ok(token) => Token::parse(&token).map(Some).with_context(|| not_allowed(format!("cannot use {TOKEN}"))),
            Err(_) => Ok(None),
        }
    }

    /// A connection to the coordinator.
    pub async fn connect(&self) -> Result<Client> {
        Ok(Client::connect(&self.address, self.token()?).await?)
    }
}
