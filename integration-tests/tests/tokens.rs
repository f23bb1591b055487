//! Tokens and contexts with the real binary: who comes in with what, for how long, and what is kept of it.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use integration_tests::{
    on_processes,
    real::{PATIENCE, Ran, Server, TestEnv, longshore, until},
};
use longshore_proto::v1::JoinRequest;
use longshore_trust::{Key, Token, TokenKind};
use prost::Message as _;
use walkdir::WalkDir;

on_processes! {
    a_token_is_good_for_its_role_and_no_more
    a_removed_token_ends_its_watch_at_once_and_lets_nobody_in
    tokens_survive_a_crash_and_are_kept_nowhere
    a_rotated_token_and_its_predecessor_are_both_good_for_a_while
    what_makes_no_sense_of_tokens_is_refused_with_the_next_thing_to_type
    contexts_are_saved_for_their_owner_alone_and_used_by_name
    a_login_saves_what_was_tried_and_replaces_nothing
    a_context_may_ask_a_program_for_its_token
    the_coordinator_of_a_flag_comes_before_that_of_a_variable_and_of_the_current_context
    as_many_join_with_a_token_as_may_however_many_try_at_once
    whoever_asks_again_after_a_crash_is_answered_and_burns_nothing
    each_join_that_fails_is_told_why
    the_audit_has_a_line_for_each_change_and_what_was_denied_added_up
}

/// A person's token of this role.
fn token(server: &Server, args: &[&str]) -> String {
    let made = server.cli(&[&["token", "create"], args].concat()).exits(0);
    let text = made.stdout.trim().to_owned();
    assert!(text.starts_with("LST1-") && text.lines().count() == 1, "{made}");
    assert!(!made.stderr.contains(&text), "a person's token is on standard output alone: {made}");
    text
}

/// The same but for its last character.
fn mistyped(token: &str) -> String {
    let (begin, last) = token.split_at(token.len() - 1);
    format!("{begin}{}", if last == "0" { "1" } else { "0" })
}

/// Types a command as whoever has the token.
fn with(env: &TestEnv, server: &Server, token: &str, args: &[&str]) -> Ran {
    env.cli_with(&[("LONGSHORE_ADDR", &server.address), ("LONGSHORE_TOKEN", token)], args)
}

fn id(server: &Server, name: &str) -> String {
    let listed = server.cli(&["token", "ls", "--format", "json"]).exits(0).json();
    let found = listed.as_array().unwrap().iter().find(|token| token["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {listed}"))["id"].as_str().unwrap().to_owned()
}

fn a_token_is_good_for_its_role_and_no_more(env: &TestEnv) {
    env.write("in/a", "a\n");
    let up = env.up();
    let submit = token(&up, &["--role", "submit"]);
    let read = token(&up, &["--role", "read"]);
    let query = token(&up, &["--role", "query"]);
    let admin = token(&up, &["--role", "admin"]);
    let run = ["run", "any", "in", "-o", "out", "--", "cat"];
    with(env, &up, &submit, &run).exits(0);
    assert_eq!(env.tree("out"), env.tree("in"));
    for may_not in [&read, &query] {
        with(env, &up, may_not, &["submit", "any", "in", "--", "cat"]).exits(4).says("may not do this");
    }
    with(env, &up, &read, &["job", "ls"]).exits(0);
    with(env, &up, &query, &["job", "ls"]).exits(4).says("may not do this");
    for may_not in [&submit, &read, &query] {
        with(env, &up, may_not, &["token", "ls"]).exits(4).says("may not do this");
        with(env, &up, may_not, &["--namespace", "vision", "job", "ls"]).exits(4);
    }
    with(env, &up, &admin, &["--namespace", "vision", "job", "ls"]).exits(0);
    with(env, &up, &admin, &["token", "ls"]).exits(0);
    let unknown = mistyped(&submit);
    with(env, &up, &unknown, &["job", "ls"]).exits(4);
}

