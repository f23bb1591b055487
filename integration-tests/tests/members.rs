//! Workers of other machines, and people there, with the real binary and real TLS: how they come in, stay, and are refused.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use integration_tests::{
    on_processes,
    real::{PATIENCE, Server, TestEnv, until},
};
use longshore_authority::{Authority, Request};
use longshore_trust::{
    Certificate, Key, certificates_from_pem, certificates_to_pem, pki_types::UnixTime,
    rustls::time_provider::TimeProvider,
};

on_processes! {
    a_worker_joins_once_with_a_token_and_ever_after_without
    a_second_worker_with_a_used_token_is_told_so
    another_coordinator_is_told_nothing_and_named
    a_person_comes_in_by_tls_with_nothing_but_a_token
    nothing_is_answered_without_tls_and_nothing_on_loopback_with_it
    an_expired_member_comes_back_by_itself_within_half_a_year
    a_revoked_member_is_out_at_once_and_stays_out
    keys_are_kept_apart_from_the_data_and_missed_once_they_are_trusted
    without_a_loopback_address_its_own_user_and_worker_still_come_in
}

/// A coordinator for this machine and for others.
fn coordinator(env: &TestEnv) -> Server<'_> {
    env.coordinator_on("coordinator", &["--listen", "tls://127.0.0.1:0"])
}

/// A token to join with, in a file.
fn join_token(env: &TestEnv, coordinator: &Server, file: &str, flags: &[&str]) {
    let made = coordinator.cli(&[&["worker", "token", "create"], flags].concat()).exits(0);
    env.write(file, made.stdout.trim());
}

/// A job runs on whatever worker there is.
fn works(env: &TestEnv, coordinator: &Server) {
    env.write("in/item", "a line\n");
    let out = tempfile::tempdir_in(env.dir()).unwrap();
    let dir = out.path().to_str().unwrap();
    coordinator.cli(&["run", "any", "in", "-o", dir, "--", "cat"]).exits(0);
    assert_eq!(fs::read_to_string(out.path().join("item")).unwrap(), "a line\n");
}

fn a_worker_joins_once_with_a_token_and_ever_after_without(env: &TestEnv) {
    let coordinator = coordinator(env);
    let secure = coordinator.secure();
    join_token(env, &coordinator, "token", &[]);
    let worker = env.worker_at("w", &secure, &["--token-file", "token"]);
    coordinator.until_workers(1);
    works(env, &coordinator);
    // Large ones are put through TLS.
    let big = format!("head -c {} /dev/zero > \"{{out}}\"", 3 << 20);
    coordinator.cli(&["run", "any", "in", "-o", "big", "--", "sh", "-c", &big]).exits(0);
    assert_eq!(fs::metadata(env.path("big/item")).unwrap().len(), 3 << 20);
    let mode = |below: &str| fs::metadata(env.path(below)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("w/identity"), mode("w/identity/key.pem")), (0o700, 0o600));
    assert_eq!(worker.stop(), 0);
    coordinator.until_workers(0);
    // The token is used up, and stands where it stood: in the unit that starts the worker, for example.
    for flags in [&["--token-file", "token"][..], &[]] {
        let worker = env.worker_at("w", &secure, flags);
        coordinator.until_workers(1);
        works(env, &coordinator);
        worker.kill();
        coordinator.until_workers(0);
    }
}

fn a_second_worker_with_a_used_token_is_told_so(env: &TestEnv) {
    let coordinator = coordinator(env);
    let secure = coordinator.secure();
    join_token(env, &coordinator, "token", &[]);
    let _first = env.worker_at("first", &secure, &["--token-file", "token"]);
    coordinator.until_workers(1);
    let refused = env.worker_refused_at("second", &secure, &["--token-file", "token"]);
    refused.exits(4).says("used up").says("longshore worker token create");
    env.write("cut", &env.lines("token")[0][..60]);
    let refused = env.worker_refused_at("second", &secure, &["--token-file", "cut"]);
    refused.exits(4).says("cut off");
    let refused = env.worker_refused_at("second", &secure, &[]);
    refused
        .exits(2)
        .says("cannot be told whether it is the coordinator that is meant")
        .says("longshore worker token create");
    coordinator.until_workers(1);
}

