//! What workers report, made ready for the core: outputs stored, logs stored, words bounded, blame laid.

use bytes::Bytes;
use longshore_blobs::PutError;
use longshore_core::{AttemptId, Blame, Clientele, End, Fault, Finished, ItemKey, JobId};
use longshore_proto::{
    Digest, SMALL_BLOB_BYTES,
    v1::{self, BlobList, BlobListRef, Failure, FailureClass, NamedBlob, Outcome},
};
use prost::Message;

use crate::{
    api::validate,
    error::{Error, chain},
    kept::{catalog::Catalog, faults, messages::Messages},
    limits,
    workers::fingerprint,
};

/// Whether taking in the result needs the disk: it brings bytes, or names some that are elsewhere.
pub fn has_bytes(result: &v1::Result) -> bool {
    let outputs = match &result.end {
        Some(v1::result::End::Success(success)) => success.outputs.as_slice(),
        _ => &[],
    };
    let logs = [&result.stdout_log, &result.stderr_log];
    logs.iter().any(|log| !log.is_empty()) || outputs.iter().any(|output| output.inline != Some(Bytes::new()))
}

/// How a worker broke the contract: its link ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Breach {
    /// A result, or something it holds, without the attempt.
    #[error("an attempt without an id")]
    NoAttempt,
    /// A result that does not say how it ended.
    #[error("a result without an end")]
    NoEnd,
    /// A job is named by something else.
    #[error("a job id that is not 16 bytes")]
    JobId,
    /// A stage that no job can have.
    #[error("a stage beyond all bounds")]
    Stage,
}

impl From<Breach> for Error {
    fn from(breach: Breach) -> Self {
        Self::invalid(breach.to_string())
    }
}

/// Why reported outputs cannot be kept: the attempt has failed.
#[derive(Debug, thiserror::Error)]
enum BadOutput {
    #[error("the worker reports outputs for a job that is none of its own")]
    NoJob,
    #[error("the worker reports {count} outputs, more than {}", limits::OUTPUTS)]
    TooMany { count: usize },
    #[error("the worker reports an output")]
    Path(#[from] validate::Invalid),
    #[error("the worker reports output {path:?} without a digest")]
    NoDigest { path: String },
    #[error("the worker reports output {path:?} with {bytes} bytes of {size}")]
    Size { path: String, bytes: usize, size: u64 },
    #[error("the worker reports output {path:?} but never put it")]
    NeverPut { path: String },
    #[error("the outputs cannot be stored")]
    Put(#[from] PutError),
}

/// Takes in the results of one message of a worker, which may be given work of these namespaces.
pub struct Taker<'a> {
    catalog: &'a Catalog,
    worker: &'a str,
    clientele: &'a Clientele,
    /// The blobs of the job that the last one was of: neighbours come together. None where there is no such job for this worker.
    room: Option<(JobId, Option<Messages>)>,
}

impl<'a> Taker<'a> {
    /// Nothing has come yet.
    pub fn new(catalog: &'a Catalog, worker: &'a str, clientele: &'a Clientele) -> Self {
        Self { catalog, worker, clientele, room: None }
    }

    /// Turns one reported result into what the core takes in, or says how the worker broke the contract.
    pub fn take_in(&mut self, result: v1::Result) -> Result<Finished, Breach> {
        let item = item_of(&result.job_id, result.stage, result.index)?;
        let worker = self.worker;
        take_in(self.room(item.job), worker, item, result)
    }

    /// Whether the result is of a job that this worker may be given work of.
    pub fn is_of_its_own(&mut self, result: &v1::Result) -> Result<bool, Breach> {
        let item = item_of(&result.job_id, result.stage, result.index)?;
        Ok(self.room(item.job).is_some())
    }

    fn room(&mut self, job: JobId) -> Option<&Messages> {
        if self.room.as_ref().is_none_or(|(of, _)| *of != job) {
            self.room = Some((job, self.room_of(job)));
        }
        self.room.as_ref()?.1.as_ref()
    }

