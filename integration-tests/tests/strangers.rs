//! Who may come in: the coordinator's own user, root, and whoever has its token. Everybody else is refused, and everything
//! goes on for those who are not.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        net::UnixStream,
    },
    time::{Duration, Instant},
};

use integration_tests::{
    on_processes,
    real::{PATIENCE, Server, TestEnv, until},
};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use rustix::process::geteuid;
use walkdir::WalkDir;

/// Somebody who is neither root nor likely to be anybody on this machine.
const STRANGER: u32 = 54_321;

on_processes! {
    another_user_sees_nothing_changes_nothing_and_runs_nothing
    every_method_wants_to_know_who_calls
    a_token_is_good_for_one_life_of_its_coordinator
    each_of_several_coordinators_is_found_by_its_address
    nobody_else_can_look_into_what_is_kept
    a_data_directory_of_another_user_is_refused_untouched
    whoever_listens_after_a_crash_is_told_nothing
    commands_as_root_have_to_be_asked_for
    headers_have_a_bound_and_health_answers_anybody
    a_body_that_does_not_come_is_given_up
    a_worker_id_that_cannot_be_read_is_an_error
    a_socket_that_was_removed_comes_back_with_the_token_it_had
    no_umask_opens_or_closes_anything
    a_directory_that_others_could_replace_is_refused
    strangers_who_fill_the_port_shut_nobody_out
    a_worker_at_the_port_comes_back_to_a_coordinator_with_another_token
}

/// Whether this test can act as somebody else; says so if not.
fn is_root() -> bool {
    if !geteuid().is_root() {
        eprintln!("skipped, as only root can act as another user");
    }
    geteuid().is_root()
}

/// Says something over a connection and hears the answer's end, or what came of it in time.
fn speak(mut stream: impl Read + Write, words: &str) -> String {
    stream.write_all(words.as_bytes()).unwrap();
    let mut heard = Vec::new();
    // A connection that is reset after its answer has been heard too.
    let _ = stream.read_to_end(&mut heard);
    String::from_utf8_lossy(&heard).into_owned()
}