fn another_coordinator_is_told_nothing_and_named(env: &TestEnv) {
    let (meant, other) = (coordinator(env), env.coordinator_on("other", &["--listen", "tls://127.0.0.1:0"]));
    join_token(env, &meant, "token", &[]);
    let refused = env.worker_refused_at("w", &other.secure(), &["--token-file", "token"]);
    refused.exits(4).says("another coordinator is there").says("set up anew");
    assert_eq!(other.cli(&["worker", "ls", "-q"]).exits(0).stdout, "");
    let _worker = env.worker_at("w", &meant.secure(), &["--token-file", "token"]);
    meant.until_workers(1);
}

fn a_person_comes_in_by_tls_with_nothing_but_a_token(env: &TestEnv) {
    let coordinator = coordinator(env);
    let secure = coordinator.secure();
    let made = coordinator.cli(&["token", "create", "--role", "submit"]).exits(0);
    let person = made.stdout.trim().to_owned();
    env.write("person", &person);
    let as_person = |args: &[&str]| env.cli(&[&["--addr", &secure, "--token-file", "person"], args].concat());
    as_person(&["ps"]).exits(0);
    env.write("in/item", "x");
    as_person(&["submit", "any", "in", "--", "cat"]).exits(0);
    assert_eq!(as_person(&["ps", "-q"]).exits(0).stdout.lines().count(), 1);
    env.cli(&["--addr", &secure, "ps"]).exits(2).says("longshore login");
    // The token of the coordinator's own user is for this machine.
    env.write("own", coordinator.token());
    env.cli(&["--addr", &secure, "--token-file", "own", "ps"]).exits(2).says("LST1-");
    let last = if person.ends_with('0') { "1" } else { "0" };
    env.write("typo", format!("{}{last}", &person[..person.len() - 1]));
    env.cli(&["--addr", &secure, "--token-file", "typo", "ps"]).exits(2).says("typing error");
}

fn nothing_is_answered_without_tls_and_nothing_on_loopback_with_it(env: &TestEnv) {
    let coordinator = coordinator(env);
    let secure = coordinator.secure();
    let mut plain = TcpStream::connect(secure.trim_start_matches("https://")).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    let person = coordinator.cli(&["token", "create", "--role", "read"]).exits(0);
    env.write("person", person.stdout.trim());
    let to_secure = secure.replace("https://", "");
    let login = env.cli(&["login", &to_secure, "--name", "lab", "--token-file", "person"]).exits(2);
    login.says("speaks TLS").says(&format!("longshore login {secure}"));
    let to_plain = coordinator.address.replace("http://", "https://");
    env.cli(&["--addr", &to_plain, "--token-file", "person", "ps"]).exits(4).says("does not speak TLS");
    // Somebody who hangs up is no coordinator yet, and may be one later.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = format!("https://{}", listener.local_addr().unwrap());
    let hanging_up = thread::spawn(move || drop(listener.accept().unwrap()));
    env.cli(&["--connect-timeout", "1s", "--addr", &there, "--token-file", "person", "ps"]).exits(1);
    hanging_up.join().unwrap();
}

/// A clock that stands still.
#[derive(Debug)]
struct At(SystemTime);

impl TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(self.0.duration_since(SystemTime::UNIX_EPOCH).unwrap()))
    }
}

/// Gives the worker in `w` the certificate that it would have if it had joined so many days ago, and slept ever since.
fn signed_ago(env: &TestEnv, days: u64) {
    let read = |below: &str| fs::read_to_string(env.path(below)).unwrap();
    let then = SystemTime::now() - Duration::from_secs(days * 86_400);
    let authority = Authority::from_pem(&read("coordinator/keys/authority.pem"), Arc::new(At(then))).unwrap();
    let key = Key::from_pem(&read("w/identity/key.pem")).unwrap();
    let request = Request::read(&key.request().unwrap()).unwrap();
    let worker = read("w/worker-id").trim().parse().unwrap();
    let signed = authority.sign_worker(&request, worker, std::time::Duration::from_secs(30 * 86_400)).unwrap();
    env.write("w/identity/member.pem", certificates_to_pem(&signed.chain[..1]) + &authority.roots().to_pem());
}

