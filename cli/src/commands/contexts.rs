//! `longshore context …`.

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::{
    context::Context,
    contexts::{self, Contexts, ContextsError},
    exit::Exit,
    views::{ContextDetail, ContextList},
};

/// What to do with contexts.
#[derive(Debug, Subcommand)]
pub enum ContextCommand {
    /// List contexts
    #[command(alias = "list", after_help = "Examples:\n  longshore context ls")]
    Ls,
    /// Use a context from now on
    #[command(after_help = "Examples:\n  longshore context use lab")]
    Use(ContextName),
    /// Show a context, without its token
    #[command(after_help = "Examples:\n  longshore context show\n  longshore context show lab")]
    Show(ShownContext),
    /// Forget contexts and the tokens in them
    #[command(alias = "remove", after_help = "Examples:\n  longshore context rm lab")]
    Rm(ContextNames),
}

/// Which context.
#[derive(Debug, Args)]
pub struct ContextName {
    /// The context's name
    #[arg(value_name = "NAME")]
    name: String,
}

/// Which context, or the current one.
#[derive(Debug, Args)]
pub struct ShownContext {
    /// The context's name; the current one's unless set
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// Which contexts.
#[derive(Debug, Args)]
pub struct ContextNames {
    /// The contexts' names
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
}

/// Does it.
pub fn run(command: ContextCommand, context: &Context) -> Result<Exit> {
    let path = contexts::file()?;
    let mut known = Contexts::read(&path)?;
    match command {
        ContextCommand::Ls => {
            let used = context.used(&known);
            context.printer.view(&ContextList { known, used })?;
        }
        ContextCommand::Show(shown) => {
            let used = context.used(&known);
            let name = shown.name.or_else(|| used.clone()).ok_or(ContextsError::NoneCurrent)?;
            let saved = known.get(&name)?.clone();
            let is_current = used.as_deref() == Some(&*name);
            context.printer.view(&ContextDetail { name, saved, is_current })?;
        }
        ContextCommand::Use(ContextName { name }) => {
            known.get(&name)?;
            context.printer.note(&format!("{name} is the current context"));
            known.current = Some(name);
            known.write(&path)?;
        }
        ContextCommand::Rm(ContextNames { names }) => {
            names.iter().try_for_each(|name| known.get(name).map(drop))?;
            known.contexts.retain(|name, _| !names.contains(name));
            known.current = known.current.filter(|name| !names.contains(name));
            known.write(&path)?;
            names.iter().for_each(|name| context.printer.note(&format!("context {name} forgotten")));
        }
    }
    Ok(Exit::Done)
}
