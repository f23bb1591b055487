//! What the audit is told of denials.

use longshore_core::{TokenId, TokenKind, TokenRecord, TokenRole, TokenTerms};
use longshore_trust as trust;

use super::*;

fn token() -> trust::Token {
    trust::Token::new(trust::TokenKind::Person, trust::Pin([7; 32]))
}

/// A register that knows this token.
fn register(token: &trust::Token) -> Arc<Register> {
    let kind = TokenKind::Person { role: TokenRole::Submit };
    let terms = TokenTerms { kind, name: String::new(), namespaces: Vec::new() };
    let (id, secret) = (TokenId(token.id().0), token.secret_digest().0);
    let register = Arc::new(Register::default());
    register.show_token(id, Some(TokenRecord { id, secret, terms, used: 0, created_ms: 1, expires_ms: 0 }));
    register
}

#[tokio::test]
async fn the_audit_is_told_who_was_denied_what_and_not_the_path_that_was_asked_for() {
    let world = world();
    let audit = Arc::new(Audit::open(&world.dir.path().join("audit")).unwrap());
    let denied = |_: Request<Body>| async { Status::permission_denied("not yours").into_http::<Body>() };
    let (known, unknown) = (token(), token());
    let gate = Gate::of(&world.entrance, register(&known), Arc::default()).audited(audit);
    let world = World { router: Router::new().fallback(any(denied)).layer(gate), ..world };
    for at in 0..200 {
        world.ask(Some(Via::Port), Request::builder().uri(format!("/{at}-{}", "p".repeat(15_000)))).await;
    }
    let header = |token: &trust::Token| HeaderValue::from_str(&format!("Bearer {}", token.reveal().as_str()));
    world.grpc(Via::Port, Some(header(&unknown).unwrap())).await;
    world.grpc(Via::Port, Some(header(&known).unwrap())).await;
    let path = world.dir.path().join("audit/denied.jsonl");
    drop(world.router);
    let lines = loop {
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        if lines.iter().map(|line| line["count"].as_u64().unwrap()).sum::<u64>() == 202 {
            break lines;
        }
        tokio::task::yield_now().await;
    };
    let of = |reason: &str| lines.iter().find(|line| line["reason"].as_str().unwrap().contains(reason)).unwrap();
    assert_eq!((&of("is needed")["method"], lines.len() < 9), (&"something else".into(), true), "{lines:?}");
    assert_eq!(of("unknown here")["resource"], format!("token {}", unknown.id()));
    let behind = of("not yours");
    assert_eq!((&behind["namespace"], &behind["method"]), (&"default".into(), &"/longshore.v1.Jobs/List".into()));
    assert!(behind["principal"].as_str().unwrap().contains(&known.id().to_string()), "{behind}");
}
