//! The real binary, as far as it goes without a coordinator: help, usage errors, specs, inputs, exit codes.

#![allow(clippy::unwrap_used)]

use std::{
    env,
    ffi::OsStr,
    fs,
    io::Write,
    net::SocketAddr,
    os::fd::OwnedFd,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use rustix::net::{AddressFamily, SocketType};
use tempfile::TempDir;

/// Where commands are typed, two directories below that of the test: what climbs out of it is still the test's.
const HERE: &str = "above/here";

/// Whether a variable of the tests' own environment would tell a command something.
fn tells(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("LONGSHORE_") || name.starts_with("CLICOLOR") || name == "NO_COLOR"
}

/// A directory to work in, and the binary to run in it.
struct Shell {
    dir: TempDir,
    /// The address of the coordinator, unless a test names another.
    nobody: Nobody,
}

/// A port that is taken, so that nobody can come to listen there, and at which nobody listens.
struct Nobody(SocketAddr, #[expect(dead_code, reason = "held for as long as the port has to be taken")] OwnedFd);

impl Nobody {
    fn new() -> Nobody {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = rustix::net::getsockname(&socket).unwrap().try_into().unwrap();
        Nobody(address, socket)
    }
}

impl Shell {
    fn new() -> Shell {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join(HERE)).unwrap();
        Shell { dir, nobody: Nobody::new() }
    }

    fn with(files: &[(&str, &str)]) -> Shell {
        let shell = Shell::new();
        for (name, text) in files {
            let path = shell.at(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        shell
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(HERE).join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        // Where Cargo says at run time that it is: the directory may have been moved.
        let program = env::var_os("CARGO_BIN_EXE_longshore");
        let mut command = Command::new(program.unwrap_or_else(|| env!("CARGO_BIN_EXE_longshore").into()));
        for (name, _) in env::vars_os().filter(|(name, _)| tells(name)) {
            command.env_remove(name);
        }
        command
            .args(args)
            .current_dir(self.dir.path().join(HERE))
            .env("LONGSHORE_ADDR", self.nobody.0.to_string())
            .env("LONGSHORE_RUNTIME_DIR", self.dir.path().join("run"))
            .env("LONGSHORE_CONNECT_TIMEOUT", "0s")
            .env("XDG_CONFIG_HOME", self.dir.path().join("home"))
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        Ran::from(self.command(args).output().unwrap())
    }

    fn run_with_input(&self, args: &[&str], input: &str) -> Ran {
        let mut command = self.command(args);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        Ran::from(child.wait_with_output().unwrap())
    }
}

/// How it ended and what it said.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        Ran {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    /// Refused with exit code 2 and nothing on standard output; every one of `words` is in the error.
    #[track_caller]
    fn refused(&self, words: &[&str]) {
        assert_eq!(self.code, Some(2), "{self:?}");
        assert_eq!(self.out, "", "{self:?}");
        assert!(self.err.starts_with("error: "), "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "no {word:?} in {self:?}");
        }
    }
}

const COMMANDS: [&[&str]; 44] = [
    &[],
    &["run"],
    &["submit"],
    &["job"],
    &["job", "ls"],
    &["job", "show"],
    &["job", "watch"],
    &["job", "wait"],
    &["job", "cancel"],
    &["job", "retry"],
    &["job", "logs"],
    &["job", "outputs"],
    &["service"],
    &["service", "deploy"],
    &["service", "ls"],
    &["service", "show"],
    &["service", "rm"],
    &["query"],
    &["worker"],
    &["worker", "ls"],
    &["worker", "rm"],
    &["worker", "token"],
    &["worker", "token", "create"],
    &["worker", "token", "ls"],
    &["worker", "token", "rm"],
    &["secret"],
    &["secret", "put"],
    &["secret", "ls"],
    &["secret", "rm"],
    &["token"],
    &["token", "create"],
    &["token", "ls"],
    &["token", "rm"],
    &["token", "rotate"],
    &["login"],
    &["context"],
    &["context", "ls"],
    &["context", "use"],
    &["context", "rm"],
    &["up"],
    &["coordinator"],
    &["doctor"],
    &["demo"],
    &["completions"],
];

#[test]
fn every_command_has_help_and_those_that_do_something_have_examples() {
    let shell = Shell::new();
    for command in COMMANDS {
        let ran = shell.run(&[command, &["--help"]].concat());
        assert_eq!(ran.code, Some(0), "{command:?}: {ran:?}");
        assert!(ran.out.contains("Usage: longshore"), "{command:?}: {ran:?}");
        let groups: [&[&str]; 6] =
            [&["job"], &["service"], &["secret"], &["token"], &["context"], &["worker", "token"]];
        assert!(ran.out.contains("Examples:") || groups.contains(&command), "{command:?} has no examples");
    }
}

#[test]
fn usage_errors_exit_with_2() {
    let shell = Shell::with(&[("a.txt", "")]);
    for args in [
        &["frobnicate"][..],
        &["run"],
        &["run", "alpine"],
        &["run", "--frob", "alpine", "a.txt"],
        &["run", "--memory", "lots", "alpine", "a.txt"],
        &["run", "--cpus", "-1", "alpine", "a.txt"],
        &["run", "--timeout", "30", "alpine", "a.txt"],
        &["run", "--retries", "-1", "alpine", "a.txt"],
        &["run", "--isolation", "vm", "alpine", "a.txt"],
        &["run", "-d", "-o", "out", "alpine", "a.txt"],
        &["run", "-f", "job.yaml", "--memory", "1g", "a.txt"],
        &["run", "-f", "job.yaml", "--retries", "1", "a.txt"],
        &["run", "-f", "job.yaml", "a.txt", "--", "cat"],
        &["submit", "--idempotency-key", "", "alpine", "a.txt"],
        &["query", "find"],
        &["query", "find", "-d", "x", "--require", "3"],
        &["job", "wait", "last", "--timeout", "soon"],
        &["service", "rm"],
        &["worker"],
        &["up", "--slots", "0"],
        &["completions", "tcl"],
        &["--addr", "nonsense", "ps"],
    ] {
        let ran = shell.run(args);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{args:?}: {ran:?}");
    }
}

#[test]
fn a_bad_address_is_named() {
    Shell::new().run(&["--addr", "ftp://x:1", "ps"]).refused(&["ftp://x:1", "only http"]);
}

#[test]
fn nobody_listening_is_said_with_the_next_command_to_type() {
    let shell = Shell::new();
    let port = shell.nobody.0;
    let ran = shell.run(&["ps"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains(&format!("no coordinator answers at {port}")), "{ran:?}");
    assert!(ran.err.contains("hint: start one with `longshore up`"), "{ran:?}");
}

#[test]
fn a_coordinator_that_is_away_is_waited_for_as_long_as_it_is_said_and_that_is_told() {
    let shell = Shell::with(&[("a.txt", "")]);
    let ran = shell.run(&["submit", "alpine", "a.txt", "--connect-timeout", "300ms"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let waiting = format!("waiting for the coordinator at {}", shell.nobody.0);
    assert!(ran.err.contains(&waiting) && ran.err.contains("Ctrl-C ends this command"), "{ran:?}");
    shell.run(&["ps", "--connect-timeout", "soon"]).refused(&["`soon` is no time"]);
}

#[test]
fn inputs_that_cannot_be_used_are_named() {
    let shell = Shell::with(&[("a/x.txt", "1"), ("b/x.txt", "2"), ("empty.txt", "")]);
    fs::create_dir(shell.at("nothing")).unwrap();
    let run = |inputs: &[&str]| shell.run(&[&["run", "alpine"], inputs].concat());
    run(&["missing.txt"]).refused(&["cannot read missing.txt", "No such file"]);
    run(&["'a/*.md'"]).refused(&["'a/*.md' matches no file"]);
    run(&["a/*.md"]).refused(&["a/*.md matches no file"]);
    run(&["nothing"]).refused(&["directory nothing has no file"]);
    run(&["a/x.txt", "b/x.txt"]).refused(&["item x.txt", "a/x.txt", "b/x.txt", "hint:"]);
    run(&["--each-line", "empty.txt"]).refused(&["empty.txt lists nothing"]);
    run(&["--each-line", "missing.txt"]).refused(&["missing.txt"]);
    run(&["-"]).refused(&["standard input lists nothing"]);
    run(&["-", "--each-line", "-"]).refused(&["standard input"]);
    run(&[]).refused(&["no input is named", "hint:"]);
}

#[test]
fn a_directory_that_is_climbed_to_gives_paths_below_itself() {
    let shell = Shell::with(&[("a/x.txt", "1"), ("b/y.txt", "2")]);
    let ran = shell.run(&["run", "alpine", "a/../..", "--dry-run", "-q"]);
    assert_eq!(ran.out, "here/a/x.txt\nhere/b/y.txt\n", "{ran:?}");
}

#[test]
fn names_that_would_upset_a_terminal_are_escaped() {
    let shell = Shell::with(&[("d/a\u{1b}[2Jb", "")]);
    let ran = shell.run(&["run", "alpine", "d"]);
    ran.refused(&["d/a\\x1b[2Jb cannot be an input", "control character"]);
    assert!(!ran.err.contains('\u{1b}'), "{ran:?}");
}

#[test]
fn a_bad_spec_is_refused_with_file_line_and_column() {
    let shell = Shell::with(&[
        ("a.txt", ""),
        ("job.yaml", "stages:\n  - name: a\n    imge: x\n"),
        ("service.yaml", "name: find\nleaf:\n  image: x\n  shards: -1\n"),
    ]);
    shell.run(&["run", "-f", "job.yaml", "a.txt"]).refused(&["job.yaml:3:5: unknown field `imge`", "^"]);
    shell.run(&["service", "deploy", "service.yaml"]).refused(&["service.yaml:4:11: `-1` is not"]);
    shell.run(&["submit", "-f", "none.yaml", "a.txt"]).refused(&["cannot read spec none.yaml", "No such file"]);
    let ran = shell.run_with_input(&["run", "-f", "-", "a.txt"], "stages: {}");
    ran.refused(&["-:1:9: a list is expected here"]);
}

#[test]
fn a_dry_run_shows_the_job_and_needs_no_coordinator() {
    let shell = Shell::with(&[("t/a/1.txt", "1"), ("t/b/2.txt", "2")]);
    let args = ["run", "alpine:3", "t/**/*.txt", "--retries", "2", "--dry-run"];
    let ran = shell.run(&[&args[..], &["--", "wc", "-w", "{in}"]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for word in ["alpine:3", "a/1.txt", "b/2.txt", "wc -w {in}", "nothing was submitted"] {
        assert!(ran.out.contains(word), "{ran:?}");
    }
    let ran = shell.run(&[&args[..], &["--format", "json"]].concat());
    let value: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(value["name"], "alpine");
    assert_eq!(value["stages"][0]["attempts"], 3);
    assert_eq!(value["items"][1]["path"], "b/2.txt");
    let ran = shell.run(&[&args[..], &["--format", "name"]].concat());
    assert_eq!(ran.out, "a/1.txt\nb/2.txt\n");
}

#[test]
fn a_dry_run_names_secrets() {
    let shell = Shell::with(&[("a.txt", "")]);
    let args = ["run", "alpine", "a.txt", "--secret", "db,env=DB", "--pull-secret", "hub", "--dry-run"];
    let ran = shell.run(&args);
    assert!(ran.out.contains("is given secrets: db\n") && ran.out.contains("shows its registry: hub\n"), "{ran:?}");
    let ran = shell.run(&[&args[..], &["--format", "json"]].concat());
    let value: serde_json::Value = serde_json::from_str(&ran.out).expect(&ran.err);
    assert_eq!(value["stages"][0]["secrets"], serde_json::json!(["db"]));
    assert_eq!(value["stages"][0]["pull_secret"], "hub");
}

#[test]
fn a_list_on_standard_input_keeps_the_paths_it_has() {
    let shell = Shell::with(&[("t/a/1.txt", "1"), ("t/b/1.txt", "2")]);
    let args = ["submit", "alpine", "-", "--dry-run", "-q"];
    assert_eq!(shell.run_with_input(&args, "./t/a/1.txt\nt/b/1.txt\n").out, "t/a/1.txt\nt/b/1.txt\n");
    assert_eq!(shell.run_with_input(&args, "t/a/1.txt\0t/b/1.txt\0").out, "t/a/1.txt\nt/b/1.txt\n");
}

#[test]
fn each_line_is_an_item() {
    let shell = Shell::with(&[("words", "one\n\nthree\n")]);
    let ran = shell.run(&["run", "alpine", "--each-line", "words", "--dry-run", "-q"]);
    assert_eq!(ran.out, "line-000001.txt\nline-000003.txt\n", "{ran:?}");
}

#[test]
fn a_service_spec_is_checked_with_its_data() {
    let spec = "name: find\nleaf: { image: x, shards: 2, data: ./texts, pull_secret: hub }\n";
    let shell = Shell::with(&[("s/service.yaml", spec), ("s/texts/a", "1"), ("s/texts/b", "2")]);
    let ran = shell.run(&["service", "deploy", "s/service.yaml", "--dry-run", "--format", "json"]);
    let value: serde_json::Value = serde_json::from_str(&ran.out).expect(&ran.err);
    assert_eq!((&value["shards"], &value["files"]), (&2.into(), &2.into()));
    assert_eq!(value["secrets"], serde_json::json!(["hub"]));
    fs::remove_dir_all(shell.at("s/texts")).unwrap();
    shell.run(&["service", "deploy", "s/service.yaml"]).refused(&["s/./texts"]);
}

#[test]
fn an_output_directory_that_cannot_be_used_is_said_before_any_work() {
    let shell = Shell::with(&[("a.txt", ""), ("file", "")]);
    let ran = shell.run(&["run", "alpine", "a.txt", "-o", "file/out"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("cannot look at file/out") && ran.err.contains("Not a directory"), "{ran:?}");
}

#[test]
fn completions_are_printed_for_the_usual_shells() {
    for shell in ["bash", "zsh", "fish"] {
        let ran = Shell::new().run(&["completions", shell]);
        assert!(ran.code == Some(0) && ran.out.contains("longshore"), "{shell}");
    }
}

#[test]
fn a_reader_that_has_had_enough_is_no_failure() {
    let shell = Shell::new();
    let mut child =
        shell.command(&["completions", "bash"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ran = child.wait_with_output().unwrap();
    assert_eq!((ran.status.code(), ran.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn colour_is_only_for_terminals_that_want_it() {
    let shell = Shell::new();
    let plain = shell.run(&["run", "alpine", "missing"]);
    assert!(!plain.err.contains('\u{1b}'), "{plain:?}");
    let mut forced = shell.command(&["run", "alpine", "missing"]);
    let forced = Ran::from(forced.env("CLICOLOR_FORCE", "1").output().unwrap());
    assert!(forced.err.contains('\u{1b}'), "{forced:?}");
}
