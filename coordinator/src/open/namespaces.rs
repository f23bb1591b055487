//! Two namespaces beside one another, over a whole coordinator: neither learns anything of the other.

use std::path::Path;

use longshore_core::Namespace;
use longshore_proto::{
    Digest,
    v1::{self, BlobList, BlobListRef, NamedBlob, put_request::Step},
};
use prost::Message;

use super::{Config, Coordinator};
use crate::{
    api::caller::{Caller, Origin, Principal, Role},
    error::{Error, Refused},
    net::server::Served,
};

fn caller(namespace: &str, role: Role) -> Caller {
    Caller { role, principal: Principal::Token, namespace: Namespace::named(namespace), origin: Origin::default() }
}

fn submitter(namespace: &str) -> Caller {
    caller(namespace, Role::Submit)
}

struct World {
    dir: tempfile::TempDir,
    coordinator: Coordinator,
    served: Served,
}

/// Data and keys beside one another.
fn config(dir: &Path) -> Config {
    let mut config = Config::new(dir.join("data"), dir.join("keys"), dir.join("audit"));
    config.store.ballast_bytes = 0;
    config
}

fn open(dir: tempfile::TempDir) -> World {
    let coordinator = Coordinator::open(&config(dir.path())).unwrap();
    let served = coordinator.served(None);
    World { dir, coordinator, served }
}

impl World {
    async fn restart(self) -> World {
        let World { dir, coordinator, served } = self;
        coordinator.driver.stop().await;
        drop((coordinator, served));
        open(dir)
    }

    async fn put(&self, who: &Caller, contents: &[&[u8]]) {
        let blob = |content: &&[u8]| v1::SmallBlob {
            digest: Digest::of(content).to_wire(),
            data: bytes::Bytes::copy_from_slice(content),
        };
        let small = v1::SmallBlobs { blobs: contents.iter().map(blob).collect() };
        let upload = self.served.blobs.blobs.put(who, false).unwrap();
        let upload = upload.step(v1::PutRequest { step: Some(Step::Small(small)) }).await.unwrap();
        upload.finish().await.unwrap();
    }

    async fn misses(&self, who: &Caller, content: &[u8]) -> bool {
        let digest = Digest::of(content).to_wire();
        !self.served.blobs.blobs.missing(who, vec![digest]).await.unwrap().is_empty()
    }

    async fn gets(&self, who: &Caller, content: &[u8]) -> Result<v1::GetResponse, Error> {
        let mut answers = self.served.blobs.blobs.get(who, None, &[Digest::of(content).to_wire()]).unwrap();
        answers.recv().await.unwrap()
    }

    async fn submit(&self, who: &Caller, key: &str) -> Result<v1::SubmitResponse, Error> {
        self.served.jobs.submit(who, submission(key)).await
    }
}

const INPUT: &[u8] = b"what a job takes in";

fn list() -> Vec<u8> {
    let digest = Digest::of(INPUT).to_wire();
    let input = NamedBlob {
        path: "a".to_owned(),
        digest,
        size: INPUT.len() as u64,
        executable: false,
        inline: None,
        origin: String::new(),
    };
    BlobList { blobs: vec![input] }.encode_to_vec()
}

fn list_ref() -> BlobListRef {
    BlobListRef { digest: Digest::of(&list()).to_wire(), count: 1, size: 0 }
}

fn container() -> Option<v1::Container> {
    Some(v1::Container { image: "any".to_owned(), ..v1::Container::default() })
}

fn submission(key: &str) -> v1::SubmitRequest {
    let stage = v1::Stage { name: "only".to_owned(), container: container(), ..v1::Stage::default() };
    let spec = v1::JobSpec { name: "job".to_owned(), stages: vec![stage], ..v1::JobSpec::default() };
    v1::SubmitRequest { idempotency_key: key.to_owned(), spec: Some(spec), inputs: vec![list_ref()] }
}

fn service(image: &str) -> v1::ServiceSpec {
    let container = Some(v1::Container { image: image.to_owned(), ..v1::Container::default() });
    let leaf = v1::LeafSpec { container, shards: 1, ..v1::LeafSpec::default() };
    v1::ServiceSpec { name: "find".to_owned(), leaf: Some(leaf), ..v1::ServiceSpec::default() }
}

