//! What a process of the user's is started with: its environment, its program, its standard streams.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use longshore_shim::End;
use rustix::fs::{Access, FileType, access, stat};
use rustix::io::Errno;

/// Searched when neither the container nor the run sets `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Variables that begin so are the shim's own, and hidden from users.
const OWN_PREFIX: &[u8] = b"LONGSHORE_SHIM_";

/// Most characters of a name in [`NotStarted::doing`]: a frame carries it.
const NAME_CHARS: usize = 512;

/// A process could not be started.
#[derive(Debug)]
pub struct NotStarted {
    errno: i32,
    doing: String,
}

impl NotStarted {
    /// `doing` what `to` whom failed.
    pub fn new(errno: Errno, doing: &str, to: &str) -> Self {
        let name: String = to.chars().take(NAME_CHARS).collect();
        Self { errno: errno.raw_os_error(), doing: format!("{doing} {name}") }
    }

    /// As the worker is told.
    pub fn into_end(self) -> End {
        End::NotStarted { errno: self.errno, doing: self.doing }
    }
}

/// What all processes of this container share.
pub struct Container {
    variables: Vec<(OsString, OsString)>,
    nothing: File,
    /// The program looked up last: runs of a container mostly share it, and a container's root does not change.
    program: Option<Program>,
}

/// Where a program was found.
struct Program {
    name: String,
    path: OsString,
    found: PathBuf,
}

impl Container {
    /// Reads the shim's own environment.
    ///
    /// # Errors
    /// When there is no `/dev/null`.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            variables: std::env::vars_os().filter(|(name, _)| !name.as_bytes().starts_with(OWN_PREFIX)).collect(),
            // Kept open, as a run may be able to replace what is at this path.
            nothing: File::open("/dev/null")?,
            program: None,
        })
    }

    /// An empty standard input.
    ///
    /// # Errors
    /// When the system has no descriptor left.
    pub fn empty_stdin(&self) -> Result<Stdio, NotStarted> {
        let copy = self.nothing.try_clone();
        let copy = copy.map_err(|cause| NotStarted::new(errno_of(&cause), "open", "/dev/null"))?;
        Ok(copy.into())
    }

    /// A command in its own process group. Its streams are still to be set.
    ///
    /// Everything here keeps to what the standard library starts with `posix_spawn`, which does not copy page tables:
    /// so the program is looked up here, and nothing is done between fork and exec.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn command(&mut self, argv: &[String], added: &[(String, String)]) -> Result<Command, NotStarted> {
        let Some((name, arguments)) = argv.split_first() else {
            return Err(NotStarted::new(Errno::INVAL, "run", "an empty command"));
        };
        let mut command = Command::new(self.look_up(name, added)?);
        command
            .arg0(name)
            .args(arguments)
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .envs(added.iter().map(|(name, value)| (name, value)))
            .process_group(0);
        Ok(command)
    }

    /// The program could not be started from where it was found: the next run looks for it anew.
    pub fn forget_program(&mut self) {
        self.program = None;
    }

    fn look_up(&mut self, name: &str, added: &[(String, String)]) -> Result<&Path, NotStarted> {
        let path = self.path(added);
        let known = self.program.as_ref().is_some_and(|program| program.name == name && program.path == path);
        if !known {
            let path = path.to_owned();
            let found = find(name, &path).map_err(|errno| NotStarted::new(errno, "run", name))?;
            self.program = Some(Program { name: name.to_owned(), path, found });
        }
        let program = self.program.as_ref().map(|program| program.found.as_path());
        program.ok_or_else(|| NotStarted::new(Errno::NOENT, "run", name))
    }

    fn path<'a>(&'a self, added: &'a [(String, String)]) -> &'a OsStr {
        let added = added.iter().rev().find(|(name, _)| name == "PATH");
        let own = self.variables.iter().find(|(name, _)| name == "PATH");
        added
            .map(|(_, value)| OsStr::new(value))
            .or(own.map(|(_, value)| value.as_os_str()))
            .unwrap_or(OsStr::new(DEFAULT_PATH))
    }
}

/// Finds a program as a shell does: a name with a slash is a path, another is looked up.
fn find(name: &str, path: &OsStr) -> Result<PathBuf, Errno> {
    if name.contains('/') {
        return Ok(name.into());
    }
    let mut refused = Errno::NOENT;
    for directory in std::env::split_paths(path) {
        let candidate = if directory.as_os_str().is_empty() { Path::new(".").join(name) } else { directory.join(name) };
        match is_program(&candidate) {
            Ok(true) => return Ok(candidate),
            Ok(false) => {}
            Err(errno) => refused = errno,
        }
    }
    Err(refused)
}

fn is_program(candidate: &Path) -> Result<bool, Errno> {
    match stat(candidate) {
        Ok(found) if FileType::from_raw_mode(found.st_mode) == FileType::RegularFile => {
            access(candidate, Access::EXEC_OK).map(|()| true)
        }
        _ => Ok(false),
    }
}

/// The error number behind an error of the standard library, which refuses a few things (a NUL byte) by itself.
pub fn errno_of(cause: &std::io::Error) -> Errno {
    Errno::from_io_error(cause).unwrap_or(Errno::INVAL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn place(directory: &Path, name: &str, mode: u32) -> PathBuf {
        let path = directory.join(name);
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn programs_are_found_in_the_order_of_the_path() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = std::env::join_paths([first.path(), second.path()]).unwrap();
        let there = place(second.path(), "tool", 0o755);
        std::fs::create_dir(first.path().join("tool")).unwrap();
        assert_eq!(find("tool", &path), Ok(there), "a directory is no program");
        assert_eq!(find("none", &path), Err(Errno::NOENT));
        assert_eq!(find("", &path), Err(Errno::NOENT));
        assert_eq!(find("a/b", &path), Ok("a/b".into()));
    }

    #[test]
    fn a_file_that_is_no_program_is_refused_only_if_there_is_no_other() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = std::env::join_paths([first.path(), second.path()]).unwrap();
        place(first.path(), "tool", 0o644);
        assert_eq!(find("tool", &path), Err(Errno::ACCESS));
        let there = place(second.path(), "tool", 0o755);
        assert_eq!(find("tool", &path), Ok(there));
    }
}
