//! Namespaces: whose jobs and services are whose, and which workers are given whose work.

use longshore_core::{Clientele, JobId, Namespace, Refusal, ReplicaKey, Reply, Role, ServiceName, ServicePlan};

use crate::stage::{Stage, asked_back, given, item, job_id, map, only, only_for, reply, spec, stopped, worker_id};

const ONE: ServicePlan = ServicePlan { shards: 1, replicas: 1, merges: 0 };

fn find(namespace: &str) -> ServiceName {
    ServiceName { namespace: Namespace::named(namespace), name: "find".to_owned() }
}

fn leaf(namespace: &str) -> ReplicaKey {
    ReplicaKey { service: find(namespace), generation: 1, role: Role::Leaf { shard: 0 }, number: 0 }
}

fn on(it: &Stage, namespace: &str) -> Option<u8> {
    let view = it.core.service_view(&find(namespace)).expect("it is deployed");
    view.replicas[0].worker.as_ref().map(|(worker, _)| worker.0[0])
}

fn workers(given: &[(longshore_core::WorkerId, longshore_core::Assignment)]) -> Vec<u8> {
    given.iter().map(|(worker, _)| worker.0[0]).collect()
}

#[test]
fn a_key_makes_a_job_in_each_namespace() {
    let mut it = Stage::new();
    let made = |job| Reply::Submitted { job: job_id(job), existed: false };
    assert_eq!(reply(&it.submit_in("a", 1, "key", spec(&[map()]), 1)), &made(1));
    assert_eq!(reply(&it.submit_in("b", 2, "key", spec(&[map()]), 1)), &made(2));
    let mut it = it.restart(2);
    let again = it.submit_in("b", 3, "key", spec(&[map()]), 1);
    assert_eq!(reply(&again), &Reply::Submitted { job: job_id(2), existed: true });
    assert_eq!(reply(&it.submit_in("a", 4, "", spec(&[map()]), 1)), &made(4));
}

#[test]
fn jobs_are_found_in_their_namespace_alone() {
    let mut it = Stage::new();
    for (namespace, number) in [("a", 0x10), ("b", 0x11), ("a", 0x12), ("default", 0x13)] {
        it.submit_in(namespace, number, "", spec(&[map()]), 1);
    }
    let it = it.restart(2);
    let all = |namespace| {
        let jobs = it.core.ledger().jobs_of(&Namespace::named(namespace));
        jobs.map(|job| job.record.id.0[0]).collect::<Vec<u8>>()
    };
    assert_eq!((all("a"), all("b"), all("default"), all("c")), (vec![0x10, 0x12], vec![0x11], vec![0x13], vec![]));
    let ids = JobId::starting_with("1").expect("a digit");
    let found = it.core.ledger().jobs_in(&Namespace::named("b"), ids);
    assert_eq!(found.map(|job| job.record.id).collect::<Vec<_>>(), [job_id(0x11)]);
}

#[test]
fn a_service_of_the_same_name_is_another_in_each_namespace() {
    let mut it = Stage::new();
    it.join(1, 1);
    assert_eq!(reply(&it.deploy_as(find("a"), ONE, 1)), &Reply::Deployed { generation: 1 });
    assert_eq!(reply(&it.deploy_as(find("b"), ONE, 2)), &Reply::Deployed { generation: 1 });
    assert_eq!(reply(&it.deploy("find", ONE, 3)), &Reply::Deployed { generation: 1 });
    it.remove("find");
    assert!(it.core.service_view(&find("default")).is_none());
    assert_eq!((on(&it, "a"), on(&it, "b")), (Some(1), Some(1)));
    let refused = it.deploy_as(find("b"), ONE, 4);
    assert_eq!(reply(&refused), &Reply::Refused(Refusal::ServiceExists(find("b"))));
    let said = Refusal::NoSuchService(find("b")).to_string();
    assert_eq!(said, Refusal::NoSuchService(find("default")).to_string(), "words do not say whose");
}

#[test]
fn a_worker_is_given_what_is_of_its_namespaces_and_nothing_else() {
    let mut it = Stage::new();
    it.join_for(1, 4, &["a", "b"]);
    assert!(given(&it.submit_in("c", 1, "", spec(&[map()]), 2)).is_empty());
    assert_eq!(workers(&given(&it.submit_in("b", 2, "", spec(&[map()]), 2))), [1, 1]);
    assert_eq!(it.view(1).idle_because, Some("no worker is connected that may be given it"));
    assert_eq!(workers(&given(&it.join(2, 4))), [2, 2], "whoever may is given it");
}

#[test]
fn an_idle_worker_that_may_not_does_not_keep_one_that_may_from_work() {
    let mut it = Stage::new();
    it.join_for(1, 8, &["a"]);
    it.join_for(2, 1, &["b"]);
    let first = only(&it.submit_in("b", 1, "", spec(&[map()]), 5));
    assert_eq!(first.item, item(1, 0, 0));
    let next = it.succeeds_after(2, &first, 10_000, 0);
    assert_eq!(workers(&given(&next)), [2; 4], "all that is left, since nobody else may have any of it");
    assert!(asked_back(&it.wait(10)).is_empty(), "nor is it asked back for the idle one");
    it.join(3, 1);
    it.heard(1);
}