fn world() -> World {
    open(tempfile::tempdir().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_is_where_it_was_put_and_nowhere_else() {
    let world = world();
    let (vision, audio) = (submitter("vision"), submitter("audio"));
    world.put(&vision, &[INPUT]).await;
    assert!(!world.misses(&vision, INPUT).await && world.gets(&vision, INPUT).await.is_ok());
    for other in [&audio, &submitter("default"), &caller("default", Role::Admin)] {
        assert!(world.misses(other, INPUT).await);
        let (there, nowhere) = (world.gets(other, INPUT).await, world.gets(other, b"nowhere").await);
        let words = |got: Result<v1::GetResponse, Error>, content: &[u8]| match got {
            Err(Error::Refused(kind, words)) => (kind, words.replace(&Digest::of(content).to_string(), "D")),
            other => panic!("{other:?}"),
        };
        assert_eq!(words(there, INPUT), words(nowhere, b"nowhere"));
    }
    let world = world.restart().await;
    assert!(!world.misses(&vision, INPUT).await && world.misses(&audio, INPUT).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_makes_no_room_by_putting_something_under_a_name() {
    let world = world();
    let put = |namespace| world.served.blobs.blobs.put(&caller(namespace, Role::Worker), true).map(drop);
    assert!(matches!(put("made-up"), Err(Error::Refused(Refused::Denied, _))));
    world.put(&submitter("vision"), &[INPUT]).await;
    assert_eq!((put("vision"), put("default")), (Ok(()), Ok(())));
    assert!(matches!(put("made-up"), Err(Error::Refused(Refused::Denied, _))));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_has_uploaded_cannot_be_submitted_or_deployed_by_its_digest() {
    let world = world();
    let (vision, audio) = (submitter("vision"), submitter("audio"));
    world.put(&vision, &[INPUT, &list()]).await;
    world.submit(&vision, "").await.unwrap();
    let refused = world.submit(&audio, "").await.unwrap_err();
    assert_eq!(refused, Error::not_now("a list of inputs was not uploaded, or is too large"));
    world.put(&audio, &[&list()]).await;
    let refused = world.submit(&audio, "").await.unwrap_err();
    assert_eq!(refused, Error::not_now("input \"a\" was not uploaded"));
    let mut spec = service("any");
    spec.leaf.as_mut().unwrap().data = vec![list_ref()];
    let refused = world.served.services.deploy(&audio, spec.clone()).await.unwrap_err();
    assert_eq!(refused, Error::not_now("data file \"a\" was not uploaded"));
    world.served.services.deploy(&vision, spec).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_makes_a_job_in_each_and_last_is_ones_own() {
    let world = world();
    let (vision, audio) = (submitter("vision"), submitter("audio"));
    for who in [&vision, &audio] {
        world.put(who, &[INPUT, &list()]).await;
    }
    let first = world.submit(&vision, "key").await.unwrap();
    let other = world.submit(&audio, "key").await.unwrap();
    assert!(!first.existed && !other.existed && first.job_id != other.job_id);
    let world = world.restart().await;
    let again = world.submit(&vision, "key").await.unwrap();
    assert!(again.existed && again.job_id == first.job_id);
    for (who, own) in [(&vision, &first), (&audio, &other)] {
        let last = world.served.jobs.get(who, "last".to_owned()).await.unwrap();
        assert_eq!((&last.job_id, last.namespace.as_str()), (&own.job_id, who.namespace.name()));
        let listed = world
            .served
            .jobs
            .list(who, v1::ListJobsRequest { all_namespaces: false, ..v1::ListJobsRequest::default() })
            .await
            .unwrap();
        assert_eq!(listed.iter().map(|job| &job.job_id).collect::<Vec<_>>(), [&own.job_id]);
        assert!(matches!(
            world
                .served
                .jobs
                .list(who, v1::ListJobsRequest { all_namespaces: true, ..v1::ListJobsRequest::default() })
                .await,
            Err(Error::Refused(Refused::Denied, _))
        ));
    }
    let nothing = world.served.jobs.get(&submitter("new"), "last".to_owned()).await.unwrap_err();
    assert_eq!(nothing, Error::not_found("there are no jobs yet"));
    let admin = caller("default", Role::Admin);
    assert!(
        world
            .served
            .jobs
            .list(&admin, v1::ListJobsRequest { all_namespaces: false, ..v1::ListJobsRequest::default() })
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        world
            .served
            .jobs
            .list(&admin, v1::ListJobsRequest { all_namespaces: true, ..v1::ListJobsRequest::default() })
            .await
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_another_is_said_not_to_be_there_in_the_same_words() {
    let world = world();
    let (vision, audio) = (submitter("vision"), submitter("audio"));
    world.put(&vision, &[INPUT, &list()]).await;
    let theirs = world.submit(&vision, "").await.unwrap().job_id;
    let nobodys = "0198c2aa-0000-7000-8000-000000000000".to_owned();
    let jobs = &world.served.jobs;
    for whole in [true, false] {
        let mut answers = Vec::new();
        for id in [&theirs, &nobodys] {
            let asked = if whole { id.clone() } else { id[..13].to_owned() };
            let items = v1::ItemsRequest { job_id: asked.clone(), ..v1::ItemsRequest::default() };
            let said = [
                jobs.get(&audio, asked.clone()).await.err(),
                jobs.watch(&audio, asked.clone()).await.err(),
                jobs.cancel(&audio, asked.clone(), String::new()).await.err(),
                jobs.retry(&audio, v1::RetryRequest { job_id: asked.clone(), ..v1::RetryRequest::default() })
                    .await
                    .err(),
                jobs.items(&audio, items).await.err(),
            ];
            let said = said.map(|error| match error.unwrap() {
                Error::Refused(kind, words) => (kind, words.replace(&asked, "ID")),
                other => panic!("{other:?}"),
            });
            answers.push(said);
        }
        assert_eq!(answers[0], answers[1]);
        assert!(answers[0].iter().all(|(kind, words)| *kind == Refused::NotFound && words == "no job ID"));
    }
    assert!(jobs.get(&vision, theirs).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_of_the_same_name_is_ones_own() {
    let world = world();
    let services = &world.served.services;
    let (vision, audio, idle) = (submitter("vision"), submitter("audio"), submitter("idle"));
    services.deploy(&vision, service("eyes")).await.unwrap();
    services.deploy(&audio, service("ears")).await.unwrap();
    let image = |view: v1::ServiceView| view.spec.unwrap().leaf.unwrap().container.unwrap().image;
    let world = world.restart().await;
    let services = &world.served.services;
    for (who, wanted) in [(&vision, "eyes"), (&audio, "ears")] {
        assert_eq!(image(services.get(who, "find".to_owned()).unwrap()), wanted);
        assert_eq!(services.list(who).into_iter().map(image).collect::<Vec<_>>(), [wanted]);
    }
    assert!(services.list(&idle).is_empty());
    let none = services.get(&idle, "find".to_owned()).unwrap_err();
    assert_eq!(none, Error::not_found("no service \"find\""));
    assert_eq!(services.remove(&idle, "find".to_owned()).await.unwrap_err(), none);
    services.remove(&audio, "find".to_owned()).await.unwrap();
    assert!(services.get(&audio, "find".to_owned()).is_err() && services.get(&vision, "find".to_owned()).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_in_a_room_is_named_with_its_namespace_and_can_be_accepted() {
    let world = world();
    world.put(&submitter("vision"), &[INPUT, &list()]).await;
    world.submit(&submitter("vision"), "").await.unwrap();
    let World { dir, coordinator, served } = world;
    coordinator.driver.stop().await;
    drop((coordinator, served));
    let data = dir.path().join("data");
    std::fs::remove_dir_all(data.join("rooms/vision/packs")).unwrap();
    let mut config = config(dir.path());
    let lost = Coordinator::open(&config).err().unwrap();
    assert!(lost.is_loss() && lost.to_string() == "cannot open the blobs of namespace vision", "{lost}");
    let scratch = tempfile::tempdir().unwrap();
    let found = crate::inspect(&data, scratch.path(), &config.store, &mut |_| true);
    let problems: Vec<&String> = found.iter().flat_map(|finding| &finding.problems).collect();
    assert!(problems.iter().any(|problem| problem.contains("rooms/vision/packs")), "{found:#?}");
    assert!(found.iter().any(|finding| finding.found.starts_with("of namespace vision: ")), "{found:#?}");
    config.accept_data_loss = true;
    Coordinator::open(&config).unwrap().driver.stop().await;
    config.accept_data_loss = false;
    Coordinator::open(&config).unwrap().driver.stop().await;
}