fn a_removed_token_ends_its_watch_at_once_and_lets_nobody_in(env: &TestEnv) {
    env.write("in/a", "a\n");
    let gate = env.shell_path("gate");
    let up = env.up();
    let job = up.submit(&["any", "in", "--", "sh", "-c", &format!("until test -e {gate}; do sleep 0.02; done")]);
    let text = token(&up, &["--role", "read", "--name", "watcher"]);
    let mut command = Command::new(longshore());
    let watching = command
        .args(["job", "watch", &job])
        .current_dir(env.dir())
        .env("LONGSHORE_ADDR", &up.address)
        .env("LONGSHORE_TOKEN", &text)
        .env("LONGSHORE_RUNTIME_DIR", env.path("run"))
        .env("XDG_CONFIG_HOME", env.path("config"))
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    let mut watching = watching.spawn().unwrap();
    let name = id(&up, "watcher");
    until("the watcher", || {
        let listed = up.cli(&["token", "ls", "--format", "json"]).exits(0).json();
        let token = listed.as_array().unwrap().iter().find(|token| token["id"] == name.as_str()).unwrap().clone();
        (!token["last_shown"].is_null()).then_some(())
    });
    up.cli(&["token", "rm", &name]).exits(0).says(&format!("token {name} (watcher) removed at {}", up.address));
    let status = until("the end of the watch", || watching.try_wait().unwrap());
    let mut said = String::new();
    watching.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(status.code(), Some(4), "{said}");
    assert!(said.contains("good for nothing any more") || said.contains("unknown here"), "{said}");
    with(env, &up, &text, &["job", "ls"]).exits(4).says("unknown here").says("longshore login");
    env.write("gate", "");
    up.cli(&["wait", &job]).exits(0);
}

/// Every file below a directory that has these words in it.
fn files_with(dir: &Path, words: &str) -> Vec<String> {
    let files = WalkDir::new(dir).into_iter().filter_map(Result::ok).filter(|entry| entry.file_type().is_file());
    let has = |path: &Path| fs::read(path).unwrap_or_default().windows(words.len()).any(|at| at == words.as_bytes());
    files.filter(|entry| has(entry.path())).map(|entry| entry.path().display().to_string()).collect()
}

fn tokens_survive_a_crash_and_are_kept_nowhere(env: &TestEnv) {
    let up = env.up();
    let text = token(&up, &["--role", "read", "--name", "canary"]);
    let join = up.cli(&["worker", "token", "create", "--name", "joiner", "--label", "rack=3"]).exits(0);
    let join_text = join.stdout.trim().to_owned();
    assert!(join_text.starts_with("LSJ1-"), "{join}");
    join.says("longshore worker --join HOST:PORT --token-file FILE");
    up.kill();
    let up = env.up();
    with(env, &up, &text, &["job", "ls"]).exits(0);
    let secret = text.split('-').nth(3).unwrap();
    for canary in [secret, join_text.split('-').nth(3).unwrap()] {
        assert_eq!(files_with(env.dir(), canary), Vec::<String>::new());
        let listed = up.cli(&["token", "ls", "--format", "json"]).exits(0);
        assert!(!listed.stdout.contains(canary), "{listed}");
    }
    let listed = up.cli(&["worker", "token", "ls", "--format", "json"]).exits(0).json();
    let [joiner] = listed.as_array().unwrap().as_slice() else { panic!("{listed}") };
    assert_eq!((&joiner["for"], &joiner["uses"], &joiner["labels"]["rack"]), (&"join".into(), &1.into(), &"3".into()));
    // What ends tokens to join with leaves those of people.
    let person = up.cli(&["token", "ls", "--format", "json"]).exits(0).json();
    let person = person.as_array().unwrap().iter().find(|token| token["for"] != "join").unwrap();
    let persons = person["id"].as_str().unwrap();
    up.cli(&["worker", "token", "rm", persons]).exits(2).says(&format!("`longshore token rm {persons}` removes it"));
    up.cli(&["worker", "token", "rm", "--all-before", "2100-01-01"]).exits(0).says("1 token removed");
    with(env, &up, &text, &["job", "ls"]).exits(0);
    up.cli(&["worker", "token", "create"]).exits(0);
    // A backup brings back what was removed since.
    up.cli(&["token", "rm", "--all-before", "2100-01-01"]).exits(0).says("2 tokens removed");
    with(env, &up, &text, &["job", "ls"]).exits(4);
}

