//! A network (namespace) that is not this machine's, for as long as somebody holds it.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::{
    fs::File,
    os::fd::{AsFd, AsRawFd},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network of its own, with a loopback. Cheap to clone; it goes with the last who holds it.
#[derive(Debug, Clone)]
pub struct Network(Arc<File>);

impl Network {
    /// A new one.
    ///
    /// # Panics
    /// When it cannot be made: only root can.
    #[allow(clippy::new_without_default, reason = "it is an act")]
    pub fn new() -> Self {
        // It has to be made by a process; ours is not to lose its own.
        let mut command = Command::new("unshare");
        command.args(["--net", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut maker = command.spawn().unwrap();
        say_and_hear(&mut maker);
        let made = Self(Arc::new(File::open(format!("/proc/{}/ns/net", maker.id())).unwrap()));
        drop(maker.stdin.take());
        maker.wait().unwrap();
        made.run("ip", &["link", "set", "lo", "up"]);
        made
    }

    /// What it is called, for as long as this process holds it.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }

    /// Does something inside: sockets that are made and processes that are started there belong there.
    ///
    /// # Panics
    /// When it panics.
    pub fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                act()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Runs a program inside.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn run(&self, program: &str, args: &[&str]) {
        let ran = self.inside(|| Command::new(program).args(args).output()).unwrap();
        assert!(ran.status.success(), "{program} {}: {}", args.join(" "), String::from_utf8_lossy(&ran.stderr));
    }
}

/// Once what is sent comes back, the program runs, and is where it should be.
fn say_and_hear(echo: &mut Child) {
    use std::io::{Read, Write};
    echo.stdin.as_mut().unwrap().write_all(b"?").unwrap();
    echo.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
}
