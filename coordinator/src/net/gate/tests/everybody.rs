//! Every method there is, asked by everybody there may be, through the gate itself.

use std::collections::BTreeMap;

use longshore_authority::Presented;
use longshore_core::{MemberRecord, TokenId, TokenKind, TokenRecord, TokenRole, TokenTerms, WorkerId};
use longshore_trust::{self as trust, Pin};
use prost::Message as _;
use prost_types::FileDescriptorSet;

use super::*;
use crate::members::standing::now_ms;

/// Whose things are asked about.
const OWN: &str = "own";
const OTHER: &str = "other";

/// Who asks, each about the things of [`OWN`] unless it says elsewhere.
const CALLERS: [&str; 12] = [
    "nobody",
    "an admin",
    "a submitter",
    "a submitter elsewhere",
    "a reader",
    "an asker",
    "a worker",
    "a worker elsewhere",
    "a revoked worker",
    "a worker whose certificate has expired",
    "a worker that is no member",
    "whoever has an expired token",
];

/// What each of [`CALLERS`] is told, as a letter: `a`llowed, `u`nauthenticated, `d`enied.
const SHOULD: [(&str, &str); 43] = [
    ("/longshore.v1.Jobs/Submit", "uaadddddduuu"),
    ("/longshore.v1.Jobs/Cancel", "uaadddddduuu"),
    ("/longshore.v1.Jobs/Retry", "uaadddddduuu"),
    ("/longshore.v1.Jobs/Pause", "uaadddddduuu"),
    ("/longshore.v1.Jobs/Resume", "uaadddddduuu"),
    ("/longshore.v1.Jobs/Change", "uaadddddduuu"),
    ("/longshore.v1.Jobs/Remove", "uaadddddduuu"),
    ("/longshore.v1.Jobs/List", "uaadadddduuu"),
    ("/longshore.v1.Jobs/Get", "uaadadddduuu"),
    ("/longshore.v1.Jobs/Watch", "uaadadddduuu"),
    ("/longshore.v1.Jobs/Items", "uaadadddduuu"),
    ("/longshore.v1.Jobs/Events", "uaadadddduuu"),
    ("/longshore.v1.Jobs/Explain", "uaadadddduuu"),
    ("/longshore.v1.Jobs/FollowLogs", "uaadadddduuu"),
    ("/longshore.v1.Jobs/Recipe", "uaadadddduuu"),
    ("/longshore.v1.Blobs/Missing", "uaadddadduuu"),
    ("/longshore.v1.Blobs/Put", "uaadddadduuu"),
    ("/longshore.v1.Blobs/Get", "uaadadadduuu"),
    ("/longshore.v1.Blobs/Door", "uaadadadduuu"),
    ("/longshore.v1.Services/Deploy", "uaadddddduuu"),
    ("/longshore.v1.Services/Remove", "uaadddddduuu"),
    ("/longshore.v1.Services/List", "uaadadddduuu"),
    ("/longshore.v1.Services/Get", "uaadadddduuu"),
    ("/longshore.v1.Services/Query", "uaaddaddduuu"),
    ("/longshore.v1.Services/Ask", "uaaddaddduuu"),
    ("/longshore.v1.Secrets/Put", "uaadddddduuu"),
    ("/longshore.v1.Secrets/List", "uaadddddduuu"),
    ("/longshore.v1.Secrets/Remove", "uaadddddduuu"),
    ("/longshore.v1.Agent/Link", "uaddddadduuu"),
    ("/longshore.v1.Agent/Leaves", "uaddddadduuu"),
    ("/longshore.v1.Agent/Workers", "uaadadddduuu"),
    ("/longshore.v1.Members/Join", "aaaaaaaaaaaa"),
    ("/longshore.v1.Members/Renew", "uaddddaddauu"),
    ("/longshore.v1.Members/CreateToken", "uaddddddduuu"),
    ("/longshore.v1.Members/ListTokens", "uaddddddduuu"),
    ("/longshore.v1.Members/RemoveTokens", "uaddddddduuu"),
    ("/longshore.v1.Members/RotateToken", "uaddddddduuu"),
    ("/longshore.v1.Members/RemoveWorker", "uaddddddduuu"),
    ("/longshore.v1.Members/DrainWorker", "uaddddddduuu"),
    ("/grpc.health.v1.Health/Check", "uaadaaadduuu"),
    ("/grpc.health.v1.Health/Watch", "uaadaaadduuu"),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "uaadaaadduuu"),
    ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", "uaadaaadduuu"),
];

/// The gate in front of something that answers everybody.
struct Everybody {
    register: Arc<Register>,
    router: Router,
    tokens: BTreeMap<&'static str, trust::Token>,
    _dir: tempfile::TempDir,
}

fn everybody() -> Everybody {
    let World { dir, entrance, .. } = world();
    let register = Arc::new(Register::default());
    let answered = any(|_: Request<Body>| async { "answered" });
    let router = Router::new().fallback(answered).layer(Gate::of(&entrance, Arc::clone(&register), hosts()));
    let mut it = Everybody { register, router, tokens: BTreeMap::new(), _dir: dir };
    for (who, role, expires_ms) in [
        ("an admin", TokenRole::Admin, 0),
        ("a submitter", TokenRole::Submit, 0),
        ("a reader", TokenRole::Read, 0),
        ("an asker", TokenRole::Query, 0),
        ("whoever has an expired token", TokenRole::Admin, 1),
    ] {
        it.has_token(who, role, expires_ms);
    }
    for (key, revoked_ms) in [(1, 0), (2, 1)] {
        it.register.show_member(WorkerId([key; 16]), Some(member(key, revoked_ms)));
    }
    it
}

