//! Starting servers in a test's directory, as an operator would, and other users of the machine.

use rustix::process::geteuid;

use super::{cli::Ran, env::TestEnv, server::Server, stranger::Stranger};

/// Servers and other users.
impl TestEnv {
    /// `longshore up` with two slots, in the directory `data`.
    pub fn up(&self) -> Server<'_> {
        let mut args = words(&["up", "--data", "data", "--listen", "127.0.0.1:0", "--slots", "2"]);
        args.extend(self.runtime());
        Server::listening(self, &args)
    }

    /// The same at an address of one's choice.
    pub fn up_at(&self, listen: &str) -> Server<'_> {
        let mut args = words(&["up", "--data", "data", "--listen", listen, "--slots", "2"]);
        args.extend(self.runtime());
        Server::listening(self, &args)
    }

    /// The same with more flags.
    pub fn up_with(&self, flags: &[&str]) -> Server<'_> {
        let mut args = words(&["up", "--data", "data", "--listen", "127.0.0.1:0", "--slots", "2"]);
        args.extend(self.runtime());
        args.extend(words(flags));
        Server::listening(self, &args)
    }

    /// The same with another number of slots.
    pub fn up_with_slots(&self, slots: u32) -> Server<'_> {
        let mut args = words(&["up", "--data", "data", "--listen", "127.0.0.1:0", "--slots", &slots.to_string()]);
        args.extend(self.runtime());
        Server::listening(self, &args)
    }

    /// The same, with what a shell does first: `umask 000`, `ulimit -n 200`.
    pub fn up_after(&self, shell: &str) -> Server<'_> {
        let mut args = words(&["up", "--data", "above/data", "--listen", "127.0.0.1:0", "--slots", "2"]);
        args.extend(self.runtime());
        Server::listening_after(self, shell, &args)
    }

    /// `longshore coordinator`, in the directory `coordinator`. The port is the system's to choose.
    pub fn coordinator(&self) -> Server<'_> {
        self.coordinator_at("127.0.0.1:0")
    }

    /// The same with another directory, that of an `up` perhaps, and more flags.
    pub fn coordinator_on(&self, data: &str, flags: &[&str]) -> Server<'_> {
        let mut args = words(&["coordinator", "--data", data, "--listen", "127.0.0.1:0"]);
        args.extend(words(flags));
        Server::listening(self, &args)
    }

    /// The same with a directory and at a known address: where it was before, so that workers find it again.
    pub fn coordinator_again(&self, data: &str, address: &str) -> Server<'_> {
        let listen = address.trim_start_matches("http://");
        Server::listening(self, &words(&["coordinator", "--data", data, "--listen", listen]))
    }

    /// The same at a known address: where it was before, so that workers find it again.
    pub fn coordinator_at(&self, address: &str) -> Server<'_> {
        self.coordinator_again("coordinator", address)
    }

    /// `longshore worker --join`, with one slot, in a directory of its name.
    pub fn worker(&self, name: &str, coordinator: &Server) -> Server<'_> {
        self.worker_at(name, &coordinator.address, &[])
    }

    /// The same by the port, with the token in a file.
    pub fn worker_with_token(&self, name: &str, coordinator: &Server, file: &str) -> Server<'_> {
        self.worker_at(name, &coordinator.address, &["--token-file", file])
    }

    /// `longshore worker --join` at any address, with one slot and more flags, in a directory of its name.
    pub fn worker_at(&self, name: &str, address: &str, flags: &[&str]) -> Server<'_> {
        let mut args = words(&["worker", "--join", address, "--data", name, "--name", name, "--slots", "1"]);
        args.extend(words(flags));
        args.extend(self.runtime());
        Server::start(self, &args, address.to_owned())
    }

    /// The same where it is to be refused.
    #[track_caller]
    pub fn worker_refused_at(&self, name: &str, address: &str, flags: &[&str]) -> Ran {
        let mut args = words(&["worker", "--join", address, "--data", name, "--name", name, "--slots", "1"]);
        args.extend(words(flags));
        args.extend(self.runtime());
        Server::refused(self, &args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Another user of this machine, with this number. Only root can act as one.
    ///
    /// # Panics
    /// When the disk has no room for the program.
    pub fn stranger(&self, number: u32) -> Stranger<'_> {
        Stranger::new(self, number)
    }

    fn runtime(&self) -> Vec<String> {
        match self.has_docker() {
            true => words(&["--runtime", "docker"]),
            false if geteuid().is_root() => words(&["--runtime", "process", "--allow-commands-as-root"]),
            false => words(&["--runtime", "process"]),
        }
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
