//! What every command is given.

use std::{env, path::PathBuf};

use anyhow::{Context as _, Result};
use longshore_client::{Client, Token, TokenSource};

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

    /// Where the token comes from, if one was given; without one we come in as the user we are.
    pub fn token(&self) -> Result<Option<TokenSource>> {
        if let Some(path) = self.token_file.as_ref().filter(|path| !path.as_os_str().is_empty()) {
            let source = TokenSource::file(path);
            let why = || Failure::new(Exit::NotAllowed, format!("cannot use the token in {}", path.display()));
            return Ok(Some(source.with_context(why)?));
        }
        let Some(token) = env::var_os(TOKEN).filter(|token| !token.is_empty()) else { return Ok(None) };
        let token = Token::parse(&token.to_string_lossy());
        let token = token.with_context(|| Failure::new(Exit::NotAllowed, format!("cannot use {TOKEN}")))?;
        Ok(Some(TokenSource::Text(token)))
    }

    /// A connection to the coordinator.
    pub async fn connect(&self) -> Result<Client> {
        Ok(Client::connect(&self.address, self.token()?).await?)
    }
}
