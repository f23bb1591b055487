//! Secrets of a run or server: variables of its process, and files in a directory that was not there before.
//!
//! The directory is below a scratch directory in memory: what is in it never touches a disk, and goes with the rest of the run's.

use std::ffi::OsString;
use std::os::fd::OwnedFd;

use longshore_shim::{Given, SECRETS_ENV, Secret, User};
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use rustix::io::{Errno, retry_on_intr, write};

use crate::rights::AsOwner;

/// Files of secrets cannot be put in place: why, and what.
#[derive(Debug)]
pub struct Unlaid(pub Errno, pub String);

/// Where files of secrets are put, as the shim was told.
pub struct Secrets {
    directory: Option<OsString>,
}

impl Secrets {
    /// Reads the shim's own environment.
    pub fn new() -> Self {
        Self { directory: std::env::var_os(SECRETS_ENV) }
    }

    /// Puts those that are files in place, for the process that is about to be started as this user: nobody else may look.
    ///
    /// # Errors
    /// When something is in the way, or there is no room.
    pub fn lay_out(&self, secrets: &[Secret], user: Option<&User>) -> Result<(), Unlaid> {
        let mut files = secrets.iter().filter_map(|secret| match &secret.given {
            Given::File(name) => Some((name, &secret.value.0)),
            Given::Env(_) => None,
        });
        let Some(first) = files.next() else { return Ok(()) };
        let _borrowed = AsOwner::of(user);
        let directory = self.make().map_err(|errno| Unlaid(errno, "the directory of secrets".to_owned()))?;
        std::iter::once(first).chain(files).try_for_each(|(name, value)| {
            put(&directory, name, value).map_err(|errno| Unlaid(errno, format!("the secret's file {name}")))
        })
    }

    /// A directory that was there before is somebody else's.
    fn make(&self) -> Result<OwnedFd, Errno> {
        let path = self.directory.as_ref().ok_or(Errno::NOENT)?;
        mkdirat(CWD, path.as_os_str(), Mode::RWXU)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(CWD, path.as_os_str(), flags, Mode::empty())
    }
}

/// The variables among them. Values with a NUL were refused by the worker, and are by [`crate::command`].
pub fn variables(secrets: &[Secret]) -> impl Iterator<Item = (&str, &[u8])> {
    secrets.iter().filter_map(|secret| match &secret.given {
        Given::Env(name) => Some((name.as_str(), &secret.value.0[..])),
        Given::File(_) => None,
    })
}

fn put(directory: &OwnedFd, name: &str, mut value: &[u8]) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(directory, name, flags, Mode::RUSR)?;
    while !value.is_empty() {
        let written = retry_on_intr(|| write(&file, value))?;
        value = &value[written..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_shim::Hidden;
    use std::os::unix::fs::PermissionsExt;

    fn file(name: &str, value: &[u8]) -> Secret {
        Secret { given: Given::File(name.to_owned()), value: Hidden(value.to_vec()) }
    }

    #[test]
    fn files_are_for_their_owner_alone_and_nothing_that_was_there_is_used() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("secrets");
        let secrets = Secrets { directory: Some(path.clone().into()) };
        let env = Secret { given: Given::Env("A".to_owned()), value: Hidden(b"a".to_vec()) };
        secrets.lay_out(std::slice::from_ref(&env), None).unwrap();
        assert!(!path.exists(), "no file, no directory");
        secrets.lay_out(&[env, file("key.pem", &[0; 70_000]), file("empty", b"")], None).unwrap();
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&path), mode(&path.join("key.pem"))), (0o700, 0o400));
        assert_eq!(std::fs::read(path.join("key.pem")).unwrap(), [0; 70_000]);
        assert!(secrets.lay_out(&[file("other", b"x")], None).is_err(), "another's directory");
        std::fs::remove_dir_all(&path).unwrap();
        std::os::unix::fs::symlink(base.path(), &path).unwrap();
        assert!(secrets.lay_out(&[file("other", b"x")], None).is_err(), "a link");
        assert!(!base.path().join("other").exists());
        assert!(Secrets { directory: None }.lay_out(&[file("other", b"x")], None).is_err());
    }

    #[test]
    fn no_value_is_printed() {
        assert_eq!(format!("{:?}", file("a", b"hunter2")), "Secret { given: File(\"a\"), value: … }");
    }
}
