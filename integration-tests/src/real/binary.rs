//! The `longshore` binary under test.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::OnceLock,
};

use escargot::CargoBuild;
use tempfile::TempDir;

use crate::network::Network;

/// Where the binary is. It is built at the first call, with the profile of the tests; Cargo's own locks keep test
/// processes that run at once from building it twice.
///
/// # Panics
/// When it cannot be built.
pub fn longshore() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match env::var_os("LONGSHORE_BIN") {
        Some(path) => path.into(),
        None => build(),
    })
}

/// A program of another package is in no `CARGO_BIN_EXE_…`, so Cargo is asked for it.
fn build() -> PathBuf {
    let build = CargoBuild::new().manifest_path(repository().join("Cargo.toml")).package("longshore").bin("longshore");
    let build = if cfg!(debug_assertions) { build } else { build.release() };
    let built = build.run().unwrap_or_else(|error| panic!("longshore cannot be built: {error}"));
    built.path().to_owned()
}

/// The repository this test is run in: the one it was built in, unless that was moved.
///
/// # Panics
/// Never: Cargo names every package's directory.
pub fn repository() -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| OsString::from(env!("CARGO_MANIFEST_DIR")));
    Path::new(&package).parent().unwrap().to_owned()
}

/// Where commands are typed: a directory, and perhaps a network that is not this machine's.
#[derive(Debug)]
pub(super) struct Place {
    pub dir: TempDir,
    pub net: Option<Network>,
}

impl Place {
    /// A command that is told nothing by the environment of the tests: no address, no token, no directory of the machine's
    /// own. What it and others of the test leave word of, and what it keeps for its user, is below the directory.
    pub fn command(&self) -> Command {
        let dir = self.dir.path();
        let mut command = Command::new(longshore());
        let told = env::vars_os().map(|(name, _)| name).filter(tells);
        told.for_each(|name| {
            command.env_remove(name);
        });
        command.current_dir(dir).env("LONGSHORE_RUNTIME_DIR", dir.join(RUN)).env("XDG_CONFIG_HOME", dir.join("config"));
        command
    }

    /// Starts a command there.
    pub fn spawn(&self, command: &mut Command) -> Child {
        let started = match &self.net {
            Some(net) => net.inside(|| command.spawn()),
            None => command.spawn(),
        };
        started.unwrap()
    }
}

/// Another program with the directory and environment of a command.
pub(super) fn command_like(like: &Command, program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(like.get_current_dir().unwrap());
    for (name, value) in like.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// Where word of servers is left, below the directory of a test.
pub(super) const RUN: &str = "run";

fn tells(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("LONGSHORE_") || name.starts_with("CLICOLOR") || name == "NO_COLOR"
}
