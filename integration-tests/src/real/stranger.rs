//! Another user of the machine, who tries what the owner may.

use std::{
    fs::{self, Permissions},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::PathBuf,
    process::Command,
};

use super::{
    Server, TestEnv,
    cli::{Ran, Running},
    longshore,
};

/// A directory of that user's own, and the program where it can be run by everybody.
#[derive(Debug)]
pub struct Stranger<'env> {
    env: &'env TestEnv,
    user: u32,
    program: PathBuf,
}

impl<'env> Stranger<'env> {
    pub(super) fn new(env: &'env TestEnv, user: u32) -> Self {
        // They get as far as they would in any directory of the machine.
        fs::set_permissions(env.dir(), Permissions::from_mode(0o755)).unwrap();
        env.write("stranger/bait", "");
        let home = env.path("stranger");
        for path in [&home, &home.join("bait")] {
            std::os::unix::fs::chown(path, Some(user), Some(user)).unwrap();
        }
        // Where it was built may be closed to them.
        let program = env.path("longshore");
        fs::copy(longshore(), &program).unwrap();
        Self { env, user, program }
    }

    /// Something in their own directory.
    pub fn text_path(&self, below: &str) -> String {
        self.env.text_path(&format!("stranger/{below}"))
    }

    /// Types a command against this coordinator, with a runtime directory of their choice.
    #[track_caller]
    pub fn cli(&self, server: &Server, runtime_dir: &str, args: &[&str]) -> Ran {
        let home = self.env.path("stranger");
        let mut command = Command::new(&self.program);
        command.env_clear().env("HOME", &home).env("PATH", "/usr/bin:/bin").current_dir(&home);
        command.env("LONGSHORE_ADDR", &server.address).env("LONGSHORE_RUNTIME_DIR", runtime_dir);
        command.uid(self.user).gid(self.user);
        Running::of(self.env.place(), command, args, None).ended()
    }
}
