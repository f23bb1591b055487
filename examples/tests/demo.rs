//! The real program: its stages one after the other, and its servers over a unix socket.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

fn demo() -> Command {
    // Where Cargo says at run time that it is: the directory may have been moved.
    let program = std::env::var_os("CARGO_BIN_EXE_longshore-demo");
    let mut command = Command::new(program.unwrap_or_else(|| env!("CARGO_BIN_EXE_longshore-demo").into()));
    for name in ["LONGSHORE_INPUT", "LONGSHORE_DATA", "LONGSHORE_SOCKET", "LONGSHORE_SHARD", "LONGSHORE_SHARDS", "PORT"]
    {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

fn text(output: &Output) -> &str {
    assert!(output.status.success(), "{output:?}");
    std::str::from_utf8(&output.stdout).unwrap()
}

/// Runs a stage on one file, its output into another.
fn stage(program: &str, input: &Path, output: &Path) {
    let ended = demo().arg(program).arg(input).output().unwrap();
    fs::write(output, text(&ended)).unwrap();
}

#[test]
fn three_stages_make_a_table_of_words() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir(at("parts")).unwrap();
    for (name, content) in [("a", "The whale and the sea."), ("b", "A whale! A ship, the sea, a WHALE.")] {
        fs::write(at(name), content).unwrap();
        stage("words", &at(name), &at("counts"));
        stage("drop", &at("counts"), &at("parts").join(name));
    }
    let total = demo().arg("total").arg(at("parts")).output().unwrap();
    assert_eq!(text(&total), "3 whale\n2 sea\n1 ship\n");
    let top = demo().args(["top", at("parts").to_str().unwrap(), "1"]).output().unwrap();
    assert_eq!(text(&top), "3 whale\n");
}

#[test]
fn the_input_may_come_by_environment_or_standard_input() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("text");
    fs::write(&path, "sea sea").unwrap();
    let by_environment = demo().arg("words").env("LONGSHORE_INPUT", &path).output().unwrap();
    assert_eq!(text(&by_environment), "2 sea\n");
    let by_stdin = demo().arg("words").stdin(fs::File::open(&path).unwrap()).output().unwrap();
    assert_eq!(text(&by_stdin), "2 sea\n");
}

#[test]
fn a_failure_is_1_with_its_reason_and_a_wrong_call_2_with_the_usage() {
    let missing = demo().args(["words", "/no such file"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("/no such file"), "{missing:?}");
    let unknown = demo().arg("wrods").output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    assert!(unknown.stderr.starts_with(b"usage:"), "{unknown:?}");
}

#[test]
fn a_leaf_whose_data_cannot_be_read_ends_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let ended = demo()
        .arg("search-leaf")
        .env("LONGSHORE_SOCKET", directory.path().join("socket"))
        .env("LONGSHORE_DATA", directory.path().join("missing"))
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("missing"), "{ended:?}");
}

/// A server of the demo, killed if a test fails before it is stopped.
struct Server {
    child: Child,
    stderr: BufReader<ChildStderr>,
    directory: tempfile::TempDir,
}

impl Server {
    fn start(program: &str, until: &str, data: Option<&Path>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = demo();
        command.arg(program).env("LONGSHORE_SOCKET", directory.path().join("socket")).stderr(Stdio::piped());
        if let Some(data) = data {
            command.env("LONGSHORE_DATA", data);
        }
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut server = Self { child, stderr, directory };
        server.wait_for_line(until);
        server
    }

    fn wait_for_line(&mut self, until: &str) {
        let mut line = String::new();
        while !line.starts_with(until) {
            line.clear();
            assert_ne!(self.stderr.read_line(&mut line).unwrap(), 0, "it ended before {until:?}");
        }
    }

    /// Asks over a connection of its own; answers the status line's code and the body.
    fn ask(&self, head: &str, body: &str) -> (u16, String) {
        let mut stream = UnixStream::connect(self.directory.path().join("socket")).unwrap();
        let length = body.len();
        write!(stream, "{head}host: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn terminate(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
        assert!(!self.directory.path().join("socket").exists());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is what should be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn two_leaves_and_a_merge_are_a_search_engine() {
    let data = tempfile::tempdir().unwrap();
    let texts = [("0/moby", "The white whale. The whale!"), ("1/horse", "A white horse."), ("1/ship", "A ship.")];
    for (file, content) in texts {
        let path = data.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let leaves = ["0", "1"].map(|shard| Server::start("search-leaf", "ready", Some(&data.path().join(shard))));
    let merge = Server::start("search-merge", "listening on", None);
    let mut parts = String::new();
    for (shard, leaf) in leaves.iter().enumerate() {
        assert_eq!(leaf.ask("GET /healthz HTTP/1.1\r\n", "").0, 200);
        let (status, part) = leaf.ask("POST / HTTP/1.1\r\n", "white whale");
        assert_eq!(status, 200, "{part}");
        parts += &format!("--cut\r\nlongshore-shard: {shard}\r\n\r\n{part}\r\n");
    }
    let head = "POST / HTTP/1.1\r\ncontent-type: multipart/mixed; boundary=cut\r\nlongshore-shards: 3\r\n";
    let answer = merge.ask(head, &(parts + "--cut--\r\n"));
    let expected = concat!(
        r#"{"coverage":{"shards":3,"answered":2},"result":{"matching":2,"searched":3,"hits":["#,
        r#"{"file":"moby","words":2,"count":3,"snippet":"The white whale. The whale!"},"#,
        r#"{"file":"horse","words":1,"count":1,"snippet":"A white horse."}]}}"#,
    );
    assert_eq!(answer, (200, expected.to_owned()));
    assert_eq!(leaves[0].ask("POST / HTTP/1.1\r\n", "?").0, 400);
    leaves.into_iter().for_each(Server::terminate);
    merge.terminate();
}

#[test]
fn an_echo_is_the_body_of_its_request() {
    let echo = Server::start("echo", "ready", None);
    assert_eq!(echo.ask("POST / HTTP/1.1\r\n", "over the water"), (200, "over the water".to_owned()));
    echo.terminate();
}
