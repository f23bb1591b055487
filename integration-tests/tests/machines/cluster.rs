//! A coordinator and its workers, each on a machine of its own.

use integration_tests::{
    lan::Machine,
    real::{Ran, Server},
};

/// Where the coordinator listens: the machine is the test's own, and so are all its ports.
const PORT: u16 = 7_077;

/// The first machine, with the coordinator on it.
pub struct Cluster<'a> {
    pub first: &'a Machine,
    pub coordinator: Server<'a>,
}

impl<'a> Cluster<'a> {
    /// Starts a coordinator that listens for its own machine and for others. Its lease is short, so that tests are.
    pub fn start(first: &'a Machine) -> Self {
        Self::start_with(first, &[])
    }

    /// The same with more flags.
    pub fn start_with(first: &'a Machine, flags: &[&str]) -> Self {
        let listen = format!("{}:{PORT}", first.address);
        let flags = [&["--listen", listen.as_str(), "--lease", "2s"], flags].concat();
        Self { first, coordinator: first.coordinator_on("coordinator", &flags) }
    }

    /// Kills the coordinator and starts it again where it was.
    pub fn falls_and_rises(self) -> Self {
        let Self { first, coordinator } = self;
        coordinator.kill();
        Self::start(first)
    }

    /// What others dial.
    pub fn address(&self) -> String {
        format!("{}:{PORT}", self.first.address)
    }

    /// Starts a worker on another machine, as an operator does: with a token made for it.
    pub fn join<'m>(&self, machine: &'m Machine) -> Server<'m> {
        machine.write("token", self.join_token(&[]));
        machine.worker_at(&machine.name, &self.address(), &["--token-file", "token"])
    }

    /// Makes a token to join with.
    pub fn join_token(&self, flags: &[&str]) -> String {
        self.coordinator.cli(&[&["worker", "token", "create"], flags].concat()).exits(0).stdout
    }

    /// Makes a token for a person.
    pub fn token(&self, role: &str) -> String {
        self.coordinator.cli(&["token", "create", "--role", role]).exits(0).stdout.trim().to_owned()
    }

    /// Types a command on another machine, with a person's token.
    #[track_caller]
    pub fn cli_on(&self, machine: &Machine, token: &str, args: &[&str]) -> Ran {
        machine.cli_with(&[("LONGSHORE_ADDR", &self.address()), ("LONGSHORE_TOKEN", token)], args)
    }

    /// Every item of a job has succeeded, whatever happened meanwhile.
    #[track_caller]
    pub fn finishes(&self, id: &str, items: usize) {
        self.coordinator.cli(&["wait", id]).exits(0);
        let job = self.coordinator.job(id);
        let stage = &job["stages"][0];
        assert_eq!((&stage["succeeded"], &stage["failed"]), (&items.into(), &0.into()), "{job}");
        assert_eq!(job["recent_failures"].as_array().unwrap().len(), 0, "nobody is to blame: {job}");
    }
}
