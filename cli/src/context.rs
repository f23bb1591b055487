//! What every command is given.

use longshore_client::{CallError, Client};

use crate::{args::Global, printer::Printer};

/// What every command is given: where the coordinator is, and who prints.
#[derive(Debug, Clone)]
pub struct Context {
    /// Address of the coordinator.
    pub address: String,
    /// Owner of the terminal.
    pub printer: Printer,
}

impl Context {
    /// From the global flags.
    pub fn new(global: &Global) -> Context {
        Context { address: global.addr.clone(), printer: Printer::new(global.format, global.quiet) }
    }

    /// A connection to the coordinator.
    pub async fn connect(&self) -> Result<Client, CallError> {
        Client::connect(&self.address).await
    }
}
