//! What a process of the user's is started with: its environment, its program, its standard streams.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use longshore_shim::{End, INPUTS_ENV, Secret, User};
use rustix::fs::{Access, FileType, Mode, OFlags, access, open, stat};
use rustix::io::Errno;
use rustix::process::Pid;

use crate::secrets::{Secrets, Unlaid, variables};
use crate::spawn::{Failed, Program, Spawner, Stdin, Streams};

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
    /// Whether the root of the file system is a container's, which does not change.
    fixed: bool,
    /// The program looked up last, where the root is fixed: runs of a container mostly share it.
    known: Option<Known>,
    spawner: Spawner,
    secrets: Secrets,
}

/// Where a program was found.
struct Known {
    name: String,
    path: OsString,
    found: CString,
}

impl Container {
    /// Reads the shim's own environment. `fixed` says that no program comes or goes while the shim lives.
    ///
    /// # Errors
    /// When there is no `/dev/null`, or no directory of inputs where there should be one.
    pub fn new(fixed: bool) -> std::io::Result<Self> {
        let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let inputs = std::env::var_os(INPUTS_ENV).map(|path| open(path, directory, Mode::empty())).transpose()?;
        Ok(Self {
            variables: std::env::vars_os().filter(|(name, _)| !name.as_bytes().starts_with(OWN_PREFIX)).collect(),
            // Kept open, as a run may be able to replace what is at this path.
            nothing: File::open("/dev/null")?,
            fixed,
            known: None,
            spawner: Spawner::new(inputs),
            secrets: Secrets::new(),
        })
    }

    /// An empty standard input.
    ///
    /// # Errors
    /// When the system has no descriptor left.
    pub fn empty_stdin(&self) -> Result<Stdin, NotStarted> {
        let copy = self.nothing.try_clone();
        let copy = copy.map_err(|cause| NotStarted::new(errno_of(&cause), "open", "/dev/null"))?;
        Ok(Stdin::Open(copy.into()))
    }

    /// What a command line becomes with these variables added to the container's, and those of secrets, whose files are put in
    /// place for this user.
    ///
    /// # Errors
    /// When there is no such program, or a word holds a NUL.
    pub fn program(
        &mut self,
        argv: &[String],
        added: &[(String, String)],
        (secrets, user): (&[Secret], Option<&User>),
    ) -> Result<Program, NotStarted> {
        let Some(name) = argv.first() else {
            return Err(NotStarted::new(Errno::INVAL, "run", "an empty command"));
        };
        let laid = self.secrets.lay_out(secrets, user);
        laid.map_err(|Unlaid(errno, what)| NotStarted::new(errno, "make", &what))?;
        let refuse = |errno| NotStarted::new(errno, "run", name);
        Ok(Program {
            path: self.look_up(name, added).map_err(refuse)?,
            argv: argv.iter().map(|word| c_string(word.as_bytes())).collect::<Result<_, _>>().map_err(refuse)?,
            env: self.environment(added, secrets).map_err(refuse)?,
            long_arguments: false,
        })
    }

    /// Starts a process in its own process group, as this user or as the shim's.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&mut self, program: &Program, streams: &Streams, user: Option<&User>) -> Result<Pid, NotStarted> {
        let started = self.spawner.spawn(program, streams, user);
        started.map_err(|failed| {
            let (errno, doing, what) = match (failed, &streams.stdin) {
                (Failed::Stdin(errno), Stdin::Input(path)) => (errno, "open standard input", path),
                (Failed::Stdin(errno) | Failed::Process(errno), _) => (errno, "run", &program.path),
            };
            // Should it have gone from where it was found, the next run looks for it anew.
            self.known = None;
            NotStarted::new(errno, doing, &what.to_string_lossy())
        })
    }

    /// The container's variables, except those that are given anew, and the added ones, each name once.
    fn environment(&self, added: &[(String, String)], secrets: &[Secret]) -> Result<Vec<CString>, Errno> {
        let given_in = |rest: &[(String, String)], name: &[u8]| rest.iter().any(|(other, _)| other.as_bytes() == name);
        let own = self.variables.iter().filter(|(name, _)| !given_in(added, name.as_bytes()));
        let own = own.map(|(name, value)| variable(name.as_bytes(), value.as_bytes()));
        let last = added.iter().enumerate().filter(|(at, (name, _))| !given_in(&added[at + 1..], name.as_bytes()));
        let added = last.map(|(_, (name, value))| variable(name.as_bytes(), value.as_bytes()));
        // No variable of the container's or ours has the name of one of these: nobody could have asked for that.
        let secret = variables(secrets).map(|(name, value)| variable(name.as_bytes(), value));
        own.chain(added).chain(secret).collect()
    }

    /// How a run of this program would end, if it cannot even be started.
    pub fn find(&mut self, name: &str, added: &[(String, String)]) -> Option<End> {
        // A path is taken as it is, and is found out about when it is run; one that does not depend on where, here.
        let found = self.look_up(name, added).and_then(|path| match name.starts_with('/') {
            true => stat(path.as_c_str()).and_then(|_| access(path.as_c_str(), Access::EXEC_OK)),
            false => Ok(()),
        });
        found.err().map(|errno| NotStarted::new(errno, "run", name).into_end())
    }

    fn look_up(&mut self, name: &str, added: &[(String, String)]) -> Result<CString, Errno> {
        let path = self.path(added);
        if let Some(known) = self.known.as_ref().filter(|known| known.name == name && known.path == path) {
            return Ok(known.found.clone());
        }
        let path = path.to_owned();
        let found = c_string(&find(name, &path)?.into_os_string().into_vec())?;
        if self.fixed {
            self.known = Some(Known { name: name.to_owned(), path, found: found.clone() });
        }
        Ok(found)
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

fn variable(name: &[u8], value: &[u8]) -> Result<CString, Errno> {
    c_string(&[name, b"=", value].concat())
}

fn c_string(bytes: &[u8]) -> Result<CString, Errno> {
    CString::new(bytes).map_err(|_| Errno::INVAL)
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
