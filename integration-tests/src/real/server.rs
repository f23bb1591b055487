//! A server: `up`, `coordinator` or `worker`, as a process of its own.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use super::{
    PATIENCE, TestEnv,
    binary::{RUN, command_like},
    cli::{self, Ran, Running},
    patience::until,
};

/// A running server. Dropped, it is stopped with SIGTERM, and killed if that does not help.
#[derive(Debug)]
pub struct Server<'env> {
    env: &'env TestEnv,
    child: Child,
    log: PathBuf,
    /// Where its coordinator listens, `http://127.0.0.1:PORT`; with TLS if there is nothing else.
    pub address: String,
    /// What it has printed.
    said: Arc<Mutex<Vec<String>>>,
}

impl<'env> Server<'env> {
    /// Starts a server that prints its address.
    pub(super) fn listening(env: &'env TestEnv, args: &[String]) -> Self {
        Self::start(env, args, String::new()).heard()
    }

    /// The same from a shell that does something first.
    pub(super) fn listening_after(env: &'env TestEnv, shell: &str, args: &[String]) -> Self {
        let longshore = env.place().command();
        let mut command = command_like(&longshore, "sh");
        command.args(["-c", &format!("{shell}; exec \"$@\""), "sh"]).arg(longshore.get_program()).args(args);
        Self::spawn(env, command, String::new()).heard()
    }

    /// Once it has printed its address.
    fn heard(mut self) -> Self {
        let stdout = self.child.stdout.take().unwrap();
        let said = Arc::clone(&self.said);
        let (first, heard) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                said.lock().unwrap().push(line.clone());
                // Only the first is waited for.
                let _ = first.send(line);
            }
        });
        let line = heard.recv_timeout(PATIENCE).unwrap_or_default();
        let is_address = ["http://127.0.0.1:", "https://127.0.0.1:"].iter().any(|begin| line.starts_with(begin));
        assert!(is_address, "no address but {line:?}:\n{}", self.log());
        self.address = line;
        self
    }

    /// Where it listens with TLS, `https://ADDR:PORT`; waits for its word.
    ///
    /// # Panics
    /// When it says nothing of that.
    pub fn secure(&self) -> String {
        until("an address with TLS", || {
            self.said.lock().unwrap().iter().find(|line| line.starts_with("https://")).cloned()
        })
    }

    /// Starts a server.
    pub(super) fn start(env: &'env TestEnv, args: &[String], address: String) -> Self {
        let mut command = env.place().command();
        command.args(args);
        Self::spawn(env, command, address)
    }

    fn spawn(env: &'env TestEnv, mut command: Command, address: String) -> Self {
        let log = env.next_log();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&log).unwrap());
        Self { env, child: env.place().spawn(&mut command), log, address, said: Arc::default() }
    }

    /// Types the command of a server that is to refuse to start, and waits for its end.
    #[track_caller]
    pub fn refused(env: &TestEnv, args: &[&str]) -> Ran {
        Running::start(env.place(), &[], args, None).ended()
    }

    /// What it has written to standard error.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// What it has left for its own user: its socket, the file with its token.
    pub fn left(&self, kind: &str) -> PathBuf {
        let address = self.address.trim_start_matches("http://");
        self.env.path(RUN).join(format!("{address}.{kind}"))
    }

    /// The token that is asked for at its port.
    ///
    /// # Panics
    /// When it has left none.
    pub fn token(&self) -> String {
        fs::read_to_string(self.left("token")).unwrap().trim().to_owned()
    }

    /// Types a command against this coordinator and waits for its end.
    #[track_caller]
    pub fn cli<S: AsRef<OsStr>>(&self, args: &[S]) -> Ran {
        self.begin(args).ended()
    }

    /// Types a command with `input` on its standard input, and waits for its end.
    #[track_caller]
    pub fn cli_with_input<S: AsRef<OsStr>>(&self, args: &[S], input: &str) -> Ran {
        Running::start(self.env.place(), &[("LONGSHORE_ADDR", &self.address)], args, Some(input)).ended()
    }

    /// Types a command and does not wait.
    pub fn begin<S: AsRef<OsStr>>(&self, args: &[S]) -> Running {
        Running::start(self.env.place(), &[("LONGSHORE_ADDR", &self.address)], args, None)
    }

    /// Submits a job; answers its id.
    #[track_caller]
    pub fn submit<S: AsRef<OsStr>>(&self, args: &[S]) -> String {
        let words = std::iter::once(OsStr::new("submit")).chain(args.iter().map(AsRef::as_ref));
        let ran = self.cli(&words.collect::<Vec<_>>()).exits(0);
        ran.stdout.trim().to_owned()
    }

    /// `job show` as JSON.
    #[track_caller]
    pub fn job(&self, id: &str) -> Value {
        self.cli(&["job", "show", id, "--format", "json"]).exits(0).json()
    }

    /// Waits until the first stage of a job has so many committed items.
    #[track_caller]
    pub fn until_committed(&self, id: &str, items: u64) {
        until(&format!("{items} items of job {id}"), || {
            (self.job(id)["stages"][0]["succeeded"].as_u64().unwrap() >= items).then_some(())
        });
    }

    /// Waits until so many workers are connected.
    #[track_caller]
    pub fn until_workers(&self, count: usize) {
        until(&format!("{count} workers"), || {
            let listed = self.cli(&["worker", "ls", "--format", "json"]).exits(0).json();
            let connected = |worker: &&Value| worker["state"] == "connected";
            (listed.as_array().unwrap().iter().filter(connected).count() == count).then_some(())
        });
    }

    /// The most memory it has had, in bytes.
    ///
    /// # Panics
    /// When it has ended.
    pub fn most_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        most.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    /// Asks it to stop, and waits; answers its exit code.
    ///
    /// # Panics
    /// When it does not.
    pub fn stop(mut self) -> i32 {
        kill_process(cli::pid(&self.child), Signal::TERM).unwrap();
        let status = until("the server's end", || self.child.try_wait().unwrap());
        cli::code(status)
    }

    /// Stops its clock, as a machine that hangs would; what it has started goes on.
    ///
    /// # Panics
    /// When it has ended already.
    pub fn freeze(&self) {
        kill_process(cli::pid(&self.child), Signal::STOP).unwrap();
    }

    /// Whether it has ended by itself.
    ///
    /// # Panics
    /// When that cannot be known.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Lets it go on after [`Server::freeze`].
    ///
    /// # Panics
    /// When it has ended already.
    pub fn thaw(&self) {
        kill_process(cli::pid(&self.child), Signal::CONT).unwrap();
    }

    /// Kills it on the spot, as a crash would.
    ///
    /// # Panics
    /// When it has ended already.
    pub fn kill(mut self) {
        assert!(self.child.try_wait().unwrap().is_none(), "it has ended by itself:\n{}", self.log());
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the server said:\n{}", self.log());
        }
        if let Ok(None) = self.child.try_wait() {
            let _ = kill_process(cli::pid(&self.child), Signal::TERM);
            // A frozen one is told only when it goes on.
            let _ = kill_process(cli::pid(&self.child), Signal::CONT);
            let end = Instant::now() + Duration::from_secs(20);
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
                thread::sleep(Duration::from_millis(10));
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
