//! Services whose servers hang, end, stick and are asked too much, in real containers: what becomes of everybody else's queries.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use integration_tests::{
    on_both_runtimes,
    real::{Answered, PROGRAM, Server, TestEnv, ask, until},
};

fn program() -> String {
    let built = env!("CARGO_BIN_EXE_longshore-test-frail");
    std::env::var("CARGO_BIN_EXE_longshore-test-frail").unwrap_or_else(|_| built.to_owned())
}

/// A service of one shard whose leaves are frail servers.
fn deploy<'a>(env: &'a TestEnv, more: &str, deadline: &str) -> Server<'a> {
    let up = env.up();
    let program = if env.has_docker() { PROGRAM.to_owned() } else { program() };
    let image = env.image();
    let spec = format!(
        "name: frail\nleaf: {{ image: {image}, command: ['{program}'], interface: http, {more} }}\nrequest: {{ deadline: {deadline} }}\n"
    );
    env.write("frail.yaml", spec);
    up.cli(&["service", "deploy", "frail.yaml"]).exits(0);
    up
}

fn query(up: &Server<'_>, text: &str) -> Answered {
    ask(up, "/v1/services/frail/query", text)
}

/// The same by a client that waits no longer than this.
fn query_within(up: &Server<'_>, text: &str, millis: u64) -> Answered {
    ask(up, &format!("/v1/services/frail/query?deadline_ms={millis}"), text)
}

fn with_docker(check: impl FnOnce(&TestEnv)) {
    if let Some(env) = TestEnv::docker_with_program(Path::new(&program())) {
        check(&env);
    }
}

fn failures(asked: impl Iterator<Item = Answered>) -> usize {
    asked.filter(|answer| answer.status != 200).count()
}

#[test]
fn a_replica_that_hangs_is_avoided_while_another_is_there() {
    with_docker(|env| {
        let up = deploy(env, "replicas: 2", "10s");
        assert_eq!(failures((0..6).map(|_| query(&up, "who"))), 0);
        let leaf = env.containers().into_iter().find(|found| found.role == "leaf").unwrap();
        env.engine().pause(&leaf.id);
        let failed = failures((0..40).map(|_| query_within(&up, "who", 400)));
        env.engine().unpause(&leaf.id);
        assert!(failed <= 3, "{failed} of 40");
    });
}

#[test]
fn time_in_the_queue_comes_off_and_abandoned_work_keeps_its_place_until_it_has_ended() {
    with_docker(|env| {
        let up = deploy(env, "concurrency: 1", "6s");
        let (waited, worked) = thread::scope(|scope| {
            let worked = scope.spawn(|| query(&up, "work 1500"));
            until("it to be at work", || (query_within(&up, "most", 100).status != 200).then_some(()));
            (query(&up, "work 1"), worked.join().unwrap())
        });
        assert_eq!(worked.status, 200);
        assert!(
            waited.body.parse::<u64>().unwrap() < 5_500,
            "of 6,000 ms something has passed in the queue: {waited:?}"
        );
        // Four that nobody waits for, at a server that does not notice.
        for _ in 0..4 {
            assert_ne!(query_within(&up, "work 1000", 200).status, 200);
        }
        assert_eq!(query(&up, "most").body, "1");
    });
}

#[test]
fn a_query_that_ends_its_leaf_takes_no_more_than_two_along_and_is_known_after_that() {
    with_docker(|env| {
        let up = deploy(env, "replicas: 3", "5s");
        let poison = query(&up, "die");
        assert_eq!(poison.status, 503, "{poison:?}");
        assert!(poison.body.contains("exit code 139"), "it names the cause: {poison:?}");
        assert_eq!(query(&up, "who").status, 200, "one is left");
        let again = query(&up, "die");
        // Where the news of one end was late, only one is known of, and the last replica is spared.
        assert!([400, 503].contains(&again.status), "{again:?}");
        assert!(again.body.contains("ended over the same query"), "{again:?}");
        let mut failed = 0;
        for _ in 0..20 {
            query(&up, "die");
            failed += usize::from(query(&up, "who").status != 200);
        }
        assert_eq!(failed, 0);
        until("all to be back", || {
            let shown = up.cli(&["service", "show", "frail", "--format", "json"]).exits(0).json();
            (shown["ready"] == true).then_some(())
        });
    });
}