fn an_expired_member_comes_back_by_itself_within_half_a_year(env: &TestEnv) {
    let coordinator = coordinator(env);
    let secure = coordinator.secure();
    join_token(env, &coordinator, "token", &["--uses", "2"]);
    let worker = env.worker_at("w", &secure, &["--token-file", "token"]);
    coordinator.until_workers(1);
    assert_eq!(worker.stop(), 0);
    // The first is good for five days yet, and renewed all the same.
    for days in [25, 40, 200] {
        signed_ago(env, days);
        let worker = env.worker_at("w", &secure, &[]);
        coordinator.until_workers(1);
        works(env, &coordinator);
        let soon = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() + 29 * 86_400;
        until("another certificate", || {
            let kept = certificates_from_pem(&fs::read(env.path("w/identity/member.pem")).unwrap()).unwrap();
            (Certificate::read(&kept[0]).unwrap().not_after > soon).then_some(())
        });
        works(env, &coordinator);
        assert_eq!(worker.stop(), 0);
    }
    signed_ago(env, 30 + 181);
    let refused = env.worker_refused_at("w", &secure, &[]);
    refused.exits(4).says("ended too long ago").says("longshore worker token create");
    let _worker = env.worker_at("w", &secure, &["--token-file", "token"]);
    coordinator.until_workers(1);
    works(env, &coordinator);
}

fn a_revoked_member_is_out_at_once_and_stays_out(env: &TestEnv) {
    let coordinator = coordinator(env);
    let secure = coordinator.secure();
    join_token(env, &coordinator, "token", &["--uses", "9"]);
    let mut worker = env.worker_at("w", &secure, &["--token-file", "token"]);
    coordinator.until_workers(1);
    coordinator.cli(&["worker", "rm", "--revoke", "w"]).exits(0);
    coordinator.until_workers(0);
    until("its end", || worker.has_ended().then_some(()));
    assert!(worker.log().contains("was revoked") && worker.log().contains("worker-id"), "{}", worker.log());
    let listed = coordinator.cli(&["worker", "token", "ls", "--format", "json"]).exits(0).json();
    assert_eq!(listed[0]["used"], 1, "{listed}");
    for flags in [&["--token-file", "token"][..], &[]] {
        env.worker_refused_at("w", &secure, flags).exits(4).says("was revoked").says("worker-id");
    }
    let _other = env.worker_at("other", &secure, &["--token-file", "token"]);
    coordinator.until_workers(1);
}

fn keys_are_kept_apart_from_the_data_and_missed_once_they_are_trusted(env: &TestEnv) {
    let coordinator = coordinator(env);
    let secure = coordinator.secure();
    assert_eq!(env.names("coordinator/keys"), ["authority.pem"]);
    join_token(env, &coordinator, "token", &[]);
    let worker = env.worker_at("w", &secure, &["--token-file", "token"]);
    coordinator.until_workers(1);
    assert_eq!((worker.stop(), coordinator.stop()), (0, 0));
    fs::rename(env.path("coordinator/keys"), env.path("kept")).unwrap();
    let plain = ["coordinator", "--data", "coordinator", "--listen", "127.0.0.1:0"];
    let refused = Server::refused(env, &plain);
    refused.exits(1).says("is not in").says("--new-authority");
    let at = secure.trim_start_matches("https://");
    let tls = format!("tls://{at}");
    let with_keys = env.coordinator_on("coordinator", &["--listen", &tls, "--keys", "kept"]);
    let worker = env.worker_at("w", &secure, &[]);
    with_keys.until_workers(1);
    assert_eq!((worker.stop(), with_keys.stop()), (0, 0));
    let waiting = env.worker_at("w", &secure, &[]);
    until("its word of nobody there", || waiting.log().contains("nobody answers").then_some(()));
    let anew = env.coordinator_on("coordinator", &["--listen", &tls, "--new-authority"]);
    assert!(anew.log().contains("has to join again"), "{}", anew.log());
    until("its word of another coordinator", || waiting.log().contains("not the coordinator of cluster").then_some(()));
    assert_eq!(waiting.stop(), 0);
    let refused = env.worker_refused_at("w", &secure, &[]);
    refused.exits(4).says("not the coordinator of cluster");
    join_token(env, &anew, "token", &[]);
    let _worker = env.worker_at("w", &secure, &["--token-file", "token"]);
    anew.until_workers(1);
}

fn without_a_loopback_address_its_own_user_and_worker_still_come_in(env: &TestEnv) {
    let up = env.up_at("tls://127.0.0.1:0");
    let local = up.address.replace("https://", "");
    until("its own worker", || {
        let listed = env.cli(&["--addr", &local, "worker", "ls", "-q"]);
        (listed.exits(0).stdout.lines().count() == 1).then_some(())
    });
}
