//! The gate in front of something that says who calls.

use std::path::Path;

use axum::{Router, routing::any};
use http::Method;
use longshore_local::{RuntimeDir, Token};
use tower::ServiceExt as _;

use super::*;

struct World {
    dir: tempfile::TempDir,
    entrance: Entrance,
    router: Router,
}

/// Everything is answered by who calls.
fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let run = RuntimeDir::make_at(&dir.path().join("run")).unwrap();
    let entrance = Entrance::open_in(run, ([127, 0, 0, 1], 7).into()).unwrap();
    let who = |request: Request<Body>| async move {
        request.extensions().get::<Caller>().map_or_else(|| "nobody".to_owned(), Caller::to_string)
    };
    let router = Router::new().fallback(any(who)).layer(Gate::of(&entrance));
    World { dir, entrance, router }
}

impl World {
    fn token(&self) -> HeaderValue {
        Token::read(Path::new(&self.entrance.token_file())).unwrap().header()
    }

    async fn ask(&self, via: Option<Via>, request: http::request::Builder) -> Response {
        let mut request = request.body(Body::empty()).unwrap();
        request.headers_mut().entry(header::HOST).or_insert(HeaderValue::from_static("localhost"));
        if let Some(via) = via {
            request.extensions_mut().insert(Peer::new(via));
        }
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn grpc(&self, via: Via, token: Option<HeaderValue>) -> Response {
        let mut request = list().header(header::CONTENT_TYPE, "application/grpc");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, token);
        }
        self.ask(Some(via), request).await
    }
}

fn list() -> http::request::Builder {
    Request::builder().method(Method::POST).uri("/longshore.v1.Jobs/List")
}

fn code(response: &Response) -> Option<&str> {
    response.headers().get("grpc-status").map(|code| code.to_str().unwrap())
}

async fn body(response: Response) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 16).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn the_owner_and_root_come_in_by_the_socket_and_nobody_else() {
    let world = world();
    for user in [User::me(), Some(User::ROOT)] {
        let answer = world.grpc(Via::Socket(user), None).await;
        assert_eq!(code(&answer), None);
        assert_eq!(body(answer).await, user.unwrap().to_string());
    }
    let stranger = User::of(User::me().unwrap().number() + 1);
    for user in [stranger, None] {
        let answer = world.grpc(Via::Socket(user), None).await;
        assert_eq!(code(&answer), Some("7"), "{user:?}");
    }
}

#[tokio::test]
async fn the_port_wants_the_token_of_this_start() {
    let world = world();
    assert_eq!(code(&world.grpc(Via::Port, None).await), Some("16"));
    assert_eq!(code(&world.grpc(Via::Port, Some(Token::new().header())).await), Some("16"));
    let answer = world.grpc(Via::Port, Some(world.token())).await;
    assert_eq!(body(answer).await, "whoever has the token");
    let older = world.token();
    let World { dir, entrance, .. } = world;
    drop(entrance);
    let run = RuntimeDir::make_at(&dir.path().join("run")).unwrap();
    let entrance = Entrance::open_in(run, ([127, 0, 0, 1], 7).into()).unwrap();
    assert!(!entrance.token().admits(&older));
}

#[tokio::test]
async fn a_request_that_came_in_nowhere_is_refused() {
    let world = world();
    let answer = world.ask(None, list().header(header::AUTHORIZATION, world.token())).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_refusal_by_http_says_what_is_needed_and_healthz_answers_strangers() {
    let world = world();
    let answer = world.ask(Some(Via::Port), Request::post("/v1/services/find/query")).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(answer.headers()[header::WWW_AUTHENTICATE], "Bearer");
    assert!(body(answer).await.contains("authorization: Bearer TOKEN"));
    for via in [Via::Port, Via::Socket(None)] {
        let answer = world.ask(Some(via), Request::get("/healthz")).await;
        assert_eq!(body(answer).await, "nobody");
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_there_for_those_who_are_known() {
    let world = world();
    let known = |path: &str| Request::get(path).header(header::AUTHORIZATION, world.token());
    assert_eq!(world.ask(Some(Via::Port), known("/v1/unknown")).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(world.ask(Some(Via::Port), Request::get("/v1/unknown")).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn pages_of_strangers_are_refused_whatever_they_show() {
    let world = world();
    let page = list().header(header::AUTHORIZATION, world.token()).header(header::ORIGIN, "http://example.org");
    assert_eq!(world.ask(Some(Via::Port), page).await.status(), StatusCode::FORBIDDEN);
    let rebound = list().header(header::HOST, "example.org:7077");
    assert_eq!(world.ask(Some(Via::Socket(User::me())), rebound).await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn headers_have_their_bound_in_one_or_in_many() {
    let world = world();
    let bound = limits::HEADER_BYTES as usize;
    let one = Request::get("/healthz").header("x", "a".repeat(bound));
    assert_eq!(world.ask(Some(Via::Port), one).await.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let many =
        (0..bound / 40).fold(Request::get("/healthz"), |request, n| request.header(format!("x-{n}"), "a".repeat(9)));
    assert_eq!(world.ask(Some(Via::Port), many).await.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let fits = Request::get("/healthz").header("x", "a".repeat(bound - 200));
    assert_eq!(world.ask(Some(Via::Port), fits).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn only_those_who_are_known_keep_their_connection() {
    let world = world();
    let peer = Peer::new(Via::Port);
    let ask = |token: Option<HeaderValue>| {
        let mut request = list().header(header::HOST, "localhost").body(Body::empty()).unwrap();
        request.headers_mut().extend(token.map(|token| (header::AUTHORIZATION, token)));
        request.extensions_mut().insert(peer.clone());
        world.router.clone().oneshot(request)
    };
    ask(None).await.unwrap();
    assert!(!peer.is_known());
    ask(Some(world.token())).await.unwrap();
    assert!(peer.is_known());
}

#[tokio::test]
async fn whose_things_a_request_is_about_is_what_an_admin_says_and_a_name_that_is_none_is_refused() {
    let World { dir: _dir, entrance, .. } = world();
    let whose = |request: Request<Body>| async move {
        request.extensions().get::<Caller>().map_or_else(String::new, |caller| caller.namespace.to_string())
    };
    let router = Router::new().fallback(any(whose)).layer(Gate::of(&entrance));
    let ask = async |said: Option<&str>| {
        let mut request = list().header(header::HOST, "localhost").body(Body::empty()).unwrap();
        if let Some(said) = said {
            request.headers_mut().insert(NAMESPACE_METADATA, said.parse().unwrap());
        }
        request.extensions_mut().insert(Peer::new(Via::Socket(Some(User::ROOT))));
        let answer = router.clone().oneshot(request).await.unwrap();
        let (status, body) = (answer.status(), axum::body::to_bytes(answer.into_body(), 1_000).await.unwrap());
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    assert_eq!(ask(None).await, (StatusCode::OK, "default".to_owned()));
    assert_eq!(ask(Some("vision")).await, (StatusCode::OK, "vision".to_owned()));
    let (status, why) = ask(Some("../x")).await;
    assert!(status == StatusCode::BAD_REQUEST && why.contains("is not the name of a namespace"), "{status} {why}");
}
