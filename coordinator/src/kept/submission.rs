//! Jobs as they were submitted: names, stages, and which lists their inputs are in.

use std::sync::Arc;

use longshore_core::JobId;
use longshore_proto::{
    Digest,
    v1::{Stage, SubmitRequest},
};
use longshore_store::Reader;
use prost::Message;

use super::{
    cache::{self, Cache, HasSize},
    error::{self, CatalogError},
    messages::{LIST, Messages},
    records,
    rooms::Rooms,
};

/// What it is called in errors.
const SUBMISSION: &str = "the job's specification";

/// Bytes of submissions at hand: those of several thousand small jobs, so that listing them reads each once.
const BYTES: usize = 16 << 20;

/// Bytes of a small job's.
const USUAL_BYTES: usize = 1 << 10;

/// A job as it was submitted.
pub struct Submission {
    room: Arc<Messages>,
    request: SubmitRequest,
    lists: Vec<InputList>,
    size_bytes: usize,
}

/// One list of inputs.
struct InputList {
    digest: Digest,
    /// Index of its first entry among the job's inputs.
    first: u64,
}

impl Submission {
    /// Finds out where its inputs begin.
    pub fn new(room: Arc<Messages>, request: SubmitRequest) -> Result<Self, CatalogError> {
        let size_bytes = request.encoded_len() * 2 + request.inputs.len() * size_of::<InputList>();
        let mut next = 0_u64;
        let mut lists = Vec::with_capacity(request.inputs.len());
        for list in &request.inputs {
            lists.push(InputList { digest: error::digest(&list.digest, LIST)?, first: next });
            next = next.saturating_add(list.count);
        }
        Ok(Self { room, request, lists, size_bytes })
    }

    /// Where its blobs are.
    pub fn room(&self) -> &Arc<Messages> {
        &self.room
    }

    /// As the client sent it.
    #[cfg(test)]
    pub fn request(&self) -> &SubmitRequest {
        &self.request
    }

    /// The job's stages.
    pub fn stages(&self) -> &[Stage] {
        self.request.spec.as_ref().map_or(&[], |spec| &spec.stages)
    }

    /// The stages that name the same image as this one, which is the first of them.
    pub fn of_same_image(&self, stage: u16) -> Vec<u16> {
        let image = |stage: &Stage| stage.container.as_ref().map(|container| container.image.clone());
        let stages = || (0_u16..).zip(self.stages());
        let Some((_, own)) = stages().find(|(at, _)| *at == stage) else { return Vec::new() };
        let others = stages().filter(|(at, other)| *at != stage && image(other) == image(own)).map(|(at, _)| at);
        std::iter::once(stage).chain(others).collect()
    }

    /// The job's name.
    pub fn name(&self) -> &str {
        self.request.spec.as_ref().map_or("", |spec| &spec.name)
    }

    /// Which list an input is in, and its place there, which may be beyond the list's end.
    pub fn place(&self, index: u64) -> Option<(Digest, usize)> {
        let number = self.lists.partition_point(|list| list.first <= index).checked_sub(1)?;
        let list = &self.lists[number];
        Some((list.digest, usize::try_from(index - list.first).ok()?))
    }
}

impl HasSize for Submission {
    fn size_bytes(&self) -> usize {
        self.size_bytes
    }
}

/// The submissions read last.
pub struct Submissions {
    reader: Arc<dyn Reader>,
    rooms: Rooms,
    kept: Cache<JobId, Submission>,
}

impl Submissions {
    pub fn new(reader: Arc<dyn Reader>, rooms: Rooms) -> Self {
        Self { reader, rooms, kept: cache::of_bytes(BYTES, USUAL_BYTES) }
    }

    /// The job's submission, read if it is not at hand.
    pub fn get(&self, job: JobId) -> Result<Arc<Submission>, CatalogError> {
        self.kept.get_or_insert_with(&job, || {
            let record = records::job(&*self.reader, job)?.ok_or_else(|| CatalogError::NoJob { job })?;
            let room = Arc::new(Messages::new(record.namespace.clone(), self.rooms.of(&record.namespace)));
            let request = room.get(record.detail.into(), SUBMISSION)?;
            Submission::new(room, request).map(Arc::new)
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use longshore_core::{JobRecord, JobSpec, Now, Record, StageSpec};
    use longshore_drive::Page;
    use longshore_proto::v1::{BlobListRef, JobSpec as Spec};
    use longshore_store::{MemoryDisk, Store};

    use super::{super::messages::tests::messages, *};

    fn request(counts: &[u64]) -> SubmitRequest {
        let list = |(at, count): (usize, &u64)| BlobListRef {
            digest: Digest::of(&[at as u8]).to_wire(),
            count: *count,
            ..BlobListRef::default()
        };
        let stage = Stage { name: "count".to_owned(), ..Stage::default() };
        let spec = Spec { name: "words".to_owned(), stages: vec![stage], ..Spec::default() };
        SubmitRequest { spec: Some(spec), inputs: counts.iter().enumerate().map(list).collect(), ..Default::default() }
    }

    #[test]
    fn an_input_is_found_in_its_list() {
        let (_dir, messages) = messages();
        let submission = Submission::new(Arc::clone(&messages), request(&[3, 1, 5])).unwrap();
        let list = |at: u8| Digest::of(&[at]);
        let wanted = [(0, 0, 0), (2, 0, 2), (3, 1, 0), (4, 2, 0), (8, 2, 4), (9, 2, 5)];
        for (index, number, at) in wanted {
            assert_eq!(submission.place(index), Some((list(number), at)), "{index}");
        }
        assert_eq!(Submission::new(messages, request(&[])).unwrap().place(0), None);
        assert_eq!((submission.name(), submission.stages().len()), ("words", 1));
    }

    #[test]
    fn a_list_that_is_not_named_by_a_digest_is_said_to_be_wrong() {
        let (_dir, messages) = messages();
        let mut request = request(&[3]);
        request.inputs[0].digest = Bytes::from_static(b"short");
        assert!(matches!(Submission::new(messages, request), Err(CatalogError::Digest { .. })));
    }

    #[test]
    fn a_submission_is_read_once_by_way_of_the_jobs_record() {
        let (_dir, messages) = messages();
        let mut store = MemoryDisk::new().open();
        let submissions = Submissions::new(store.reader(), Rooms::of_default(Arc::clone(messages.blobs())));
        let id = JobId([5; 16]);
        assert!(matches!(submissions.get(id), Err(CatalogError::NoJob { job }) if job == id));
        let stage = StageSpec::default();
        let record = Record::Job(JobRecord::submitted(
            Now::default(),
            (id, longshore_core::Namespace::default(), String::new()),
            JobSpec { stages: vec![stage], ..JobSpec::default() },
            3,
            messages.put(&request(&[3])).unwrap().into(),
        ));
        let mut writer = records::Writer::default();
        writer.add(vec![record]);
        store.commit(longshore_store::Epoch::default(), &writer.finish()).unwrap();
        let submission = submissions.get(id).unwrap();
        assert_eq!(*submission.request(), request(&[3]));
        assert!(Arc::ptr_eq(&submission, &submissions.get(id).unwrap()));
    }
}