fn a_rotated_token_and_its_predecessor_are_both_good_for_a_while(env: &TestEnv) {
    let up = env.up();
    let old = token(&up, &["--role", "read", "--name", "ann"]);
    let rotated = up.cli(&["token", "rotate", &id(&up, "ann"), "--overlap", "1h"]).exits(0);
    let new = rotated.stdout.trim();
    assert!(new.starts_with("LST1-") && new != old);
    for good in [&old, new] {
        with(env, &up, good, &["job", "ls"]).exits(0);
    }
    let soon = token(&up, &["--role", "read", "--name", "soon", "--ttl", "10ms"]);
    until("its end", || {
        let ran = with(env, &up, &soon, &["job", "ls"]);
        (ran.code == 4).then(|| ran.says("the token has expired at"))
    });
}

fn what_makes_no_sense_of_tokens_is_refused_with_the_next_thing_to_type(env: &TestEnv) {
    let up = env.up();
    let admin = ["token", "create", "--role", "admin", "--namespace", "vision"];
    up.cli(&admin).exits(2).says("every namespace");
    up.cli(&["token", "create", "--namespace", "Not One"]).exits(2).says("is not the name of a namespace");
    up.cli(&["token", "create", "--ttl", "30"]).exits(2).says("30d");
    up.cli(&["token", "rm", "ZZZZZZZZ"]).exits(2).says("no token ZZZZZZZZ").says("longshore token ls");
    up.cli(&["token", "rm", "what"]).exits(2).says("is no id of a token").says("longshore token ls");
    up.cli(&["token", "rm"]).exits(2).says("no token is named").says("--all-before");
    up.cli(&["worker", "token", "create", "--ttl", "0"]).exits(2).says("has an end");
    up.cli(&["worker", "rm", "nobody"]).exits(2).says("no worker \"nobody\"").says("longshore worker ls");
    up.until_workers(1);
    let listed = up.cli(&["worker", "ls", "--format", "json"]).exits(0).json();
    let own = listed[0]["id"].as_str().unwrap();
    up.cli(&["worker", "rm", "--revoke", own]).exits(2).says("is no member");
}

/// Types a command that is told of no coordinator but by its contexts, and these variables.
fn at_home(env: &TestEnv, variables: &[(&str, &str)], args: &[&str]) -> Ran {
    env.cli_with(variables, args)
}

fn contexts_are_saved_for_their_owner_alone_and_used_by_name(env: &TestEnv) {
    let up = env.up();
    let text = token(&up, &["--role", "read"]);
    env.write("token", &text);
    let address = up.address.trim_start_matches("http://");
    let login = ["login", address, "--name", "lab", "--token-file", "token"];
    at_home(env, &[], &login).exits(0).says("logged in to lab");
    let file = env.path("config/longshore/contexts.toml");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    at_home(env, &[], &["job", "ls"]).exits(0);
    at_home(env, &[], &["--context", "lab", "job", "ls"]).exits(0);
    at_home(env, &[], &["--context", "lab", "token", "ls"]).exits(4);
    let shown = at_home(env, &[], &["context", "show"]).exits(0);
    assert!(shown.stdout.contains(address) && !shown.stdout.contains("LST1"), "{shown}");
    assert!(!at_home(env, &[], &["context", "ls", "--format", "json"]).exits(0).stdout.contains("LST1"));
    at_home(env, &[], &["--context", "nowhere", "job", "ls"]).exits(2).says("no context").says("context ls");
    at_home(env, &[], &["--context", "lab", "--addr", address, "job", "ls"]).exits(2);
    env.write("wrong", mistyped(&text));
    at_home(env, &[], &["login", address, "--name", "other", "--token-file", "wrong"]).exits(4);
    assert!(!fs::read_to_string(&file).unwrap().contains("other"), "only what was tried is saved");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    at_home(env, &[], &["job", "ls"]).exits(2).says("others can read it").says("chmod 600");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&file, fs::read_to_string(&file).unwrap() + "colour = \"red\"\n").unwrap();
    let refused = at_home(env, &[], &["job", "ls"]).exits(2).says("is not understood").says("line");
    assert!(!refused.stderr.contains("LST1"), "{refused}");
}

