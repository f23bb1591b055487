//! Images of a real registry behind passwords: who is given what, what is said to others, and what is remembered.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "support/host_image.rs"]
mod host_image;
#[path = "support/registry.rs"]
#[allow(dead_code, reason = "each file of tests uses its part")]
mod registry;
#[path = "support/world.rs"]
#[allow(dead_code, reason = "each file of tests uses its part")]
mod world;

use std::path::Path;

use longshore_worker::runtime::{Image, ImageError, ImageRequest, PullSecret, docker::DockerOptions};
use registry::{ANN, BOB, Registry};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use uuid::Uuid;
use world::World;

/// A root directory like no other, so that no two tests speak of one image.
fn root() -> Vec<u8> {
    let (mut root, text) = (tar::Builder::new(Vec::new()), Uuid::new_v4().to_string());
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    root.append_data(&mut header, "file", text.as_bytes()).unwrap();
    root.into_inner().unwrap()
}

/// A worker whose Docker configuration is in a directory, which remembers in a file there.
async fn worker(dir: &Path, change: impl FnOnce(&mut DockerOptions)) -> Option<World> {
    let set = |options: &mut DockerOptions| {
        options.registry_config = Some(dir.to_owned());
        options.pulled = Some(dir.join("pulled.json"));
        change(options);
    };
    World::docker_with(set).await
}

/// A registry, a directory, and a worker that has no credentials unless they are put into the directory.
async fn all() -> Option<(Registry, TempDir, World)> {
    let (registry, dir) = (Registry::start()?, tempfile::tempdir().unwrap());
    let world = worker(dir.path(), |_| {}).await?;
    Some((registry, dir, world))
}

async fn ask(world: &World, reference: &str, namespace: &str, secret: Option<&str>) -> Result<Image, ImageError> {
    let secret = secret.map(|secret| PullSecret { name: "pull".into(), value: secret.as_bytes().into() });
    let asked = ImageRequest { namespace: namespace.into(), secret, ..ImageRequest::of(reference) };
    world.runtime.resolve(&asked).await
}

#[track_caller]
fn is_denied(answer: Result<Image, ImageError>, words: &[&str]) {
    let error = answer.unwrap_err();
    assert!(matches!(error, ImageError::Denied { .. }) && error.is_final(), "{error:?}");
    let text = error.to_string();
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
    assert!(!text.contains("secret~") && !text.contains("bob-secret"), "{text}");
}

#[tokio::test]
async fn an_image_behind_a_password_is_refused_for_good_without_it_and_given_with_what_docker_login_left() {
    let Some((registry, dir, world)) = all().await else {
        return;
    };
    let (reference, digest) = registry.push("team/tool:1", &root(), &[]);
    let login = format!("docker login {}", registry.address);
    is_denied(ask(&world, &reference, "", None).await, &[&reference, &login, "the worker has none", "pull_secret"]);
    registry.log_in(dir.path(), "ann:wrong");
    is_denied(ask(&world, &reference, "", None).await, &[&login, "config.json"]);
    registry.log_in(dir.path(), ANN);
    let image = ask(&world, &reference, "", None).await.unwrap();
    assert_eq!(image.digest.unwrap().to_string(), digest);
    assert!(
        ask(&world, &reference, "vision", None).await.is_ok(),
        "the worker's own credentials are for all who work there"
    );
    let absent = ask(&world, &registry.reference("team/none:1"), "", None).await.unwrap_err();
    assert!(matches!(absent, ImageError::NotFound { .. }), "{absent:?}");
    world.close().await;
}