fn port(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn socket(server: &Server) -> UnixStream {
    // Its path may be longer than an address of a socket.
    let dir = fs::File::open(server.left("sock").parent().unwrap()).unwrap();
    let name = server.left("sock").file_name().unwrap().to_owned();
    let short = format!("/proc/self/fd/{}/{}", std::os::fd::AsRawFd::as_raw_fd(&dir), name.display());
    let stream = UnixStream::connect(short).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// An empty gRPC call by HTTP/1.1, which the server speaks too.
fn call(path: &str, token: Option<&str>) -> String {
    let token = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/grpc\r\n\
         {token}te: trailers\r\ncontent-length: 0\r\n\r\n"
    )
}

fn is_refused(answer: &str) -> bool {
    ["grpc-status: 16", "grpc-status: 7"].iter().any(|status| answer.contains(status))
}

fn another_user_sees_nothing_changes_nothing_and_runs_nothing(env: &TestEnv) {
    if !is_root() {
        return;
    }
    env.write("in/secret", "a canary\n");
    let up = env.up();
    let script = format!("until test -e {}; do sleep 0.02; done; cat \"{{in}}\" > \"{{out}}\"", env.shell_path("gate"));
    let id = up.submit(&["any", "in", "--", "sh", "-c", &script]);
    until("the item's start", || (up.job(&id)["stages"][0]["running"] == 1).then_some(()));
    let stranger = env.stranger(STRANGER);
    let own_runtime_dir = stranger.text_path("own");
    for (run, words) in
        [(own_runtime_dir.as_str(), "served by root, and you are user 54321"), (&env.text_path("run"), "")]
    {
        let asks: [&[&str]; 5] = [
            &["ps"],
            &["cancel", &id],
            &["job", "outputs", &id, "-o", "stolen"],
            &["run", "any", "bait", "-o", "out", "--", "id"],
            &["worker", "--runtime", "process", "--data", "w", "--join", &up.address],
        ];
        for ask in asks {
            stranger.cli(&up, run, ask).exits(4).says(words);
        }
    }
    env.write("gate", "");
    up.cli(&["wait", &id]).exits(0);
    up.cli(&["job", "outputs", &id, "-o", "out"]).exits(0);
    assert_eq!(env.tree("out")["secret"], b"a canary\n");
    assert_eq!(up.cli(&["ps", "-q"]).exits(0).stdout.lines().count(), 1);
    assert_eq!(up.cli(&["worker", "ls", "-q"]).exits(0).stdout.lines().count(), 1);
}

fn every_method_wants_to_know_who_calls(env: &TestEnv) {
    let up = env.up();
    let token = up.token();
    let wrong = "0".repeat(token.len());
    let set = FileDescriptorSet::decode(longshore_proto::DESCRIPTORS).unwrap();
    let mut methods = vec![
        "/grpc.health.v1.Health/Check".to_owned(),
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo".to_owned(),
    ];
    for file in &set.file {
        for service in &file.service {
            let name = |method: &str| format!("/{}.{}/{method}", file.package(), service.name());
            methods.extend(service.method.iter().map(|method| name(method.name())));
        }
    }
    // Who joins is known by the token in the request.
    methods.retain(|method| method != "/longshore.v1.Members/Join");
    assert!(methods.len() > 15, "{methods:?}");
    for method in methods {
        for shown in [None, Some(wrong.as_str())] {
            let answer = speak(port(&up), &call(&method, shown));
            assert!(answer.contains("grpc-status: 16"), "{method}: {answer}");
        }
        let with_token = speak(port(&up), &call(&method, Some(&token)));
        assert!(with_token.starts_with("HTTP/1.1 200") && !is_refused(&with_token), "{method}: {with_token}");
        let by_socket = speak(socket(&up), &call(&method, None));
        assert!(by_socket.starts_with("HTTP/1.1 200") && !is_refused(&by_socket), "{method}: {by_socket}");
    }
    let unknown = speak(port(&up), &call("/longshore.v1.Jobs/Steal", Some(&token)));
    assert!(unknown.contains("grpc-status: 12"), "{unknown}");
}

fn a_token_is_good_for_one_life_of_its_coordinator(env: &TestEnv) {
    let coordinator = env.coordinator();
    let (address, token) = (coordinator.address.clone(), coordinator.token());
    env.write("kept", &token);
    let with_token = ["--token-file", "kept", "ps"];
    coordinator.cli(&with_token).exits(0);
    assert_eq!(coordinator.stop(), 0);
    assert_eq!(env.names("run"), ["lock"], "nothing is left of it");
    let coordinator = env.coordinator_at(&address);
    coordinator.cli(&with_token).exits(4).says("new one at each start");
    coordinator.cli(&["ps"]).exits(0);
    assert_ne!(coordinator.token(), token);
}

fn each_of_several_coordinators_is_found_by_its_address(env: &TestEnv) {
    env.write("in/item", "x");
    let (up, coordinator) = (env.up(), env.coordinator());
    up.cli(&["run", "any", "in", "--", "cat"]).exits(0);
    assert_eq!(up.cli(&["ps", "-q"]).exits(0).stdout.lines().count(), 1);
    assert_eq!(coordinator.cli(&["ps", "-q"]).exits(0).stdout, "");
    let second =
        Server::refused(env, &["coordinator", "--data", "other", "--listen", up.address.trim_start_matches("http://")]);
    second.exits(1).says("something listens on");
}

fn nobody_else_can_look_into_what_is_kept(env: &TestEnv) {
    env.write("in/item", "x");
    // As an earlier version may have left it.
    fs::create_dir(env.path("data")).unwrap();
    fs::create_dir(env.path("data/coordinator")).unwrap();
    fs::set_permissions(env.path("data/coordinator"), fs::Permissions::from_mode(0o755)).unwrap();
    let up = env.up();
    up.cli(&["run", "any", "in", "--", "cat"]).exits(0);
    assert!(up.log().contains("others could look into"), "{}", up.log());
    let mode = |below: &str| fs::metadata(env.path(below)).unwrap().mode() & 0o7777;
    for below in ["data", "data/coordinator", "data/worker", "run"] {
        assert_eq!(mode(below), 0o700, "{below}");
    }
    // What sled makes inside its own directory, which is closed, is its business.
    let ours = |entry: &walkdir::DirEntry| entry.file_type().is_dir() && entry.file_name() != "db";
    for entry in WalkDir::new(env.path("data/coordinator")).into_iter().filter_entry(ours).map(Result::unwrap) {
        assert_eq!(entry.metadata().unwrap().mode() & 0o077, 0, "{}", entry.path().display());
    }
    for entry in fs::read_dir(env.path("run")).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().mode() & 0o7777, 0o600, "{:?}", entry.file_name());
    }
}

