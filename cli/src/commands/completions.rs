//! `longshore completions`.

use anyhow::Result;
use clap::{Args, Command};
use clap_complete::Shell;

use crate::{exit::Exit, printer};

/// Which shell.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  longshore completions bash > /etc/bash_completion.d/longshore
  longshore completions zsh > ~/.zfunc/_longshore
  longshore completions fish > ~/.config/fish/completions/longshore.fish")]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Prints the script for a command line.
pub fn run(args: &CompletionsArgs, mut commands: Command) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut commands, "longshore", &mut script);
    printer::to_stdout(&script)?;
    Ok(Exit::Done)
}