fn a_login_saves_what_was_tried_and_replaces_nothing(env: &TestEnv) {
    let up = env.up();
    env.write("one", token(&up, &["--role", "read", "--namespace", "vision"]));
    env.write("other", token(&up, &["--role", "query", "--namespace", "audio"]));
    let address = up.address.trim_start_matches("http://");
    let login = |file: &str, more: &[&str]| {
        let args = [&["login", address, "--name", "lab", "--token-file", file], more].concat();
        at_home(env, &[("LONGSHORE_NAMESPACE", "audio")], &args)
    };
    login("one", &["-n", "A_b"]).exits(2).says("is not the name of a namespace");
    login("one", &["-n", "audio"]).exits(4).says("may not ask about namespace audio: it is for vision");
    login("one", &["--context", "lab"]).exits(2).says("--name");
    assert!(!env.path("config/longshore/contexts.toml").exists());
    login("one", &[]).exits(0);
    let shown = at_home(env, &[], &["context", "show", "--format", "json"]).exits(0).json();
    assert!(shown["namespace"].is_null(), "a variable's is not saved: {shown}");
    login("other", &[]).exits(2).says("context lab is there already").says("longshore context rm lab");
    login("one", &["-n", "vision"]).exits(0);
    // What a flag names comes with its own token.
    let query = fs::read_to_string(env.path("other")).unwrap();
    let variable = [("LONGSHORE_TOKEN", query.as_str())];
    at_home(env, &variable, &["--context", "lab", "job", "ls"]).exits(0);
    at_home(env, &variable, &["--context", "lab", "--token-file", "other", "-n", "audio", "job", "ls"])
        .exits(4)
        .says("(role query, namespace audio) may not do this")
        .says("--role submit");
    at_home(env, &variable, &["-n", "audio", "job", "ls"]).exits(4);
    let doctor = at_home(env, &variable, &["-n", "audio", "doctor"]);
    assert!(doctor.stdout.contains("not shown to this token"), "{doctor}");
    at_home(env, &[], &["context", "rm", "lab"]).exits(0);
    at_home(env, &[], &["context", "show"]).exits(2).says("no context is current").says("longshore context use NAME");
}

fn a_context_may_ask_a_program_for_its_token(env: &TestEnv) {
    let up = env.up();
    let text = token(&up, &["--role", "read"]);
    env.write("token", &text);
    let address = up.address.trim_start_matches("http://");
    let token_file = env.text_path("token");
    let contexts = format!(
        "current = \"lab\"\n[contexts.lab]\naddress = \"{address}\"\ntoken_command = [\"cat\", \"{token_file}\"]\n"
    );
    env.write("config/longshore/contexts.toml", contexts);
    fs::set_permissions(env.path("config/longshore/contexts.toml"), fs::Permissions::from_mode(0o600)).unwrap();
    at_home(env, &[], &["job", "ls"]).exits(0);
    fs::remove_file(env.path("token")).unwrap();
    at_home(env, &[], &["job", "ls"]).exits(4).says("token_command `cat` has failed");
}

fn the_coordinator_of_a_flag_comes_before_that_of_a_variable_and_of_the_current_context(env: &TestEnv) {
    let up = env.up();
    let text = token(&up, &["--role", "query"]);
    env.write("token", &text);
    let address = up.address.trim_start_matches("http://");
    at_home(env, &[], &["login", address, "--name", "lab", "--token-file", "token"]).exits(0);
    // Who only asks may not list: so it shows as whom one has come.
    at_home(env, &[], &["job", "ls"]).exits(4);
    at_home(env, &[], &["--addr", address, "job", "ls"]).exits(0);
    at_home(env, &[("LONGSHORE_ADDR", address)], &["job", "ls"]).exits(0);
    at_home(env, &[("LONGSHORE_ADDR", address)], &["--context", "lab", "job", "ls"]).exits(4);
    at_home(env, &[("LONGSHORE_CONTEXT", "lab")], &["job", "ls"]).exits(4);
    at_home(env, &[("LONGSHORE_CONTEXT", "lab")], &["--addr", address, "job", "ls"]).exits(0);
    let both = [("LONGSHORE_CONTEXT", "lab"), ("LONGSHORE_ADDR", address)];
    at_home(env, &both, &["job", "ls"]).exits(2).says("both LONGSHORE_ADDR and LONGSHORE_CONTEXT are set");
    at_home(env, &[], &["context", "rm", "lab"]).exits(0);
    assert!(!fs::read_to_string(env.path("config/longshore/contexts.toml")).unwrap().contains("LST1"));
}