fn a_data_directory_of_another_user_is_refused_untouched(env: &TestEnv) {
    if !is_root() {
        return;
    }
    fs::create_dir(env.path("theirs")).unwrap();
    std::os::unix::fs::chown(env.path("theirs"), Some(STRANGER), None).unwrap();
    for server in ["up", "coordinator"] {
        let refused = Server::refused(env, &[server, "--data", "theirs", "--listen", "127.0.0.1:0"]);
        refused.exits(2).says("theirs belongs to user 54321, not to root");
    }
    let worker = ["worker", "--data", "theirs", "--join", "127.0.0.1:1", "--runtime", "process"];
    Server::refused(env, &worker).exits(2).says("theirs belongs to user 54321, not to root");
    assert_eq!(fs::read_dir(env.path("theirs")).unwrap().count(), 0);
}

fn whoever_listens_after_a_crash_is_told_nothing(env: &TestEnv) {
    if !is_root() {
        return;
    }
    env.write("in/secret", "a canary\n");
    let coordinator = env.coordinator();
    let address = coordinator.address.trim_start_matches("http://").to_owned();
    env.write("kept", coordinator.token());
    coordinator.kill();
    let listener = TcpListener::bind(&address).unwrap();
    std::os::unix::fs::fchown(&listener, Some(STRANGER), None).unwrap();
    let run = ["run", "any", "in", "--", "cat"];
    for ask in [&["ps"][..], &run, &[&["--token-file", "kept"], &run[..]].concat()] {
        let ask = [&["--addr", &address], ask].concat();
        env.cli(&ask).exits(4).says("54321");
    }
    listener.set_nonblocking(true).unwrap();
    while let Ok((mut stream, _)) = listener.accept() {
        let mut heard = Vec::new();
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.read_to_end(&mut heard).unwrap();
        assert_eq!(heard, b"", "{}", String::from_utf8_lossy(&heard));
    }
}

fn commands_as_root_have_to_be_asked_for(env: &TestEnv) {
    if !is_root() {
        return;
    }
    let up = ["up", "--data", "data", "--listen", "127.0.0.1:0", "--runtime", "process"];
    Server::refused(env, &up)
        .exits(4)
        .says("every command of every job would be root")
        .says("--allow-commands-as-root");
}

fn headers_have_a_bound_and_health_answers_anybody(env: &TestEnv) {
    let up = env.up();
    let ask = |header: &str| format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{header}\r\n");
    assert!(speak(port(&up), &ask("")).ends_with("\r\n\r\nok\n"));
    assert!(speak(socket(&up), &ask("")).ends_with("\r\n\r\nok\n"));
    for bytes in [16_500, 60_000, 200_000] {
        let long = ask(&format!("x: {}\r\n", "a".repeat(bytes)));
        let many = ask(&"x: aaaa\r\n".repeat(bytes / 9));
        for words in [long, many] {
            let answer = speak(port(&up), &words);
            // What is far too long may not be read to its end, and then the answer is lost with the connection.
            let cut_off = bytes > 64_000 && answer.is_empty();
            assert!(cut_off || answer.starts_with("HTTP/1.1 431"), "{bytes}: {answer}");
        }
    }
}

fn a_body_that_does_not_come_is_given_up(env: &TestEnv) {
    let up = env.up();
    let token = up.token();
    let query = format!(
        "POST /v1/services/none/query HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
         content-length: 3000000\r\n\r\nx"
    );
    let answer = speak(port(&up), &query);
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("did not come in time"), "{answer}");
}

fn a_worker_id_that_cannot_be_read_is_an_error(env: &TestEnv) {
    env.write("w1/worker-id", "torn");
    let refused = Server::refused(env, &["worker", "--data", "w1", "--join", "127.0.0.1:1"]);
    refused.exits(1).says("worker-id does not hold the id of a worker");
    assert_eq!(env.read("w1/worker-id"), "torn");
}

