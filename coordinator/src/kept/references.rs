//! Which blobs the records need, directly and by lists, and which of those are not there.

use std::collections::HashMap;

use blake3::Hash;
use bytes::Bytes;
use longshore_core::{ItemKey, JobId, Namespace};
use longshore_proto::v1::{BlobList, BlobListRef, Container, Outcome, ServiceSpec, SubmitRequest};
use longshore_store::Reader;
use prost::Message;

use super::{
    convert::{decode, namespace_from_kept},
    error::LoadError,
    keys::{BUNDLE, FAILURE, JOB, SERVICE, TROUBLE, item_of, job_of, service_of},
    outcomes,
    scan::entries,
    v1,
};

/// Where blobs are looked for.
pub trait Held {
    /// Whether it is there, and whole.
    fn holds(&self, digest: &Hash) -> bool;
    /// Its bytes, if it is.
    fn read(&self, digest: &Hash) -> Option<Bytes>;
}

/// Where the blobs of each namespace are looked for.
pub trait HeldByAll {
    /// Those of this namespace.
    fn of(&self, namespace: &Namespace) -> &dyn Held;
}

/// Goes through all records, each with the blobs of whose it is; `missing` is told of each blob that is needed and not there: what is in it, and its digest in
/// hexadecimal digits.
///
/// # Errors
/// When the records themselves cannot be read.
pub fn check(reader: &dyn Reader, held: &dyn HeldByAll, missing: &mut dyn FnMut(String)) -> Result<(), LoadError> {
    // Only those that are not the default namespace's.
    let mut owners: HashMap<JobId, Namespace> = HashMap::new();
    let default = Namespace::default();
    let mut walk = Walk { held: held.of(&default), missing };
    for entry in entries(reader, JOB) {
        let (key, value) = entry?;
        let job = job_of(&key)?;
        let record: v1::Job = decode(&key, value)?;
        let whose = namespace_from_kept(&record.namespace).map_err(|why| LoadError::malformed(&key, why))?;
        walk.held = held.of(&whose);
        walk.submission(&format!("job {job}"), &record.submission);
        if !whose.is_default() {
            owners.insert(job, whose);
        }
    }
    let of_job = |job: JobId| held.of(owners.get(&job).unwrap_or(&default));
    for entry in entries(reader, BUNDLE) {
        let (key, value) = entry?;
        for (item, outcome) in outcomes::unpack(&key, value)? {
            walk.held = of_job(item.job);
            walk.outcome(&item, outcome.detail);
        }
    }
    for entry in entries(reader, FAILURE) {
        let (key, value) = entry?;
        let item = item_of(&key)?;
        walk.held = of_job(item.job);
        walk.outcome(&item, decode::<v1::Outcome>(&key, value)?.detail);
    }
    for entry in entries(reader, TROUBLE) {
        let (key, value) = entry?;
        let item = item_of(&key)?;
        walk.held = of_job(item.job);
        walk.outcome(&item, decode::<v1::Trouble>(&key, value)?.detail);
    }
    for entry in entries(reader, SERVICE) {
        let (key, value) = entry?;
        let service = decode::<v1::Service>(&key, value)?;
        if service.plan.is_some() {
            let name = service_of(&key)?;
            walk.held = held.of(&name.namespace);
            walk.service(&format!("service {name}"), &service.spec);
        }
    }
    Ok(())
}

struct Walk<'a> {
    held: &'a dyn Held,
    missing: &'a mut dyn FnMut(String),
}