on_both_runtimes! {
    a_program_that_is_not_there_is_no_ready_service
}

fn a_program_that_is_not_there_is_no_ready_service(env: &TestEnv) {
    let up = env.up();
    for program in ["nosuchprogram", "/nowhere/nosuchprogram"] {
        env.write("no.yaml", format!("name: no\nleaf: {{ image: {}, command: [{program}] }}\n", env.image()));
        let ran = up.cli(&["service", "deploy", "no.yaml", "--timeout", "3s"]).exits(1);
        ran.says(program).says("not found in the image");
        up.cli(&["service", "rm", "no"]).exits(0);
    }
}

#[test]
fn a_server_that_is_stuck_is_said_to_be_and_started_again() {
    with_docker(|env| {
        let up = deploy(env, "concurrency: 2", "500ms");
        assert_ne!(query(&up, "stick").status, 200);
        until("it to be said", || {
            let shown = up.cli(&["service", "show", "frail"]).exits(0).stdout;
            shown.contains("GET /healthz answers 503").then_some(())
        });
        until("it to be started again", || (query(&up, "who").status == 200).then_some(()));
    });
}

#[test]
fn a_service_that_is_asked_too_much_shuts_out_no_other_and_says_when_to_ask_again() {
    with_docker(|env| {
        let up = deploy(env, "concurrency: 1", "8s");
        env.write(
            "idle.yaml",
            format!("name: idle\nleaf: {{ image: {}, command: ['{PROGRAM}'], interface: http }}\n", env.image()),
        );
        up.cli(&["service", "deploy", "idle.yaml"]).exits(0);
        let told = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..220 {
                scope.spawn(|| {
                    let answer = query(&up, "work 5000");
                    if answer.status == 429 {
                        assert_eq!(answer.retry_after.as_deref(), Some("1"), "{answer:?}");
                        told.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            until("some to be turned away", || (told.load(Ordering::SeqCst) > 0).then_some(()));
            let began = Instant::now();
            for _ in 0..20 {
                assert_eq!(ask(&up, "/v1/services/idle/query", "x").status, 200);
            }
            assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        });
    });
}

#[test]
fn an_end_that_is_told_late_is_that_querys_too() {
    with_docker(|env| {
        let up = deploy(env, "replicas: 3", "10s");
        let lost = query(&up, "die late");
        assert_eq!(lost.status, 503, "{lost:?}");
        assert!(lost.body.contains("exit code 139"), "it names the cause: {lost:?}");
        assert!(lost.body.contains("ended while it worked on the query"), "{lost:?}");
        let next = query(&up, "who");
        assert_eq!(next.status, 200, "{next:?}");
    });
}

#[test]
fn a_container_that_ends_takes_its_own_query_along_and_none_of_its_neighbours() {
    let env = TestEnv::process();
    let up = env.up();
    // On processes, what starts a run is what a container is.
    let script = "case $(cat) in die) kill -9 $PPID;; slow) sleep 3;; esac; echo fine";
    let spec = format!(
        "name: several\nleaf: {{ image: {}, concurrency: 2, command: [sh, -c, '{script}'] }}\nrequest: {{ deadline: 20s }}\n",
        env.image()
    );
    env.write("several.yaml", spec);
    up.cli(&["service", "deploy", "several.yaml"]).exits(0);
    let ask = |text: &str| ask(&up, "/v1/services/several/query", text);
    thread::scope(|scope| {
        let slow = scope.spawn(|| ask("slow"));
        assert_eq!(ask("fine").status, 200, "there is another beside the slow one");
        for _ in 0..3 {
            let died = ask("die");
            assert_ne!(died.status, 200, "{died:?}");
            // Every one of them is answered: by the one that is left, or both.
            assert_eq!(ask("fine").status, 200);
        }
        assert_eq!(slow.join().unwrap().status, 200, "its container was another");
    });
    let shown = up.cli(&["service", "show", "several", "--format", "json"]).exits(0).json();
    assert_eq!(shown["ready"], true, "{shown}");
}

#[test]
fn a_server_that_closes_silent_connections_fails_no_query() {
    with_docker(|env| {
        let up = deploy(env, "concurrency: 2", "5s");
        query(&up, "hang up");
        for number in 0..300 {
            let answer = query(&up, "who");
            assert_eq!(answer.status, 200, "query {number}: {answer:?}");
        }
    });
}