fn hosts() -> Arc<Hosts> {
    Arc::new(Hosts::new(trust::Cluster::new(), [], &[]))
}

fn member(key: u8, revoked_ms: u64) -> MemberRecord {
    MemberRecord {
        id: WorkerId([key; 16]),
        key: [key; 32],
        previous_key: None,
        name: String::new(),
        labels: BTreeMap::new(),
        namespaces: vec![Namespace::named(OWN)],
        joined_ms: 1,
        token: TokenId([1; 5]),
        revoked_ms,
    }
}

impl Everybody {
    fn has_token(&mut self, who: &'static str, role: TokenRole, expires_ms: u64) {
        let token = trust::Token::new(trust::TokenKind::Person, Pin([7; 32]));
        let namespaces = if role == TokenRole::Admin { Vec::new() } else { vec![Namespace::named(OWN)] };
        let terms = TokenTerms { kind: TokenKind::Person { role }, name: String::new(), namespaces };
        let (id, secret) = (TokenId(token.id().0), token.secret_digest().0);
        self.register.show_token(id, Some(TokenRecord { id, secret, terms, used: 0, created_ms: 1, expires_ms }));
        self.tokens.insert(who, token);
    }

    /// A new connection as this one makes it, and what is shown with its requests.
    fn comes(&self, who: &str) -> (Peer, Option<String>) {
        let shows = |key: u8, expires_ms| Via::Tls(Some(Presented { key: [key; 32], expires_ms, serial: 1 }));
        let later_ms = now_ms() + 3_600_000;
        let via = match who {
            "a worker" | "a worker elsewhere" => shows(1, later_ms),
            "a revoked worker" => shows(2, later_ms),
            "a worker whose certificate has expired" => shows(1, now_ms() - 1),
            "a worker that is no member" => shows(3, later_ms),
            _ => Via::Tls(None),
        };
        let token = self.tokens.get(who.trim_end_matches(" elsewhere"));
        (Peer::new(via), token.map(|token| format!("Bearer {}", *token.reveal())))
    }

    async fn told(&self, who: &str, path: &str) -> char {
        let (peer, token) = self.comes(who);
        let whose = if who.ends_with("elsewhere") { OTHER } else { OWN };
        let mut request = Request::post(path)
            .header(header::HOST, trust::SNI)
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(NAMESPACE_METADATA, whose);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, token);
        }
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(peer);
        let answer = self.router.clone().oneshot(request).await.unwrap();
        match code(&answer) {
            None => 'a',
            Some("16") => 'u',
            Some("7") => 'd',
            Some(_) => '?',
        }
    }
}

/// Every method that this coordinator's descriptors name, and those of health and reflection.
fn methods() -> Vec<String> {
    let sets = [
        longshore_proto::DESCRIPTORS,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let files = sets.into_iter().flat_map(|set| FileDescriptorSet::decode(set).unwrap().file);
    let name = |file: &prost_types::FileDescriptorProto| {
        let of = |service: &prost_types::ServiceDescriptorProto| {
            let begin = format!("/{}.{}/", file.package(), service.name());
            service.method.iter().map(|method| format!("{begin}{}", method.name())).collect::<Vec<_>>()
        };
        file.service.iter().flat_map(of).collect::<Vec<_>>()
    };
    files.flat_map(|file| name(&file)).collect()
}

#[tokio::test]
async fn everybody_is_told_what_they_should_be_of_every_method() {
    let it = everybody();
    for method in methods() {
        let should = SHOULD.iter().find(|(name, _)| *name == method);
        let (_, should) = should.unwrap_or_else(|| panic!("{method} has no row here: who may call it?"));
        for (who, should) in CALLERS.into_iter().zip(should.chars()) {
            assert_eq!(it.told(who, &method).await, should, "{who} calls {method}");
        }
    }
}

#[tokio::test]
async fn the_token_of_this_machine_is_worth_nothing_by_tls() {
    let World { dir: _dir, entrance, .. } = world();
    let router = Router::new().fallback(any(|| async {})).layer(Gate::of(&entrance, Arc::default(), hosts()));
    let token = Token::read(Path::new(&entrance.token_file())).unwrap().header();
    let request = list().header(header::HOST, trust::SNI).header(header::AUTHORIZATION, token);
    let mut request = request.body(Body::empty()).unwrap();
    request.extensions_mut().insert(Peer::new(Via::Tls(None)));
    assert_eq!(router.oneshot(request).await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_certificate_that_was_good_when_its_connection_was_made_stays_so_there() {
    let it = everybody();
    let peer = Peer::new(Via::Tls(Some(Presented { key: [1; 32], expires_ms: now_ms() + 5, serial: 1 })));
    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    assert!(!peer.has_expired());
    assert_eq!(it.told("a worker", "/longshore.v1.Agent/Link").await, 'a');
}