#[tokio::test]
async fn what_one_namespaces_secret_has_brought_is_not_anothers() {
    let Some((registry, dir, world)) = all().await else {
        return;
    };
    let (reference, _) = registry.push("team/tool:1", &root(), &[]);
    let image = ask(&world, &reference, "vision", Some(ANN)).await.unwrap();
    let by_digest = format!("{}@{}", reference.rsplit_once(':').unwrap().0, image.digest.unwrap());
    for (namespace, secret) in [("audio", None), ("", None), ("audio", Some("ann:wrong")), ("audio", Some("bob:x"))] {
        for same in [&reference, &by_digest, &image.id] {
            let says = format!("not pulled for namespace {}", if namespace.is_empty() { "default" } else { namespace });
            is_denied(ask(&world, same, namespace, secret).await, &[&says]);
        }
    }
    is_denied(ask(&world, &reference, "audio", Some("no-password")).await, &["pull_secret", "user:password"]);
    // Another life remembers, and so does one that cannot read what was remembered.
    let next = worker(dir.path(), |_| {}).await.unwrap();
    is_denied(ask(&next, &reference, "", None).await, &[]);
    let config = format!(r#"{{"auths": {{"{}": {{"username": "bob", "password": "bob-secret"}}}}}}"#, registry.address);
    assert_eq!(ask(&next, &reference, "audio", Some(&config)).await.unwrap().id, image.id, "it has shown that it may");
    registry.stop();
    for namespace in ["vision", "audio"] {
        assert_eq!(ask(&next, &reference, namespace, None).await.unwrap().id, image.id, "nobody has to be asked again");
    }
    for (namespace, secret) in [("", None), ("speech", Some(BOB))] {
        let error = ask(&next, &reference, namespace, secret).await.unwrap_err();
        assert!(matches!(error, ImageError::Unreachable { .. }) && !error.is_final(), "{error:?}");
    }
    std::fs::write(dir.path().join("pulled.json"), "{").unwrap();
    let lost = worker(dir.path(), |_| {}).await.unwrap();
    assert!(matches!(ask(&lost, &reference, "", None).await, Err(ImageError::Unreachable { .. })));
    for world in [world, next, lost] {
        world.close().await;
    }
}

#[tokio::test]
async fn what_was_there_before_is_its_operators_and_runs_without_a_network() {
    let Some((registry, dir, world)) = all().await else {
        return;
    };
    let (reference, _) = registry.push("team/tool:1", &root(), &[]);
    registry.pull_by_hand(&reference);
    for namespace in ["", "vision"] {
        is_denied(ask(&world, &reference, namespace, None).await, &["it is on this engine"]);
    }
    let own = format!("longshore-test-own:{}", Uuid::new_v4().simple());
    registry.tag(&reference, &own);
    let mine = ask(&world, &own, "vision", None).await.unwrap();
    assert_eq!(mine.digest, None, "by a name that is in no registry it is the operator's");
    registry.stop();
    assert_eq!(ask(&world, &reference, "", None).await.unwrap().id, mine.id);
    let other = ask(&world, &reference, "vision", None).await.unwrap_err();
    assert!(matches!(other, ImageError::Unreachable { .. }), "{other:?}");
    let trusting = worker(dir.path(), |options| options.trust_local_images = true).await.unwrap();
    assert_eq!(ask(&trusting, &reference, "vision", None).await.unwrap().id, mine.id);
    for world in [world, trusting] {
        world.close().await;
    }
}

/// A registry that limits us, or is in trouble, cannot be had on purpose: this stands for one.
async fn stand_in(status: &'static str, body: &'static str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn a_registry_that_limits_or_fails_is_named_and_asked_again() {
    let Some(world) = World::docker().await else {
        return;
    };
    let body = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}"#;
    let limiting = stand_in("429 Too Many Requests", body).await;
    let error = ask(&world, &format!("{limiting}/a:1"), "", None).await.unwrap_err();
    assert!(matches!(&error, ImageError::RateLimited { registry, .. } if *registry == limiting), "{error:?}");
    let failing = stand_in("503 Service Unavailable", "{}").await;
    let error = ask(&world, &format!("{failing}/a:1"), "", None).await.unwrap_err();
    assert!(matches!(&error, ImageError::Unreachable { registry, .. } if *registry == failing), "{error:?}");
    world.close().await;
}