fn a_socket_that_was_removed_comes_back_with_the_token_it_had(env: &TestEnv) {
    let coordinator = env.coordinator();
    let token = coordinator.token();
    fs::remove_file(coordinator.left("sock")).unwrap();
    until("another socket", || coordinator.left("sock").exists().then_some(()));
    coordinator.cli(&["ps"]).exits(0);
    // As the directory of a user's session is when the session ends.
    fs::remove_dir_all(env.path("run")).unwrap();
    until("word of another socket", || coordinator.left("json").exists().then_some(()));
    coordinator.cli(&["ps"]).exits(0);
    assert_eq!(coordinator.token(), token);
    let doors = env
        .path("run")
        .read_dir()
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().ends_with(".door"));
    assert_eq!(doors.count(), 1);
}

fn no_umask_opens_or_closes_anything(env: &TestEnv) {
    env.write("in/item", "x");
    let mode = |below: &str| fs::metadata(env.path(below)).unwrap().mode() & 0o7777;
    for umask in ["000", "077", "277"] {
        let up = env.up_after(&format!("umask {umask}"));
        up.cli(&["run", "any", "in", "-o", &format!("out-{umask}"), "--", "cat"]).exits(0);
        assert_eq!(mode("above"), 0o755, "{umask}");
        for below in
            ["above/data", "above/data/coordinator", "above/data/coordinator/blobs", "above/data/worker", "run"]
        {
            assert_eq!(mode(below), 0o700, "{umask}: {below}");
        }
        assert_eq!(fs::metadata(up.left("token")).unwrap().mode() & 0o7777, 0o600, "{umask}");
        assert_eq!(up.stop(), 0);
        fs::remove_dir_all(env.path("above")).unwrap();
    }
}

fn a_directory_that_others_could_replace_is_refused(env: &TestEnv) {
    fs::create_dir_all(env.path("everybodys/below")).unwrap();
    fs::set_permissions(env.path("everybodys"), fs::Permissions::from_mode(0o777)).unwrap();
    let refused = Server::refused(env, &["coordinator", "--data", "everybodys/below/data", "--listen", "127.0.0.1:0"]);
    refused.exits(2).says("others can write to").says("chmod go-w");
    fs::write(env.path("everybodys/letter"), "").unwrap();
    let refused = Server::refused(env, &["coordinator", "--data", "everybodys", "--listen", "127.0.0.1:0"]);
    refused.exits(2).says("holds other things too");
}

fn strangers_who_fill_the_port_shut_nobody_out(env: &TestEnv) {
    env.write("in/item", "x");
    let up = env.up_after("ulimit -n 200");
    let crowd: Vec<TcpStream> = (0..150).map(|_| port(&up)).collect();
    up.cli(&["run", "any", "in", "-o", "out", "--", "cat"]).exits(0);
    let token = up.left("token");
    let asked = Instant::now();
    up.cli(&["--token-file", token.to_str().unwrap(), "ps"]).exits(0);
    // By themselves they would leave only after ten.
    assert!(asked.elapsed() < Duration::from_secs(8), "{:?}", asked.elapsed());
    assert!(!up.log().contains("Too many open files"), "{}", up.log());
    drop(crowd);
}

fn a_worker_at_the_port_comes_back_to_a_coordinator_with_another_token(env: &TestEnv) {
    let coordinator = env.coordinator();
    let (address, token) = (coordinator.address.clone(), coordinator.left("token"));
    let _worker = env.worker_with_token("w1", &coordinator, token.to_str().unwrap());
    coordinator.until_workers(1);
    // Whoever waits with the token goes on waiting too.
    env.write("in/item", "x");
    let script = format!("until test -e {}; do sleep 0.02; done", env.shell_path("gate"));
    let id = coordinator.submit(&["any", "in", "--", "sh", "-c", &script]);
    let waiting = coordinator.begin(&["--token-file", token.to_str().unwrap(), "wait", &id]);
    until("the item's start", || (coordinator.job(&id)["stages"][0]["running"] == 1).then_some(()));
    coordinator.kill();
    let coordinator = env.coordinator_at(&address);
    coordinator.until_workers(1);
    env.write("gate", "");
    waiting.ended().exits(0);
    env.write("wrong", "lsl_0");
    let refused = ["worker", "--join", &address, "--data", "w2", "--token-file", "wrong"];
    let process = ["--runtime", "process", "--allow-commands-as-root"];
    Server::refused(env, &[&refused[..], &process[..]].concat()).exits(4).says("new one at each start");
}
