//! Secrets: their versions count up for ever, and whoever was told of one is told again when it changes.

use longshore_core::{Namespace, Notice, Refusal, Reply, SecretName, ServiceName, ServicePlan};

use crate::stage::{Stage, reply, service, told, worker_id};

const PLAN: ServicePlan = ServicePlan { shards: 1, replicas: 1, merges: 0 };

pub fn secret(namespace: &str, name: &str) -> SecretName {
    SecretName { namespace: Namespace::named(namespace), name: name.to_owned() }
}

fn db() -> SecretName {
    secret("default", "db")
}

#[test]
fn a_version_is_never_used_again_not_even_after_the_secret_was_removed_and_a_restart() {
    let mut it = Stage::new();
    assert_eq!(reply(&it.put_secret(db(), 1, b"one")), &Reply::SecretPut { version: 1 });
    let out = it.put_secret(db(), 2, b"two");
    assert_eq!((reply(&out), &out.notices[..]), (&Reply::SecretPut { version: 2 }, &[Notice::Secret(db())][..]));
    assert_eq!(reply(&it.remove_secret(db())), &Reply::SecretRemoved);
    assert_eq!(reply(&it.remove_secret(db())), &Reply::Refused(Refusal::NoSuchSecret(db())));
    let mut it = it.restart(2);
    for version in [0, 1, 2, 4, u64::MAX] {
        let out = it.put_secret(db(), version, b"again");
        assert_eq!(reply(&out), &Reply::Refused(Refusal::SecretMoved(db())), "{version}");
        assert!(out.records.is_empty() && out.notices.is_empty());
    }
    assert_eq!(reply(&it.put_secret(db(), 3, b"three")), &Reply::SecretPut { version: 3 });
    let kept = it.core.ledger().secret(&db()).expect("it is kept");
    assert_eq!((kept.version, &*kept.sealed.as_ref().expect("it has a value").bytes), (3, &b"three"[..]));
}

#[test]
fn what_was_removed_leaves_no_value_behind() {
    let mut it = Stage::new();
    it.put_secret(db(), 1, b"one");
    it.remove_secret(db());
    assert_eq!(it.core.ledger().secret(&db()).expect("it is kept").sealed, None);
}

#[test]
fn secrets_of_two_namespaces_have_nothing_to_do_with_each_other() {
    let mut it = Stage::new();
    let other = secret("vision", "db");
    it.put_secret(db(), 1, b"ours");
    it.put_secret(secret("a", "x"), 1, b"before");
    assert_eq!(reply(&it.put_secret(other.clone(), 1, b"theirs")), &Reply::SecretPut { version: 1 });
    it.remove_secret(db());
    let names = |namespace: &str| -> Vec<_> {
        let secrets = it.core.ledger().secrets_of(&Namespace::named(namespace));
        secrets.map(|secret| (secret.name.clone(), secret.sealed.is_some())).collect()
    };
    assert_eq!(names("vision"), [(other, true)]);
    assert_eq!(names("default"), [(db(), false)]);
    assert_eq!(names("b"), []);
}

#[test]
fn workers_with_replicas_of_the_namespace_are_told_again_and_no_others() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.deploy("find", PLAN, 1);
    it.join(2, 1);
    let vision = Namespace::named("vision");
    it.deploy_as(ServiceName { namespace: vision, ..service("find") }, PLAN, 1);
    let workers = |out| told(&out).into_iter().map(|(worker, keep)| (worker, keep.len())).collect::<Vec<_>>();
    assert_eq!(workers(it.put_secret(db(), 1, b"one")), [(worker_id(1), 1)]);
    assert_eq!(workers(it.put_secret(secret("vision", "db"), 1, b"one")), [(worker_id(2), 1)]);
    assert_eq!(workers(it.put_secret(secret("empty", "db"), 1, b"one")), []);
    assert_eq!(workers(it.put_secret(db(), 7, b"refused")), []);
    assert_eq!(workers(it.remove_secret(db())), [(worker_id(1), 1)]);
}
