//! Turns in front of something that answers when it is told to.

use std::{
    future::pending,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use axum::{Router, routing::any};
use bytes::Bytes;
use futures_util::stream;
use http::Response as HttpResponse;
use longshore_core::{Namespace, WorkerId};
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::*;
use crate::{
    api::caller::{Origin, Principal},
    net::gate::Via,
};

struct World {
    router: Router,
    /// How many have come there.
    came: Arc<AtomicUsize>,
    /// Told when what is asked at `/held` shall be answered.
    release: Arc<Notify>,
}

fn world() -> World {
    let release = Arc::new(Notify::new());
    let came = Arc::new(AtomicUsize::new(0));
    let (held, coming) = (Arc::clone(&release), Arc::clone(&came));
    let hold = move || async move {
        let released = held.notified();
        coming.fetch_add(1, Ordering::Relaxed);
        released.await;
        "answered"
    };
    let whole = |request: Request<Body>| async move { to_bytes(request.into_body(), usize::MAX).await.unwrap() };
    let routes = Router::new().route("/held", any(hold)).fallback(any(whole));
    World { router: routes.layer(Turns::new()), came, release }
}

fn caller(role: Role) -> Caller {
    Caller { role, principal: Principal::Token, namespace: Namespace::default(), origin: Origin::default() }
}

fn request(path: &str, role: Option<Role>, allowance: Option<&Arc<Allowance>>) -> Request<Body> {
    let mut request = Request::post(path).header("content-type", "application/grpc").body(Body::from("a")).unwrap();
    if let Some(role) = role {
        request.extensions_mut().insert(caller(role));
    }
    if let Some(allowance) = allowance {
        request.extensions_mut().insert(Arc::clone(allowance));
    }
    request
}

impl World {
    async fn ask(&self, request: Request<Body>) -> HttpResponse<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Asks for so many answers that do not come.
    async fn hold(&self, count: usize, role: Role, allowance: Option<&Arc<Allowance>>) -> Vec<JoinHandle<()>> {
        let mut held = Vec::new();
        for _ in 0..count {
            let asked = self.router.clone().oneshot(request("/held", Some(role), allowance));
            held.push(tokio::spawn(async move { assert_eq!(message(&asked.await.unwrap()), "") }));
        }
        while self.came.load(Ordering::Relaxed) < count {
            tokio::task::yield_now().await;
        }
        held
    }
}

/// Lets whatever was spawned begin; no time passes.
async fn settle() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

fn message(response: &HttpResponse<Body>) -> String {
    response.headers().get("grpc-message").map(|said| said.to_str().unwrap().replace("%20", " ")).unwrap_or_default()
}

fn code(response: &HttpResponse<Body>) -> Option<&str> {
    response.headers().get("grpc-status").map(|code| code.to_str().unwrap())
}

#[tokio::test]
async fn one_token_takes_its_part_and_nobody_else_notices() {
    let world = world();
    let (one, other) = (Arc::new(Allowance::of_token()), Arc::new(Allowance::of_token()));
    let held = world.hold(limits::REQUESTS_OF_TOKEN, Role::Submit, Some(&one)).await;
    let refused = world.ask(request("/x", Some(Role::Submit), Some(&one))).await;
    assert_eq!(code(&refused), Some("14"));
    assert!(message(&refused).starts_with("this token has 256 requests under way already"), "{}", message(&refused));
    assert_eq!(code(&world.ask(request("/x", Some(Role::Submit), Some(&other))).await), None);
    world.release.notify_waiters();
    for held in held {
        held.await.unwrap();
    }
    assert_eq!(code(&world.ask(request("/x", Some(Role::Submit), Some(&one))).await), None);
}

#[tokio::test]
async fn tokens_that_take_everything_shut_out_neither_admins_nor_members_nor_those_who_join() {
    let world = world();
    let _held = world.hold(limits::REQUESTS, Role::Submit, None).await;
    let refused = world.ask(request("/x", Some(Role::Read), None)).await;
    assert_eq!((code(&refused), message(&refused).starts_with("1024 requests")), (Some("14"), true));
    for (path, role) in [("/x", Some(Role::Admin)), ("/x", Some(Role::Worker)), (JOIN, None), (RENEW, None)] {
        assert_eq!(code(&world.ask(request(path, role, None)).await), None, "{path} {role:?}");
    }
}

#[tokio::test]
async fn whoever_goes_away_gives_back_its_turn() {
    let world = world();
    let one = Arc::new(Allowance::of_token());
    let held = world.hold(limits::REQUESTS_OF_TOKEN, Role::Submit, Some(&one)).await;
    held.iter().for_each(JoinHandle::abort);
    for held in held {
        assert!(held.await.unwrap_err().is_cancelled());
    }
    assert_eq!(code(&world.ask(request("/x", Some(Role::Submit), Some(&one))).await), None);
}

fn dripping(peer: &Peer) -> Request<Body> {
    let drips = stream::unfold((), |()| async {
        sleep(Duration::from_secs(1)).await;
        Some((Ok::<_, Infallible>(Bytes::from_static(b"x")), ()))
    });
    let mut dripping = request(JOIN, None, None).map(|_| Body::from_stream(drips));
    dripping.extensions_mut().insert(peer.clone());
    dripping
}

#[tokio::test(start_paused = true)]
async fn strangers_who_drip_hold_up_nobody_and_are_given_up() {
    let world = world();
    let began = Instant::now();
    let dripping: Vec<_> = (0..20 * limits::JOINS)
        .map(|_| tokio::spawn(world.router.clone().oneshot(dripping(&Peer::new(Via::Tls(None))))))
        .collect();
    settle().await;
    for path in [JOIN, RENEW] {
        let answer = world.ask(request(path, None, None)).await;
        assert_eq!(to_bytes(answer.into_body(), 9).await.unwrap(), "a", "{path}");
    }
    assert!(began.elapsed().is_zero());
    for dripping in dripping {
        // Not a code that means something about the token: workers ask again.
        assert_eq!(code(&dripping.await.unwrap().unwrap()), Some("14"));
    }
    assert_eq!(began.elapsed(), limits::JOIN_TIME);
}

#[tokio::test(start_paused = true)]
async fn a_connection_joins_once_at_a_time_and_says_little() {
    let world = world();
    let peer = Peer::new(Via::Tls(None));
    let first = tokio::spawn(world.router.clone().oneshot(dripping(&peer)));
    settle().await;
    let second = world.ask(dripping(&peer)).await;
    assert!(message(&second).starts_with("another request of this connection"), "{}", message(&second));
    first.await.unwrap().unwrap();
    assert!(peer.joins().is_some());
    let long = request(JOIN, None, None).map(|_| Body::from(vec![0; limits::JOIN_BYTES + 1]));
    assert_eq!(code(&world.ask(long).await), Some("3"));
}

#[tokio::test(start_paused = true)]
async fn who_joins_waits_for_a_turn_for_a_while_and_is_then_told_to_come_again() {
    let stuck = Router::new().fallback(any(|| async { pending::<()>().await })).layer(Turns::new());
    let _held: Vec<_> =
        (0..limits::JOINS).map(|_| tokio::spawn(stuck.clone().oneshot(request(JOIN, None, None)))).collect();
    settle().await;
    let refused = stuck.clone().oneshot(request(JOIN, None, None)).await.unwrap();
    assert_eq!((code(&refused), message(&refused).starts_with("64 workers are joining")), (Some("14"), true));
    let renewing = timeout(Duration::from_secs(60), stuck.oneshot(request(RENEW, None, None))).await;
    assert!(renewing.is_err(), "it has a turn of its own, and is not answered by what is stuck");
}

#[test]
fn each_role_takes_from_its_own() {
    let turns = Turns::new();
    let member = Caller { principal: Principal::Member(WorkerId([1; 16])), ..caller(Role::Worker) };
    let mut request = Request::new(());
    request.extensions_mut().insert(member);
    let _taken = turns.take(&request).unwrap();
    let left = [&turns.0.admins, &turns.0.others, &turns.0.members].map(|kind| kind.available_permits());
    assert_eq!(left, [limits::REQUESTS, limits::REQUESTS, limits::REQUESTS - 1]);
}
