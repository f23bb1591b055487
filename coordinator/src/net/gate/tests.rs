//! The gate in front of something that says who calls.

use std::path::Path;

use axum::{Router, routing::any};
use http::{HeaderValue, Method, StatusCode};
use longshore_local::{RuntimeDir, Token};
use tower::ServiceExt as _;

use super::*;

mod everybody;
mod told;

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
    let router = Router::new().fallback(any(who)).layer(Gate::of(&entrance, Arc::default(), Arc::default()));
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
    let router = Router::new().fallback(any(whose)).layer(Gate::of(&entrance, Arc::default(), Arc::default()));
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

mod people {
    //! Those who show a person's token.

    use http_body_util::BodyExt as _;
    use longshore_core::{TokenId, TokenKind, TokenRecord, TokenRole, TokenTerms};
    use longshore_trust::{self as trust, Pin};

    use super::*;
    use crate::members::{register::Register, standing::now_ms};

    struct People {
        _dir: tempfile::TempDir,
        register: Arc<Register>,
        router: Router,
    }

    /// Everything is answered by who calls, about whose things.
    fn people() -> People {
        let World { dir, entrance, .. } = world();
        let register = Arc::new(Register::default());
        let who = |request: Request<Body>| async move {
            let caller = request.extensions().get::<Caller>().cloned();
            caller.map_or_else(String::new, |caller| format!("{:?} {}", caller.role, caller.namespace))
        };
        let router = Router::new().fallback(any(who)).layer(Gate::of(&entrance, Arc::clone(&register), Arc::default()));
        People { _dir: dir, register, router }
    }

    impl People {
        fn token(&self, role: TokenRole, namespaces: &[&str], expires_ms: u64) -> trust::Token {
            let token = trust::Token::new(trust::TokenKind::Person, Pin([7; 32]));
            self.keep(&token, role, namespaces, expires_ms);
            token
        }

        fn keep(&self, token: &trust::Token, role: TokenRole, namespaces: &[&str], expires_ms: u64) {
            let id = TokenId(token.id().0);
            let namespaces = namespaces.iter().map(|name| Namespace::named(name)).collect();
            let terms = TokenTerms { kind: TokenKind::Person { role }, name: String::new(), namespaces };
            let secret = token.secret_digest().0;
            let record = TokenRecord { id, secret, terms, used: 0, created_ms: 1, expires_ms };
            self.register.show_token(id, Some(record));
        }

        async fn ask(&self, peer: &Peer, token: &str, namespace: Option<&str>) -> (StatusCode, String) {
            let mut request = list().header(header::HOST, "localhost").header(header::AUTHORIZATION, token);
            if let Some(namespace) = namespace {
                request = request.header(NAMESPACE_METADATA, namespace);
            }
            let mut request = request.body(Body::empty()).unwrap();
            request.extensions_mut().insert(peer.clone());
            let answer = self.router.clone().oneshot(request).await.unwrap();
            (answer.status(), body(answer).await)
        }
    }

    fn bearer(token: &trust::Token) -> String {
        format!("Bearer {}", *token.reveal())
    }

    #[tokio::test]
    async fn a_token_gives_its_role_in_its_namespaces() {
        let people = people();
        let peer = Peer::new(Via::Port);
        let ask = async |token: &trust::Token, named| people.ask(&peer, &bearer(token), named).await;
        let reader = people.token(TokenRole::Read, &["vision", "audio"], 0);
        assert_eq!(ask(&reader, None).await, (StatusCode::OK, "Read vision".to_owned()));
        assert_eq!(ask(&reader, Some("audio")).await, (StatusCode::OK, "Read audio".to_owned()));
        let (status, why) = ask(&reader, Some("default")).await;
        assert!(
            status == StatusCode::FORBIDDEN
                && why.contains("may not ask about namespace default: it is for vision, audio"),
            "{why}"
        );
        let plain = people.token(TokenRole::Submit, &[], 0);
        assert_eq!(ask(&plain, None).await.1, "Submit default");
        assert_eq!(ask(&plain, Some("vision")).await.0, StatusCode::FORBIDDEN);
        let admin = people.token(TokenRole::Admin, &[], 0);
        assert_eq!(ask(&admin, Some("vision")).await.1, "Admin vision");
        let asker = people.token(TokenRole::Query, &[], 0);
        let (status, why) = ask(&asker, None).await;
        assert!(
            status == StatusCode::FORBIDDEN && why.contains("(role query, namespace default) may not do this"),
            "{why}"
        );
        assert!(peer.is_known());
    }

