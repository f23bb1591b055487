//! A server that stays up, and connections passed to the worker.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};

use longshore_shim::{End, FromShim, Serve, ToShim};
use rustix::io::Errno;
use rustix::io::ioctl_fionbio;

use crate::worker::{Place, Worker};

/// Not a test by itself: the server that the tests here have started, which is this program again.
#[test]
fn server_of_the_other_tests() {
    if let Ok(path) = std::env::var("TEST_SERVER_SOCKET") {
        let listener = UnixListener::bind(path).unwrap();
        listener.incoming().for_each(|stream| answer(stream.unwrap()));
    } else if let Ok(port) = std::env::var("TEST_SERVER_PORT") {
        let listener = TcpListener::bind(("127.0.0.1", port.parse().unwrap())).unwrap();
        listener.incoming().for_each(|stream| answer(stream.unwrap()));
    }
}

/// Answers with what was asked, and ends the server when told to.
fn answer(mut stream: impl Read + Write) {
    let mut question = [0; 4];
    stream.read_exact(&mut question).unwrap();
    if &question == b"quit" {
        std::process::exit(9);
    }
    stream.write_all(&question).unwrap();
}

fn serve(worker: &Worker, port: u16, variable: &str, value: &str) -> Serve {
    let this = std::env::current_exe().unwrap();
    let name = "serving::server_of_the_other_tests";
    Serve {
        argv: [this.to_str().unwrap(), "--exact", name, "--nocapture"].map(String::from).to_vec(),
        env: vec![(variable.into(), value.into())],
        port,
        socket: worker.name("server.sock"),
        log_bytes: 1000,
        user: None,
        secrets: Vec::new(),
    }
}

/// Connects as soon as the server listens.
fn connect(worker: &Worker) -> OwnedFd {
    loop {
        worker.send(&ToShim::Connect { id: 5 });
        match worker.receive_with_fd() {
            (FromShim::Connected { id: 5 }, Some(fd)) => return fd,
            (FromShim::ConnectFailed { id: 5, .. }, None) => std::thread::yield_now(),
            other => panic!("unexpected {other:?}"),
        }
    }
}

fn ask<S: Read + Write>(mut stream: S, question: &[u8; 4]) -> Vec<u8> {
    stream.write_all(question).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

fn ended(worker: &Worker) -> End {
    match worker.receive() {
        FromShim::ServerEnded { end, .. } => end,
        other => panic!("expected the end of the server, got {other:?}"),
    }
}

#[test]
fn a_server_on_a_unix_socket_is_reached() {
    for place in Place::all() {
        let worker = Worker::start(place);
        let socket = worker.name("server.sock");
        worker.send(&ToShim::Serve(serve(&worker, 1, "TEST_SERVER_SOCKET", &socket)));
        for question in [b"this", b"that"] {
            let fd = connect(&worker);
            ioctl_fionbio(&fd, false).unwrap();
            assert_eq!(ask(UnixStream::from(fd), question), question);
        }
    }
}

#[test]
fn a_server_on_a_port_is_reached() {
    for place in Place::all() {
        let worker = Worker::start(place);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let asked = serve(&worker, port, "TEST_SERVER_PORT", &port.to_string());
        worker.send(&ToShim::Serve(asked));
        let fd = connect(&worker);
        assert!(rustix::net::sockopt::tcp_nodelay(&fd).unwrap());
        ioctl_fionbio(&fd, false).unwrap();
        assert_eq!(ask(TcpStream::from(fd), b"this"), b"this");
    }
}

#[test]
fn the_end_of_a_server_is_told_and_it_may_be_started_again() {
    for place in Place::all() {
        let worker = Worker::start(place);
        let socket = worker.name("server.sock");
        for _ in 0..2 {
            worker.send(&ToShim::Serve(serve(&worker, 1, "TEST_SERVER_SOCKET", &socket)));
            let fd = connect(&worker);
            ioctl_fionbio(&fd, false).unwrap();
            UnixStream::from(fd).write_all(b"quit").unwrap();
            assert_eq!(ended(&worker), End::Exited(9));
            std::fs::remove_file(&socket).unwrap();
        }
    }
}

#[test]
fn a_server_that_cannot_start_has_ended() {
    let worker = Worker::start(Place::Child);
    let mut asked = serve(&worker, 1, "X", "");
    asked.argv = vec!["no-such-server".into()];
    worker.send(&ToShim::Serve(asked));
    let errno = Errno::NOENT.raw_os_error();
    let doing = "run no-such-server".into();
    assert_eq!(ended(&worker), End::NotStarted { errno, doing });
}

#[test]
fn a_connection_to_no_server_fails() {
    let worker = Worker::start(Place::Child);
    worker.send(&ToShim::Connect { id: 1 });
    let errno = Errno::CONNREFUSED.raw_os_error();
    assert_eq!(worker.receive(), FromShim::ConnectFailed { id: 1, errno });
}

#[test]
fn the_logs_of_a_server_are_told_with_its_end() {
    for place in Place::all() {
        let worker = Worker::start(place);
        let mut asked = serve(&worker, 1, "X", "");
        let script = "head -c 1000000 /dev/zero; echo bye; echo sorry >&2; exit 2";
        asked.argv = ["sh", "-c", script].map(String::from).to_vec();
        worker.send(&ToShim::Serve(asked));
        match worker.receive() {
            FromShim::ServerEnded { end, stdout, stderr, .. } => {
                assert_eq!(end, End::Exited(2));
                assert!(stdout.tail.ends_with(b"\0bye\n"));
                assert_eq!((stdout.dropped, stderr.head), (999_004, b"sorry\n".to_vec()));
            }
            other => panic!("unexpected {other:?}"),
        }
    }
}