impl Walk<'_> {
    fn submission(&mut self, owner: &str, digest: &[u8]) {
        let Some(submission) = self.message::<SubmitRequest>(&format!("the specification of {owner}"), digest) else {
            return;
        };
        let stages = submission.spec.iter().flat_map(|spec| &spec.stages);
        self.files(owner, stages.filter_map(|stage| stage.container.as_ref()));
        for list in &submission.inputs {
            self.list(&format!("inputs of {owner}"), list);
        }
    }

    fn service(&mut self, owner: &str, digest: &[u8]) {
        let Some(spec) = self.message::<ServiceSpec>(&format!("the specification of {owner}"), digest) else {
            return;
        };
        let leaf = spec.leaf.iter().filter_map(|leaf| leaf.container.as_ref());
        let merge = spec.merge.iter().filter_map(|merge| merge.container.as_ref());
        self.files(owner, leaf.chain(merge));
        for list in spec.leaf.iter().flat_map(|leaf| &leaf.data) {
            self.list(&format!("data of {owner}"), list);
        }
    }

    /// Those that were sent along with containers.
    fn files<'c>(&mut self, owner: &str, containers: impl Iterator<Item = &'c Container>) {
        for file in containers.flat_map(|container| &container.files) {
            self.blob(&format!("file {:?} of {owner}", file.path), &file.digest);
        }
    }

    fn outcome(&mut self, item: &ItemKey, detail: Bytes) {
        let owner = format!("item {} of stage {} of job {}", item.index, item.stage, item.job);
        let Ok(outcome) = Outcome::decode(detail) else {
            return (self.missing)(format!("the outcome of {owner} is malformed"));
        };
        for output in outcome.outputs.iter().flat_map(|outputs| &outputs.blobs) {
            self.blob(&format!("output {:?} of {owner}", output.path), &output.digest);
        }
        if let Some(list) = &outcome.outputs_ref {
            self.list(&format!("outputs of {owner}"), list);
        }
        for (log, digest) in [("standard output", &outcome.stdout_digest), ("standard error", &outcome.stderr_digest)] {
            if !digest.is_empty() {
                self.blob(&format!("{log} of {owner}"), digest);
            }
        }
    }

    /// A list, and all that is in it.
    fn list(&mut self, what: &str, list: &BlobListRef) {
        let Some(list) = self.message::<BlobList>(&format!("a list of {what}"), &list.digest) else {
            return;
        };
        for blob in &list.blobs {
            self.blob(&format!("{:?} of {what}", blob.path), &blob.digest);
        }
    }

    /// The blob, if it is there.
    fn blob(&mut self, what: &str, digest: &[u8]) -> Option<Hash> {
        match Hash::from_slice(digest) {
            Ok(digest) if self.held.holds(&digest) => Some(digest),
            Ok(digest) => {
                (self.missing)(format!("{what} is lost: blob {digest}"));
                None
            }
            Err(_) => {
                (self.missing)(format!("{what} has no digest"));
                None
            }
        }
    }

    fn message<T: Message + Default>(&mut self, what: &str, digest: &[u8]) -> Option<T> {
        let digest = self.blob(what, digest)?;
        let message = self.held.read(&digest).and_then(|bytes| T::decode(bytes).ok());
        if message.is_none() {
            (self.missing)(format!("{what} is malformed: blob {digest}"));
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use longshore_core::{JobId, ServiceName};
    use longshore_proto::v1::{JobSpec, LeafSpec, MergeSpec, NamedBlob, Stage};
    use longshore_store::{Batch, Epoch, MemoryDisk, Store};

    use super::*;
    use crate::kept::keys::{item_key, job_key, service_key};

    #[derive(Default)]
    struct Blobs(HashMap<Hash, Bytes>);

    impl Held for Blobs {
        fn holds(&self, digest: &Hash) -> bool {
            self.0.contains_key(digest)
        }

        fn read(&self, digest: &Hash) -> Option<Bytes> {
            self.0.get(digest).cloned()
        }
    }

    /// The default namespace's; nobody else has any.
    impl HeldByAll for Blobs {
        fn of(&self, namespace: &Namespace) -> &dyn Held {
            static NONE: std::sync::LazyLock<Blobs> = std::sync::LazyLock::new(Blobs::default);
            if namespace.is_default() { self } else { &*NONE }
        }
    }

    impl Blobs {
        fn put(&mut self, content: impl Into<Bytes>) -> Bytes {
            let content = content.into();
            let digest = blake3::hash(&content);
            self.0.insert(digest, content);
            Bytes::copy_from_slice(digest.as_bytes())
        }

        fn file(&mut self, of: &str) -> NamedBlob {
            NamedBlob { path: "file".to_owned(), digest: self.put(of.to_owned()), ..NamedBlob::default() }
        }

        fn container(&mut self, file: &str) -> Option<Container> {
            Some(Container { files: vec![self.file(file)], ..Container::default() })
        }

        fn list(&mut self, of: &str) -> BlobListRef {
            let list = BlobList { blobs: vec![self.file(of)] };
            BlobListRef { digest: self.put(list.encode_to_vec()), count: 1, ..BlobListRef::default() }
        }
    }

    /// A job, a success with an output, one with a list of them, a failure with a log, a service.
    fn world() -> (MemoryDisk, Blobs) {
        let (disk, mut blobs, mut batch) = (MemoryDisk::new(), Blobs::default(), Batch::new());
        let job = JobId([1; 16]);
        let item = |index| ItemKey { job, stage: 0, index };
        let stage = Stage { container: blobs.container("a stage's script"), ..Stage::default() };
        let spec = Some(JobSpec { stages: vec![stage], ..JobSpec::default() });
        let inputs = vec![blobs.list("an input")];
        let submission = SubmitRequest { spec, inputs, ..SubmitRequest::default() };
        let submission = blobs.put(submission.encode_to_vec());
        batch.put(job_key(job), v1::Job { submission, ..v1::Job::default() }.encode_to_vec());
        let output = NamedBlob { path: "made".to_owned(), digest: blobs.put("an output"), ..NamedBlob::default() };
        let few = Outcome { outputs: Some(BlobList { blobs: vec![output] }), ..Outcome::default() };
        let many = Outcome { outputs_ref: Some(blobs.list("a listed output")), ..Outcome::default() };
        let successes =
            [few, many].map(|outcome| v1::Outcome { detail: outcome.encode_to_vec().into(), ..v1::Outcome::default() });
        batch.put(item_key(BUNDLE, &item(0)), v1::Bundle { successes: successes.to_vec() }.encode_to_vec());
        let failed = Outcome { stderr_digest: blobs.put("a log"), ..Outcome::default() }.encode_to_vec();
        let failed = v1::Outcome { detail: failed.into(), ..v1::Outcome::default() };
        batch.put(item_key(FAILURE, &item(2)), failed.encode_to_vec());
        let data = vec![blobs.list("some data")];
        let leaf = LeafSpec { container: blobs.container("a leaf's script"), data, ..LeafSpec::default() };
        let merge = MergeSpec { container: blobs.container("a merge's script"), ..MergeSpec::default() };
        let spec = ServiceSpec { leaf: Some(leaf), merge: Some(merge), ..ServiceSpec::default() };
        let spec = blobs.put(spec.encode_to_vec());
        let service = v1::Service { plan: Some(v1::ServicePlan::default()), spec, ..v1::Service::default() };
        batch.put(service_key(&ServiceName::in_default("find")), service.encode_to_vec());
        disk.open().commit(Epoch::default(), &batch).unwrap();
        (disk, blobs)
    }

    fn missing(disk: &MemoryDisk, blobs: &Blobs) -> Vec<String> {
        let mut found = Vec::new();
        check(&*disk.open().reader(), blobs, &mut |what| found.push(what)).unwrap();
        found
    }

    #[test]
    fn nothing_is_missing_where_everything_is() {
        let (disk, blobs) = world();
        assert_eq!(missing(&disk, &blobs), Vec::<String>::new());
    }

    #[test]
    fn each_blob_that_is_not_there_is_named_with_what_it_is() {
        let (disk, mut blobs) = world();
        for (content, what) in [
            ("an input", "\"file\" of inputs of job"),
            ("an output", "output \"made\" of item 0"),
            ("a listed output", "\"file\" of outputs of item 1"),
            ("a log", "standard error of item 2"),
            ("some data", "\"file\" of data of service find"),
            ("a stage's script", "file \"file\" of job"),
            ("a leaf's script", "file \"file\" of service find"),
            ("a merge's script", "file \"file\" of service find"),
        ] {
            let digest = blake3::hash(content.as_bytes());
            let bytes = blobs.0.remove(&digest).unwrap();
            let found = missing(&disk, &blobs);
            assert!(matches!(&found[..], [only] if only.starts_with(what) && only.contains(digest.to_hex().as_str())));
            blobs.0.insert(digest, bytes);
        }
        blobs.0.clear();
        let found = missing(&disk, &blobs);
        assert_eq!(found.len(), 5, "{found:?}");
        assert!(found[0].starts_with("the specification of job"), "{found:?}");
    }

    #[test]
    fn what_is_anothers_is_looked_for_among_its_own_blobs() {
        let (disk, blobs) = world();
        let mut batch = Batch::new();
        let reader = disk.open().reader();
        let (job, item) = (JobId([1; 16]), ItemKey { job: JobId([2; 16]), stage: 0, index: 0 });
        let copied = |key: Vec<u8>| reader.get(&key).unwrap().unwrap();
        let submitted: v1::Job = decode(b"", copied(job_key(job))).unwrap();
        let submitted = v1::Job { namespace: "vision".to_owned(), ..submitted };
        batch.put(job_key(item.job), submitted.encode_to_vec());
        batch.put(item_key(BUNDLE, &item), copied(item_key(BUNDLE, &ItemKey { job, ..item })));
        let find = ServiceName { namespace: Namespace::named("vision"), name: "find".to_owned() };
        batch.put(service_key(&find), copied(service_key(&ServiceName::in_default("find"))));
        disk.open().commit(Epoch::default(), &batch).unwrap();
        let found = missing(&disk, &blobs);
        let told = |what: &str| found.iter().any(|missing| missing.contains(what));
        assert!(found.len() == 4 && told("the specification of job 02020202"), "{found:?}");
        assert!(told("of item 0 of stage 0 of job 02020202") && told("service vision/find"), "{found:?}");
    }

    #[test]
    fn a_removed_service_needs_nothing() {
        let disk = MemoryDisk::new();
        let mut batch = Batch::new();
        batch.put(service_key(&ServiceName::in_default("gone")), v1::Service::default().encode_to_vec());
        disk.open().commit(Epoch::default(), &batch).unwrap();
        assert_eq!(missing(&disk, &Blobs::default()), Vec::<String>::new());
    }
}