    #[tokio::test]
    async fn whoever_names_two_namespaces_is_told_to_name_one() {
        let people = people();
        let reader = people.token(TokenRole::Read, &["vision", "audio"], 0);
        let mut request = list().header(header::HOST, "localhost").header(header::AUTHORIZATION, bearer(&reader));
        for name in ["vision", "audio"] {
            request = request.header(NAMESPACE_METADATA, name);
        }
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(Peer::new(Via::Port));
        assert_eq!(people.router.clone().oneshot(request).await.unwrap().status(), StatusCode::BAD_REQUEST);
    }

    #[tokio::test]
    async fn whatever_is_no_token_here_is_told_the_same_and_an_expired_one_when_it_ended() {
        let people = people();
        let ask = async |token: &str| people.ask(&Peer::new(Via::Port), token, None).await;
        let known = people.token(TokenRole::Read, &[], 0);
        let unknown = trust::Token::new(trust::TokenKind::Person, Pin([7; 32]));
        // Its id is kept with another secret.
        let wrong = trust::Token::new(trust::TokenKind::Person, Pin([7; 32]));
        let record = people.register.tokens()[0].record.clone();
        people.register.show_token(TokenId(wrong.id().0), Some(TokenRecord { id: TokenId(wrong.id().0), ..record }));
        let first = ask(&bearer(&unknown)).await;
        assert_eq!(first.0, StatusCode::UNAUTHORIZED);
        for shown in
            [bearer(&wrong), "Bearer LST1-".to_owned(), format!("{}A", bearer(&known)), "bearer LSJ1-x".to_owned()]
        {
            assert_eq!(ask(&shown).await, first, "{shown}");
        }
        let expired = people.token(TokenRole::Read, &[], 1_700_000_000_000);
        let (status, why) = ask(&bearer(&expired)).await;
        assert!(status == StatusCode::UNAUTHORIZED && why.contains("has expired at 2023-11-14T22:13:20Z"), "{why}");
        assert_eq!(ask(&bearer(&known).to_lowercase()).await.0, StatusCode::OK, "in small letters too");
    }

    #[tokio::test]
    async fn a_removed_token_ends_what_it_has_opened_and_is_good_for_nothing_more() {
        let World { dir: _dir, entrance, .. } = world();
        let register = Arc::new(Register::default());
        let endless = |_: Request<Body>| async {
            Response::new(Body::from_stream(futures_util::stream::pending::<Result<bytes::Bytes, Infallible>>()))
        };
        let router =
            Router::new().fallback(any(endless)).layer(Gate::of(&entrance, Arc::clone(&register), Arc::default()));
        let people = People { _dir: tempfile::tempdir().unwrap(), register, router };
        let token = people.token(TokenRole::Read, &[], 0);
        let peer = Peer::new(Via::Port).from([127, 0, 0, 9].into());
        let mut request = list().header(header::HOST, "localhost").header(header::AUTHORIZATION, bearer(&token));
        request = request.header(header::CONTENT_TYPE, "application/grpc");
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(peer.clone());
        let open = people.router.clone().oneshot(request).await.unwrap();
        let used = people.register.tokens()[0].last_used();
        assert!(used.from == Some([127, 0, 0, 9].into()) && used.at_ms.abs_diff(now_ms()) < 60_000);
        people.register.show_token(TokenId(token.id().0), None);
        let whole = open.into_body().collect().await.unwrap();
        assert_eq!(whole.trailers().unwrap()["grpc-status"], "16");
        assert_eq!(people.ask(&peer, &bearer(&token), None).await.0, StatusCode::UNAUTHORIZED);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_wrong_token_the_next_answer_of_that_connection_waits() {
        let people = people();
        let token = people.token(TokenRole::Read, &[], 0);
        let (peer, other) = (Peer::new(Via::Port), Peer::new(Via::Port));
        let took = async |peer: &Peer, shown: &str| {
            let began = tokio::time::Instant::now();
            let (status, _) = people.ask(peer, shown, None).await;
            (status, began.elapsed().as_secs())
        };
        assert_eq!(took(&peer, "Bearer LST1-x").await, (StatusCode::UNAUTHORIZED, 0));
        assert_eq!(took(&peer, "Bearer lsl_x").await, (StatusCode::UNAUTHORIZED, 1));
        assert_eq!(took(&other, &bearer(&token)).await, (StatusCode::OK, 0));
        assert_eq!(took(&peer, &bearer(&token)).await, (StatusCode::OK, 2));
        assert_eq!(took(&peer, &bearer(&token)).await, (StatusCode::OK, 0));
    }
}