/// Joins as a worker does, but for the TLS around it; answers the status and what was said.
fn join(server: &Server, token: &str, worker: u8, key: &Key) -> (i32, String) {
    let mut stream = ask_to_join(server, token, worker, key);
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).unwrap();
    let heard = String::from_utf8_lossy(&heard).into_owned();
    let field = |name: &str| {
        let line = heard.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim().replace("%20", " ")
    };
    assert!(heard.starts_with("HTTP/1.1 200"), "{heard}");
    // What has a body has its status behind it, which HTTP/1.1 has no room for.
    let status = if heard.contains("transfer-encoding: chunked") { "0".to_owned() } else { field("grpc-status:") };
    (status.parse().unwrap(), field("grpc-message:"))
}

fn ask_to_join(server: &Server, token: &str, worker: u8, key: &Key) -> TcpStream {
    let token = Token::parse(token).unwrap();
    let request = JoinRequest {
        token_id: token.id().0.to_vec().into(),
        secret: token.secret().to_vec().into(),
        worker_id: vec![worker; 16].into(),
        csr: key.request().unwrap().into(),
        name: format!("worker-{worker}"),
        version: String::new(),
    };
    let message = request.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let body = [&[0], length.as_slice(), &message].concat();
    let mut stream = TcpStream::connect(server.address.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "POST /longshore.v1.Members/Join HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/grpc\r\nte: trailers\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body).unwrap();
    stream
}

fn join_token(server: &Server, args: &[&str]) -> String {
    server.cli(&[&["worker", "token", "create"], args].concat()).exits(0).stdout.trim().to_owned()
}

fn used_by(server: &Server) -> usize {
    let listed = server.cli(&["worker", "token", "ls", "--format", "json"]).exits(0).json();
    listed[0]["used_by"].as_array().unwrap().len()
}

fn as_many_join_with_a_token_as_may_however_many_try_at_once(env: &TestEnv) {
    let coordinator = env.coordinator();
    let token = join_token(&coordinator, &["--uses", "3", "--label", "rack=3", "--namespace", "vision"]);
    let answers: Vec<(i32, String)> = thread::scope(|scope| {
        let one = |worker| {
            let (coordinator, token) = (&coordinator, &token);
            scope.spawn(move || join(coordinator, token, worker, &Key::new().unwrap()))
        };
        let all: Vec<_> = (1..=20).map(one).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let statuses = |wanted| answers.iter().filter(|(status, _)| *status == wanted).count();
    assert_eq!((statuses(0), statuses(11)), (3, 17), "{answers:?}");
    let late = answers.iter().find(|(status, _)| *status == 11).unwrap();
    assert!(late.1.starts_with("the token is used up: worker worker-"), "{late:?}");
    assert_eq!(used_by(&coordinator), 3);
    let listed = coordinator.cli(&["worker", "ls", "--format", "json"]).exits(0).json();
    let members = listed.as_array().unwrap();
    assert_eq!(members.len(), 3);
    for worker in members {
        assert_eq!((&worker["state"], &worker["member"]["labels"]["rack"]), (&"away".into(), &"3".into()));
        assert_eq!(worker["member"]["namespaces"], serde_json::json!(["vision"]));
    }
}

fn whoever_asks_again_after_a_crash_is_answered_and_burns_nothing(env: &TestEnv) {
    let mut coordinator = env.coordinator();
    for round in 1..=4 {
        let name = format!("round-{round}");
        let token = join_token(&coordinator, &["--name", &name]);
        let key = Key::new().unwrap();
        // Killed at any moment: before it is kept, or after, or when the answer is on its way.
        let asked = ask_to_join(&coordinator, &token, round, &key);
        thread::sleep(Duration::from_millis(u64::from(round) * 2));
        coordinator.kill();
        drop(asked);
        coordinator = env.coordinator();
        assert_eq!(join(&coordinator, &token, round, &key).0, 0);
        assert_eq!(join(&coordinator, &token, round, &key).0, 0, "as often as it asks");
        assert_eq!(join(&coordinator, &token, 100 + round, &Key::new().unwrap()).0, 11, "one use is one worker's");
    }
}

fn each_join_that_fails_is_told_why(env: &TestEnv) {
    let coordinator = env.coordinator();
    let token = join_token(&coordinator, &["--uses", "5", "--name", "five"]);
    let (own, other) = (Key::new().unwrap(), Key::new().unwrap());
    assert_eq!(join(&coordinator, &token, 1, &own).0, 0);
    let (status, why) = join(&coordinator, &token, 1, &other);
    assert!(status == 6 && why.contains("a member with another key"), "{why}");
    let never = Token::new(TokenKind::Join, Token::parse(&token).unwrap().pin());
    let unknown = join(&coordinator, &never.reveal(), 2, &other);
    assert_eq!(unknown, (5, "the token is unknown".to_owned()));
    let soon = join_token(&coordinator, &["--ttl", "1ms"]);
    let (status, why) = join(&coordinator, &soon, 2, &other);
    assert!(status == 4 && why.starts_with("the token has expired at 2"), "{status} {why}");
    coordinator.cli(&["worker", "rm", "--revoke", "worker-1"]).exits(0).says("is revoked at");
    let (status, why) = join(&coordinator, &token, 1, &own);
    assert!(status == 7 && why.contains("was revoked"), "{status} {why}");
    let listed = coordinator.cli(&["worker", "ls", "--format", "json"]).exits(0).json();
    assert_eq!(listed[0]["state"], "revoked");
    let id = id(&coordinator, "five");
    coordinator.cli(&["worker", "token", "rm", &id]).exits(0);
    assert_eq!(join(&coordinator, &token, 3, &other), unknown);
    // One of another kind.
    let persons = token_of_a_person(&coordinator);
    assert_eq!(join(&coordinator, &persons, 3, &other).0, 3);
}

fn token_of_a_person(server: &Server) -> String {
    token(server, &["--role", "read"])
}

fn the_audit_has_a_line_for_each_change_and_what_was_denied_added_up(env: &TestEnv) {
    env.write("in/a", "a\n");
    let up = env.up();
    up.cli(&["run", "any", "in", "-o", "out", "--", "cat"]).exits(0);
    let text = token(&up, &["--role", "read", "--name", "ann"]);
    let ann = id(&up, "ann");
    for _ in 0..3 {
        with(env, &up, &text, &["cancel", "last"]).exits(4);
    }
    up.cli(&["token", "rm", &ann]).exits(0);
    assert_eq!(up.stop(), 0);
    let lines = |name: &str| -> Vec<serde_json::Value> {
        let lines = env.lines(&format!("data/audit/{name}.jsonl"));
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let audit = lines("audit");
    let methods: Vec<&str> = audit.iter().map(|line| line["method"].as_str().unwrap()).collect();
    assert_eq!(methods, ["Jobs/Submit", "Jobs/Items", "Members/CreateToken", "Members/RemoveTokens"]);
    for line in &audit {
        assert_eq!((&line["via"], &line["decision"]), (&"socket".into(), &"allowed".into()), "{line}");
        assert_eq!(line["namespace"], "default", "{line}");
    }
    let made = format!("{ann}; read; for 30days; ann; default");
    assert_eq!((&audit[2]["resource"], &audit[3]["resource"]), (&made.into(), &ann.clone().into()));
    let denied = lines("denied");
    assert_eq!(denied.iter().map(|line| line["count"].as_u64().unwrap()).sum::<u64>(), 3, "{denied:?}");
    for line in &denied {
        assert_eq!((&line["method"], &line["peer"]), (&"/longshore.v1.Jobs/Cancel".into(), &"127.0.0.1".into()));
        assert!(line["principal"].as_str().unwrap().contains(&ann) && !line.to_string().contains("LST1"));
    }
    for file in ["audit", "denied"] {
        let mode = fs::metadata(env.path(&format!("data/audit/{file}.jsonl"))).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