    /// Where what was made for the job is kept; none for a worker that has no business with it.
    fn room_of(&self, job: JobId) -> Option<Messages> {
        let room = self.catalog.room_of(job);
        let room = room.inspect_err(|error| tracing::warn!(%job, error = chain(error), "a result of no job")).ok()?;
        self.clientele.has(room.namespace()).then_some(room)
    }
}

fn take_in(room: Option<&Messages>, worker: &str, item: ItemKey, result: v1::Result) -> Result<Finished, Breach> {
    let id = result.id.ok_or(Breach::NoAttempt)?;
    let mut outcome = Outcome {
        worker: worker.to_owned(),
        attempt: result.attempt,
        duration_us: result.duration_us,
        stdout_digest: keep_log(room, &result.stdout_log),
        stderr_digest: keep_log(room, &result.stderr_log),
        ..Outcome::default()
    };
    let end = match result.end.ok_or(Breach::NoEnd)? {
        v1::result::End::Success(success) => match keep_outputs(room, success.outputs, &mut outcome) {
            Ok(outputs) => End::Succeeded { outputs, detail: outcome.encode_to_vec() },
            Err(error) => {
                let (class, message) = (FailureClass::Infrastructure.into(), chain(&error));
                let failure = v1::Failure { class, message, ..Failure::default() };
                failed(outcome, failure)
            }
        },
        v1::result::End::Failure(failure) => failed(outcome, failure),
        v1::result::End::Returned(_) => End::Returned,
    };
    Ok(Finished { id: AttemptId { epoch: id.epoch, number: id.number }, item, end, run_us: result.duration_us })
}

/// The item that three numbers name.
pub fn item_of(job: &[u8], stage: u32, index: u64) -> Result<ItemKey, Breach> {
    let job = JobId(job.try_into().map_err(|_| Breach::JobId)?);
    let stage = u16::try_from(stage).map_err(|_| Breach::Stage)?;
    Ok(ItemKey { job, stage, index })
}

/// The detail of a failure that no worker reported.
pub fn detail(result: &v1::Result, failure: Failure) -> Vec<u8> {
    let (attempt, duration_us) = (result.attempt, result.duration_us);
    let outcome = Outcome { attempt, duration_us, failure: Some(failure), ..Outcome::default() };
    outcome.encode_to_vec()
}

fn failed(mut outcome: Outcome, mut failure: Failure) -> End {
    let blame = blame(failure.class());
    shorten(&mut failure);
    let fault = fault_of(&failure);
    outcome.failure = Some(failure);
    End::Failed { blame, fault, detail: outcome.encode_to_vec() }
}

/// What the core is told of a failure.
pub fn fault_of(failure: &Failure) -> Fault {
    Fault { class: faults::of_wire(failure.class()), code: failure.code, print: fingerprint::of(failure) }
}

/// Cuts a failure to what a record takes.
pub fn shorten(failure: &mut Failure) {
    let tail = failure.stderr_tail.len().saturating_sub(limits::STDERR_TAIL_BYTES);
    failure.stderr_tail = failure.stderr_tail.slice(tail..);
    truncate(&mut failure.message, 512);
    // For the coordinator to say.
    failure.not_retried = false;
}

/// Whose fault a class of failure is.
fn blame(class: FailureClass) -> Blame {
    match class {
        FailureClass::Exit
        | FailureClass::Signal
        | FailureClass::OutOfMemory
        | FailureClass::Timeout
        | FailureClass::Output
        | FailureClass::Unspecified => Blame::Item,
        FailureClass::Command | FailureClass::Image | FailureClass::Refused => Blame::Hopeless,
        FailureClass::SlotLost => Blame::Slot,
        FailureClass::Infrastructure => Blame::Infrastructure,
    }
}

/// Logs are a help, not a result: one that cannot be stored is left out.
fn keep_log(room: Option<&Messages>, log: &Bytes) -> Bytes {
    let Some(room) = room.filter(|_| !log.is_empty()) else {
        return Bytes::new();
    };
    match room.put_bytes(log) {
        Ok(digest) => digest.to_wire(),
        Err(error) => {
            tracing::warn!(%error, "a log cannot be stored");
            Bytes::new()
        }
    }
}

/// Stores what travels along and checks that the rest is here; answers how many outputs there are.
fn keep_outputs(room: Option<&Messages>, outputs: Vec<NamedBlob>, outcome: &mut Outcome) -> Result<u64, BadOutput> {
    let room = room.ok_or(BadOutput::NoJob)?;
    if outputs.len() > limits::OUTPUTS {
        return Err(BadOutput::TooMany { count: outputs.len() });
    }
    let count = outputs.len() as u64;
    let mut list = BlobList::default();
    for mut output in outputs {
        validate::path(&output.path)?;
        keep_output(room, &mut output)?;
        list.blobs.push(output);
    }
    if list.encoded_len() > limits::RECORD_DETAIL_BYTES {
        let digest = room.put(&list)?;
        outcome.outputs_ref = Some(BlobListRef { digest: digest.to_wire(), count, size: list.encoded_len() as u64 });
    } else {
        outcome.outputs = Some(list);
    }
    Ok(count)
}

fn keep_output(room: &Messages, output: &mut NamedBlob) -> Result<(), BadOutput> {
    let path = || output.path.clone();
    let digest = Digest::try_from(&output.digest).map_err(|_| BadOutput::NoDigest { path: path() })?.into();
    match &output.inline {
        Some(bytes) if bytes.len() as u64 == output.size && bytes.len() <= SMALL_BLOB_BYTES => {
            room.blobs().append_small(&digest, bytes)?;
        }
        Some(bytes) => return Err(BadOutput::Size { path: path(), bytes: bytes.len(), size: output.size }),
        None if room.blobs().contains(&digest) => {}
        None => return Err(BadOutput::NeverPut { path: path() }),
    }
    output.inline = None;
    output.origin.clear();
    Ok(())
}

/// Cuts a text at a character boundary.
fn truncate(text: &mut String, bytes: usize) {
    if text.len() > bytes {
        let end = (0..=bytes).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use longshore_core::{JobRecord, JobSpec, Namespace, Now, StageSpec};
    use longshore_drive::Page as _;
    use longshore_proto::v1::result::End as Told;
    use longshore_store::{MemoryDisk, Store};

    use super::*;
    use crate::kept::{messages::tests::messages, rooms::Rooms};

    /// The item that results are of.
    const ITEM: ItemKey = ItemKey { job: JobId([7; 16]), stage: 1, index: 5 };

    fn output(path: &str, content: &'static [u8]) -> NamedBlob {
        let digest = Digest::of(content).to_wire();
        NamedBlob {
            path: path.to_owned(),
            digest,
            size: content.len() as u64,
            executable: false,
            inline: Some(content.into()),
            origin: String::new(),
        }
    }

    fn result(end: Told) -> v1::Result {
        let id = Some(v1::AttemptId { epoch: 2, number: 3 });
        let job_id = Bytes::from(vec![7; 16]);
        v1::Result { id, job_id, stage: 1, index: 5, end: Some(end), duration_us: 9, ..v1::Result::default() }
    }

    fn success(outputs: Vec<NamedBlob>) -> v1::Result {
        result(Told::Success(v1::Success { outputs }))
    }

    /// What is kept of it, or the words of its failure.
    fn kept(room: &Messages, result: v1::Result) -> Result<(u64, Outcome), String> {
        match take_in(Some(room), "one", ITEM, result).unwrap().end {
            End::Succeeded { outputs, detail } => Ok((outputs, Outcome::decode(&*detail).unwrap())),
            End::Failed { detail, .. } => Err(Outcome::decode(&*detail).unwrap().failure.unwrap().message),
            End::Returned => panic!("nothing was returned"),
        }
    }

    #[test]
    fn outputs_that_come_along_are_stored_and_named_without_their_bytes() {
        let (_dir, room) = messages();
        let program = NamedBlob { executable: true, ..output("b/c", b"") };
        let (count, outcome) = kept(&room, success(vec![output("a", b"first"), program])).unwrap();
        assert_eq!((count, outcome.worker.as_str(), outcome.duration_us), (2, "one", 9));
        let blobs = outcome.outputs.unwrap().blobs;
        assert!(blobs.iter().all(|blob| blob.inline.is_none()) && blobs[1].path == "b/c");
        assert_eq!(blobs.iter().map(|blob| blob.executable).collect::<Vec<_>>(), [false, true]);
        assert_eq!(room.size(Digest::of(b"first")), Some(5));
    }

    #[test]
    fn many_outputs_are_kept_in_a_list_of_their_own() {
        let (_dir, room) = messages();
        let outputs: Vec<_> = (0..100).map(|at| output(&format!("dir/{at}"), b"same")).collect();
        let (count, outcome) = kept(&room, success(outputs)).unwrap();
        assert!(outcome.outputs.is_none() && outcome.encoded_len() < limits::RECORD_DETAIL_BYTES);
        let listed = room.listed(&outcome.outputs_ref.unwrap()).unwrap();
        assert_eq!((count, listed.len()), (100, 100));
    }

    #[test]
    fn outputs_that_are_not_as_told_fail_the_attempt_with_words() {
        let (_dir, room) = messages();
        let bad = |output: NamedBlob| kept(&room, success(vec![output])).unwrap_err();
        let nowhere = NamedBlob { inline: None, ..output("a", b"nowhere") };
        assert!(bad(nowhere).contains("never put it"));
        assert!(bad(NamedBlob { size: 9, ..output("a", b"first") }).contains("with 5 bytes of 9"));
        assert!(
            bad(NamedBlob { digest: Bytes::from_static(b"short"), ..output("a", b"") }).contains("without a digest")
        );
        assert!(bad(output("../a", b"")).contains("../a"));
        let many = vec![output("a", b""); limits::OUTPUTS + 1];
        assert!(kept(&room, success(many)).unwrap_err().contains("more than"));
    }

    #[test]
    fn a_result_that_names_nothing_breaks_the_contract() {
        let (_dir, room) = messages();
        let catalog = Catalog::new(MemoryDisk::new().open().reader(), Rooms::of_default(Arc::clone(room.blobs())));
        let breach = |result| Taker::new(&catalog, "one", &Clientele::Everybody).take_in(result).unwrap_err();
        let whole = || success(Vec::new());
        assert_eq!(breach(v1::Result { id: None, ..whole() }), Breach::NoAttempt);
        assert_eq!(breach(v1::Result { end: None, ..whole() }), Breach::NoEnd);
        assert_eq!(breach(v1::Result { job_id: Bytes::from_static(b"short"), ..whole() }), Breach::JobId);
        assert_eq!(breach(v1::Result { stage: 70_000, ..whole() }), Breach::Stage);
    }

    #[test]
    fn failures_are_shortened_and_blamed_by_their_class() {
        let (_dir, room) = messages();
        let failed = |class: FailureClass| {
            let message = "é".repeat(1_000);
            let failure = Failure {
                class: class.into(),
                message,
                stderr_tail: vec![1; 9_000].into(),
                code: 1,
                not_retried: false,
            };
            match take_in(Some(&room), "one", ITEM, result(Told::Failure(failure))).unwrap().end {
                End::Failed { blame, detail, .. } => (blame, Outcome::decode(&*detail).unwrap().failure.unwrap()),
                other => panic!("{other:?}"),
            }
        };
        let (blame, failure) = failed(FailureClass::Exit);
        assert_eq!(blame, Blame::Item);
        assert!(failure.message.len() < 520 && failure.stderr_tail.len() == limits::STDERR_TAIL_BYTES);
        assert_eq!(failed(FailureClass::Command).0, Blame::Hopeless);
        assert_eq!(failed(FailureClass::Image).0, Blame::Hopeless);
        assert_eq!(failed(FailureClass::SlotLost).0, Blame::Slot);
        assert_eq!(failed(FailureClass::Infrastructure).0, Blame::Infrastructure);
    }

    #[test]
    fn nothing_is_kept_of_a_result_for_a_job_that_is_none_of_the_workers() {
        let (_dir, room) = messages();
        let mut store = MemoryDisk::new().open();
        let mut writer = crate::kept::records::Writer::default();
        writer.add(vec![longshore_core::Record::Job(JobRecord::submitted(
            Now::default(),
            (ITEM.job, Namespace::named("vision"), String::new()),
            JobSpec { stages: vec![StageSpec::default(); 2], ..JobSpec::default() },
            1,
            [1; 32],
        ))]);
        store.commit(longshore_store::Epoch::default(), &writer.finish()).unwrap();
        let catalog = Catalog::new(store.reader(), Rooms::of_default(Arc::clone(room.blobs())));
        let told = |clientele: &Clientele, job: u8| {
            let mut result = success(vec![output("a", b"")]);
            result.job_id = Bytes::from(vec![job; 16]);
            match Taker::new(&catalog, "one", clientele).take_in(result).unwrap().end {
                End::Failed { detail, .. } => Outcome::decode(&*detail).unwrap().failure.unwrap().message,
                other => format!("{other:?}"),
            }
        };
        let audio = Clientele::Only([Namespace::named("audio")].into());
        let is_of_its_own = |clientele| Taker::new(&catalog, "one", clientele).is_of_its_own(&success(Vec::new()));
        assert_eq!((is_of_its_own(&audio), is_of_its_own(&Clientele::Everybody)), (Ok(false), Ok(true)));
        let none_of_its_own = "the worker reports outputs for a job that is none of its own";
        assert_eq!(told(&audio, 7), none_of_its_own);
        assert_eq!(told(&Clientele::Everybody, 8), none_of_its_own, "nor of one that is not there, in the same words");
    }
}