#[test]
fn what_waits_behind_others_is_asked_back_for_an_idle_worker_that_may_have_it() {
    let mut it = Stage::new();
    it.join_for(1, 1, &["b"]);
    let first = only(&it.submit_in("b", 1, "", spec(&[map()]), 4));
    assert_eq!(workers(&given(&it.succeeds_after(1, &first, 20_000, 0))), [1; 3]);
    it.join_for(2, 8, &["a"]);
    assert!(asked_back(&it.wait(10)).is_empty());
    it.join_for(3, 1, &["b", "c"]);
    let asked = asked_back(&it.wait(10));
    assert_eq!(asked.iter().map(|(worker, _)| *worker).collect::<Vec<_>>(), [worker_id(1)]);
    assert!(asked_back(&it.wait(10)).is_empty(), "its slot waits for what was asked back");
}

#[test]
fn a_worker_that_may_be_given_less_than_before_gives_up_what_it_has() {
    let mut it = Stage::new();
    it.join(1, 2);
    let mine = given(&it.submit_in("a", 1, "", spec(&[map()]), 1))[0].1;
    let others = given(&it.submit_in("b", 2, "", spec(&[map()]), 1))[0].1;
    it.deploy_as(find("a"), ONE, 1);
    it.deploy_as(find("b"), ONE, 1);
    let replicas = [leaf("a"), leaf("b")];
    let out = it.hello_for(1, (1, 2), only_for(&["a"]), &[mine, others], &replicas);
    assert_eq!(stopped(&out), [others.id]);
    assert_eq!((it.counts(1, 0).running, it.counts(2, 0).running), (1, 0));
    assert_eq!((on(&it, "a"), on(&it, "b")), (Some(1), None));
    assert_eq!(workers(&given(&it.join(2, 1))), [2]);
    assert_eq!(on(&it, "b"), Some(2));
}

#[test]
fn what_a_worker_claims_of_another_namespace_after_a_restart_is_not_believed() {
    let mut it = Stage::new();
    it.join(1, 2);
    let held = given(&it.submit_in("b", 1, "", spec(&[map()]), 1))[0].1;
    it.deploy_as(find("b"), ONE, 1);
    let mut it = it.restart(2);
    let out = it.hello_for(1, (1, 2), only_for(&["a"]), &[held], &[leaf("b")]);
    assert_eq!(stopped(&out), [held.id]);
    assert_eq!((it.counts(1, 0).running, on(&it, "b")), (0, None));
    let said = &it.core.service_view(&find("b")).expect("it is deployed").replicas[0].message;
    assert_eq!(said, "no worker is connected that may be given it");
}

#[test]
fn what_a_worker_may_no_longer_have_is_not_kept_by_another_name() {
    let mut it = Stage::new();
    it.join(1, 2);
    let others = given(&it.submit_in("b", 2, "", spec(&[map()]), 1))[0].1;
    it.submit_in("a", 1, "", spec(&[map()]), 1);
    let claimed = longshore_core::Assignment { item: item(1, 0, 7), ..others };
    let out = it.hello_for(1, (1, 2), only_for(&["a"]), &[claimed], &[]);
    assert_eq!(stopped(&out), [others.id]);
    assert_eq!(it.counts(2, 0).running, 0);
}

#[test]
fn workers_are_shown_to_a_namespace_with_what_they_have_of_it() {
    let mut it = Stage::new();
    it.join(1, 4);
    it.join_for(2, 1, &["b"]);
    it.submit_in("a", 1, "", spec(&[map()]), 3);
    it.submit_in("b", 2, "", spec(&[map()]), 1);
    it.deploy_as(find("a"), ONE, 1);
    let shown = |namespace: &str| {
        let views = it.core.worker_views_for(&Namespace::named(namespace));
        views.iter().map(|view| (view.id.0[0], view.attempts, view.replicas)).collect::<Vec<_>>()
    };
    assert_eq!(shown("a"), [(1, 3, 1)]);
    assert_eq!(shown("b"), [(1, 0, 0), (2, 1, 0)]);
    assert_eq!(shown("c"), [(1, 0, 0)]);
    assert_eq!(it.core.worker_views()[0].attempts, 3);
}

#[test]
fn everybody_s_worker_is_for_every_namespace() {
    assert!(Clientele::default().has(&Namespace::default()) && Clientele::Everybody.has(&Namespace::named("a")));
    assert!(only_for(&["a"]).has(&Namespace::named("a")) && !only_for(&["a"]).has(&Namespace::default()));
    assert!(!only_for(&[]).has(&Namespace::default()));
}
